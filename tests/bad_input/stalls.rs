//! Brokers that stop answering: a full buffer, purge, flush and close whose time runs out, deliveries that do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kurier::code::{Code, Outcome};
use kurier::producer::{Delivery, Producer, Record, Timeout};
use kurier::protocol::messages::ApiKey;
use kurier::testcluster::Cluster;

use crate::ledger::{all_written, audit, number, settle};
use crate::world::{PATIENCE, cluster, command, config, eventually, ms, producer, send, send_wait};

#[test]
fn a_full_buffer_says_so_and_tells_when_to_go_on() {
    let cluster = cluster(1, &["create t 1"]);
    let rung = Arc::new(AtomicUsize::new(0));
    let bell = Arc::clone(&rung);
    let mut config = config(&cluster.address(), &[("buffer.memory", "262144"), ("linger.ms", "0")]);
    config.ready_callback = Some(Arc::new(move || {
        bell.fetch_add(1, Ordering::SeqCst);
    }));
    let producer = Producer::new(&config).expect("a producer");
    let topic = producer.topic("t").expect("a name");
    assert_eq!(producer.partition_count(topic, Timeout::Of(PATIENCE)), Ok(1));
    command(&cluster, "pause 1");
    let mut accepted = Vec::new();
    let code = loop {
        let value = number(0, accepted.len() as u64).to_string();
        let padding = [b'0'; 1000];
        let value = [&padding[..], value.as_bytes()].concat();
        let opaque = accepted.len() as u64;
        let record = Record { topic, value: Some(&value), opaque, ..Record::default() };
        match producer.send(&record, ms(0)) {
            Ok(()) => accepted.push(opaque),
            Err(code) => break code,
        }
    };
    assert_eq!((code, producer.pending()), (Code::QUEUE_FULL, accepted.len()));
    let record = Record { topic, value: Some(&[b'1'; 1000]), ..Record::default() };
    let (delivery, result) = producer.send_wait(&record, ms(20));
    assert_eq!((delivery.code, result.expect_err("full").code), (Code::QUEUE_FULL.0, Code::QUEUE_FULL));
    // It may ring once too often; but it rings again when there is something.
    let before = rung.load(Ordering::SeqCst);
    command(&cluster, "resume 1");
    eventually("it rings", || rung.load(Ordering::SeqCst) > before);
    // Not the broker but who reads makes room.
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
    all_written(&settle(&producer, &accepted));
    assert_eq!(producer.send(&Record { opaque: 9, ..record }, ms(0)), Ok(()));
    all_written(&settle(&producer, &[9]));
    assert_eq!(cluster.records("t").len(), accepted.len() + 1);
}

/// One record in flight at a broker that is paused, and some behind it.
fn stalled(queued: u64) -> (Cluster, Producer, Vec<u64>) {
    let cluster = cluster(1, &["create t 1"]);
    let settings = [("max.in.flight", "1"), ("batch.size", "0"), ("linger.ms", "0")];
    let producer = producer(&cluster, &settings);
    assert_eq!(send_wait(&producer, "t", 0).code, 0);
    // The broker gets it and says nothing, so it is in flight for certain.
    command(&cluster, "mute produce");
    let asked = cluster.requests(ApiKey::Produce);
    let accepted: Vec<u64> = (0..=queued).map(|place| number(0, place)).collect();
    for number in &accepted {
        send(&producer, "t", 0, *number);
    }
    eventually("one is in flight", || cluster.requests(ApiKey::Produce) == asked + 1);
    (cluster, producer, accepted)
}

/// Who is in flight may be written, who is not is not; in order.
fn given_up(found: &[Delivery], in_flight: usize) {
    for (place, delivery) in found.iter().enumerate() {
        let outcome = if place < in_flight { Outcome::Unknown } else { Outcome::NotWritten };
        assert_eq!((delivery.code, delivery.outcome), (Code::PURGED.0, outcome as u8), "{place}: {delivery:?}");
        assert_eq!((delivery.offset, delivery.attempts), (-1, u8::from(place < in_flight)));
    }
}

#[test]
fn purge_of_what_is_queued_and_of_what_is_in_flight() {
    let (cluster, producer, accepted) = stalled(5);
    assert_eq!(producer.purge(false, false), Ok(0));
    assert_eq!(producer.purge(true, false), Ok(5));
    given_up(&settle_some(&producer, &accepted[1..]), 0);
    assert_eq!(producer.purge(true, false), Ok(0), "nothing is queued any more");
    assert_eq!(producer.purge(false, true), Ok(1));
    given_up(&settle(&producer, &accepted[..1]), 1);
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()), "nothing is left");
    // It goes on, and nothing is there twice or later.
    command(&cluster, "reset");
    let later = number(1, 0);
    send(&producer, "t", 0, later);
    // What is in flight ends with its connection.
    command(&cluster, "stop 1");
    command(&cluster, "start 1");
    all_written(&settle(&producer, &[later]));
    let texts = crate::world::values(&cluster, "t");
    assert_eq!(texts[1..], [accepted[0].to_string(), later.to_string()], "the muted one was carried out");
}

/// As [`settle`], while others are pending.
fn settle_some(producer: &Producer, accepted: &[u64]) -> Vec<Delivery> {
    let found = crate::world::deliveries(producer, accepted.len());
    assert_eq!(found.iter().map(|delivery| delivery.opaque).collect::<Vec<_>>(), accepted);
    found
}

#[test]
fn purge_of_everything_at_once() {
    let (_cluster, producer, accepted) = stalled(5);
    assert_eq!(producer.purge(true, true), Ok(6));
    let mut found = settle(&producer, &accepted);
    found.sort_by_key(|delivery| delivery.opaque);
    given_up(&found, 1);
}

#[test]
fn flush_whose_time_runs_out_gives_nothing_up() {
    let (cluster, producer, accepted) = stalled(5);
    for span in [0, 50] {
        let error = producer.flush(ms(span)).expect_err("nobody answers");
        assert_eq!((error.code, error.retriable), (Code::TIMED_OUT, true));
        assert!(!error.message.is_empty());
    }
    assert_eq!(producer.pending(), 6);
    command(&cluster, "reset");
    command(&cluster, "stop 1");
    command(&cluster, "start 1");
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
    all_written(&settle(&producer, &accepted));
    assert_eq!(cluster.records("t").len(), 7, "the unanswered one is there once");
}

#[test]
fn close_whose_time_runs_out_says_so_and_gives_the_rest_up() {
    for span in [0, 50] {
        let (_cluster, producer, accepted) = stalled(5);
        let error = producer.close(ms(span)).expect_err("nobody answers");
        assert_eq!((error.code, error.retriable), (Code::TIMED_OUT, false));
        assert!(error.message.contains('6'), "{error}");
        assert_eq!(producer.close(Timeout::Default), Err(error), "the second says the same");
        let mut found = settle(&producer, &accepted);
        found.sort_by_key(|delivery| delivery.opaque);
        given_up(&found, 1);
        assert_eq!(producer.poll(&mut [Delivery::default()], Timeout::Default), Err(Code::CLOSED));
    }
}

#[test]
fn close_without_metadata_does_not_wait() {
    let cluster = cluster(1, &["pause 1"]);
    let producer = producer(&cluster, &[]);
    let topic = producer.topic("t").expect("a name");
    let record = Record { topic, ..Record::default() };
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| producer.send(&record, Timeout::Of(PATIENCE)))).collect();
        let counting = scope.spawn(|| producer.partition_count(topic, Timeout::Of(PATIENCE)));
        assert_eq!(producer.close(Timeout::Default), Ok(()));
        for thread in waiting {
            assert_eq!(thread.join().expect("no panic"), Err(Code::CLOSED));
        }
        assert_eq!(counting.join().expect("no panic").map_err(|error| error.code), Err(Code::CLOSED));
    });
}

/// Every record ends once as TIMED_OUT, those that were sent as unknown; afterwards the producer goes on under a new
/// epoch, and what came late is not there twice (librdkafka #4953: the bump is of one partition, after draining).
#[test]
fn deliveries_that_time_out_leave_a_producer_that_works() {
    let cluster = cluster(2, &["create t 2", "leader t 0 1", "leader t 1 2"]);
    let settings = [("delivery.timeout.ms", "1500"), ("request.timeout.ms", "1000"), ("linger.ms", "0")];
    let producer = producer(&cluster, &[&settings[..], &[("batch.size", "0"), ("max.in.flight", "2")]].concat());
    let warm = [number(9, 0), number(9, 1)];
    send(&producer, "t", 0, warm[0]);
    send(&producer, "t", 1, warm[1]);
    let mut found = settle(&producer, &warm);
    command(&cluster, "pause 1");
    let accepted: Vec<u64> = (0..10).map(|place| number(0, place)).collect();
    for number in &accepted {
        send(&producer, "t", 0, *number);
    }
    let mut lost = settle(&producer, &accepted);
    lost.sort_by_key(|delivery| delivery.opaque);
    for (place, delivery) in lost.iter().enumerate() {
        assert_eq!((delivery.code, delivery.offset), (Code::TIMED_OUT.0, -1), "{place}: {delivery:?}");
        assert!(place < 2 || delivery.outcome == Outcome::NotWritten as u8, "{place}: {delivery:?}");
        assert!(place >= 2 || delivery.outcome == Outcome::Unknown as u8, "{place}: {delivery:?}");
    }
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
    command(&cluster, "resume 1");
    found.extend(lost);
    for round in 1..4 {
        let later: Vec<u64> = (0..40).map(|place| number(round, place)).collect();
        for number in &later {
            send(&producer, "t", (number & 1) as i32, *number);
        }
        let settled = settle(&producer, &later);
        all_written(&settled);
        found.extend(settled);
    }
    audit(&cluster, "t", &found);
}

#[test]
fn without_acks_everything_is_written_and_nothing_is_known() {
    let cluster = cluster(2, &["create t 4"]);
    let producer = producer(&cluster, &[("acks", "0"), ("enable.idempotence", "false")]);
    let accepted: Vec<u64> = (0..2000).map(|place| number(0, place)).collect();
    for number in &accepted {
        send(&producer, "t", (number % 4) as i32, *number);
    }
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
    let found = settle(&producer, &accepted);
    for delivery in &found {
        assert_eq!((delivery.code, delivery.outcome), (0, Outcome::Unknown as u8), "{delivery:?}");
        assert_eq!((delivery.offset, delivery.attempts), (-1, 1), "{delivery:?}");
    }
    eventually("all of it is there", || cluster.records("t").len() == accepted.len());
    audit(&cluster, "t", &found);
}
