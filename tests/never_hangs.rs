//! Ways in which a producer once hung, lost or waited for nothing, against the embedded cluster.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops where it finds something impossible, and has threads and a clock"
)]

use kurier::code::Code;
use kurier::producer::{Config, Delivery, Producer, Record, Timeout};
use kurier::testcluster::Cluster;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Ends a test that hangs; nothing that is tested here takes that long.
const PATIENCE: Duration = Duration::from_secs(30);

fn config(cluster: &Cluster, settings: &[(&str, &str)]) -> Config {
    let mut config = Config::new();
    config.set("bootstrap.servers", &cluster.address()).unwrap();
    for (name, value) in settings {
        config.set(name, value).unwrap();
    }
    config
}

/// Bytes of which a codec saves about half.
fn half_random(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        b"0123456789abcdef"[(state >> 60) as usize]
    };
    (0..length).map(|_| next()).collect()
}

/// Compressed copies of batches whose deliveries nobody reads held the reserve that the next ones are compressed in.
#[test]
fn flush_ends_though_nobody_polls_and_batches_are_compressed() {
    let cluster = Cluster::start(1).unwrap();
    cluster.command("create t 1").unwrap();
    let sizes = [("buffer.memory", "1048576"), ("batch.size", "16384"), ("max.request.size", "32768")];
    let mut config = config(&cluster, &sizes);
    config.set("compression.type", "gzip").unwrap();
    let producer = Producer::new(&config).unwrap();
    let topic = producer.topic("t").unwrap();
    let mut sent = 0;
    for seed in 0..400 {
        let value = half_random(1_000, seed);
        producer.send(&Record { topic, value: Some(&value), ..Record::default() }, Timeout::Of(PATIENCE)).unwrap();
        sent += 1;
    }
    producer.flush(Timeout::Of(PATIENCE)).unwrap();
    assert_eq!(cluster.records("t").len(), sent);
}

/// Topic "t", whose partitions 0 and 1 are led by brokers 1 and 2, and a producer that compresses with little memory.
fn two_leaders((name, value): (&str, &str)) -> (Cluster, Producer) {
    let cluster = Cluster::start(2).unwrap();
    for command in ["create t 2", "leader t 0 1", "leader t 1 2"] {
        cluster.command(command).unwrap();
    }
    let sizes = [("buffer.memory", "524288"), ("batch.size", "65536"), ("max.request.size", "65536")];
    let mut config = config(&cluster, &sizes);
    config.set("compression.type", "gzip").unwrap();
    config.set(name, value).unwrap();
    let producer = Producer::new(&config).unwrap();
    (cluster, producer)
}

fn fill(producer: &Producer, partition: i32, count: u64, timeout: Timeout) {
    let topic = producer.topic("t").unwrap();
    for seed in 0..count {
        let value = half_random(1_000, seed);
        let record =
            Record { topic, partition: Some(partition), value: Some(&value), quiet: true, ..Record::default() };
        producer.send(&record, timeout).unwrap();
    }
}

/// One connection's compressed batches use up the reserve; when they are answered, nobody told the other connection.
#[test]
fn who_found_the_reserve_used_up_by_another_connection_goes_on_when_it_is_free() {
    // Well below the ten seconds after which a look at unused memory happens to wake the other connection, too.
    let soon = Timeout::Of(Duration::from_secs(8));
    let (cluster, producer) = two_leaders(("linger.ms", "50"));
    let fill = |partition, count| fill(&producer, partition, count, soon);
    // Both connections stand and know the producer id, and batches have their full size.
    fill(0, 300);
    fill(1, 300);
    producer.flush(soon).unwrap();
    let before = cluster.produce_batches();
    cluster.command("delay produce 500ms").unwrap();
    fill(0, 180);
    while cluster.produce_batches() < before + 2 {
        std::thread::yield_now();
    }
    fill(1, 55);
    producer.flush(soon).unwrap();
    assert_eq!(cluster.records("t").len(), 600 + 180 + 55);
}

/// The compressed copy of a batch that waits for a broker that is gone held the reserve until delivery.timeout.ms.
#[test]
fn a_broker_that_is_gone_does_not_take_the_reserve_from_the_others() {
    let (cluster, producer) = two_leaders(("delivery.timeout.ms", "3600000"));
    let fill = |partition, count| fill(&producer, partition, count, Timeout::Of(PATIENCE));
    fill(0, 300);
    fill(1, 300);
    producer.flush(Timeout::Of(PATIENCE)).unwrap();
    let before = cluster.produce_batches();
    cluster.command("delay produce 3600s").unwrap();
    fill(1, 100);
    while cluster.produce_batches() == before {
        std::thread::yield_now();
    }
    // Its answer never comes, and nobody takes the partition over. The delay ends first: what the other broker is sent
    // while it leads both partitions is answered.
    for command in ["delay 0", "stop 2", "leader t 1 2"] {
        cluster.command(command).unwrap();
    }
    fill(0, 180);
    let start = std::time::Instant::now();
    while cluster.next_offsets("t")[0] < 480 {
        assert!(start.elapsed() < PATIENCE, "{:?}: the dead broker's copies are in the way", cluster.next_offsets("t"));
        std::thread::park_timeout(Duration::from_millis(1));
    }
    cluster.command("start 2").unwrap();
    producer.flush(Timeout::Of(PATIENCE)).unwrap();
    assert_eq!(cluster.next_offsets("t"), [480, 400]);
}

/// The second answer was the same as the first, so nobody was told.
#[test]
fn every_send_to_a_topic_that_is_not_allowed_hears_so() {
    let cluster = Cluster::start(1).unwrap();
    cluster.command("create t 1").unwrap();
    cluster.command("fail metadata TOPIC_AUTHORIZATION_FAILED 1000000 topic t").unwrap();
    let producer = Producer::new(&config(&cluster, &[])).unwrap();
    let topic = producer.topic("t").unwrap();
    for _ in 0..3 {
        let record = Record { topic, value: Some(b"x"), ..Record::default() };
        assert_eq!(producer.send(&record, Timeout::Of(PATIENCE)), Err(Code::NOT_AUTHORIZED));
    }
}

/// Without a producer id there is no metadata either, and the sender waited for it to the end of its time.
#[test]
fn a_fatal_error_ends_the_wait_for_metadata() {
    let cluster = Cluster::start(1).unwrap();
    cluster.command("create t 1").unwrap();
    cluster.command("fail init_producer_id CLUSTER_AUTHORIZATION_FAILED 1").unwrap();
    cluster.command("mute metadata").unwrap();
    let producer = Arc::new(Producer::new(&config(&cluster, &[])).unwrap());
    let (done, answer) = mpsc::channel();
    let sender = Arc::clone(&producer);
    std::thread::spawn(move || {
        let topic = sender.topic("t").unwrap();
        let record = Record { topic, value: Some(b"x"), ..Record::default() };
        let _ = done.send(sender.send(&record, Timeout::Of(Duration::from_secs(3_600))));
    });
    assert_eq!(answer.recv_timeout(PATIENCE), Ok(Err(Code::FATAL)));
}

#[test]
fn flush_and_close_end_after_a_panic_in_the_delivery_callback() {
    let cluster = Cluster::start(1).unwrap();
    cluster.command("create t 1").unwrap();
    let mut config = config(&cluster, &[]);
    config.delivery_callback = Some(Arc::new(|_| panic!("the application's own")));
    let producer = Producer::new(&config).unwrap();
    let topic = producer.topic("t").unwrap();
    for _ in 0..100 {
        let record = Record { topic, value: Some(b"x"), ..Record::default() };
        if producer.send(&record, Timeout::Of(PATIENCE)).is_err() {
            break;
        }
    }
    producer.flush(Timeout::Of(PATIENCE)).unwrap();
    assert_eq!(producer.pending(), 0);
    producer.close(Timeout::Of(PATIENCE)).unwrap();
}

/// A log line stands before the fates that it is about.
#[test]
fn a_panic_in_the_log_callback_costs_no_record_its_fate() {
    let cluster = Cluster::start(1).unwrap();
    cluster.command("create t 1").unwrap();
    let mut config = config(&cluster, &[]);
    config.log_callback = Some(Arc::new(|_, _| panic!("the application's own")));
    let producer = Producer::new(&config).unwrap();
    let topic = producer.topic("t").unwrap();
    let record = Record { topic, value: Some(b"x"), ..Record::default() };
    producer.send(&record, Timeout::Of(PATIENCE)).unwrap();
    producer.flush(Timeout::Of(PATIENCE)).unwrap();
    cluster.command("fail produce INVALID_PRODUCER_EPOCH 1").unwrap();
    cluster.command("cut 1").unwrap();
    producer.send(&record, Timeout::Of(PATIENCE)).unwrap();
    producer.flush(Timeout::Of(PATIENCE)).unwrap();
    let mut deliveries = [Delivery::default(); 3];
    assert_eq!(producer.poll(&mut deliveries, Timeout::Of(Duration::ZERO)), Ok(2));
    assert_eq!(producer.pending(), 0);
}
