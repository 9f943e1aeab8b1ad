//! A cluster, producers at it, and waiting for conditions instead of sleeping.

use std::time::{Duration, Instant};

use kurier::producer::{Config, Delivery, Producer, Record, Timeout};
use kurier::protocol::batch_header::{BatchHeader, batches};
use kurier::testcluster::Cluster;

/// A guard against hanging, and nothing that a result depends on.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Longer than any test.
pub(crate) const NEVER: &str = "3600000";

/// A cluster, or the test is over.
pub(crate) fn cluster(brokers: i32, commands: &[&str]) -> Cluster {
    let cluster = Cluster::start(brokers).expect("a cluster starts");
    for text in commands {
        command(&cluster, text);
    }
    cluster
}

/// Gives a command that must be taken.
pub(crate) fn command(cluster: &Cluster, text: &str) {
    cluster.command(text).unwrap_or_else(|error| panic!("`{text}`: {error}"));
}

/// These servers and settings.
pub(crate) fn config(servers: &str, settings: &[(&str, &str)]) -> Config {
    let mut config = Config::new();
    config.set("bootstrap.servers", servers).expect("the address is one");
    for (name, value) in settings {
        config.set(name, value).unwrap_or_else(|error| panic!("{name}={value}: {error}"));
    }
    config
}

/// A producer with these settings.
pub(crate) fn producer(cluster: &Cluster, settings: &[(&str, &str)]) -> Producer {
    producer_at(&cluster.address(), settings)
}

/// A producer with these settings, wherever that is.
pub(crate) fn producer_at(servers: &str, settings: &[(&str, &str)]) -> Producer {
    Producer::new(&config(servers, settings)).unwrap_or_else(|error| panic!("{settings:?}: {error}"))
}

/// Waits until the condition holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "it never happened: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// At most so long, for what must not happen within it.
pub(crate) fn ms(ms: u64) -> Timeout {
    Timeout::Of(Duration::from_millis(ms))
}

/// A record of one partition with its number as value and opaque.
pub(crate) fn send(producer: &Producer, topic: &str, partition: i32, number: u64) {
    let value = number.to_string();
    send_value(producer, topic, Some(partition), None, value.as_bytes(), number);
}

/// A record that must be accepted.
pub(crate) fn send_value(
    producer: &Producer,
    topic: &str,
    partition: Option<i32>,
    key: Option<&[u8]>,
    value: &[u8],
    opaque: u64,
) {
    let topic = producer.topic(topic).expect("a name");
    let record = Record { topic, partition, key, value: Some(value), opaque, ..Record::default() };
    assert_eq!(producer.send(&record, Timeout::Of(PATIENCE)), Ok(()), "record {opaque}");
}

/// Sends one record and waits for its fate.
pub(crate) fn send_wait(producer: &Producer, topic: &str, partition: i32) -> Delivery {
    let topic = producer.topic(topic).expect("a name");
    let record = Record { topic, partition: Some(partition), value: Some(b"waited for"), ..Record::default() };
    producer.send_wait(&record, Timeout::Of(PATIENCE)).0
}

/// So many deliveries, in the order in which they come.
pub(crate) fn deliveries(producer: &Producer, count: usize) -> Vec<Delivery> {
    let mut all = Vec::with_capacity(count);
    let mut some = [Delivery::default(); 256];
    let start = Instant::now();
    while all.len() < count {
        assert!(start.elapsed() < PATIENCE, "{} of {count} deliveries came", all.len());
        let found = producer.poll(&mut some, ms(1000));
        let found = found.unwrap_or_else(|code| panic!("{code:?} after {} of {count} deliveries", all.len()));
        all.extend_from_slice(&some[..found]);
    }
    assert_eq!(all.len(), count, "more deliveries than records");
    all
}

/// The headers of the batches of a partition.
pub(crate) fn headers(cluster: &Cluster, topic: &str, partition: i32) -> Vec<BatchHeader> {
    let stored = cluster.batches(topic, partition);
    stored.iter().flat_map(|bytes| batches(bytes).map(|batch| batch.expect("it is one").header)).collect()
}

/// The values of a topic's records as text, partition after partition.
pub(crate) fn values(cluster: &Cluster, topic: &str) -> Vec<String> {
    let text = |value: Option<Vec<u8>>| String::from_utf8(value.unwrap_or_default()).expect("text");
    cluster.records(topic).into_iter().map(|record| text(record.value)).collect()
}
