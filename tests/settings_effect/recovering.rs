//! Settings that decide who is asked when the known brokers do not answer (KIP-899, KIP-1102).

use std::sync::{Arc, Mutex};

use kurier::code::Code;
use kurier::producer::Producer;
use kurier::protocol::messages::ApiKey;
use kurier::testcluster::Cluster;

use crate::world::{NEVER, cluster, command, config, eventually, send, send_wait, values};

/// Two clusters of one broker and a producer that was told of both, began at the first, and knows only that one.
struct Pair {
    first: Cluster,
    second: Cluster,
    producer: Producer,
    log: Arc<Mutex<Vec<String>>>,
}

fn pair(settings: &[(&str, &str)]) -> Pair {
    let (first, second) = (cluster(1, &["create t 1"]), cluster(1, &["create t 1"]));
    let hasty = [("reconnect.backoff.ms", "1"), ("reconnect.backoff.max.ms", "1"), ("retry.backoff.ms", "1")];
    let settings = [&hasty[..], settings].concat();
    let mut config = config(&format!("{},{}", first.address(), second.address()), &settings);
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let lines = Arc::clone(&log);
    config.log_callback = Some(Arc::new(move |_, line| lines.lock().expect("no panic").push(line.to_owned())));
    let producer = Producer::new(&config).expect("a producer");
    assert_eq!(send_wait(&producer, "t", 0).code, 0);
    assert_eq!((values(&first, "t").len(), second.requests(ApiKey::Metadata)), (1, 0), "it began at the first");
    Pair { first, second, producer, log }
}

/// The only known broker is gone, and its place in the other list is taken.
pub(crate) fn recovery_strategy() {
    let pairs = ["rebootstrap", "none"].map(|strategy| pair(&[("metadata.recovery.strategy", strategy)]));
    for pair in &pairs {
        command(&pair.first, "stop 1");
        send(&pair.producer, "t", 0, 1);
    }
    let [rebootstrap, none] = pairs;
    eventually("the other bootstrap address is asked", || values(&rebootstrap.second, "t") == ["1"]);
    eventually("the known broker is tried again and again", || {
        let log = none.log.lock().expect("no panic");
        log.iter().filter(|line| line.contains("failure 64 in a row")).count() == 2
    });
    assert_eq!((none.second.requests(ApiKey::ApiVersions), none.producer.pending()), (0, 1), "nobody else was asked");
    assert_eq!(none.producer.status().map_err(|error| error.code), Err(Code::UNREACHABLE));
    command(&none.first, "start 1");
    eventually("and believed when it is back", || values(&none.first, "t").len() == 2);
}

/// The only known broker can be connected to and does not answer.
pub(crate) fn recovery_trigger() {
    let settings = |ms| [("metadata.recovery.rebootstrap.trigger.ms", ms), ("request.timeout.ms", "3600000")];
    let patient = [("delivery.timeout.ms", "2000000000")];
    let pairs = ["50", NEVER].map(|ms| pair(&[&settings(ms)[..], &patient].concat()));
    for pair in &pairs {
        command(&pair.first, "mute metadata");
        // A topic that is not known yet: its metadata is needed.
        let _ = pair.producer.topic("u").expect("a name");
    }
    let [hasty, waiting] = pairs;
    eventually("the other bootstrap address is asked", || hasty.second.requests(ApiKey::Metadata) > 0);
    eventually("the silent one was asked", || waiting.first.requests(ApiKey::Metadata) == 2);
    assert_eq!(waiting.second.requests(ApiKey::ApiVersions), 0, "the other one still waits");
    eventually("there is an answer", || send_wait(&hasty.producer, "u", 0).code == 0);
}
