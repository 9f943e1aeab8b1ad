//! What must hold: at every step, of every delivery, and of what stands in the logs at the end.
//!
//! The numbers are those of the invariants in the test programme: I1 to I7 and I10 to I16.

use crate::cluster::Stored;
use crate::ledger::{Entry, Stage};
use crate::record::Content;
use crate::world::{Event, World};
use kurier::code::{Code, Outcome};
use kurier::delivery::Delivery;
use kurier::engine::ConnectionNumber;
use kurier::time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// A timer is this late at most, beside what the seed's threads are late.
const TICK: Duration = Duration::from_millis(5);
/// After healing, connections and leaders are found again within this: backoffs, metadata, a dead socket's timeout.
pub(crate) const CONVALESCENCE: Duration = Duration::from_secs(30);

/// What the application holds to be true of a record at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Written,
    NotWritten,
    Unknown,
}

impl World {
    /// What is asked after every event.
    pub(crate) fn check_step(&mut self) {
        let (used, reserve) = self.accumulator().memory_used();
        let idle = self.accumulator().traffic().1;
        let limits = &self.plan.limits;
        if used + idle > limits.memory_bytes - limits.reserve_bytes || reserve > limits.reserve_bytes {
            let limits = limits.clone();
            self.fail(format!("I11: {used} + {idle} + {reserve} bytes of {limits:?}"));
        }
        if let Some(violation) = self.cluster.violations().first().cloned() {
            self.fail(format!("I14/I15: {violation}"));
        }
    }

    /// No later than this everything of before has its fate: timers, threads that are late, and a process or a thread
    /// that stood still.
    fn grace(&self, due: Time) -> Time {
        let late = Duration::from_nanos(*self.plan.latency.end()) * 6 + TICK;
        let mut due = due + late;
        for (from, until) in &self.pauses {
            if *from <= due && due <= *until + late {
                due = *until + late;
            }
        }
        due
    }

    /// An epoch was raised: its batches have their fates in time (I12).
    pub(crate) fn expect_end(&mut self, epoch: u64) {
        let due = self.now + self.plan.engine.delivery_timeout;
        self.push(self.grace(due), Event::Due(epoch));
    }

    pub(crate) fn check_epoch(&mut self, epoch: u64) {
        // With a callback a batch has ended when that has returned: when the application likes.
        if self.plan.by_callback || self.is_closed {
            return;
        }
        let again = self.grace(self.now - Duration::from_nanos(*self.plan.latency.end()) * 6 - TICK);
        if again > self.now {
            return self.push(again, Event::Due(epoch));
        }
        let batches = self.accumulator().unfated.count(epoch);
        if batches > 0 {
            let timeout = self.plan.engine.delivery_timeout;
            self.fail(format!("I12: {batches} batches have no fate {timeout:?} after they were opened"));
        }
    }

    /// A delivery by itself, and its moment.
    pub(crate) fn judge(&mut self, delivery: &Delivery) -> Result<(), String> {
        let (code, acks) = (Code(delivery.code), self.plan.engine.acks);
        let is_written = delivery.outcome == Outcome::Written as u8;
        let name = code.name().to_string_lossy().into_owned();
        let outcome = ["unknown", "written", "not written"][usize::from(delivery.outcome)];
        self.report.count(&format!("delivery {name} {outcome}"), 1);
        if (code == Code::OK) != is_written && !(acks == 0 && code == Code::OK) {
            return Err(format!("a code and an outcome that contradict each other: {delivery:?}"));
        }
        if matches!(code, Code::FATAL | Code::INTERNAL) && !self.has_lawful_end() {
            let status = self.network().visit(|engine| engine.status());
            return Err(format!("I13: {delivery:?}, status {status:?}"));
        }
        let well_since = self.healed_at + CONVALESCENCE + self.plan.engine.request_timeout * 2;
        if code == Code::TIMED_OUT && self.is_healed && !self.is_closed && well_since < self.now {
            return Err(format!("the time ran out though all has been well for long: {delivery:?}"));
        }
        if delivery.offset >= 0 && !is_written {
            return Err(format!("an offset without a record: {delivery:?}"));
        }
        if self.reads_promptly && !self.is_closed {
            let ledger = self.shop.ledger.lock().unwrap();
            let accepted_at = ledger.get(delivery.opaque).map_or(Time::NEVER, |entry| entry.accepted_at);
            drop(ledger);
            let due = self.grace(accepted_at + self.plan.engine.delivery_timeout);
            if self.now > due {
                let late = self.now.since(accepted_at);
                return Err(format!("I12: {delivery:?} comes {late:?} after the record was accepted"));
            }
        }
        Ok(())
    }

    /// Requests without an answer, but for those that ask for metadata: there is always a next one.
    fn in_flight(&self) -> usize {
        let producing = self.connections().filter(|one| *one != ConnectionNumber::BOOTSTRAP);
        producing.map(|one| self.network().visit(|engine| engine.in_flight(one))).sum()
    }

    /// Nothing is left of anything (I16).
    pub(crate) fn check_baseline(&mut self, when: &str) {
        // An answer of which only the batches' deadline made something else, or a handshake.
        let patience = self.plan.engine.request_timeout + self.plan.engine.setup_timeout.1 * 2;
        self.run(self.now + patience, |world| world.in_flight() == 0);
        if self.violation.is_some() {
            return;
        }
        let used = self.accumulator().memory_used();
        let pending = self.deliveries.pending();
        let batches = self.accumulator().unfated.count(u64::MAX);
        let in_flight = self.in_flight();
        if used != (0, 0) || pending != 0 || batches != 0 || in_flight != 0 {
            self.fail(format!(
                "I16: {when}: {used:?} bytes, {pending} records, {batches} batches, {in_flight} requests are left"
            ));
        }
    }

    /// A broker gave this producer an answer after which Java's ends too: no rights, no such version, fenced.
    pub(crate) fn has_lawful_end(&self) -> bool {
        let status = self.network().visit(|engine| engine.status()).filter(|status| status.fatal);
        status.is_some_and(|status| {
            let answers = ["answered", "InitProducerId answered"];
            let names = answers.map(|answer| format!("{answer} {}", status.broker_code));
            let was_answered = names.iter().any(|name| self.cluster.counts().contains_key(name));
            matches!(status.broker_code, 31 | 35 | 49 | 53 | 90) && was_answered
        })
    }

    /// No end that nobody asked for (I13).
    pub(crate) fn check_status(&mut self) {
        let status = self.network().visit(|engine| engine.status()).filter(|status| status.fatal);
        if (status.is_some() || (self.network().is_finished() && !self.is_closed)) && !self.has_lawful_end() {
            self.fail(format!("I13: the producer came to an end: {status:?}"));
        }
    }

    fn claim(&self, entry: &Entry) -> Claim {
        match (entry.stage, &entry.fate) {
            (Stage::Refused, _) => Claim::NotWritten,
            (_, Some((delivery, _))) if delivery.outcome == Outcome::Written as u8 => Claim::Written,
            (_, Some((delivery, _))) if delivery.outcome == Outcome::NotWritten as u8 => Claim::NotWritten,
            // A quiet record whose good end nobody tells. Without acknowledgements that means nothing.
            (Stage::Accepted, None) if entry.quiet && self.plan.engine.acks != 0 => Claim::Written,
            _ => Claim::Unknown,
        }
    }

    /// The logs against what the application was told.
    pub(crate) fn check_logs(&mut self) {
        let mut copies: BTreeMap<u64, Vec<Stored>> = BTreeMap::new();
        let mut problems = Vec::new();
        for (topic, (name, _)) in (0..).zip(self.cluster.topics()) {
            let partitions = self.shop.book.partitions(topic).len() as i32;
            let partitions = partitions.max(self.cluster.topics()[topic as usize].1);
            for partition in 0..partitions {
                let mut last: BTreeMap<(u32, u32), u64> = BTreeMap::new();
                for stored in self.cluster.log(&name, partition) {
                    match self.recognize(topic, partition, &stored) {
                        Ok(number) => {
                            self.check_order(number, &stored, &mut last, &mut problems);
                            copies.entry(number).or_default().push(stored);
                        }
                        Err(problem) => problems.push(problem),
                    }
                }
            }
        }
        let entries: Vec<(u64, Entry)> = {
            let ledger = self.shop.ledger.lock().unwrap();
            ledger.entries().map(|(number, entry)| (number, entry.clone())).collect()
        };
        for (number, entry) in &entries {
            let found = copies.get(number).map_or(&[][..], Vec::as_slice);
            problems.extend(self.check_record(*number, entry, found));
        }
        for problem in problems {
            self.fail(problem);
        }
    }

    /// Whose record it is; every byte of it as it was sent (I6, I7).
    fn recognize(&self, topic: u32, partition: i32, stored: &Stored) -> Result<u64, String> {
        let place = format!("{topic}-{partition} offset {}", stored.offset);
        let found = Content { key: stored.key.clone(), value: stored.value.clone(), headers: stored.headers.clone() };
        let number = found.number().ok_or_else(|| format!("I7: a record that nobody sent stands at {place}"))?;
        let ledger = self.shop.ledger.lock().unwrap();
        let entry = ledger.get(number).ok_or_else(|| format!("I7: {place} holds {number:#x}, which nobody sent"))?;
        let sent = self.shop.content(number, entry.topic, entry.partition);
        if (entry.topic, entry.partition) != (topic, partition) {
            return Err(format!("I7: record {number:#x} of {}-{} stands at {place}", entry.topic, entry.partition));
        }
        if sent != found {
            return Err(format!("I6: record {number:#x} at {place} is not what was sent"));
        }
        if stored.timestamp_type == 0 && stored.timestamp_ms != entry.timestamp_ms {
            let (sent, is) = (entry.timestamp_ms, stored.timestamp_ms);
            return Err(format!("I6: record {number:#x} at {place} has timestamp {is}, and was sent with {sent}"));
        }
        Ok(number)
    }

    /// I4: in the log, what a thread sent to a partition stands in the order in which it was accepted. Only idempotent
    /// sending promises it: without it a retry overtakes, or a late copy comes behind.
    fn check_order(
        &self,
        number: u64,
        stored: &Stored,
        last: &mut BTreeMap<(u32, u32), u64>,
        problems: &mut Vec<String>,
    ) {
        if !self.plan.is_idempotent() {
            return;
        }
        // A late copy under an epoch that has been followed by another is refused. Under a producer id that was used up
        // and replaced nothing stands in its way.
        let has_new_id = self.cluster.counts().get("producer ids given").is_some_and(|count| *count > 1);
        let claim = self.shop.ledger.lock().unwrap().get(number).map(|entry| self.claim(entry));
        if has_new_id && claim == Some(Claim::Unknown) {
            return;
        }
        let before = last.insert(((number >> 32) as u32, stored.incarnation), number);
        if let Some(before) = before.filter(|before| *before >= number) {
            problems.push(format!("I4: record {number:#x} stands behind {before:#x}, at offset {}", stored.offset));
        }
    }

    /// I1, I2, I3, I5 and I10 of one record.
    fn check_record(&mut self, number: u64, entry: &Entry, found: &[Stored]) -> Vec<String> {
        let name = self.topics[entry.topic as usize].clone();
        let is_lost = self.cluster.lost(&name, entry.partition);
        let (acks, idempotent) = (self.plan.engine.acks, self.plan.is_idempotent());
        let claim = self.claim(entry);
        let mut problems = Vec::new();
        let tell = |what: &str| {
            let offsets: Vec<(u32, i64)> = found.iter().map(|stored| (stored.incarnation, stored.offset)).collect();
            format!("{what}: record {number:#x} is {claim:?} ({:?}), and stands at {offsets:?}", entry.fate)
        };
        match claim {
            _ if entry.stage == Stage::Refused => self.report.count("records refused", 1),
            Claim::Written => self.report.count("records written", 1),
            Claim::NotWritten => self.report.count("records not written", 1),
            Claim::Unknown => self.report.count("records unknown", 1),
        }
        if entry.stage == Stage::Accepted {
            self.report.count("records accepted", 1);
            if entry.fate.is_none() && !entry.quiet {
                problems.push(tell("I10: accepted, and nobody told its end"));
            }
        }
        let most = found.iter().map(|one| found.iter().filter(|other| other.incarnation == one.incarnation).count());
        // A topic that is made anew is another log: twice means twice in one of them.
        if idempotent && most.max().unwrap_or(0) > 1 {
            problems.push(tell("I1/I3: twice"));
        }
        // acks=1 promises nothing beyond the leader, and the leader may be lost; acks=0 promises nothing.
        if claim == Claim::Written && found.is_empty() && !is_lost && acks == -1 {
            problems.push(tell("I1: lost"));
        }
        if claim == Claim::NotWritten && !found.is_empty() {
            problems.push(tell("I2: written all the same"));
        }
        if let Some((delivery, _)) = entry.fate.as_ref().filter(|(delivery, _)| delivery.offset >= 0) {
            // A copy that was lost with acks=1 may have had the offset.
            // A topic that was made anew may have it there, too.
            let mut there = found.iter().filter(|stored| stored.offset == delivery.offset).peekable();
            if there.peek().is_none() {
                if !is_lost && acks == -1 {
                    problems.push(tell("I5: the offset"));
                }
            } else if there.all(|stored| stored.timestamp_ms != delivery.timestamp_ms) {
                problems.push(tell("I5: the timestamp"));
            }
        }
        if claim == Claim::Written && entry.fate.is_some_and(|(delivery, _)| delivery.offset < 0) {
            self.report.count("records written, offset unknown", 1);
        }
        // A topic may allow only batches that are smaller than this record.
        let is_too_large = entry.fate.is_some_and(|(delivery, _)| delivery.code == Code::RECORD_TOO_LARGE.0);
        if entry.is_probe && claim != Claim::Written && acks != 0 && !is_too_large {
            problems.push(tell("a record that was sent when all was well again"));
        }
        problems
    }
}
