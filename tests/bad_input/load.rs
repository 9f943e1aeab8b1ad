//! Brokers that come, go and forget while several threads send.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kurier::code::{Code, Outcome};
use kurier::producer::{Delivery, Producer, Record, Timeout};
use kurier::testcluster::Cluster;

use crate::ledger::{all_written, audit, number, settle};
use crate::world::{PATIENCE, cluster, command, eventually, ms, producer};

const THREADS: u64 = 4;
const PARTITIONS: u64 = 3;

const HASTE: [(&str, &str); 6] = [
    ("retry.backoff.ms", "2"),
    ("retry.backoff.max.ms", "20"),
    ("reconnect.backoff.ms", "2"),
    ("reconnect.backoff.max.ms", "20"),
    ("linger.ms", "0"),
    ("batch.size", "200"),
];

/// Four threads send while the fault goes on, each record to a partition of its number's choice; then everything is
/// well and all that was accepted has its fate.
fn under(rounds: u64, settings: &[(&str, &str)], mut fault: impl FnMut(&Cluster, u64)) -> (Cluster, Vec<Delivery>) {
    let cluster = cluster(3, &["create t 3"]);
    let producer = producer(&cluster, &[&HASTE[..], settings].concat());
    let topic = producer.topic("t").expect("a name");
    let (over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let accepted: Mutex<Vec<u64>> = Mutex::default();
    let mut found = Vec::new();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (producer, over, sent, accepted) = (&producer, &over, &sent, &accepted);
            scope.spawn(move || {
                let mut mine = Vec::new();
                for place in 0.. {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    let opaque = number(thread, place);
                    let (value, partition) = (opaque.to_string(), (place % PARTITIONS) as i32);
                    let partition = Some(partition);
                    let record =
                        Record { topic, partition, value: Some(value.as_bytes()), opaque, ..Record::default() };
                    assert_eq!(producer.send(&record, Timeout::Of(PATIENCE)), Ok(()));
                    mine.push(opaque);
                    sent.fetch_add(1, Ordering::SeqCst);
                    if place % 8 == 7 {
                        // So many that batches overlap, and not so many that a test takes a minute to check them.
                        std::thread::park_timeout(std::time::Duration::from_millis(1));
                    }
                }
                accepted.lock().expect("no panic").extend(mine);
            });
        }
        for round in 0..rounds {
            let until = sent.load(Ordering::SeqCst) + 200;
            eventually("they send", || {
                let mut some = [Delivery::default(); 256];
                let count = producer.poll(&mut some, ms(0)).expect("it can be polled");
                found.extend_from_slice(&some[..count]);
                sent.load(Ordering::SeqCst) >= until
            });
            fault(&cluster, round);
        }
        over.store(true, Ordering::SeqCst);
    });
    command(&cluster, "reset");
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()), "{:?}", producer.status());
    let accepted = accepted.into_inner().expect("no panic");
    let early: std::collections::BTreeSet<u64> = found.iter().map(|delivery| delivery.opaque).collect();
    assert_eq!(early.len(), found.len(), "one delivery for each");
    let rest: Vec<u64> = accepted.iter().copied().filter(|number| !early.contains(number)).collect();
    found.extend(settle(&producer, &rest));
    assert_eq!(found.len(), accepted.len());
    assert_eq!(producer.close(ms(90_000)), Ok(()));
    audit(&cluster, "t", &found);
    (cluster, found)
}

#[test]
fn leaders_move() {
    let (cluster, found) = under(40, &[], |cluster, round| {
        command(cluster, &format!("leader t {} {}", round % PARTITIONS, 1 + round % 3));
    });
    all_written(&found);
    assert_eq!(cluster.records("t").len(), found.len());
}

#[test]
fn brokers_stop_and_start() {
    let (cluster, found) = under(24, &[], |cluster, round| {
        let broker = 1 + round / 2 % 3;
        command(cluster, &if round % 2 == 0 { format!("stop {broker}") } else { format!("start {broker}") });
    });
    all_written(&found);
    assert_eq!(cluster.records("t").len(), found.len());
}

/// A lost answer and a lost request look the same: sequences tell the broker.
#[test]
fn connections_break_before_and_after_the_append() {
    let (cluster, found) = under(40, &[], |cluster, round| {
        command(cluster, if round % 2 == 0 { "drop 2" } else { "cut 2" });
    });
    all_written(&found);
    assert_eq!(cluster.records("t").len(), found.len());
    assert!(found.iter().any(|delivery| delivery.attempts > 1), "something was sent again");
}

#[test]
fn every_error_that_may_pass_comes_now_and_then() {
    let errors = [
        "NOT_LEADER_OR_FOLLOWER 2",
        "REQUEST_TIMED_OUT 1 after_append",
        "NOT_ENOUGH_REPLICAS 2",
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND 1 after_append",
        "UNKNOWN_TOPIC_OR_PARTITION 1",
        "LEADER_NOT_AVAILABLE 1",
        "KAFKA_STORAGE_ERROR 1",
        "NETWORK_EXCEPTION 1",
    ];
    let (cluster, found) = under(48, &[], |cluster, round| {
        command(cluster, &format!("fail produce {}", errors[round as usize % errors.len()]));
    });
    all_written(&found);
    assert_eq!(cluster.records("t").len(), found.len());
}

/// A broker that restarted remembers only the last batch of a producer. What can be told from the log is told; a
/// record whose fate nobody can tell is UNKNOWN, and none is there twice.
#[test]
fn brokers_forget_all_but_the_last_batch() {
    let (_, found) = under(30, &[("delivery.timeout.ms", "60000")], |cluster, round| {
        command(cluster, if round % 3 == 0 { "drop 3" } else { "forget_but_last" });
    });
    assert!(found.iter().all(|delivery| delivery.code == 0 || delivery.outcome == Outcome::Unknown as u8));
    let written = found.iter().filter(|delivery| delivery.code == 0).count();
    assert!(written * 10 > found.len() * 9, "{written} of {}", found.len());
}

/// Without idempotence nothing is lost; what is sent again may be there twice, so only its being there is asked.
#[test]
fn without_idempotence_nothing_is_lost() {
    let cluster = cluster(2, &["create t 1"]);
    let settings = [&HASTE[..], &[("enable.idempotence", "false"), ("max.in.flight", "50"), ("acks", "1")]].concat();
    let producer = producer(&cluster, &settings);
    let accepted: Vec<u64> = (0..3000).map(|place| number(0, place)).collect();
    for number in &accepted {
        crate::world::send(&producer, "t", 0, *number);
        if number % 500 == 0 {
            command(&cluster, "drop 1");
        }
    }
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
    all_written(&settle(&producer, &accepted));
    let mut there: Vec<u64> = crate::world::values(&cluster, "t").iter().map(|text| text.parse().unwrap()).collect();
    there.sort_unstable();
    there.dedup();
    assert_eq!(there, accepted);
}

/// Every record that was accepted before close has its delivery; nobody is accepted after it.
#[test]
fn eight_threads_send_while_another_closes() {
    for round in 0..10 {
        let cluster = cluster(2, &["create t 4"]);
        let producer: Producer = producer(&cluster, &[("linger.ms", "1")]);
        let topic = producer.topic("t").expect("a name");
        let sent = AtomicU64::new(0);
        let accepted: Mutex<Vec<u64>> = Mutex::default();
        let closed = std::thread::scope(|scope| {
            for thread in 0..8 {
                let (producer, sent, accepted) = (&producer, &sent, &accepted);
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    for place in 0.. {
                        let opaque = number(thread, place);
                        let value = opaque.to_string();
                        let (partition, value) = (Some((place % 4) as i32), Some(value.as_bytes()));
                        let record = Record { topic, partition, value, opaque, ..Record::default() };
                        match producer.send(&record, Timeout::Of(PATIENCE)) {
                            Ok(()) => mine.push(opaque),
                            Err(code) => {
                                assert_eq!(code, Code::CLOSED);
                                assert_eq!(producer.send(&record, Timeout::Default), Err(Code::CLOSED), "for ever");
                                break;
                            }
                        }
                        sent.fetch_add(1, Ordering::SeqCst);
                    }
                    accepted.lock().expect("no panic").extend(mine);
                });
            }
            eventually("they send", || sent.load(Ordering::SeqCst) > 500);
            let span = if round % 2 == 0 { Timeout::Of(PATIENCE) } else { ms(0) };
            producer.close(span)
        });
        let accepted = accepted.into_inner().expect("no panic");
        let found = settle(&producer, &accepted);
        audit(&cluster, "t", &found);
        if round % 2 == 0 {
            assert_eq!(closed, Ok(()));
            all_written(&found);
        }
        let purged = found.iter().filter(|delivery| delivery.code == Code::PURGED.0).count();
        assert!(found.iter().all(|delivery| delivery.code == 0 || delivery.code == Code::PURGED.0));
        assert_eq!(closed.is_err(), purged > 0, "{closed:?}");
    }
}
