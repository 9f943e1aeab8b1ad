//! Settings that choose partitions.

use kurier::producer::partitioner::{crc32, fnv1a, murmur2};
use kurier::producer::{Delivery, Producer, Record};
use kurier::testcluster::Cluster;

use crate::world::{cluster, command, deliveries, eventually, ms, producer, send, send_value};

const PARTITIONS: u32 = 7;

/// The partitions of records with these keys, one after the other, each in a batch of its own.
fn chosen(settings: &[(&str, &str)], keys: &[Option<&[u8]>]) -> Vec<u32> {
    let cluster = cluster(1, &["create t 7"]);
    let producer = producer(&cluster, &[settings, &[("batch.size", "0"), ("linger.ms", "0")]].concat());
    for (number, key) in (0..).zip(keys) {
        send_value(&producer, "t", None, *key, b"v", number);
    }
    let mut found = deliveries(&producer, keys.len());
    found.sort_by_key(|delivery| delivery.opaque);
    found.iter().map(|delivery| delivery.partition.unsigned_abs()).collect()
}

fn keys() -> Vec<Vec<u8>> {
    (0..40).map(|number| format!("account-{number}").into_bytes()).collect()
}

fn distinct(partitions: &[u32]) -> usize {
    let mut sorted = partitions.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.len()
}

pub(crate) fn partitioner_class() {
    let keys = keys();
    let some: Vec<Option<&[u8]>> = keys.iter().map(|key| Some(key.as_slice())).collect();
    let by = |hash: fn(&[u8]) -> u32| keys.iter().map(|key| hash(key) % PARTITIONS).collect::<Vec<_>>();
    let java = by(|key| murmur2(key) & 0x7fff_ffff);
    for (classes, expected) in [
        (&["default", "murmur2", "murmur2_random"][..], java),
        (&["consistent", "consistent_random"], by(crc32)),
        (&["fnv1a", "fnv1a_random"], by(fnv1a)),
    ] {
        for class in classes {
            assert_eq!(chosen(&[("partitioner.class", class)], &some), expected, "{class}");
        }
    }
    for class in ["round_robin", "org.apache.kafka.clients.producer.RoundRobinPartitioner"] {
        let turns: Vec<u32> = (0..40).map(|turn| turn % PARTITIONS).collect();
        assert_eq!(chosen(&[("partitioner.class", class)], &some), turns, "{class}");
    }
    let same = vec![some[0]; 60];
    assert!(distinct(&chosen(&[("partitioner", "random")], &same)) > 1, "one key, any partition");
    // Without a key: a hash of nothing, or anything.
    let none = vec![None; 60];
    for (class, hash) in [("murmur2", murmur2(b"") & 0x7fff_ffff), ("consistent", crc32(b"")), ("fnv1a", fnv1a(b""))] {
        assert_eq!(chosen(&[("partitioner.class", class)], &none), vec![hash % PARTITIONS; 60], "{class}");
    }
    for class in ["default", "murmur2_random", "consistent_random", "fnv1a_random", "random"] {
        assert!(distinct(&chosen(&[("partitioner.class", class)], &none)) > 1, "{class}");
    }
}

pub(crate) fn ignore_keys() {
    let key: &[u8] = b"account";
    let same = vec![Some(key); 60];
    assert_eq!(distinct(&chosen(&[("partitioner.ignore.keys", "false")], &same)), 1);
    assert!(distinct(&chosen(&[("partitioner.ignore.keys", "true")], &same)) > 1);
}

/// Two brokers with one partition each; the one with partition 1 is stopped like a process.
fn half_paused(settings: &[(&str, &str)]) -> (Cluster, Producer) {
    let cluster = cluster(2, &["create t 2", "leader t 0 1", "leader t 1 2"]);
    let always = [("batch.size", "0"), ("linger.ms", "0"), ("max.in.flight", "1")];
    let producer = producer(&cluster, &[&always[..], settings].concat());
    for partition in 0..2 {
        send(&producer, "t", partition, 0);
    }
    deliveries(&producer, 2);
    command(&cluster, "pause 2");
    (cluster, producer)
}

/// Sends records without key; says how many went to the broker that does not answer. Those of the other one have
/// time to leave, so that its queue is short.
fn keyless_to_paused(producer: &Producer, count: u64) -> usize {
    let topic = producer.topic("t").expect("a name");
    let before = producer.pending();
    for opaque in 0..count {
        let record = Record { topic, value: Some(b"v"), opaque, ..Record::default() };
        assert_eq!(producer.send(&record, ms(60_000)), Ok(()));
        producer.poll(&mut [Delivery::default(); 8], ms(4)).expect("it can be polled");
    }
    // What the living broker has to answer is answered when nothing more comes.
    let mut quiet = 0;
    while quiet < 50 {
        let found = producer.poll(&mut [Delivery::default(); 64], ms(4)).expect("it can be polled");
        quiet = if found == 0 { quiet + 1 } else { 0 };
    }
    producer.pending() - before
}

/// KIP-794: the longer a queue, the less it gets.
pub(crate) fn adaptive() {
    let stuck = |value| {
        let (_cluster, producer) = half_paused(&[("partitioner.adaptive.partitioning.enable", value)]);
        keyless_to_paused(&producer, 300)
    };
    let (adaptive, alike) = (stuck("true"), stuck("false"));
    assert!((90..210).contains(&alike), "{alike} of 300: both partitions alike");
    assert!(adaptive * 2 < alike, "{adaptive} of 300 to the slow broker, {alike} without adaptation");
}

pub(crate) fn availability_timeout() {
    let (_cluster, producer) = half_paused(&[("partitioner.availability.timeout.ms", "30")]);
    for number in 0..2 {
        send(&producer, "t", 1, number);
    }
    eventually("nothing goes to the stuck broker any more", || keyless_to_paused(&producer, 40) == 0);
    let (_other, patient) = half_paused(&[("partitioner.availability.timeout.ms", "0")]);
    for number in 0..2 {
        send(&patient, "t", 1, number);
    }
    assert!(keyless_to_paused(&patient, 100) > 0, "0: it is never left out, only less liked");
}
