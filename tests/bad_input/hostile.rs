//! Brokers that lie: every kind of malformed answer, for every API that a producer asks.

use std::sync::{Arc, Mutex};

use kurier::code::Outcome;
use kurier::producer::{Producer, Timeout};
use kurier::protocol::messages::ApiKey;

use crate::ledger::{audit, number, settle};
use crate::world::{PATIENCE, cluster, command, config, eventually, ms, send};

const KINDS: [&str; 11] = [
    "negative_length",
    "huge_length",
    "truncated",
    "huge_count",
    "wrong_correlation",
    "garbage",
    "extra_partition",
    "omit_partition",
    "repeat_partition",
    "not_kafka",
    "slow_byte",
];

/// What one lie of a few bytes may cost this process at most.
const GROWTH_MAX: usize = 256 << 20;

const HASTE: [(&str, &str); 6] = [
    // Who was told of fewer partitions learns of the others when metadata is old.
    ("metadata.max.age.ms", "300"),
    ("retry.backoff.ms", "5"),
    ("retry.backoff.max.ms", "20"),
    ("reconnect.backoff.ms", "5"),
    ("reconnect.backoff.max.ms", "20"),
    ("request.timeout.ms", "2000"),
];

/// Address space that was ever resident.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:") || line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok());
    kilobytes.expect("a size") << 10
}

/// Sends while the answers of `api` are like this; then they are right again, and everything that was accepted has its
/// one fate. What a malformed answer said is not believed: a record that was told as written is there, once.
fn lie(kind: &str, api: &str, count: &str) {
    let what = format!("hostile {kind} {api} {count}");
    let before = peak_bytes();
    let cluster = cluster(1, &["create t 2", &what]);
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut config = config(&cluster.address(), &HASTE);
    let log = Arc::clone(&lines);
    config.log_callback = Some(Arc::new(move |_, line| log.lock().expect("no panic").push(line.to_owned())));
    let producer = Producer::new(&config).expect("a producer");
    let topic = producer.topic("t").expect("a name");
    // While they lie there may be no metadata at all; what is said then is a code, at once or in time.
    let early = producer.partition_count(topic, ms(100)).unwrap_or(0).clamp(0, 2);
    let mut accepted = Vec::new();
    for place in (0..20).filter(|_| early > 0) {
        send(&producer, "t", place as i32 % early, number(0, place));
        accepted.push(number(0, place));
    }
    if early > 0 {
        let _ = producer.flush(ms(100));
    }
    let _ = producer.status();
    command(&cluster, "reset");
    eventually(&what, || producer.partition_count(topic, ms(1000)) == Ok(2));
    for place in 20..40 {
        send(&producer, "t", (place % 2) as i32, number(0, place));
        accepted.push(number(0, place));
    }
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()), "{what}");
    let found = settle(&producer, &accepted);
    let said = lines.lock().expect("no panic").join("\n");
    let doubtful: Vec<_> = found.iter().filter(|delivery| delivery.code != 0).collect();
    assert!(doubtful.is_empty(), "{what}: {doubtful:?}\n{said}");
    assert!(found.iter().all(|delivery| delivery.outcome == Outcome::Written as u8));
    // Offsets and times of garbage may be anything; who sent it is told what it said.
    if kind != "garbage" {
        audit(&cluster, "t", &found);
    }
    assert_eq!(cluster.records("t").len(), accepted.len(), "{what}: each is there once\n{said}");
    assert_eq!(producer.status(), Ok(()), "{what}");
    assert_eq!(producer.close(ms(90_000)), Ok(()), "{what}");
    let grown = peak_bytes().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "{what}: {grown} bytes more");
}

fn lies(api: &str) {
    for kind in KINDS {
        lie(kind, api, "3");
        lie(kind, api, "");
    }
}

#[test]
fn every_lie_about_produce() {
    lies("produce");
}

#[test]
fn every_lie_about_metadata() {
    lies("metadata");
}

#[test]
fn every_lie_about_api_versions() {
    lies("api_versions");
}

#[test]
fn every_lie_about_init_producer_id() {
    lies("init_producer_id");
}

/// The leader is asked what it has of a batch whose end is open, and lies. What it says is believed only when the batch
/// proves it: whatever happens, none is told as written that is not there, and none is there twice.
#[test]
fn every_lie_about_describe_producers() {
    std::thread::scope(|scope| {
        for kind in KINDS {
            scope.spawn(move || ["3", ""].iter().for_each(|count| lie_about_producers(kind, count)));
        }
    });
}

fn lie_about_producers(kind: &str, count: &str) {
    let what = format!("hostile {kind} describe_producers {count}");
    let cluster = cluster(1, &["create t 1", &what]);
    let timeouts = [("delivery.timeout.ms", "6000"), ("request.timeout.ms", "1000")];
    let settings: Vec<_> =
        HASTE.into_iter().filter(|(name, _)| *name != "request.timeout.ms").chain(timeouts).collect();
    let producer = Producer::new(&config(&cluster.address(), &settings)).expect("a producer");
    send(&producer, "t", 0, number(0, 0));
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
    // Appended without an answer; sent again it is out of order, says a broker that has forgotten it.
    command(&cluster, "fail produce REQUEST_TIMED_OUT 1 after_append");
    command(&cluster, "fail produce OUT_OF_ORDER_SEQUENCE_NUMBER 1");
    let accepted: Vec<u64> = (0..4).map(|place| number(0, place)).collect();
    for opaque in &accepted[1..] {
        send(&producer, "t", 0, *opaque);
    }
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()), "{what}");
    assert!(cluster.requests(ApiKey::DescribeProducers) > 0, "{what}: it was asked");
    let found = settle(&producer, &accepted);
    audit(&cluster, "t", &found);
    assert!(found.iter().all(|delivery| delivery.code == 0 || delivery.outcome == Outcome::Unknown as u8));
    if count == "3" && !matches!(kind, "garbage" | "omit_partition") {
        crate::ledger::all_written(&found);
    }
    command(&cluster, "reset");
    send(&producer, "t", 0, number(0, 9));
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
    crate::ledger::all_written(&settle(&producer, &[number(0, 9)]));
}

/// A broker that does nothing any more does not hold up the others.
#[test]
fn the_other_broker_keeps_working() {
    let cluster = cluster(2, &["create t 2", "leader t 0 1", "leader t 1 2"]);
    let producer = Producer::new(&config(&cluster.address(), &HASTE)).expect("a producer");
    for partition in 0..2 {
        send(&producer, "t", partition, number(1, partition.unsigned_abs().into()));
    }
    let mut found = settle(&producer, &[number(1, 0), number(1, 1)]);
    command(&cluster, "pause 2");
    let stuck: Vec<u64> = (10..20).map(|place| number(1, place)).collect();
    let free: Vec<u64> = (20..60).map(|place| number(0, place)).collect();
    for (place, free) in free.iter().enumerate() {
        if let Some(stuck) = stuck.get(place) {
            send(&producer, "t", 1, *stuck);
        }
        send(&producer, "t", 0, *free);
    }
    let first = crate::world::deliveries(&producer, free.len());
    assert!(first.iter().all(|delivery| delivery.partition == 0 && delivery.code == 0), "{first:?}");
    assert_eq!(producer.pending(), stuck.len());
    command(&cluster, "resume 2");
    found.extend(first);
    found.extend(settle(&producer, &stuck));
    crate::ledger::all_written(&found);
    audit(&cluster, "t", &found);
}
