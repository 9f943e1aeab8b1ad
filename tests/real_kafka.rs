//! A text file through the C face into real Apache Kafka: what a client that is not ours finds is what was sent, and
//! where and when we said.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it finds something impossible")]
#![allow(clippy::disallowed_methods, reason = "real brokers have real deadlines")]

#[path = "face/compiler.rs"]
mod compiler;
mod kafka;

use kafka::check::{Keys, Program, Summary, check_million, read_deliveries};
use kafka::corpus::write_corpus;
use kafka::{Isolation, Kafka, Setup};
use kurier::producer::{Config, Header, Producer, Record, Timeout};
use kurier::testcluster::Cluster;

const THREADS: u32 = 4;

/// What goes through one run of `tests/programs/million.c`.
struct Run<'a> {
    topic: &'a str,
    lines: usize,
    keys: Keys,
    settings: &'a [&'a str],
}

impl Run<'_> {
    /// Sends, reads back, and compares.
    fn check(&self, kafka: &Kafka) -> Summary {
        let program = compiler::build(&compiler::root().join("tests/programs/million.c"), &[]);
        let directory = tempfile::tempdir().unwrap();
        let (file, deliveries) = (directory.path().join("lines.txt"), directory.path().join("deliveries"));
        let lines = write_corpus(&file, self.lines);
        let keys = match self.keys {
            Keys::Modulo(count) => format!("modulo:{count}"),
            Keys::Column(column) => format!("column:{column}"),
        };
        let mut command = compiler::command(&program);
        command.arg(&file).arg(self.topic).arg(&deliveries).arg(THREADS.to_string()).arg(keys);
        command.arg(format!("bootstrap.servers={}", kafka.bootstrap())).args(self.settings);
        let said = compiler::good(&compiler::run(command));
        assert_eq!(said, format!("lines={0} delivered={0} undelivered=0\n", self.lines));
        let told = read_deliveries(&deliveries);
        let log = kafka.read_back(self.topic, Isolation::Committed);
        let sent = Program { lines: &lines, keys: self.keys, threads: THREADS };
        check_million(&sent, &told, &log).unwrap_or_else(|faults| panic!("{}: {faults}", self.topic))
    }
}

#[test]
fn a_million_lines() {
    let Some(kafka) = kafka::start(Setup::brokers(3)) else { return };
    kafka.create_topic("million", 6, 3, &[("min.insync.replicas", "2")]);
    let run = Run { topic: "million", lines: 1_000_000, keys: Keys::Modulo(1_000), settings: &[] };
    assert_eq!(run.check(&kafka), Summary { records: 1_000_000, partitions: 6, keys: 1_000 });
}

#[test]
fn every_codec_and_three_brokers() {
    let Some(kafka) = kafka::start(Setup::brokers(3)) else { return };
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        kafka.create_topic(codec, 12, 3, &[("min.insync.replicas", "2")]);
        let setting = format!("compression.type={codec}");
        let run = Run { topic: codec, lines: 50_000, keys: Keys::Column(1), settings: &[&setting, "linger.ms=5"] };
        let summary = run.check(&kafka);
        assert_eq!((summary.records, summary.partitions), (50_000, 12));
    }
}

#[test]
fn an_older_version() {
    let Some(kafka) = kafka::start(Setup::brokers(1).version("3.9.1")) else { return };
    kafka.create_topic("old", 4, 1, &[]);
    let run = Run { topic: "old", lines: 1_000_000, keys: Keys::Modulo(1_000), settings: &[] };
    assert_eq!(run.check(&kafka), Summary { records: 1_000_000, partitions: 4, keys: 1_000 });
}

/// The log's clock, not ours, is what has to be reported then.
#[test]
fn the_logs_own_time() {
    let Some(kafka) = kafka::start(Setup::brokers(1)) else { return };
    kafka.create_topic("appended", 3, 1, &[("message.timestamp.type", "LogAppendTime")]);
    let run = Run { topic: "appended", lines: 20_000, keys: Keys::Modulo(50), settings: &[] };
    assert_eq!(run.check(&kafka), Summary { records: 20_000, partitions: 3, keys: 50 });
    let log = kafka.read_back("appended", Isolation::Uncommitted);
    assert!(log.iter().all(|record| record.timestamp_type == 1), "the topic's own time is what was read");
}

/// The example that users begin with, as they would run it.
#[test]
fn payments_go_where_the_example_says() {
    let Some(kafka) = kafka::start(Setup::brokers(1)) else { return };
    kafka.create_topic("payments", 4, 1, &[]);
    let file = compiler::root().join("examples-c/payments.csv");
    let program = compiler::build(&compiler::root().join("examples-c/payments.c"), &[]);
    let mut command = compiler::command(&program);
    command.args(["-b", kafka.bootstrap(), "-t", "payments", "-k", "2", "-H"]).arg(&file);
    let said = compiler::good(&compiler::run(command));

    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let log = kafka.read_back("payments", Isolation::Committed);
    assert_eq!(log.len(), lines.len() - 1);
    for record in &log {
        let value = String::from_utf8(record.value.clone().unwrap()).unwrap();
        let number: usize = value[..value.find(',').unwrap()].parse().unwrap_or_default();
        let key = value.split(',').nth(1).unwrap();
        assert_eq!(record.key.as_deref(), Some(key.as_bytes()), "line of payment {number}");
        let place = lines.iter().position(|line| *line == value).unwrap() + 1;
        let told = format!(":{place}: payments, partition {}, offset {}\n", record.partition, record.offset);
        assert!(said.contains(&told), "not said: {told}");
    }
}

/// Any client can use the embedded cluster; the Java consumer takes its partitions by assignment.
#[test]
fn the_java_consumer_reads_the_embedded_cluster() {
    let cluster = Cluster::start(3).unwrap();
    cluster.command("create shared 5").unwrap();
    let mut config = Config::new();
    config.set("bootstrap.servers", &cluster.address()).unwrap();
    config.set("compression.type", "lz4").unwrap();
    let producer = Producer::new(&config).unwrap();
    let topic = producer.topic("shared").unwrap();
    let mut sent = Vec::new();
    for number in 0..5_000_u32 {
        let (key, value) = (format!("key {}", number % 97).into_bytes(), format!("value {number}").into_bytes());
        let headers = [Header { name: b"number", value: Some(&key) }, Header { name: b"none", value: None }];
        let record = Record { topic, key: Some(&key), value: Some(&value), headers: &headers, ..Record::default() };
        producer.send(&record, Timeout::Default).unwrap();
        sent.push((key, value));
    }
    producer.flush(Timeout::Default).unwrap();
    let Some(log) = kafka::read_from(&cluster.address(), "shared") else { return };
    let header = |key: &Vec<u8>| vec![(b"number".to_vec(), Some(key.clone())), (b"none".to_vec(), None)];
    assert!(log.iter().all(|record| record.headers == header(record.key.as_ref().unwrap())));
    let mut read: Vec<_> = log.into_iter().map(|record| (record.key.unwrap(), record.value.unwrap())).collect();
    read.sort();
    sent.sort();
    assert!(read == sent, "{} of {} read", read.len(), sent.len());
}
