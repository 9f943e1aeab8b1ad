//! Who was promised what, and what is in the log: every record has one delivery, and its place is the one it was told.

use std::collections::{BTreeMap, BTreeSet};

use kurier::code::{Code, Outcome};
use kurier::producer::{Delivery, Producer};
use kurier::testcluster::Cluster;

use crate::world::deliveries;

/// The number of a record: who sent it and its place there. It is its value and its opaque.
pub(crate) fn number(thread: u64, place: u64) -> u64 {
    thread << 32 | place
}

/// Reads the deliveries of all accepted records, and nothing else.
pub(crate) fn settle(producer: &Producer, accepted: &[u64]) -> Vec<Delivery> {
    let found = deliveries(producer, accepted.len());
    let mut opaques: Vec<u64> = found.iter().map(|delivery| delivery.opaque).collect();
    let mut expected = accepted.to_vec();
    opaques.sort_unstable();
    expected.sort_unstable();
    assert_eq!(opaques, expected, "one delivery for each record");
    assert_eq!(producer.pending(), 0);
    found
}

/// Compares fates with the log: WRITTEN is there once, at the offset that was told, and in the order of its thread;
/// NOT_WRITTEN is not there; UNKNOWN is there at most once.
pub(crate) fn audit(cluster: &Cluster, topic: &str, found: &[Delivery]) {
    let mut places: BTreeMap<u64, (i32, i64, i64)> = BTreeMap::new();
    let mut last: BTreeMap<(i32, u64), u64> = BTreeMap::new();
    let fates: BTreeMap<u64, &Delivery> = found.iter().map(|delivery| (delivery.opaque, delivery)).collect();
    for record in cluster.records(topic) {
        let text = String::from_utf8(record.value.expect("a value")).expect("text");
        let number: u64 = text.parse().expect("a number");
        let place = (record.partition, record.offset, record.timestamp_ms);
        let before = places.insert(number, place);
        assert_eq!(before, None, "{number:#x} is twice in the log: {before:?} and {place:?}");
        // Only who was told that nobody knows may come late.
        if fates.get(&number).is_some_and(|delivery| delivery.outcome == Outcome::Written as u8) {
            let thread = (record.partition, number >> 32);
            let earlier = last.insert(thread, number);
            assert!(earlier.is_none_or(|earlier| earlier < number), "{number:#x} is behind {earlier:?}: {place:?}");
        }
    }
    for delivery in found {
        let place = places.remove(&delivery.opaque);
        let row = format!("{:#x}: {delivery:?} and {place:?}", delivery.opaque);
        match delivery.outcome {
            1 => {
                assert_eq!(delivery.code, Code::OK.0, "{row}");
                let (partition, offset, timestamp_ms) = place.unwrap_or_else(|| panic!("it is lost: {row}"));
                assert_eq!(delivery.partition, partition, "{row}");
                assert!(delivery.offset == -1 || delivery.offset == offset, "{row}");
                assert_eq!(delivery.timestamp_ms, timestamp_ms, "{row}");
            }
            2 => {
                assert_ne!(delivery.code, Code::OK.0, "{row}");
                assert_eq!(place, None, "it is there: {row}");
            }
            _ => assert_eq!(delivery.outcome, Outcome::Unknown as u8, "{row}"),
        }
    }
    assert!(places.is_empty(), "records that nobody sent: {places:?}");
}

/// All were written, none with a doubt.
pub(crate) fn all_written(found: &[Delivery]) {
    let doubtful: BTreeSet<_> =
        found.iter().filter(|delivery| delivery.code != 0).map(|d| (d.code, d.outcome)).collect();
    assert!(doubtful.is_empty(), "{doubtful:?}");
}
