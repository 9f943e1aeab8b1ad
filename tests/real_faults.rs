//! Real brokers that die, pause and move while records are on their way: what is reported is what is in the log.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it finds something impossible")]
#![allow(clippy::disallowed_methods, reason = "senders are threads, and pace themselves")]

mod kafka;

use kafka::{Isolation, Kafka, Setup};
use kurier::code::Outcome;
use kurier::producer::{Config, Delivery, Producer, Record, Timeout};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const SENDERS: u64 = 3;
const PARTITIONS: i32 = 6;

/// Everything that was accepted, and what became of it.
struct Outcomes {
    accepted: u64,
    deliveries: Vec<Delivery>,
}

/// Sends from several threads until `faults` is done, and then until every record has its fate.
fn send_through(kafka: &Kafka, settings: &[(&str, &str)], faults: impl FnOnce(&dyn Fn(u64))) -> Outcomes {
    let mut config = Config::new();
    config.set("bootstrap.servers", kafka.bootstrap()).unwrap();
    for (name, value) in settings {
        config.set(name, value).unwrap();
    }
    let producer = Producer::new(&config).unwrap();
    let topic = producer.topic("faults").unwrap();
    let (ended, delivered, accepted) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (producer, ended, accepted) = (&producer, &ended, &accepted);
                scope.spawn(move || {
                    for number in 0_u64.. {
                        if ended.load(Ordering::Relaxed) {
                            break;
                        }
                        let opaque = sender << 40 | number;
                        let (key, value) = (((sender << 8) | (number % 50)).to_be_bytes(), opaque.to_be_bytes());
                        let record =
                            Record { topic, key: Some(&key), value: Some(&value), opaque, ..Record::default() };
                        producer.send(&record, Timeout::Default).unwrap();
                        accepted.fetch_add(1, Ordering::Relaxed);
                        if number % 100 == 99 {
                            std::thread::sleep(Duration::from_millis(2));
                        }
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let (mut all, mut buffer) = (Vec::new(), vec![Delivery::default(); 1024]);
            while let Ok(count) = producer.poll(&mut buffer, Timeout::Default) {
                all.extend_from_slice(&buffer[..count]);
                delivered.fetch_add(count as u64, Ordering::Relaxed);
            }
            all
        });
        // Waits until so many more records were delivered: the faults come while records flow.
        faults(&|more| {
            let goal = delivered.load(Ordering::Relaxed) + more;
            while delivered.load(Ordering::Relaxed) < goal {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        ended.store(true, Ordering::Relaxed);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        producer.close(Timeout::Default).unwrap();
        Outcomes { accepted: accepted.load(Ordering::Relaxed), deliveries: reader.join().unwrap() }
    })
}

/// One delivery each; written once, where it was said and in order; not written not at all; unknown at most once.
fn check(kafka: &Kafka, outcomes: &Outcomes) {
    let mut fates: BTreeMap<u64, &Delivery> = BTreeMap::new();
    for delivery in &outcomes.deliveries {
        assert!(fates.insert(delivery.opaque, delivery).is_none(), "two deliveries of {:x}", delivery.opaque);
    }
    assert_eq!(fates.len() as u64, outcomes.accepted);
    let mut seen = BTreeSet::new();
    let mut last: BTreeMap<(u64, i32), u64> = BTreeMap::new();
    for record in kafka.read_back("faults", Isolation::Committed) {
        let opaque = u64::from_be_bytes(record.value.as_deref().unwrap().try_into().unwrap());
        assert!(seen.insert(opaque), "{opaque:x} is there twice");
        let fate = fates.get(&opaque).unwrap_or_else(|| panic!("{opaque:x} was never accepted"));
        assert_ne!(fate.outcome, Outcome::NotWritten as u8, "{opaque:x} is there, but was reported as not written");
        if fate.outcome == Outcome::Written as u8 {
            assert_eq!(fate.partition, record.partition);
            assert!(fate.offset == -1 || fate.offset == record.offset, "{opaque:x}: {fate:?} at {}", record.offset);
        }
        let (sender, number) = (opaque >> 40, opaque & 0xff_ffff_ffff);
        let before = last.insert((sender, record.partition), number);
        assert!(before.is_none_or(|before| before < number), "sender {sender}: {number} after {before:?}");
    }
    for (opaque, fate) in &fates {
        let is_written = fate.outcome == Outcome::Written as u8;
        assert!(!is_written || seen.contains(opaque), "{opaque:x} was reported written and is lost");
    }
    let count = |outcome: Outcome| fates.values().filter(|fate| fate.outcome == outcome as u8).count();
    let (written, not, unknown) = (count(Outcome::Written), count(Outcome::NotWritten), count(Outcome::Unknown));
    // A fault of some seconds is shorter than delivery.timeout.ms: everything but what cannot be known arrives.
    assert_eq!(not, 0, "{written} written, {unknown} unknown");
    assert!(written as u64 * 10 > outcomes.accepted * 9, "{written} written, {unknown} unknown");
    eprint(&format!("{} accepted: {written} written, {unknown} unknown\n", outcomes.accepted));
}

/// Past the harness, which swallows what tests that pass print.
fn eprint(line: &str) {
    use std::io::Write as _;
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

#[test]
fn leaders_that_are_killed_paused_and_restarted() {
    let Some(kafka) = kafka::start(Setup::brokers(3)) else { return };
    kafka.create_topic("faults", PARTITIONS, 3, &[("min.insync.replicas", "2")]);
    let settings = [("request.timeout.ms", "5000"), ("linger.ms", "1")];
    let outcomes = send_through(&kafka, &settings, |wait_for| {
        wait_for(20_000);
        for broker in [1, 2, 3] {
            kafka.kill(broker);
            wait_for(20_000);
            kafka.restart(broker);
            wait_for(20_000);
        }
        kafka.pause(2);
        wait_for(20_000);
        kafka.resume(2);
        wait_for(20_000);
        kafka.shut_down(3);
        wait_for(20_000);
        kafka.restart(3);
        wait_for(20_000);
    });
    check(&kafka, &outcomes);
}

#[test]
fn one_broker_restarted_with_nobody_to_take_over() {
    let Some(kafka) = kafka::start(Setup::brokers(1)) else { return };
    kafka.create_topic("faults", PARTITIONS, 1, &[]);
    let outcomes = send_through(&kafka, &[("linger.ms", "1")], |wait_for| {
        for _ in 0..3 {
            wait_for(20_000);
            kafka.restart(1);
        }
        wait_for(20_000);
    });
    check(&kafka, &outcomes);
}
