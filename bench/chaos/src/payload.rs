//! What a record must look like: everything in it follows from its run, thread and number, as in driver/driver.c.

use crate::random::mix;
use crate::readback::ReadRecord;

/// Of which record some bytes say that they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    pub run: u32,
    pub thread: u32,
    pub number: u32,
}

/// What is the same for all records of a run.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub value_size: usize,
    /// Explicit timestamps begin here; 0: there are none.
    pub epoch_ms: i64,
}

/// Known to the drivers and to nobody else: no foreign record has such a hash by accident.
const HASH_KEY: u64 = 0x6b75_7269_6572_6b65;
const VALUE_SIZE_MIN: usize = 24;

fn hash(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The keyed hash over the value behind it, the key and the headers.
pub fn sum(record: &ReadRecord) -> u64 {
    let mut sum = hash(HASH_KEY, record.value.as_deref().and_then(|value| value.get(8..)).unwrap_or_default());
    sum = hash(sum, record.key.as_deref().unwrap_or_default());
    for (name, value) in &record.headers {
        sum = hash(hash(sum, name), value.as_deref().unwrap_or_default());
    }
    mix(sum)
}

/// The identity in a record whose keyed hash fits key, value and headers; `None` for foreign or changed bytes.
pub fn identify(record: &ReadRecord) -> Option<Identity> {
    let value = record.value.as_deref().filter(|value| value.len() >= VALUE_SIZE_MIN)?;
    let uint32 = |at: usize| u32::from_le_bytes([value[at], value[at + 1], value[at + 2], value[at + 3]]);
    let is_ours = value[..8] == sum(record).to_le_bytes();
    is_ours.then(|| Identity { run: uint32(8), thread: uint32(16), number: uint32(20) })
}

/// What differs between a record and what was sent under its identity.
pub fn compare(id: Identity, shape: Shape, partitions: i32, record: &ReadRecord) -> Result<(), String> {
    let h = mix(u64::from(id.run) << 40 | u64::from(id.thread) << 32 | u64::from(id.number));
    let asked = match h & 3 {
        0 => i32::try_from((h >> 8 & 0xffff) % u64::from(partitions.unsigned_abs())).unwrap(),
        _ => -1,
    };
    if asked >= 0 && asked != record.partition {
        return Err(format!("asked for partition {asked}, is in {}", record.partition));
    }
    let number = id.number.to_le_bytes();
    let key = u32::try_from((h >> 24) % 1000).unwrap();
    let key_bytes = key.to_le_bytes();
    let key = match h & 3 {
        1 | 2 => Some(if key == 0 { &[][..] } else { &key_bytes[..] }),
        _ => None,
    };
    if record.key.as_deref() != key {
        return Err(format!("key {:?} instead of {key:?}", record.key));
    }
    let all: [(&[u8], Option<&[u8]>); 3] = [(b"a", Some(&number)), (b"a", None), ("ü".as_bytes(), Some(b""))];
    let headers = if (h >> 2) & 7 == 0 { &all[..] } else { &[] };
    let mut pairs = record.headers.iter().zip(headers);
    let is_same = pairs.all(|((name, value), must)| *name == must.0 && value.as_deref() == must.1);
    if record.headers.len() != headers.len() || !is_same {
        return Err(format!("headers {:?} instead of {headers:?}", record.headers));
    }
    if shape.epoch_ms > 0 && h >> 5 & 7 == 1 {
        let expected = shape.epoch_ms + i64::from(id.number % 60_000);
        if record.timestamp_ms != expected {
            return Err(format!("timestamp {} instead of {expected}", record.timestamp_ms));
        }
    }
    value(h, id, shape, asked, record.value.as_deref().unwrap_or_default())
}

fn value(h: u64, id: Identity, shape: Shape, asked: i32, value: &[u8]) -> Result<(), String> {
    let low = |bits: u64| usize::try_from(bits).unwrap();
    let size = shape.value_size + low(h >> 40 & 15) + if h >> 44 & 0x3fff == 0 { 20_000 } else { 0 };
    if value.len() != size {
        return Err(format!("value of {} bytes instead of {size}", value.len()));
    }
    let front = [id.run.to_le_bytes(), asked.to_le_bytes(), id.thread.to_le_bytes(), id.number.to_le_bytes()];
    if value[8..24] != *front.as_flattened() {
        return Err(format!("value begins with {:?}", &value[8..24]));
    }
    let pattern = h.to_le_bytes();
    let fits = |(at, byte): (usize, &u8)| *byte == pattern[at & 7] ^ at.to_le_bytes()[0];
    match value.iter().enumerate().skip(24).find(|entry| !fits(*entry)) {
        Some((at, byte)) => Err(format!("byte {at} of the value is {byte}")),
        None => Ok(()),
    }
}
