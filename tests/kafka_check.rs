//! The checker of the real-Kafka run, on samples: a sound run passes, and each way to be wrong is found.

#![allow(clippy::unwrap_used, reason = "a test may stop where it finds something impossible")]

mod kafka;

use kafka::ReadRecord;
use kafka::check::{Delivery, Keys, Program, Summary, check_million, read_deliveries};

const COUNT: usize = 60;
const PARTITIONS: usize = 3;

struct Run {
    lines: Vec<Vec<u8>>,
    told: Vec<Delivery>,
    log: Vec<ReadRecord>,
}

impl Run {
    /// As if everything had gone well.
    fn sound() -> Self {
        let lines: Vec<Vec<u8>> = (0..COUNT).map(|i| format!("line of {i}").into_bytes()).collect();
        let (mut told, mut log) = (Vec::new(), Vec::new());
        for number in 0..COUNT {
            let partition = number % 12 % PARTITIONS;
            let (offset, timestamp_ms) = (i64::try_from(number / PARTITIONS).unwrap(), 1_000 + number as i64);
            let partition = i32::try_from(partition).unwrap();
            let opaque = number as u64;
            told.push(Delivery { opaque, offset, timestamp_ms, partition, code: 0, outcome: 1, broker_code: 0 });
            let key = Some((number % 12).to_string().into_bytes());
            let value = Some(format!("{number} line of {number}").into_bytes());
            log.push(ReadRecord { partition, offset, timestamp_ms, timestamp_type: 0, key, value, headers: vec![] });
        }
        log.sort_by_key(|record| (record.partition, record.offset));
        Self { lines, told, log }
    }

    fn check(&self) -> Result<Summary, String> {
        check_million(&Program { lines: &self.lines, keys: Keys::Modulo(12), threads: 2 }, &self.told, &self.log)
    }

    /// Swaps what two places of the log hold, and lets the deliveries agree.
    fn swap(&mut self, one: usize, other: usize) {
        let (first, second) = (self.log[one].clone(), self.log[other].clone());
        for (place, content) in [(one, second), (other, first)] {
            let record = &mut self.log[place];
            (record.key, record.value) = (content.key, content.value);
            let number: usize =
                String::from_utf8(record.value.clone().unwrap()).unwrap().split(' ').next().unwrap().parse().unwrap();
            let told = &mut self.told[number];
            (told.partition, told.offset, told.timestamp_ms) = (record.partition, record.offset, record.timestamp_ms);
        }
    }
}

#[test]
fn a_sound_run_passes() {
    assert_eq!(Run::sound().check(), Ok(Summary { records: COUNT, partitions: PARTITIONS, keys: 12 }));
}

#[test]
fn every_fault_is_found() {
    type Break = fn(&mut Run);
    let faults: &[(&str, Break)] = &[
        ("7 is not in the log", |run| run.log.retain(|one| !one.value.as_ref().unwrap().starts_with(b"7 "))),
        ("is twice", |run| run.log.push(ReadRecord { offset: 99, ..run.log[COUNT - 1].clone() })),
        ("a record that was not sent", |run| {
            run.log.push(ReadRecord { offset: 99, value: Some(b"60 x".to_vec()), ..run.log[COUNT - 1].clone() });
        }),
        ("a record that was not sent", |run| {
            run.log.push(ReadRecord { offset: 99, value: None, ..run.log[COUNT - 1].clone() });
        }),
        ("another value", |run| run.log[5].value.as_mut().unwrap().push(b'!')),
        ("another key", |run| run.log[5].key = None),
        ("headers that were not sent", |run| run.log[5].headers.push((b"a".to_vec(), None))),
        ("59 was never delivered", |run| run.told.truncate(COUNT - 1)),
        ("5 was delivered twice", |run| run.told.push(run.told[5])),
        ("a delivery of 60", |run| run.told.push(Delivery { opaque: 60, ..run.told[5] })),
        ("5 was not delivered", |run| run.told[5].code = -2),
        ("5 was not delivered", |run| run.told[5].outcome = 0),
        ("5: partition, offset, time", |run| run.told[5].offset += 1),
        ("5: partition, offset, time", |run| run.told[5].partition += 1),
        ("5: partition, offset, time", |run| run.told[5].timestamp_ms += 1),
        // Places 0 and 4 of partition 0 are numbers 0 and 12, both of key 0.
        ("comes after", |run| run.swap(0, 4)),
        // Place 0 is key 0 of partition 0, place 20 key 1 of partition 1.
        ("is in partitions", |run| run.swap(0, 20)),
    ];
    for (expected, break_it) in faults {
        let mut run = Run::sound();
        break_it(&mut run);
        let said = run.check().unwrap_err();
        assert!(said.contains(expected), "expected {expected}, got {said}");
    }
}

#[test]
fn the_order_of_a_thread_is_checked_across_its_keys() {
    // Keys 0, 3, 6 and 9 share partition 0; two of one thread, swapped, keep the order of each key.
    let found = (0..COUNT / PARTITIONS - 2).any(|place| {
        let mut run = Run::sound();
        run.swap(place, place + 2);
        run.check().is_err_and(|said| said.contains("comes too late") && !said.contains("comes after"))
    });
    assert!(found);
}

#[test]
fn deliveries_are_read_as_the_program_writes_them() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut bytes = Vec::new();
    bytes.extend(u64::MAX.to_ne_bytes());
    bytes.extend((-1_i64).to_ne_bytes());
    bytes.extend(1_700_000_000_000_i64.to_ne_bytes());
    bytes.extend(3_i32.to_ne_bytes());
    bytes.extend((-11_i32).to_ne_bytes());
    bytes.extend(2_u32.to_ne_bytes());
    bytes.extend(10_i32.to_ne_bytes());
    std::fs::write(file.path(), &bytes).unwrap();
    let expected = Delivery {
        opaque: u64::MAX,
        offset: -1,
        timestamp_ms: 1_700_000_000_000,
        partition: 3,
        code: -11,
        outcome: 2,
        broker_code: 10,
    };
    assert_eq!(read_deliveries(file.path()), [expected]);
}
