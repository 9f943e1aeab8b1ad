//! What was reported against what is in the logs: I1 to I7, I10 to I13 and I16 of the test programme.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::histogram::Histogram;
use crate::journal::{Journal, Outcome};
use crate::payload::{self, Shape};
use crate::readback::ReadRecord;

/// A topic that producers sent to.
#[derive(Clone, Debug)]
pub struct Topic {
    pub name: String,
    /// When the producers began.
    pub partitions: i32,
    /// It was deleted and made again, so what was written may be gone; nothing else is excused.
    pub is_recreated: bool,
    /// The producing threads that send to it.
    pub threads: Vec<u32>,
}

/// One life of a producer, and how it ended.
#[derive(Debug)]
pub struct Life {
    pub journal: Journal,
    /// By SIGKILL: what it had not written down yet is not known.
    pub is_killed: bool,
    /// The last number seen, by thread and partition.
    last: BTreeMap<(u32, i32), u32>,
}

impl Life {
    pub fn new(journal: Journal, is_killed: bool) -> Self {
        Self { journal, is_killed, last: BTreeMap::new() }
    }
}

/// What has to hold, and where it did not.
#[derive(Clone, Debug, Default)]
pub struct Check {
    pub faults: u64,
    pub first: Vec<String>,
}

impl Check {
    pub fn fail(&mut self, count: u64, what: impl FnOnce() -> String) {
        if count > 0 && self.first.len() < 5 {
            self.first.push(what());
        }
        self.faults += count;
    }
}

/// What is looked for, in the order of the table.
pub const NAMES: [&str; 11] = [
    "I1 written: there, and once",
    "I2 not written: not there",
    "I3 nothing is there twice",
    "I4 order of each thread and partition",
    "I5 place and time as reported",
    "I6 bytes, key and headers",
    "I7 nothing foreign",
    "I10 one delivery for each accepted record",
    "I12 deliveries in time",
    "I13 nothing fatal",
    "I11, I16 memory, threads, descriptors; an orderly end",
];

/// The figures of a run.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub accepted: u64,
    pub written: u64,
    pub without_offset: u64,
    pub not_written: u64,
    pub unknown: u64,
    pub unknown_but_there: u64,
    pub duplicates: u64,
    pub lost: u64,
    pub reordered: u64,
    pub read: u64,
    pub fatals: u64,
    pub latencies: Histogram,
    /// Of what was not written or is unknown.
    pub codes: BTreeMap<i16, u64>,
}

impl Figures {
    pub fn merge(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.written += other.written;
        self.without_offset += other.without_offset;
        self.not_written += other.not_written;
        self.unknown += other.unknown;
        self.unknown_but_there += other.unknown_but_there;
        self.duplicates += other.duplicates;
        self.lost += other.lost;
        self.reordered += other.reordered;
        self.read += other.read;
        self.fatals += other.fatals;
        self.latencies.merge(&other.latencies);
        other.codes.iter().for_each(|(code, count)| *self.codes.entry(*code).or_default() += count);
    }
}

/// How much a delivery may be late: a tick of the client, and a machine whose two cores run three brokers.
const LATE: Duration = Duration::from_secs(2);
/// Above `buffer.memory`: requests, metadata, stacks, what the allocator keeps.
const MEMORY_SLACK_KB: i64 = 48 << 10;

/// Looks at everything.
#[derive(Debug)]
pub struct Checker {
    lives: Vec<Life>,
    shape: Shape,
    checks: [Check; NAMES.len()],
    figures: Figures,
}

impl Checker {
    pub fn new(lives: Vec<Life>, shape: Shape) -> Self {
        Self { lives, shape, checks: Default::default(), figures: Figures::default() }
    }

    /// One record of the log.
    pub fn look(&mut self, topic: &Topic, record: &ReadRecord) {
        self.figures.read += 1;
        let place = || format!("{} {}:{}", topic.name, record.partition, record.offset);
        let id = payload::identify(record).filter(|id| topic.threads.contains(&id.thread));
        let life = id.and_then(|id| self.lives.iter_mut().find(|life| life.journal.run == id.run));
        let (Some(id), Some(life)) = (id, life) else {
            self.checks[6].fail(1, || format!("{}: {record:?}", place()));
            return;
        };
        if let Err(why) = payload::compare(id, self.shape, topic.partitions, record) {
            self.checks[5].fail(1, || format!("{}: {id:?}: {why}", place()));
        }
        let threads = &mut life.journal.threads;
        let accepted = threads.get(id.thread as usize).map_or(0, |thread| thread.accepted);
        if !life.is_killed && id.number >= accepted {
            self.checks[6].fail(1, || format!("{}: {id:?} was never accepted", place()));
            return;
        }
        if threads.len() <= id.thread as usize {
            threads.resize_with(id.thread as usize + 1, Default::default);
        }
        let thread = &mut threads[id.thread as usize];
        let index = id.number as usize;
        if thread.fates.len() <= index {
            thread.fates.resize_with(index + 1, Default::default);
        }
        let fate = thread.fates[index];
        thread.fates[index].see();
        if fate.is_seen() {
            self.figures.duplicates += 1;
            self.checks[2].fail(1, || format!("{}: {id:?} again, {:?}", place(), fate.outcome()));
            return;
        }
        let before = life.last.insert((id.thread, record.partition), id.number);
        if let Some(before) = before.filter(|before| *before > id.number) {
            self.figures.reordered += 1;
            self.checks[3].fail(1, || format!("{}: {id:?} behind {before}", place()));
        }
        let told = (fate.offset(), life.journal.timestamp_ms(fate));
        match fate.outcome() {
            Some(Outcome::Written) => self.check_place(topic, record, fate.partition, told),
            Some(Outcome::NotWritten) => self.checks[1].fail(1, || format!("{}: {id:?}", place())),
            Some(Outcome::Unknown) => self.figures.unknown_but_there += 1,
            None => {}
        }
    }

    fn check_place(&mut self, topic: &Topic, record: &ReadRecord, at: u16, told: (Option<u64>, Option<i64>)) {
        let (offset, timestamp_ms) = told;
        // An offset of an earlier topic of the same name says nothing about this one.
        let offset = offset.filter(|_| !topic.is_recreated);
        let is_right = i32::from(at) == record.partition
            && offset.is_none_or(|offset| offset == record.offset.unsigned_abs())
            && timestamp_ms.is_none_or(|time| time == record.timestamp_ms);
        self.checks[4].fail(u64::from(!is_right), || {
            let (is_at, is_ms) = (record.offset, record.timestamp_ms);
            let partition = record.partition;
            format!("{}: reported {at}:{offset:?} at {timestamp_ms:?}, is {partition}:{is_at} at {is_ms}", topic.name)
        });
    }

    /// After the last record.
    pub fn finish(mut self, topics: &[Topic], delivery_timeout: Duration, memory_kb: Option<i64>) -> Verdict {
        let lives = std::mem::take(&mut self.lives);
        for life in &lives {
            self.finish_life(life, topics);
            self.check_end(life, delivery_timeout);
            if let Some(memory_kb) = memory_kb.filter(|_| !life.is_killed) {
                self.check_states(life, memory_kb);
            }
        }
        Verdict { figures: self.figures, checks: self.checks }
    }

    fn finish_life(&mut self, life: &Life, topics: &[Topic]) {
        let (journal, figures) = (&life.journal, &mut self.figures);
        figures.accepted += journal.accepted();
        figures.written += journal.written;
        figures.without_offset += journal.without_offset;
        figures.not_written += journal.not_written;
        figures.unknown += journal.unknown;
        figures.fatals += journal.fatals.len() as u64;
        figures.latencies.merge(&journal.latencies);
        journal.codes.iter().for_each(|(code, count)| *figures.codes.entry(*code).or_default() += count);
        for (index, thread) in journal.threads.iter().enumerate() {
            let is_recreated = topics.iter().any(|topic| topic.is_recreated && topic.threads.contains(&(index as u32)));
            for (number, fate) in thread.fates.iter().enumerate() {
                let is_lost = fate.outcome() == Some(Outcome::Written) && !fate.is_seen() && !is_recreated;
                self.figures.lost += u64::from(is_lost);
                self.checks[0].fail(u64::from(is_lost), || {
                    format!("run {} thread {index} number {number}: partition {}", journal.run, fate.partition)
                });
            }
            if life.is_killed {
                continue;
            }
            let has_fate = |number: u32| thread.fates.get(number as usize).is_some_and(|fate| fate.outcome().is_some());
            let without = (0..thread.accepted).filter(|number| !has_fate(*number)).count() as u64;
            let beyond = thread.fates.iter().skip(thread.accepted as usize).filter(|fate| fate.outcome().is_some());
            let unasked = beyond.count() as u64;
            self.checks[7].fail(without + unasked, || {
                format!("run {} thread {index}: {without} without, {unasked} of what was not accepted", journal.run)
            });
        }
        self.checks[7].fail(journal.delivered_twice, || format!("run {}: two deliveries of a record", journal.run));
        self.checks[7].fail(journal.gaps, || format!("run {}: numbers that do not follow", journal.run));
    }

    fn check_end(&mut self, life: &Life, delivery_timeout: Duration) {
        let journal = &life.journal;
        let longest = Duration::from_micros(journal.latencies.max());
        let is_late = longest > delivery_timeout + LATE;
        self.checks[8].fail(u64::from(is_late), || format!("run {}: {longest:?}", journal.run));
        self.checks[9].fail(journal.fatals.len() as u64, || format!("run {}: {:?}", journal.run, journal.fatals));
        let is_cut_off = !life.is_killed && !journal.is_complete;
        self.checks[10].fail(u64::from(is_cut_off), || format!("run {}: the driver did not end", journal.run));
    }

    fn check_states(&mut self, life: &Life, memory_kb: i64) {
        let run = life.journal.run;
        let [Some(before), Some(closed), Some(after)] = life.journal.states else {
            self.checks[10].fail(1, || format!("run {run}: a state is missing"));
            return;
        };
        let is_back = after.threads == before.threads && after.descriptors == before.descriptors;
        self.checks[10].fail(u64::from(!is_back), || format!("run {run}: before {before:?}, after {after:?}"));
        let rise_kb = closed.peak_kb - before.resident_kb;
        let is_above = rise_kb > memory_kb + MEMORY_SLACK_KB;
        self.checks[10].fail(u64::from(is_above), || format!("run {run}: {rise_kb} KiB at its peak"));
        let left_kb = after.resident_kb - before.resident_kb;
        self.checks[10].fail(u64::from(left_kb > MEMORY_SLACK_KB), || format!("run {run}: {left_kb} KiB are left"));
    }
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub figures: Figures,
    pub checks: [Check; NAMES.len()],
}

impl Verdict {
    pub fn failed(&self) -> usize {
        self.checks.iter().filter(|check| check.faults > 0).count()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, check) in NAMES.iter().zip(&self.checks) {
            if check.faults == 0 {
                writeln!(out, "  ok      {name}")?;
            } else {
                writeln!(out, "  FAILED  {name}: {}", check.faults)?;
                check.first.iter().try_for_each(|line| writeln!(out, "            {line}"))?;
            }
        }
        Ok(())
    }
}
