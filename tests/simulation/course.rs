//! The course of a seed: trouble, healing, proof that all is well again, the end, and the reckoning.

use crate::checks::CONVALESCENCE;
use crate::ledger::Stage;
use crate::report::Report;
use crate::world::World;
use kurier::accumulator::Partition;
use kurier::code::Code;
use kurier::time::Time;
use std::time::Duration;

/// How a seed ended.
pub(crate) struct Ended {
    pub(crate) hash: u64,
    pub(crate) report: Report,
    pub(crate) violation: Option<String>,
}

/// A last copy may be on its way for so long after its connection was given up.
const ECHO: Duration = Duration::from_secs(200);
/// In good times a record is written this much later than its linger, ways and threads apart.
const BRISK: Duration = Duration::from_millis(100);

/// Runs a seed from its beginning to its end.
pub(crate) fn run(seed: u64, is_printed: bool) -> Ended {
    let mut world = World::new(seed, is_printed);
    world.describe();
    world.begin();
    world.go();
    let mut report = std::mem::take(&mut world.report);
    report.seeds = 1;
    for (what, count) in world.cluster.counts() {
        report.count(what, *count);
    }
    Ended { hash: world.trace.hash(), report, violation: world.violation.take() }
}

impl World {
    fn describe(&mut self) {
        let words = format!(
            "{:?} {:?} {:?} reading {:?} by_callback {} senders {} records {} burst {} pause {} us, max_block {:?}, \
             close {:?}, trouble {:?}, faults {:?}, latency {:?}, distance {:?}",
            self.plan.engine,
            self.plan.limits,
            self.plan.codec,
            self.plan.reading,
            self.plan.by_callback,
            self.plan.senders,
            self.plan.records,
            self.plan.burst,
            self.plan.pause_us,
            self.plan.max_block,
            self.plan.early_close,
            self.plan.trouble,
            self.plan.faults,
            self.plan.latency,
            self.plan.distance,
        );
        self.trace.say(self.now, "plan", &words);
        let words = format!("{:?}", self.cluster.profile());
        self.trace.say(self.now, "cluster", &words);
    }

    fn go(&mut self) {
        let timeout = self.plan.engine.delivery_timeout;
        if let Some(patience) = self.plan.early_close {
            let moment = Duration::from_nanos(self.random.below(self.plan.trouble.as_nanos() as u64));
            self.run(self.now + moment, |_| false);
            self.close(patience);
            self.run(self.now + self.plan.trouble, |world| world.is_healed);
            self.heal();
        } else {
            self.run(self.now + self.plan.trouble + Duration::from_secs(1), |world| world.is_healed);
            self.recover(timeout);
            self.probe();
            self.close(timeout * 2);
        }
        // What was sent long ago may still arrive, and must not become a second copy even then.
        let until = self.now + ECHO;
        self.run(until, |world| world.wire.next() == Time::NEVER && world.cluster.next() > until);
        if self.violation.is_none() {
            self.check_logs();
        }
    }

    fn are_senders_done(&self) -> bool {
        self.senders.iter().all(Option::is_none)
    }

    fn is_idle(&self) -> bool {
        self.are_senders_done() && self.accumulator().unfated.count(u64::MAX) == 0
    }

    /// Faults are over: everything that was accepted has its fate in time, and leaves nothing behind.
    fn recover(&mut self, timeout: Duration) {
        self.read_promptly();
        let limit = self.now + self.plan.max_block + timeout * 2 + self.plan.trouble * 3 + CONVALESCENCE;
        self.run(limit, Self::are_senders_done);
        if self.violation.is_none() && !self.are_senders_done() {
            return self.fail("senders are stuck though all is well");
        }
        self.run(self.now + timeout + Duration::from_secs(1), Self::is_idle);
        if self.violation.is_none() && !self.is_idle() {
            let batches = self.accumulator().unfated.count(u64::MAX);
            return self.fail(format!("I12: {batches} batches have no fate though all is well"));
        }
        self.read();
        if self.violation.is_none() {
            self.check_status();
            self.check_baseline("after the trouble");
        }
    }

    /// Single records when all is well: first until everybody is found again, then with nothing to wait for.
    fn probe(&mut self) {
        if self.violation.is_some() || self.has_lawful_end() {
            return;
        }
        self.read_promptly();
        // Each broker learns what the controller has decided.
        self.run(self.now + Duration::from_millis(100), |_| false);
        for topic in 0..self.topics.len() as u32 {
            let partitions = self.shop.book.partitions(topic);
            let Some(partition) = self.random.pick(&partitions).cloned() else { continue };
            let limit = self.now + CONVALESCENCE + self.plan.engine.request_timeout * 2;
            while self.violation.is_none() && !self.probe_once(topic, &partition, false) {
                if self.now > limit {
                    return self.fail(format!("topic {topic}: nothing is written though all has been well for long"));
                }
            }
            for _ in 0..4 {
                if self.violation.is_some() {
                    return;
                }
                // Without acknowledgements a dead connection is not noticed: what it swallows is nobody's fault.
                self.probe_once(topic, &partition, self.plan.engine.acks != 0);
            }
        }
        if self.violation.is_none() {
            self.check_status();
            self.check_baseline("after good times");
        }
    }

    /// True: it was written, or need not have been.
    fn probe_once(&mut self, topic: u32, partition: &Partition, is_strict: bool) -> bool {
        let mut entry = self.shop.entry(topic, partition.index, self.shop.clock.wall_ms());
        entry.is_probe = is_strict;
        let number = self.shop.ledger.lock().unwrap().begin(self.plan.senders, entry);
        let sent = self.shop.try_append(number, partition);
        self.trace.event(self.now, "probe", &[number, u64::from(is_strict)]);
        self.settle(Vec::new());
        if let Err(stall) = sent {
            self.fail(format!("{stall:?} though all memory is free"));
            return true;
        }
        let started = self.now;
        let ways = Duration::from_nanos(self.plan.distance.end() * 12 + self.plan.latency.end() * 20);
        let brisk = self.plan.limits.linger + ways + BRISK + self.cluster_slowness();
        let patience = if is_strict { brisk } else { self.plan.engine.delivery_timeout + Duration::from_secs(1) };
        let fate = |world: &Self| world.shop.ledger.lock().unwrap().get(number).and_then(|entry| entry.fate);
        self.run(self.now + patience, |world| fate(world).is_some());
        let took = self.now.since(started);
        let told = fate(self);
        if self.violation.is_none() && told.is_none() {
            self.fail(format!("a record in good times (strictly: {is_strict}) has no fate after {took:?}"));
        }
        let pause = Duration::from_micros(self.random.below(20_000));
        self.run(self.now + pause, |_| false);
        told.is_some_and(|(delivery, _)| {
            // Without acknowledgements nobody knows; and a topic may allow only batches that are smaller than this.
            delivery.code == Code::OK.0 || delivery.code == Code::RECORD_TOO_LARGE.0
        })
    }

    /// How long a healthy cluster takes for an answer.
    fn cluster_slowness(&self) -> Duration {
        let profile = self.cluster.profile();
        Duration::from_micros(profile.processing_us.1 * 4 + profile.replication_us.1 * 6)
    }

    /// Closes as the producer does: accepts nothing more, waits for fates, stops the threads, gives up the rest.
    fn close(&mut self, patience: Duration) {
        if self.violation.is_some() {
            return;
        }
        self.is_closed = true;
        self.trace.event(self.now, "shut", &[]);
        self.accumulator().shut();
        let epoch = self.accumulator().unfated.raise();
        self.settle(Vec::new());
        if self.plan.by_callback {
            self.read_promptly();
        }
        self.run(self.now + patience, |world| {
            world.network().is_finished() || world.accumulator().unfated.count(epoch) == 0
        });
        self.stop_actors();
        self.run(self.now + Duration::from_secs(100), |world| world.actors.iter().all(|actor| actor.has_ended()));
        if self.violation.is_none() && !self.actors.iter().all(|actor| actor.has_ended()) {
            return self.fail("a connection does not end though the producer stops");
        }
        // The threads wait a while for a writer that stands in the middle of its append.
        self.run(self.now.max(self.heals_at) + Duration::from_secs(1), |world| !world.is_sender_inside());
        let records = self.network().end_stop(|| false);
        self.trace.event(self.now, "stopped", &[records as u64]);
        self.deliveries.end();
        self.settle(Vec::new());
        if !self.read() {
            self.fail("the deliveries have no end though the producer is closed");
        }
        if self.violation.is_none() {
            self.check_baseline("after close");
            self.check_refusal();
        }
    }

    /// I10: nothing is accepted after close, and senders hear of it.
    fn check_refusal(&mut self) {
        for topic in 0..self.topics.len() as u32 {
            if let Some(partition) = self.shop.book.partitions(topic).first() {
                let entry = self.shop.entry(topic, partition.index, 0);
                let number = self.shop.ledger.lock().unwrap().begin(self.plan.senders, entry);
                if self.shop.try_append(number, partition).is_ok() {
                    return self.fail("I10: a record was accepted after close");
                }
                self.shop.ledger.lock().unwrap().get_mut(number).unwrap().stage = Stage::Refused;
            }
        }
    }
}
