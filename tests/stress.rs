//! Everything at once, then the books: what was accepted, what was delivered, what is in the log, what is left behind.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops where it finds something impossible, and has threads and a clock"
)]

use kurier::code::{Code, Outcome};
use kurier::producer::{Config, Delivery, Header, Producer, Record, Timeout};
use kurier::testcluster::Cluster;
use std::collections::BTreeMap;
use std::fs::{read_dir, read_to_string};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const THREADS: u64 = 8;
const EACH: u64 = 1_000;
const TOPICS: [(&str, i32); 3] = [("wide", 6), ("middle", 3), ("narrow", 1)];
/// Ends a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both tests count the process's threads.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn config(cluster: &Cluster, settings: &[(&str, &str)]) -> Config {
    let mut config = Config::new();
    config.set("bootstrap.servers", &cluster.address()).unwrap();
    for (name, value) in settings {
        config.set(name, value).unwrap();
    }
    config
}

/// A small generator of its own for each thread: the same records in every run, whatever the threads do.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn size(&mut self) -> usize {
        match self.below(200) {
            0 => 300_000,
            1..=2 => 70_000,
            3..=8 => 20_000,
            9..=40 => 1_000,
            41..=60 => 0,
            size => size as usize,
        }
    }
}

/// What the application knows about its records.
#[derive(Default)]
struct Books {
    /// Accepted: quiet or not.
    accepted: BTreeMap<u64, bool>,
    /// Outcome of each delivery; `send_wait`'s own among them.
    outcomes: BTreeMap<u64, u8>,
    /// Outcomes of calls that waited: nothing comes for them through poll.
    waited: BTreeMap<u64, u8>,
}

struct World<'a> {
    cluster: &'a Cluster,
    producer: &'a Producer,
    topics: Vec<u32>,
    moves: AtomicU64,
}

impl World<'_> {
    /// Something goes wrong at a broker.
    fn disturb(&self) {
        let turn = self.moves.fetch_add(1, Ordering::Relaxed);
        let (topic, partitions) = TOPICS[(turn % 3) as usize];
        let partition = turn as i32 % partitions;
        let command = match turn % 4 {
            0 => String::from("cut 1"),
            1 => String::from("drop 1"),
            _ => format!("leader {topic} {partition} {}", turn % 3 + 1),
        };
        self.cluster.command(&command).unwrap();
    }

    fn send(&self, thread: u64) -> Books {
        let mut dice = Dice(thread + 1);
        let mut books = Books::default();
        for number in 0..EACH {
            let id = thread << 32 | number;
            let bytes = id.to_be_bytes();
            let value = vec![b'v'; dice.size()];
            let headers = [Header { name: b"id", value: Some(&bytes) }, Header { name: b"", value: None }];
            let record = Record {
                topic: self.topics[dice.below(3) as usize],
                key: (dice.below(2) == 0).then_some(&bytes),
                value: (dice.below(20) != 0).then_some(&value),
                headers: &headers,
                timestamp_ms: [None, None, Some(0), Some(1_700_000_000_000)][dice.below(4) as usize],
                opaque: id,
                quiet: dice.below(3) == 0,
                ..Record::default()
            };
            if dice.below(50) == 0 {
                let (delivery, _) = self.producer.send_wait(&record, Timeout::Of(PATIENCE));
                assert_eq!(delivery.opaque, id);
                books.waited.insert(id, delivery.outcome);
            } else {
                let timeout = if dice.below(4) == 0 { Timeout::Of(Duration::ZERO) } else { Timeout::Of(PATIENCE) };
                match self.producer.send(&record, timeout) {
                    Ok(()) => _ = books.accepted.insert(id, record.quiet),
                    Err(code) => {
                        assert!(code == Code::QUEUE_FULL && timeout == Timeout::Of(Duration::ZERO), "{code:?}")
                    }
                }
            }
            match (thread, number % 128) {
                (0 | 1, 17 | 81) => self.disturb(),
                (2, 33) => self.producer.flush(Timeout::Of(PATIENCE)).unwrap(),
                (3, 100) => _ = self.producer.purge(number % 256 < 128, number % 256 >= 128).unwrap(),
                (4, 50) => self.producer.wake().unwrap(),
                _ => {}
            }
        }
        books
    }

    /// The same by runs: of what was added, exactly the first [`kurier::producer::Runs::accepted`] are in.
    fn send_runs(&self, thread: u64) -> Books {
        let mut dice = Dice(thread + 1);
        let mut books = Books::default();
        let mut number = 0;
        while number < EACH {
            let length = dice.below(100) + 1;
            let ids: Vec<_> = (number..number + length).map(|number| thread << 32 | number).collect();
            let bytes: Vec<_> = ids.iter().map(|id| id.to_be_bytes()).collect();
            let values: Vec<_> = ids.iter().map(|_| vec![b'v'; dice.size()]).collect();
            let headers: Vec<_> = bytes.iter().map(|bytes| [Header { name: b"id", value: Some(bytes) }]).collect();
            let topic = self.topics[dice.below(3) as usize];
            let keyed = dice.below(4);
            let timeout = if dice.below(4) == 0 { Timeout::Of(Duration::ZERO) } else { Timeout::Of(PATIENCE) };
            let mut runs = self.producer.runs(self.producer.deadline(timeout));
            let mut quiet = Vec::new();
            let added = (0..ids.len()).try_for_each(|at| {
                quiet.push(dice.below(3) == 0);
                runs.add(&Record {
                    topic: if dice.below(20) == 0 { self.topics[0] } else { topic },
                    key: (keyed == 0 || dice.below(20) == 0).then_some(&bytes[at]),
                    value: Some(&values[at]),
                    headers: &headers[at],
                    timestamp_ms: [None, None, None, Some(1_700_000_000_000)][dice.below(4) as usize],
                    opaque: ids[at],
                    quiet: quiet[at],
                    ..Record::default()
                })
            });
            let result = runs.append().and(added);
            let expected = if timeout == Timeout::Of(PATIENCE) { Code::OK } else { Code::QUEUE_FULL };
            assert!(result.is_ok() && runs.accepted() == ids.len() || result == Err(expected), "{result:?}");
            books.accepted.extend(ids.into_iter().zip(quiet).take(runs.accepted()));
            number += length;
        }
        books
    }

    /// Reads until the producer says that there is no more. Deliveries of the records, by opaque.
    fn poll(&self, room: usize) -> Vec<Delivery> {
        let mut read = Vec::new();
        let mut deliveries = vec![Delivery::default(); room];
        loop {
            match self.producer.poll(&mut deliveries, Timeout::Default) {
                Ok(count) => read.extend_from_slice(&deliveries[..count]),
                Err(code) => {
                    assert_eq!(code, Code::CLOSED);
                    return read;
                }
            }
        }
    }
}

/// Threads of the library and of the cluster in it; those of the test's own frame come and go.
fn threads() -> usize {
    let tasks = read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.map(|task| read_to_string(task.path().join("comm")).unwrap_or_default());
    names.filter(|name| name.starts_with("kurier")).count()
}

/// Sockets and event handles. (A sanitizer opens pipes of its own when it has something to look up.)
fn descriptors() -> usize {
    let links = read_dir("/proc/self/fd").unwrap().flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links.filter(|link| is_ours(link)).count()
}

fn is_ours(link: &std::path::Path) -> bool {
    let link = link.to_string_lossy();
    link.starts_with("socket:") || link.starts_with("anon_inode:")
}

/// Waits until so many are left; the cluster's side of a connection ends a little later.
fn until_back_at(what: &str, count: impl Fn() -> usize, baseline: usize) {
    for _ in 0..600 {
        if count() <= baseline {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let links = read_dir("/proc/self/fd").unwrap().flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    panic!("{} {what}, {baseline} before: {:?}", count(), links.collect::<Vec<_>>());
}

fn run(linger_ms: &str, codec: &str) {
    let cluster = Cluster::start(3).unwrap();
    for (topic, partitions) in TOPICS {
        cluster.command(&format!("create {topic} {partitions}")).unwrap();
    }
    // A thread gives itself its name.
    while threads() < 3 {
        std::thread::yield_now();
    }
    let baseline = (threads(), descriptors());
    let settings = [
        ("buffer.memory", "2097152"),
        ("batch.size", "65536"),
        ("max.request.size", "400000"),
        ("linger.ms", linger_ms),
        ("compression.type", codec),
        ("retry.backoff.ms", "5"),
        ("reconnect.backoff.ms", "5"),
    ];
    let producer = Producer::new(&config(&cluster, &settings)).unwrap();
    let topics = TOPICS.iter().map(|(name, _)| producer.topic(name).unwrap()).collect();
    for topic in &TOPICS {
        producer.partition_count(producer.topic(topic.0).unwrap(), Timeout::Of(PATIENCE)).unwrap();
    }
    let world = World { cluster: &cluster, producer: &producer, topics, moves: AtomicU64::new(0) };
    let mut books = Books::default();
    std::thread::scope(|scope| {
        let pollers = [scope.spawn(|| world.poll(1)), scope.spawn(|| world.poll(100))];
        let world = &world;
        let send = move |thread| if thread < THREADS - 2 { world.send(thread) } else { world.send_runs(thread) };
        let senders: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || send(thread))).collect();
        for sender in senders {
            let mut its = sender.join().unwrap();
            books.accepted.append(&mut its.accepted);
            books.waited.append(&mut its.waited);
        }
        producer.flush(Timeout::Of(PATIENCE)).unwrap();
        producer.close(Timeout::Of(PATIENCE)).unwrap();
        for delivery in pollers.into_iter().flat_map(|poller| poller.join().unwrap()) {
            let earlier = books.outcomes.insert(delivery.opaque, delivery.outcome);
            assert_eq!(earlier, None, "{:#x} came twice", delivery.opaque);
        }
    });
    assert_eq!(producer.pending(), 0);
    assert_eq!(producer.memory_used(), (0, 0));
    check(&cluster, &books);
    drop(producer);
    until_back_at("threads", threads, baseline.0);
    until_back_at("descriptors", descriptors, baseline.1);
}

/// Every accepted record against its delivery and the log.
fn check(cluster: &Cluster, books: &Books) {
    let mut in_log: BTreeMap<u64, usize> = BTreeMap::new();
    for (topic, _) in TOPICS {
        for record in cluster.records(topic) {
            let id = record.headers[0].1.as_deref().and_then(|id| id.try_into().ok()).map(u64::from_be_bytes);
            *in_log.entry(id.expect("the id is whole")).or_default() += 1;
        }
    }
    let fits = |id: u64, outcome: u8| {
        let count = in_log.get(&id).copied().unwrap_or(0);
        let fits = match outcome {
            _ if outcome == Outcome::Written as u8 => count == 1,
            _ if outcome == Outcome::NotWritten as u8 => count == 0,
            _ => count <= 1,
        };
        assert!(fits, "{id:#x}: outcome {outcome}, {count} times in the log");
    };
    for (id, quiet) in &books.accepted {
        match (books.outcomes.get(id), quiet) {
            (Some(outcome), false) => fits(*id, *outcome),
            (Some(outcome), true) => {
                assert_ne!(*outcome, Outcome::Written as u8, "{id:#x} is quiet");
                fits(*id, *outcome);
            }
            (None, true) => fits(*id, Outcome::Written as u8),
            (None, false) => panic!("{id:#x} was accepted and not delivered"),
        }
    }
    for (id, outcome) in &books.waited {
        fits(*id, *outcome);
    }
    let strangers: Vec<_> = books.outcomes.keys().filter(|id| !books.accepted.contains_key(id)).collect();
    assert!(strangers.is_empty(), "delivered and not accepted: {strangers:x?}");
    let known = |id: &&u64| books.accepted.contains_key(id) || books.waited.contains_key(id);
    assert_eq!(in_log.keys().filter(known).count(), in_log.len(), "in the log and not accepted");
}

#[test]
fn the_books_balance_without_linger() {
    let _alone = alone();
    run("0", "none");
}

#[test]
fn the_books_balance_with_a_linger_of_a_tenth_of_a_millisecond_and_compression() {
    let _alone = alone();
    run("0.1", "lz4");
}

#[test]
fn the_books_balance_with_a_linger_of_five_milliseconds() {
    let _alone = alone();
    run("5", "none");
}

/// How often the network threads of this process have gone to sleep.
fn sleeps() -> u64 {
    let mut sum = 0;
    for task in read_dir("/proc/self/task").unwrap().flatten() {
        let status = read_to_string(task.path().join("status")).unwrap_or_default();
        if status.starts_with("Name:\tkurier-io") {
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            sum += line.map_or(0, |count| count.trim().parse::<u64>().unwrap());
        }
    }
    sum
}

/// librdkafka issues 3692, 2565 and 1569: threads that spin while there is nothing to do.
#[test]
fn a_producer_with_nothing_to_do_sleeps() {
    let _alone = alone();
    let cluster = Cluster::start(3).unwrap();
    cluster.command("create wide 6").unwrap();
    let producer = Producer::new(&config(&cluster, &[("linger.ms", "1")])).unwrap();
    let topic = producer.topic("wide").unwrap();
    for number in 0..1_000 {
        let record = Record { topic, partition: Some(number % 6), quiet: true, value: Some(b"x"), ..Record::default() };
        producer.send(&record, Timeout::Of(PATIENCE)).unwrap();
    }
    producer.flush(Timeout::Of(PATIENCE)).unwrap();
    assert!(sleeps() > 0, "there are threads");
    let (mut before, mut quiet_seconds) = (sleeps(), 0);
    // One look at unused memory may come in between; a thread that wakes by itself never gives three seconds.
    for _ in 0..30 {
        std::thread::sleep(Duration::from_secs(1));
        let now = sleeps();
        quiet_seconds = if now == before { quiet_seconds + 1 } else { 0 };
        before = now;
        if quiet_seconds == 3 {
            return;
        }
    }
    panic!("the network threads went to sleep {before} times and never stayed there");
}
