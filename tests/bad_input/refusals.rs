//! What is refused, by the library or by brokers: unreachable servers, unknown topics, records that are too large.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kurier::code::{Code, Outcome};
use kurier::producer::{Header, Producer, Record, Timeout};

use crate::ledger::{all_written, audit, settle};
use crate::world::{
    PATIENCE, cluster, command, config, eventually, headers, ms, producer, producer_at, send, send_value,
};

/// Whatever sends answers this code at `max.block.ms`, `status` and `send_wait` have the sentence.
fn nobody_there(producer: &Producer, code: Code, words: &[&str]) {
    let topic = producer.topic("t").expect("a name");
    let record = Record { topic, value: Some(b"v"), ..Record::default() };
    assert_eq!(producer.send(&record, Timeout::Default), Err(code));
    let (delivery, result) = producer.send_wait(&record, Timeout::Default);
    assert_eq!((delivery.code, delivery.outcome, delivery.offset), (code.0, Outcome::NotWritten as u8, -1));
    let waited = result.expect_err("it waited in vain");
    let counted = producer.partition_count(topic, Timeout::Default).expect_err("nobody knows");
    let mut all = vec![waited, counted];
    if code == Code::UNREACHABLE {
        all.push(producer.status().expect_err("it stands in the way"));
    }
    for error in all {
        assert_eq!(error.code, code);
        assert!(words.iter().all(|word| error.message.contains(word)), "{words:?}: {error}");
    }
    assert_eq!(producer.pending(), 0, "nothing was accepted");
    assert_eq!(producer.flush(ms(90_000)), Ok(()), "so there is nothing to wait for");
}

const SOON: [(&str, &str); 3] =
    [("max.block.ms", "300"), ("reconnect.backoff.ms", "5"), ("reconnect.backoff.max.ms", "20")];

#[test]
fn a_port_that_nobody_listens_on() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let producer = producer_at(&format!("127.0.0.1:{port}"), &SOON);
    nobody_there(&producer, Code::UNREACHABLE, &["127.0.0.1", &port.to_string()]);
    assert_eq!(producer.close(ms(90_000)), Ok(()));
}

#[test]
fn a_name_that_nobody_knows() {
    let producer = producer_at("no-such-host.invalid:9092", &[("max.block.ms", "30000")]);
    let topic = producer.topic("t").expect("a name");
    eventually("the resolver says no", || producer.status().is_err());
    let error = producer.status().expect_err("no such host");
    assert_eq!(error.code, Code::UNREACHABLE);
    assert!(error.message.contains("no-such-host.invalid"), "{error}");
    let record = Record { topic, ..Record::default() };
    assert_eq!(producer.send(&record, ms(0)), Err(Code::UNREACHABLE));
}

/// A server that answers like this to whatever comes.
fn serve(answer: &'static [u8]) -> (String, impl Drop) {
    struct End(Arc<AtomicBool>, String);
    impl Drop for End {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
            drop(TcpStream::connect(&self.1));
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let over: Arc<AtomicBool> = Arc::default();
    let end = End(Arc::clone(&over), address.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Some(mut stream) = stream.ok().filter(|_| !over.load(Ordering::SeqCst)) else { break };
            let _ = stream.set_read_timeout(Some(PATIENCE));
            if stream.read(&mut [0; 1024]).is_ok() {
                let _ = stream.write_all(answer);
            }
        }
    });
    (address, end)
}

#[test]
fn servers_that_are_not_kafka() {
    let answers: [&[u8]; 6] = [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"220 mail.example ESMTP\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46", // a TLS alert
        b"",
        b"\x00\x00\x00\x04\xff\xff\xff\xff",
    ];
    for answer in answers {
        let (address, _end) = serve(answer);
        let producer = producer_at(&address, &SOON);
        nobody_there(&producer, Code::UNREACHABLE, &[&address]);
    }
    let (address, _end) = serve(answers[0]);
    nobody_there(&producer_at(&address, &SOON), Code::UNREACHABLE, &["not a Kafka broker"]);
}

#[test]
fn a_topic_that_the_brokers_do_not_have() {
    let cluster = cluster(2, &[]);
    let settings = [("allow.auto.create.topics", "false"), ("max.block.ms", "300"), ("retry.backoff.ms", "10")];
    let producer = producer(&cluster, &settings);
    nobody_there(&producer, Code::UNKNOWN_TOPIC, &["topic t"]);
    assert_eq!(producer.status(), Ok(()), "the brokers are well");
    // Once it is there it is found, by the same producer.
    command(&cluster, "create t 1");
    eventually("it is found", || producer.partition_count(producer.topic("t").expect("a name"), ms(1000)) == Ok(1));
    send(&producer, "t", 0, 1);
    let found = settle(&producer, &[1]);
    audit(&cluster, "t", &found);
    all_written(&found);
    // A partition that it does not have.
    let record = Record { topic: producer.topic("t").expect("a name"), partition: Some(1), ..Record::default() };
    assert_eq!(producer.send(&record, Timeout::Default), Err(Code::UNKNOWN_PARTITION));
}

#[test]
fn a_topic_that_is_not_allowed_is_said_at_once() {
    let cluster = cluster(1, &["create t 1", "fail metadata TOPIC_AUTHORIZATION_FAILED 1000"]);
    let producer = producer(&cluster, &[("max.block.ms", "3600000")]);
    nobody_there(&producer, Code::NOT_AUTHORIZED, &["topic t"]);
}

#[test]
fn a_record_larger_than_max_request_size_leaves_nothing_behind() {
    let cluster = cluster(1, &["create t 1"]);
    let producer = producer(&cluster, &[("max.request.size", "10000")]);
    let topic = producer.topic("t").expect("a name");
    let large = vec![7; 10_000];
    let header = [Header { name: b"n", value: Some(&large) }];
    let records = [
        Record { topic, value: Some(&large), ..Record::default() },
        Record { topic, key: Some(&large), ..Record::default() },
        Record { topic, headers: &header, ..Record::default() },
    ];
    for record in records {
        assert_eq!(producer.send(&record, Timeout::Default), Err(Code::RECORD_TOO_LARGE));
        let (delivery, result) = producer.send_wait(&record, Timeout::Default);
        assert_eq!((delivery.code, delivery.outcome), (Code::RECORD_TOO_LARGE.0, Outcome::NotWritten as u8));
        assert_eq!(result.expect_err("too large").code, Code::RECORD_TOO_LARGE);
    }
    send(&producer, "t", 0, 1);
    let found = settle(&producer, &[1]);
    all_written(&found);
    audit(&cluster, "t", &found);
}

/// KAFKA-8350: splitting to `batch.size` makes no progress; KAFKA-19479: flush did not wait for the halves.
#[test]
fn batches_too_large_for_the_broker_are_split_and_single_records_refused() {
    for codec in ["none", "lz4"] {
        let cluster = cluster(1, &["create t 1 max_message_bytes=600"]);
        let settings = [("linger.ms", "3600000"), ("compression.type", codec), ("retry.backoff.ms", "1")];
        let producer = producer(&cluster, &settings);
        let accepted: Vec<u64> = (0..300).collect();
        for number in &accepted {
            send(&producer, "t", 0, *number);
        }
        assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
        // Flush needs no poll, and when it returned the log has everything.
        assert_eq!(cluster.records("t").len(), 300, "{codec}");
        let found = settle(&producer, &accepted);
        all_written(&found);
        audit(&cluster, "t", &found);
        let offsets: Vec<i64> = found.iter().map(|delivery| delivery.offset).collect();
        assert_eq!(offsets, (0..300).collect::<Vec<_>>(), "in order");
        assert!(headers(&cluster, "t", 0).len() > 4, "it was split again and again");

        let noise: Vec<u8> = (0..2000u32).map(|number| (number.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
        send_value(&producer, "t", Some(0), None, &noise, 1000);
        assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
        let refused = settle(&producer, &[1000])[0];
        assert_eq!((refused.code, refused.broker_code), (Code::RECORD_TOO_LARGE.0, 10), "{codec}");
        assert_eq!(refused.outcome, Outcome::NotWritten as u8);
        send(&producer, "t", 0, 301);
        assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
        let later = settle(&producer, &[301])[0];
        assert_eq!((later.code, later.offset), (0, 300), "it goes on, and nothing of the refused one is there");
    }
}

/// What is read back is what was sent: null, empty, headers twice, timestamps; with every codec.
#[test]
fn records_come_back_as_they_were() {
    let large = vec![b'x'; 5_000];
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let cluster = cluster(1, &["create t 1", "create late 1 log_append_time"]);
        let producer = producer(&cluster, &[("compression.type", codec), ("linger.ms", "3600000")]);
        let header = |name, value| Header { name, value };
        let headers = [
            header(b"a", Some(&b"1"[..])),
            header(b"a", None),
            header(b"", Some(&b""[..])),
            header(b"z", Some(&large)),
        ];
        let topic = producer.topic("t").expect("a name");
        let plain = Record { topic, partition: Some(0), ..Record::default() };
        let sent = [
            Record { key: None, value: None, timestamp_ms: Some(0), ..plain },
            Record { key: Some(b""), value: Some(b""), timestamp_ms: Some(1_700_000_000_000), opaque: 1, ..plain },
            Record {
                key: Some(b"\0\xff"),
                value: Some(&large),
                headers: &headers,
                timestamp_ms: Some(5),
                opaque: 2,
                ..plain
            },
            Record { value: Some(&large), timestamp_ms: Some(1_600_000_000_000), opaque: 3, ..plain },
        ];
        for record in &sent {
            assert_eq!(producer.send(record, Timeout::Default), Ok(()), "{codec}");
        }
        assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
        let stored = cluster.records("t");
        assert_eq!(stored.len(), sent.len());
        for (stored, sent) in stored.iter().zip(&sent) {
            assert_eq!((stored.key.as_deref(), stored.value.as_deref()), (sent.key, sent.value), "{codec}");
            assert_eq!(Some(stored.timestamp_ms), sent.timestamp_ms, "{codec}");
            let found: Vec<_> =
                stored.headers.iter().map(|(name, value)| (name.as_slice(), value.as_deref())).collect();
            let expected: Vec<_> = sent.headers.iter().map(|header| (header.name, header.value)).collect();
            assert_eq!(found, expected, "{codec}");
        }
        let delivered = settle(&producer, &[0, 1, 2, 3]);
        all_written(&delivered);
        assert_eq!(
            delivered.iter().map(|one| Some(one.timestamp_ms)).collect::<Vec<_>>(),
            sent.map(|one| one.timestamp_ms)
        );
        // The broker's clock, where the topic says so: the delivery tells it.
        let late = producer.topic("late").expect("a name");
        let record = Record { topic: late, timestamp_ms: Some(5), value: Some(b"v"), ..Record::default() };
        let (delivery, result) = producer.send_wait(&record, Timeout::Of(PATIENCE));
        assert_eq!(result, Ok(()));
        assert!(delivery.timestamp_ms > 5 && delivery.timestamp_ms == cluster.records("late")[0].timestamp_ms);
    }
}

#[test]
fn calls_after_close() {
    let cluster = cluster(1, &["create t 1"]);
    let producer = Producer::new(&config(&cluster.address(), &[])).expect("a producer");
    let topic = producer.topic("t").expect("a name");
    send(&producer, "t", 0, 1);
    assert_eq!(producer.close(Timeout::Default), Ok(()));
    let record = Record { topic, ..Record::default() };
    assert_eq!(producer.send(&record, Timeout::Default), Err(Code::CLOSED));
    let (delivery, result) = producer.send_wait(&record, Timeout::Default);
    assert_eq!((delivery.outcome, result.expect_err("closed").code), (Outcome::NotWritten as u8, Code::CLOSED));
    assert_eq!(producer.flush(Timeout::Default).map_err(|error| error.code), Err(Code::CLOSED));
    assert_eq!(producer.purge(true, true), Err(Code::CLOSED));
    assert_eq!(producer.topic("u"), Err(Code::CLOSED));
    assert_eq!((producer.topic_name(topic), producer.close(ms(0))), (Ok("t"), Ok(())));
    all_written(&settle(&producer, &[1]));
    assert_eq!(producer.poll(&mut [Default::default()], Timeout::Default), Err(Code::CLOSED));
}

/// KIP-467: the records that are bad hear it, the others that they were in bad company. The broker refuses all of them.
#[test]
fn bad_records_are_told_one_by_one() {
    let cluster = cluster(1, &["create t 1", "fail produce INVALID_TIMESTAMP 1 records 1,3"]);
    let producer = producer(&cluster, &[("linger.ms", "3600000"), ("retry.backoff.ms", "1")]);
    let accepted: Vec<u64> = (0..5).collect();
    for number in &accepted {
        send(&producer, "t", 0, *number);
    }
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
    let mut found = settle(&producer, &accepted);
    found.sort_by_key(|delivery| delivery.opaque);
    let codes: Vec<_> = found.iter().map(|delivery| delivery.broker_code).collect();
    assert_eq!(codes, [32, 87, 32, 87, 32], "several: each bad one has INVALID_RECORD");
    for delivery in &found {
        assert_eq!((delivery.code, delivery.offset), (Code::REJECTED.0, -1));
        assert_eq!(delivery.outcome, Outcome::NotWritten as u8);
    }
    audit(&cluster, "t", &found);
    send(&producer, "t", 0, 5);
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
    all_written(&settle(&producer, &[5]));
}

/// KIP-602: where `localhost` has an address of each family, the one that nobody listens on is left for the other.
#[test]
fn every_address_of_a_name_is_tried() {
    let cluster = cluster(1, &["create t 1"]);
    let port = cluster.address().rsplit(':').next().map(str::to_owned).expect("a port");
    let producer = producer_at(&format!("localhost:{port}"), &[]);
    send(&producer, "t", 0, 1);
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
    all_written(&settle(&producer, &[1]));
}
