//! Settings that decide what is in a batch, how large it is and how long it may wait.

use kurier::code::Code;
use kurier::producer::{Delivery, Record, Timeout};
use kurier::protocol::messages::ApiKey;

use crate::world::{NEVER, PATIENCE, cluster, command, config, eventually, headers, ms, producer};
use crate::world::{send, send_value, values};

pub(crate) fn linger_ms() {
    // "queue.buffering.max.ms" is librdkafka's name; decimals are allowed.
    for (name, value) in [("linger.ms", "0"), ("linger.ms", "0.5"), ("queue.buffering.max.ms", "1")] {
        let cluster = cluster(1, &["create t 1"]);
        let producer = producer(&cluster, &[(name, value)]);
        send(&producer, "t", 0, 1);
        eventually("it goes without being asked", || values(&cluster, "t").len() == 1);
    }
    let cluster = cluster(1, &["create t 1"]);
    let producer = producer(&cluster, &[("linger.ms", NEVER)]);
    for number in 0..3 {
        send(&producer, "t", 0, number);
    }
    assert_eq!(producer.poll(&mut [Default::default(); 8], ms(300)), Ok(0));
    assert_eq!((values(&cluster, "t").len(), cluster.requests(ApiKey::Produce)), (0, 0), "nobody asked for it yet");
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
    assert_eq!((values(&cluster, "t").len(), cluster.produce_batches()), (3, 1));
    // Where one batch goes, those of the same broker that still linger go with it.
    let cluster = crate::world::cluster(1, &["create t 3"]);
    let producer = crate::world::producer(&cluster, &[("linger.ms", NEVER)]);
    let topic = producer.topic("t").expect("a name");
    let at_once = Record { topic, partition: Some(2), value: Some(b"now"), ..Record::default() };
    assert_eq!(producer.send_wait(&at_once, Timeout::Of(PATIENCE)).1, Ok(()));
    send(&producer, "t", 0, 0);
    send(&producer, "t", 1, 1);
    assert_eq!((values(&cluster, "t").len(), cluster.requests(ApiKey::Produce)), (1, 1));
    assert_eq!(producer.send_wait(&at_once, Timeout::Of(PATIENCE)).1, Ok(()));
    assert_eq!((values(&cluster, "t").len(), cluster.requests(ApiKey::Produce), cluster.produce_batches()), (4, 2, 4));
}

pub(crate) fn batch_size() {
    for (size, batches) in [("0", 10), ("1", 10), ("1000000", 1)] {
        let cluster = cluster(1, &["create t 1"]);
        let producer = producer(&cluster, &[("batch.size", size), ("linger.ms", NEVER)]);
        for number in 0..10 {
            send(&producer, "t", 0, number);
        }
        assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
        assert_eq!(headers(&cluster, "t", 0).len(), batches, "batch.size={size}");
    }
    // A limit in between is kept to.
    let cluster = cluster(1, &["create t 1"]);
    let producer = producer(&cluster, &[("batch.size", "4000"), ("linger.ms", NEVER)]);
    for number in 0..20 {
        send_value(&producer, "t", Some(0), None, &[7; 1000], number);
    }
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
    let stored = cluster.batches("t", 0);
    assert!(stored.iter().all(|batch| (1000..=4000).contains(&batch.len())), "{} batches", stored.len());
    assert!(stored.len() < 10, "more than one record each");
}

/// How many records of 1000 bytes are accepted while no broker answers.
fn accepted(settings: &[(&str, &str)]) -> usize {
    let cluster = cluster(1, &["create t 1"]);
    let producer = producer(&cluster, settings);
    let topic = producer.topic("t").expect("a name");
    assert_eq!(producer.partition_count(topic, Timeout::Of(PATIENCE)), Ok(1));
    command(&cluster, "pause 1");
    let value = [7; 1000];
    let record = Record { topic, value: Some(&value), ..Record::default() };
    let mut count = 0;
    let code = loop {
        match producer.send(&record, ms(0)) {
            Ok(()) => count += 1,
            Err(code) => break code,
        }
    };
    assert_eq!(code, Code::QUEUE_FULL);
    assert_eq!(producer.pending(), count);
    count
}

pub(crate) fn buffer_memory() {
    let small = accepted(&[("buffer.memory", "1000000"), ("linger.ms", NEVER)]);
    let large = accepted(&[("queue.buffering.max.kbytes", "4000"), ("linger.ms", NEVER)]);
    assert!((400..=1000).contains(&small), "{small} KB within 1000 KB");
    assert!((2_400..=4_096).contains(&large), "{large} KB within 4096 KB");
}

pub(crate) fn max_block_ms() {
    let full = |block| {
        let cluster = cluster(1, &["create t 1"]);
        let settings = [("max.block.ms", block), ("buffer.memory", "262144"), ("linger.ms", "0")];
        let producer = producer(&cluster, &settings);
        let topic = producer.topic("t").expect("a name");
        assert_eq!(producer.partition_count(topic, Timeout::Of(PATIENCE)), Ok(1));
        let value = [7; 1000];
        let record = Record { topic, value: Some(&value), ..Record::default() };
        // What nobody reads stays in memory, so it fills although the broker answers.
        while producer.send(&record, ms(0)) == Ok(()) {}
        let sent = std::thread::scope(|scope| {
            let sender = scope.spawn(|| producer.send(&record, Timeout::Default));
            if block == "0" {
                return sender.join().expect("no panic");
            }
            eventually("it waits for room, and gets it", || {
                producer.poll(&mut [Delivery::default(); 8], ms(1)).expect("it can be polled");
                sender.is_finished()
            });
            sender.join().expect("no panic")
        });
        assert_eq!(sent.is_ok(), block != "0");
        sent
    };
    assert_eq!(full("0"), Err(Code::QUEUE_FULL));
    assert_eq!(full(NEVER), Ok(()));
    // Metadata counts too.
    let cluster = cluster(1, &["mute metadata"]);
    let producer = producer(&cluster, &[("max.block.ms", "50")]);
    let record = Record { topic: producer.topic("t").expect("a name"), ..Record::default() };
    assert_eq!(producer.send(&record, Timeout::Default), Err(Code::TIMED_OUT));
}

pub(crate) fn max_request_size() {
    let cluster = cluster(1, &["create t 2"]);
    let sent = |name, bytes: &str| {
        let producer = producer(&cluster, &[(name, bytes)]);
        let record =
            Record { topic: producer.topic("t").expect("a name"), value: Some(&[7; 5000]), ..Record::default() };
        producer.send(&record, Timeout::Of(PATIENCE))
    };
    assert_eq!(sent("max.request.size", "5000"), Err(Code::RECORD_TOO_LARGE));
    assert_eq!(sent("message.max.bytes", "6000"), Ok(()));
    // Two batches of 5000 bytes go in one request or in two.
    for (size, requests) in [("9000", 2), ("20000", 1)] {
        let before = cluster.requests(ApiKey::Produce);
        let settings = [("max.request.size", size), ("enable.idempotence", "false"), ("linger.ms", NEVER)];
        let producer = producer(&cluster, &settings);
        for partition in 0..2 {
            send_value(&producer, "t", Some(partition), None, &[7; 5000], 0);
        }
        command(&cluster, "delay produce 20ms");
        assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
        let more = cluster.requests(ApiKey::Produce) - before;
        // Both may not be found closed in the same moment, so one request is only likely; two are certain.
        assert!(more == requests || requests == 1, "max.request.size={size}: {more} requests");
    }
}

/// Text that can be compressed, but not to nothing.
fn prose(number: u64) -> String {
    let words = ["queue", "broker", "leader", "epoch", "record", "batch", "offset", "retry", "fence", "commit"];
    let mut seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    for _ in 0..60 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        text.push_str(words[(seed % 10) as usize]);
        text.push(char::from(b'a' + (seed >> 40) as u8 % 26));
    }
    text
}

/// Bytes in the log of the same 300 records, which have to be read back as they were; and the codec in the headers.
fn stored(settings: &[(&str, &str)]) -> (usize, i16) {
    let cluster = cluster(1, &["create t 1"]);
    let producer = producer(&cluster, &[settings, &[("linger.ms", NEVER)]].concat());
    let sent: Vec<String> = (0..300).map(prose).collect();
    for (number, value) in (0..).zip(&sent) {
        send_value(&producer, "t", Some(0), None, value.as_bytes(), number);
    }
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()), "{settings:?}");
    assert_eq!(values(&cluster, "t"), sent, "{settings:?}");
    // A batch that would not get smaller is not compressed.
    let codec = headers(&cluster, "t", 0).iter().map(|header| header.codec_bits()).max();
    (cluster.stored_bytes("t")[0], codec.expect("a batch"))
}

pub(crate) fn compression_type() {
    let (plain, codec) = stored(&[("compression.type", "none")]);
    assert_eq!(codec, 0);
    for (number, name) in [(1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd")] {
        let (bytes, codec) = stored(&[("compression.type", name)]);
        assert_eq!(codec, number, "{name}");
        assert!(bytes < plain * 4 / 5, "{name}: {bytes} of {plain} bytes");
        assert_eq!(stored(&[("compression.codec", name)]).1, number);
    }
    // What would not get smaller is sent as it is.
    let cluster = cluster(1, &["create t 1"]);
    let producer = producer(&cluster, &[("compression.type", "zstd")]);
    send(&producer, "t", 0, 1);
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
    assert_eq!(headers(&cluster, "t", 0)[0].codec_bits(), 0);
}

fn levels(codec: &str, fastest: &str, smallest: &str) -> (usize, usize) {
    let name = format!("compression.{codec}.level");
    let of = |level| stored(&[("compression.type", codec), (name.as_str(), level)]);
    let (fast, small) = (of(fastest), of(smallest));
    assert_eq!(fast.1, small.1, "the codec is the same");
    (fast.0, small.0)
}

pub(crate) fn gzip_level() {
    let (fast, small) = levels("gzip", "1", "9");
    assert!(small < fast, "level 9 gives {small} bytes, level 1 {fast}");
    assert_eq!(config("h:1", &[("compression.gzip.level", "-1")]).get("compression.gzip.level").as_deref(), Ok("-1"));
}

pub(crate) fn lz4_level() {
    let (fast, small) = levels("lz4", "9", "12");
    assert!(small < fast, "level 12 gives {small} bytes, level 9, the fast one, {fast}");
}

pub(crate) fn zstd_level() {
    let (fast, small) = levels("zstd", "-50", "22");
    assert!(small < fast, "level 22 gives {small} bytes, level -50 {fast}");
}
