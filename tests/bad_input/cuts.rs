//! A server that closes in the middle of an answer, at every byte of it.

use kurier::producer::Timeout;
use kurier::protocol::messages::ApiKey;

use crate::ledger::{all_written, audit, settle};
use crate::tap::{Cut, Tap};
use crate::world::{PATIENCE, cluster, ms, producer_at, send, send_wait};

const HASTE: [(&str, &str); 5] = [
    ("retry.backoff.ms", "1"),
    ("retry.backoff.max.ms", "5"),
    ("reconnect.backoff.ms", "1"),
    ("reconnect.backoff.max.ms", "5"),
    ("linger.ms", "0"),
];

/// The length of such an answer in a whole conversation.
fn length_of(api: ApiKey) -> usize {
    let cluster = cluster(1, &["create t 1"]);
    let tap = Tap::before(&cluster);
    assert_eq!(send_wait(&producer_at(&tap.address, &HASTE), "t", 0).code, 0);
    tap.longest(api)
}

/// For each byte a producer of its own, because each asks these things only at its beginning.
fn every_byte_of_the_first(api: ApiKey) {
    let length = length_of(api);
    assert!(length > 12, "{length} bytes");
    let cluster = cluster(1, &["create t 1"]);
    let tap = Tap::before(&cluster);
    let mut found = Vec::new();
    for after in 0..length {
        tap.cut(Cut { api, after });
        let producer = producer_at(&tap.address, &HASTE);
        send(&producer, "t", 0, after as u64);
        found.extend(settle(&producer, &[after as u64]));
        assert_eq!(tap.cuts(), after + 1, "the answer was cut after {after} bytes");
        assert_eq!(producer.close(ms(90_000)), Ok(()));
    }
    all_written(&found);
    audit(&cluster, "t", &found);
}

#[test]
fn every_byte_of_api_versions() {
    every_byte_of_the_first(ApiKey::ApiVersions);
}

#[test]
fn every_byte_of_metadata() {
    every_byte_of_the_first(ApiKey::Metadata);
}

#[test]
fn every_byte_of_init_producer_id() {
    every_byte_of_the_first(ApiKey::InitProducerId);
}

/// librdkafka #4953 and franz-go #223 are about what was persisted but not answered: with idempotence each record is
/// there once, though every answer is lost once.
#[test]
fn every_byte_of_produce() {
    let length = length_of(ApiKey::Produce);
    let cluster = cluster(1, &["create t 1"]);
    let tap = Tap::before(&cluster);
    let producer = producer_at(&tap.address, &HASTE);
    let mut accepted = Vec::new();
    for after in 0..length {
        tap.cut(Cut { api: ApiKey::Produce, after });
        for half in 0..2 {
            let number = after as u64 * 2 + half;
            send(&producer, "t", 0, number);
            accepted.push(number);
        }
        assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
        assert_eq!(tap.cuts(), after + 1, "the answer was cut after {after} bytes");
    }
    let found = settle(&producer, &accepted);
    all_written(&found);
    assert!(found.iter().filter(|delivery| delivery.attempts > 1).count() >= length, "each cut cost an attempt");
    audit(&cluster, "t", &found);
}
