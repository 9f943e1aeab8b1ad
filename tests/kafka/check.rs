//! What `tests/programs/million.c` reported against what a foreign client finds in the log: I1, I4, I5 and I6 of the
//! test programme.

use std::collections::BTreeMap;
use std::path::Path;

use super::control::ReadRecord;

/// What the program was told to send.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Line `i` of the file is record `i`.
    pub lines: &'a [Vec<u8>],
    pub keys: Keys,
    /// How many threads shared the keys.
    pub threads: u32,
}

/// Where a record's key comes from.
#[derive(Clone, Copy, Debug)]
pub enum Keys {
    /// The running number modulo this, as text.
    Modulo(usize),
    /// The word of the line at this place, from 0; empty where the line has fewer.
    Column(usize),
}

impl Program<'_> {
    /// The key of record `number`.
    pub fn key(&self, number: usize) -> Vec<u8> {
        match self.keys {
            Keys::Modulo(count) => (number % count).to_string().into_bytes(),
            Keys::Column(column) => {
                let words = self.lines[number].split(|byte| *byte == b' ' || *byte == b'\t');
                words.filter(|word| !word.is_empty()).nth(column).unwrap_or_default().to_vec()
            }
        }
    }

    /// The value of record `number`.
    pub fn value(&self, number: usize) -> Vec<u8> {
        [format!("{number} ").as_bytes(), &self.lines[number]].concat()
    }

    /// The thread that sends `key`: FNV-1a, as in the program.
    fn thread(&self, key: &[u8]) -> u32 {
        key.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
            % self.threads
    }
}

/// One delivery, as the program wrote it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub opaque: u64,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub partition: i32,
    pub code: i32,
    pub outcome: u32,
    pub broker_code: i32,
}

const DELIVERY_SIZE: usize = 40;
const OUTCOME_WRITTEN: u32 = 1;
const FAULTS_TOLD: usize = 20;

/// Reads the program's file: 40 bytes for each delivery, in the machine's order of bytes.
pub fn read_deliveries(path: &Path) -> Vec<Delivery> {
    let bytes = std::fs::read(path).unwrap();
    let (entries, rest) = bytes.as_chunks::<DELIVERY_SIZE>();
    assert!(rest.is_empty(), "{} bytes behind the last delivery: the program was cut off", rest.len());
    entries.iter().map(parse).collect()
}

fn parse(entry: &[u8; DELIVERY_SIZE]) -> Delivery {
    let int64 = |at: usize| i64::from_ne_bytes(entry[at..at + 8].try_into().unwrap());
    let int32 = |at: usize| i32::from_ne_bytes(entry[at..at + 4].try_into().unwrap());
    Delivery {
        opaque: int64(0).cast_unsigned(),
        offset: int64(8),
        timestamp_ms: int64(16),
        partition: int32(24),
        code: int32(28),
        outcome: int32(32).cast_unsigned(),
        broker_code: int32(36),
    }
}

/// What was found to be right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub records: usize,
    pub partitions: usize,
    pub keys: usize,
}

/// Every line exactly once, key and value identical, the order of each key and of each thread's records in a
/// partition kept, every reported place and time the actual one. Else the first faults, one a line.
pub fn check_million(program: &Program<'_>, told: &[Delivery], log: &[ReadRecord]) -> Result<Summary, String> {
    let mut faults = Vec::new();
    let found = found(program, log, &mut faults);
    deliveries(&found, told, &mut faults);
    let summary = order(program, log, &mut faults);
    if faults.is_empty() {
        return Ok(summary);
    }
    let count = faults.len();
    faults.truncate(FAULTS_TOLD);
    Err(format!("{count} faults, of them:\n{}", faults.join("\n")))
}

/// Where each number is in the log; what is foreign, double, changed or missing is a fault.
fn found<'a>(program: &Program<'_>, log: &'a [ReadRecord], faults: &mut Vec<String>) -> Vec<Option<&'a ReadRecord>> {
    let mut found: Vec<Option<&ReadRecord>> = vec![None; program.lines.len()];
    for record in log {
        let place = format!("partition {} offset {}", record.partition, record.offset);
        let Some(number) = number(record).filter(|number| *number < found.len()) else {
            faults.push(format!("{place}: a record that was not sent"));
            continue;
        };
        if let Some(other) = found[number].replace(record) {
            faults.push(format!("{number} is twice: {place} and {} {}", other.partition, other.offset));
        }
        if record.value.as_deref() != Some(&program.value(number)) {
            faults.push(format!("{number}, {place}: another value than was sent"));
        }
        if record.key.as_deref() != Some(&program.key(number)) {
            faults.push(format!("{number}, {place}: another key than was sent"));
        }
        if !record.headers.is_empty() {
            faults.push(format!("{number}, {place}: headers that were not sent"));
        }
    }
    let missing = found.iter().enumerate().filter(|(_, record)| record.is_none());
    faults.extend(missing.map(|(number, _)| format!("{number} is not in the log")));
    found
}

/// The running number at the beginning of the value.
fn number(record: &ReadRecord) -> Option<usize> {
    let value = record.value.as_deref()?;
    let digits = &value[..value.iter().position(|byte| *byte == b' ')?];
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// One delivery for each record, good, and with its actual place and time.
fn deliveries(found: &[Option<&ReadRecord>], told: &[Delivery], faults: &mut Vec<String>) {
    let mut delivered = vec![false; found.len()];
    for delivery in told {
        let Some(number) = usize::try_from(delivery.opaque).ok().filter(|number| *number < found.len()) else {
            faults.push(format!("a delivery of {}, which was not sent", delivery.opaque));
            continue;
        };
        if std::mem::replace(&mut delivered[number], true) {
            faults.push(format!("{number} was delivered twice"));
        }
        if delivery.code != 0 || delivery.outcome != OUTCOME_WRITTEN {
            faults.push(format!("{number} was not delivered: {delivery:?}"));
        }
        let Some(record) = found[number] else { continue };
        let said = (delivery.partition, delivery.offset, delivery.timestamp_ms);
        let is = (record.partition, record.offset, record.timestamp_ms);
        if said != is {
            faults.push(format!("{number}: partition, offset, time reported {said:?}, actual {is:?}"));
        }
    }
    let silent = delivered.iter().enumerate().filter(|(_, delivered)| !**delivered);
    faults.extend(silent.map(|(number, _)| format!("{number} was never delivered")));
}

/// A key stays in one partition, and within a partition the numbers of a key and of a thread rise.
fn order(program: &Program<'_>, log: &[ReadRecord], faults: &mut Vec<String>) -> Summary {
    let mut by_key: BTreeMap<&[u8], (i32, usize)> = BTreeMap::new();
    let mut by_thread: BTreeMap<(i32, u32), usize> = BTreeMap::new();
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    for record in log {
        let (Some(key), Some(number)) = (record.key.as_deref(), number(record)) else { continue };
        let partition = record.partition;
        if ends.insert(partition, record.offset).is_some_and(|before| before >= record.offset) {
            faults.push(format!("partition {partition}: offset {} does not rise", record.offset));
        }
        if let Some((elsewhere, before)) = by_key.insert(key, (partition, number)) {
            if elsewhere != partition {
                faults.push(format!("key {key:?} is in partitions {elsewhere} and {partition}"));
            } else if before >= number {
                faults.push(format!("key {key:?}: {number} comes after {before}"));
            }
        }
        let thread = program.thread(key);
        if by_thread.insert((partition, thread), number).is_some_and(|before| before >= number) {
            faults.push(format!("partition {partition}: {number} of thread {thread} comes too late"));
        }
    }
    Summary { records: log.len(), partitions: ends.len(), keys: by_key.len() }
}
