//! What a driver wrote down (driver/driver.c): what was accepted, and what became of it.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use crate::histogram::Histogram;

/// What a client said of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Unknown,
    Written,
    NotWritten,
}

const OUTCOME: u8 = 3;
const WRITTEN: u8 = 1;
const NOT_WRITTEN: u8 = 2;
const DELIVERED: u8 = 4;
const SEEN: u8 = 8;

/// One record: 12 bytes, because there are tens of millions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fate {
    offset: u32,
    /// Since the base of the journal.
    timestamp_ms: u32,
    pub partition: u16,
    state: u8,
}

const NONE: u32 = u32::MAX;
/// Timestamps are kept from a day before the run on.
const BASE_MS: i64 = 86_400_000;

impl Fate {
    /// `None`: no delivery was written down.
    pub fn outcome(self) -> Option<Outcome> {
        if self.state & DELIVERED == 0 {
            return None;
        }
        Some(match self.state & OUTCOME {
            WRITTEN => Outcome::Written,
            NOT_WRITTEN => Outcome::NotWritten,
            _ => Outcome::Unknown,
        })
    }

    /// `None`: the client did not say.
    pub fn offset(self) -> Option<u64> {
        (self.offset != NONE).then_some(u64::from(self.offset))
    }

    pub fn is_seen(self) -> bool {
        self.state & SEEN != 0
    }

    pub fn see(&mut self) {
        self.state |= SEEN;
    }
}

/// Of one producing thread.
#[derive(Clone, Debug, Default)]
pub struct Thread {
    /// By number: everything that was accepted, as far as it was written down, and everything delivered.
    pub fates: Vec<Fate>,
    pub accepted: u32,
}

/// What a process used: before its producer, after close, after destroy.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    pub resident_kb: i64,
    pub peak_kb: i64,
    pub threads: u16,
    pub descriptors: u32,
}

/// A delivery as it came, for those who look at moments.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub thread: u8,
    pub partition: u16,
    pub is_written: bool,
    pub latency_us: u32,
    pub timestamp_ms: i64,
}

/// One life of a producer.
#[derive(Debug, Default)]
pub struct Journal {
    pub run: u32,
    pub threads: Vec<Thread>,
    base_ms: i64,
    pub latencies: Histogram,
    pub written: u64,
    pub not_written: u64,
    pub unknown: u64,
    /// Written, but where no broker told.
    pub without_offset: u64,
    pub delivered_twice: u64,
    pub refusals: u64,
    pub fatals: Vec<i16>,
    /// Codes of what was not written or is unknown, and how often.
    pub codes: std::collections::BTreeMap<i16, u64>,
    pub states: [Option<State>; 3],
    /// The driver came to its end.
    pub is_complete: bool,
    /// Accepted numbers that do not follow each other: the driver is broken.
    pub gaps: u64,
}

const ENTRY_SIZE: usize = 32;

impl Journal {
    /// Reads a journal; `look` gets every delivery.
    pub fn read(path: &Path, run: u32, epoch_ms: i64, mut look: impl FnMut(&Moment)) -> std::io::Result<Self> {
        let mut journal = Self { run, base_ms: epoch_ms - BASE_MS, ..Self::default() };
        let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut entry = [0; ENTRY_SIZE];
        // What a killed driver left half written was not reported.
        while file.read_exact(&mut entry).is_ok() {
            journal.take(&entry, &mut look);
        }
        Ok(journal)
    }

    pub fn accepted(&self) -> u64 {
        self.threads.iter().map(|thread| u64::from(thread.accepted)).sum()
    }

    pub fn timestamp_ms(&self, fate: Fate) -> Option<i64> {
        (fate.timestamp_ms != NONE).then(|| self.base_ms + i64::from(fate.timestamp_ms))
    }

    fn thread(&mut self, index: u8) -> &mut Thread {
        let index = usize::from(index);
        if self.threads.len() <= index {
            self.threads.resize_with(index + 1, Thread::default);
        }
        &mut self.threads[index]
    }

    fn take(&mut self, entry: &[u8; ENTRY_SIZE], look: &mut impl FnMut(&Moment)) {
        let uint16 = |at: usize| u16::from_le_bytes(entry[at..at + 2].try_into().unwrap());
        let uint32 = |at: usize| u32::from_le_bytes(entry[at..at + 4].try_into().unwrap());
        let int64 = |at: usize| i64::from_le_bytes(entry[at..at + 8].try_into().unwrap());
        let code = uint16(4).cast_signed();
        let (number, amount) = (uint32(8), uint32(12));
        match entry[0] {
            1 => {
                let thread = self.thread(entry[1]);
                let is_gap = thread.accepted != number;
                thread.accepted = number + amount;
                self.gaps += u64::from(is_gap);
            }
            2 => {
                let delivery = Delivery {
                    fate: Fate {
                        offset: u32::try_from(int64(16)).unwrap_or(NONE),
                        timestamp_ms: u32::try_from(int64(24) - self.base_ms).unwrap_or(NONE),
                        partition: uint16(6),
                        state: DELIVERED | entry[2] & OUTCOME,
                    },
                    number,
                    code,
                    latency_us: amount,
                };
                let moment = Moment {
                    thread: entry[1],
                    partition: uint16(6),
                    is_written: entry[2] == WRITTEN,
                    latency_us: amount,
                    timestamp_ms: int64(24),
                };
                look(&moment);
                self.deliver(entry[1], &delivery);
            }
            3 => self.refusals += 1,
            4 => {
                let state =
                    State { resident_kb: int64(16), peak_kb: int64(24), threads: uint16(6), descriptors: amount };
                self.states[number as usize % 3] = Some(state);
            }
            5 => self.fatals.push(code),
            _ => self.is_complete = true,
        }
    }

    fn deliver(&mut self, thread: u8, delivery: &Delivery) {
        self.latencies.add(delivery.latency_us);
        match delivery.fate.outcome() {
            Some(Outcome::Written) => {
                self.written += 1;
                self.without_offset += u64::from(delivery.fate.offset().is_none());
            }
            Some(Outcome::NotWritten) => self.not_written += 1,
            _ => self.unknown += 1,
        }
        if delivery.fate.outcome() != Some(Outcome::Written) {
            *self.codes.entry(delivery.code).or_default() += 1;
        }
        let fates = &mut self.thread(thread).fates;
        let index = delivery.number as usize;
        if fates.len() <= index {
            fates.resize(index + 1, Fate::default());
        }
        let twice = fates[index].outcome().is_some();
        fates[index] = delivery.fate;
        self.delivered_twice += u64::from(twice);
    }
}

struct Delivery {
    fate: Fate,
    number: u32,
    code: i16,
    latency_us: u32,
}
