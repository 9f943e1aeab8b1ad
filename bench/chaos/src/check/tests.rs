//! Every invariant broken once, so that it is known to be looked for.

use std::io::Write as _;
use std::time::Duration;

use super::*;
use crate::random::mix;

const RUN: u32 = 9;
const PARTITIONS: i32 = 3;
const EPOCH_MS: i64 = 1_700_000_000_000;
const SHAPE: Shape = Shape { value_size: 40, epoch_ms: 0 };
const RECORDS: u32 = 8;

fn topic() -> Topic {
    Topic { name: "t".into(), partitions: PARTITIONS, is_recreated: false, threads: vec![0] }
}

/// A record as the drivers make it (driver/driver.c), without headers where its number has none.
fn record(number: u32, offset: i64) -> ReadRecord {
    let h = mix(u64::from(RUN) << 40 | u64::from(number));
    let partition = if h & 3 == 0 { i32::try_from((h >> 8 & 0xffff) % 3).unwrap() } else { 1 };
    let asked = if h & 3 == 0 { partition } else { -1 };
    let choice = u32::try_from((h >> 24) % 1000).unwrap();
    let key = matches!(h & 3, 1 | 2).then(|| if choice == 0 { Vec::new() } else { choice.to_le_bytes().to_vec() });
    let size = 40 + usize::try_from(h >> 40 & 15).unwrap() + if h >> 44 & 0x3fff == 0 { 20_000 } else { 0 };
    let mut value: Vec<u8> = (0..size).map(|at| h.to_le_bytes()[at & 7] ^ at.to_le_bytes()[0]).collect();
    value[8..12].copy_from_slice(&RUN.to_le_bytes());
    value[12..16].copy_from_slice(&asked.to_le_bytes());
    value[16..20].copy_from_slice(&0_u32.to_le_bytes());
    value[20..24].copy_from_slice(&number.to_le_bytes());
    let mut headers: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
    if h >> 2 & 7 == 0 {
        headers.push((b"a".to_vec(), Some(number.to_le_bytes().to_vec())));
        headers.push((b"a".to_vec(), None));
        headers.push(("ü".as_bytes().to_vec(), Some(Vec::new())));
    }
    let record = ReadRecord { partition, offset, timestamp_ms: EPOCH_MS, key, value: Some(value), headers };
    seal(record)
}

/// With the right hash, whatever else is wrong.
fn seal(mut record: ReadRecord) -> ReadRecord {
    let sum = payload::sum(&record);
    record.value.as_mut().unwrap()[..8].copy_from_slice(&sum.to_le_bytes());
    record
}

fn entry(kind: u8, outcome: u8, partition: i32, number: u32, amount: u32, offset: i64) -> Vec<u8> {
    let mut bytes = vec![kind, 0, outcome, 0, 0, 0];
    bytes.extend(u16::try_from(partition).unwrap().to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(amount.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.extend(EPOCH_MS.to_le_bytes());
    bytes
}

/// All records accepted and written, each at the offset of its number.
fn sound() -> (Vec<Vec<u8>>, Vec<ReadRecord>) {
    let log: Vec<ReadRecord> = (0..RECORDS).map(|number| record(number, i64::from(number))).collect();
    let mut entries = vec![entry(1, 0, 0, 0, RECORDS, 0)];
    for (number, record) in (0..RECORDS).zip(&log) {
        entries.push(entry(2, 1, record.partition, number, 1000, i64::from(number)));
    }
    entries.push(entry(6, 0, 0, 0, 0, 0));
    (entries, log)
}

fn check(entries: &[Vec<u8>], log: &[ReadRecord], is_killed: bool) -> Verdict {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&entries.concat()).unwrap();
    let journal = Journal::read(file.path(), RUN, EPOCH_MS, |_| {}).unwrap();
    let mut checker = Checker::new(vec![Life::new(journal, is_killed)], SHAPE);
    log.iter().for_each(|record| checker.look(&topic(), record));
    checker.finish(&[topic()], Duration::from_secs(1), None)
}

/// The places in `NAMES` that failed.
fn failed(verdict: &Verdict) -> Vec<usize> {
    (0..NAMES.len()).filter(|place| verdict.checks[*place].faults > 0).collect()
}

#[test]
fn what_is_sound_passes() {
    let (entries, log) = sound();
    let verdict = check(&entries, &log, false);
    assert_eq!(failed(&verdict), [0; 0], "{verdict}");
    assert_eq!((verdict.figures.accepted, verdict.figures.written, verdict.figures.read), (8, 8, 8));
}

#[test]
fn every_fault_is_found() {
    type Break = fn(&mut Vec<Vec<u8>>, &mut Vec<ReadRecord>);
    let cases: [(&str, &[usize], Break); 15] = [
        ("lost", &[0], |_, log| drop(log.remove(3))),
        ("there, but reported as not written", &[1], |entries, _| entries[4][2] = 2),
        ("twice", &[2], |_, log| log.push(record(3, 8))),
        ("twice, and unknown", &[2], |entries, log| {
            entries[4][2] = 0;
            log.push(record(3, 8));
        }),
        ("out of order", &[3], |_, log| {
            let of_one = |log: &[ReadRecord]| -> Vec<usize> {
                (0..log.len()).filter(|at| log[*at].partition == 1).take(2).collect()
            };
            let places = of_one(log);
            log.swap(places[0], places[1]);
        }),
        ("another offset", &[4], |_, log| log[2].offset += 1),
        ("another time", &[4], |_, log| log[2].timestamp_ms += 1),
        ("another byte", &[0, 6], |_, log| log[2].value.as_mut().unwrap()[30] ^= 1),
        ("another byte, under a hash that fits", &[5], |_, log| {
            log[2].value.as_mut().unwrap()[30] ^= 1;
            log[2] = seal(log[2].clone());
        }),
        ("another key, under a hash that fits", &[5], |_, log| {
            log[2].key = Some(b"other".to_vec());
            log[2] = seal(log[2].clone());
        }),
        ("headers that were not sent", &[5], |_, log| {
            log[2].headers.push((b"b".to_vec(), None));
            log[2] = seal(log[2].clone());
        }),
        ("never accepted", &[6], |_, log| log.push(record(RECORDS, 8))),
        ("no delivery", &[7], |entries, _| drop(entries.remove(4))),
        ("two deliveries", &[7], |entries, _| entries.insert(5, entries[4].clone())),
        ("late", &[8], |entries, _| entries[4][12..16].copy_from_slice(&9_000_000_u32.to_le_bytes())),
    ];
    for (name, expected, breaks) in cases {
        let (mut entries, mut log) = sound();
        breaks(&mut entries, &mut log);
        let verdict = check(&entries, &log, false);
        assert_eq!(failed(&verdict), expected, "{name}\n{verdict}");
    }
    let (mut entries, log) = sound();
    entries.insert(3, entry(5, 0, 0, 0, 0, 0));
    assert_eq!(failed(&check(&entries, &log, false)), [9]);
    entries.retain(|entry| entry[0] != 5 && entry[0] != 6);
    assert_eq!(failed(&check(&entries, &log, false)), [10], "the driver did not end");
}

#[test]
fn what_a_killed_producer_did_not_write_down_is_excused_but_not_twice() {
    let (mut entries, mut log) = sound();
    entries.truncate(5);
    entries[0] = entry(1, 0, 0, 0, 5, 0);
    assert_eq!(failed(&check(&entries, &log, true)), [0; 0]);
    log.push(record(6, 8));
    log.push(record(2, 9));
    let verdict = check(&entries, &log, true);
    assert_eq!((failed(&verdict), verdict.figures.duplicates), (vec![2], 2));
    log.remove(1);
    assert!(failed(&check(&entries, &log, true)).contains(&0), "what it had reported must be there");
}
