//! The proof that `tests/kafka` itself works: without it, what the real-Kafka tests say is worth nothing.

#![allow(clippy::unwrap_used, reason = "a test may stop where it finds something impossible")]
#![allow(clippy::disallowed_methods, reason = "whether a process is gone can only be asked again")]

mod kafka;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kafka::{Isolation, Kafka, ReadRecord, Setup};

fn is_running(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

/// Java writes, Java reads, and everything is where Java was told that it is.
fn write_and_read_back(kafka: &Kafka, topic: &str, partitions: i32, factor: i16) {
    const COUNT: usize = 1_000;
    kafka.create_topic(topic, partitions, factor, &[("retention.ms", "-1")]);
    let written = kafka.write_with_java(topic, COUNT, "plain");
    let records = kafka.read_back(topic, Isolation::Committed);
    assert_eq!((written.len(), records.len()), (COUNT, COUNT));
    assert!(written.iter().map(|place| place.partition).collect::<BTreeSet<_>>().len() > 1);
    for (i, place) in written.iter().enumerate() {
        let key = (i % 10 != 9).then(|| format!("key-{i}").into_bytes());
        let value = (i % 100 != 98).then(|| format!("value-{i}").into_bytes());
        let number = i.to_string().into_bytes();
        let expected = ReadRecord {
            partition: place.partition,
            offset: place.offset,
            timestamp_ms: 1_700_000_000_000 + i64::try_from(i).unwrap(),
            timestamp_type: 0,
            key,
            value,
            headers: vec![(b"number".to_vec(), Some(number)), (b"number".to_vec(), None)],
        };
        let found = records.iter().find(|one| (one.partition, one.offset) == (place.partition, place.offset));
        assert_eq!(found, Some(&expected));
        assert_eq!(place.timestamp_ms, expected.timestamp_ms);
    }
}

#[test]
fn one_broker() {
    let Some(kafka) = kafka::start(Setup::brokers(1)) else { return };
    write_and_read_back(&kafka, "plain", 3, 1);

    kafka.create_topic("transactions", 2, 1, &[]);
    kafka.write_with_java("transactions", 100, "commit");
    kafka.write_with_java("transactions", 50, "abort");
    assert_eq!(kafka.read_back("transactions", Isolation::Committed).len(), 100);
    assert_eq!(kafka.read_back("transactions", Isolation::Uncommitted).len(), 150);

    kafka.grow_topic("plain", 5);
    assert_eq!(kafka.leaders("plain"), [1; 5]);
    kafka.delete_topic("plain");

    let (pids, directory) = (kafka.pids(), kafka.directory().to_owned());
    assert!(pids.len() == 1 && is_running(pids[0]) && directory.exists());
    drop(kafka);
    assert!(!is_running(pids[0]) && !directory.exists(), "nothing is left");
}

#[test]
fn three_brokers_lose_one() {
    let Some(kafka) = kafka::start(Setup::brokers(3)) else { return };
    write_and_read_back(&kafka, "safe", 6, 3);
    assert_eq!(kafka.leaders("safe").into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([1, 2, 3]));

    let victim = kafka.leaders("safe")[0];
    let before = kafka.pids();
    kafka.kill(victim);
    kafka.wait_ready();
    assert_eq!(kafka.pids().len(), 2);
    assert!(!kafka.leaders("safe").contains(&victim), "its partitions have new leaders");
    assert_eq!(kafka.read_back("safe", Isolation::Uncommitted).len(), 1_000);

    kafka.restart(victim);
    kafka.shut_down(victim);
    kafka.wait_ready();
    kafka.restart(victim);
    assert_eq!(kafka.pids().len(), 3);

    // A paused broker is fenced by the others and comes back without a new life.
    kafka.pause(victim);
    let now = kafka.pids();
    kafka.resume(victim);
    kafka.wait_ready();
    assert_eq!(kafka.pids(), now);
    assert_eq!(kafka.read_back("safe", Isolation::Uncommitted).len(), 1_000);

    drop(kafka);
    assert!(before.iter().chain(&now).all(|pid| !is_running(*pid)), "nothing is left");
}

#[test]
fn an_older_version() {
    let Some(kafka) = kafka::start(Setup::brokers(1).version("3.9.1")) else { return };
    write_and_read_back(&kafka, "plain", 3, 1);
}

#[test]
fn a_panic_kills_the_brokers() {
    let Some(kafka) = kafka::start(Setup::brokers(1)) else { return };
    let pid = kafka.pids()[0];
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        assert!(kafka.pids().is_empty(), "as a failing test does");
    }));
    assert!(ended.is_err() && !is_running(pid));
}

/// The other half of `a_killed_test_process_takes_its_brokers_with_it`.
#[test]
#[ignore = "waits until it is killed"]
fn waits_with_a_broker() {
    let Some(kafka) = kafka::start(Setup::brokers(1)) else { return };
    println!("\nbroker {}", kafka.pids()[0]);
    std::thread::park();
    drop(kafka);
}

#[test]
fn a_killed_test_process_takes_its_brokers_with_it() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "waits_with_a_broker", "--ignored", "--nocapture"]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let said = lines.filter_map(|line| line.strip_prefix("broker ")?.parse().ok()).next();
    let Some(pid) = said else {
        assert!(child.wait().unwrap().success(), "it failed");
        return;
    };
    assert!(is_running(pid));
    child.kill().unwrap();
    child.wait().unwrap();
    // The kernel sends the signal when the parent is gone; the broker then needs a moment to end.
    let begin = Instant::now();
    while is_running(pid) {
        assert!(begin.elapsed() < Duration::from_secs(60), "broker {pid} outlives its test process");
        std::thread::sleep(Duration::from_millis(5));
    }
}
