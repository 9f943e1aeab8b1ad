//! What a replica remembers of producers, as Apache Kafka does it.

use kurier::protocol::broker_code as code;

use super::client::{MS, Peer, SECOND, Spec, spec};
use crate::cluster::producers::sequence_after;
use crate::cluster::versions::RELEASES;
use crate::cluster::{Fault, Profile};

#[test]
fn a_repeat_of_the_last_five_gets_its_old_offset_and_an_older_one_45() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let connection = peer.connect(1);
    for at in 0..6 {
        assert_eq!(peer.store(connection, spec(at * 10, 10)), (0, i64::from(at) * 10));
    }
    for at in 1..6 {
        assert_eq!(peer.store(connection, spec(at * 10, 10)), (0, i64::from(at) * 10));
    }
    assert_eq!(peer.store(connection, spec(0, 10)).0, code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    // The same first sequence cut differently is no repeat.
    assert_eq!(peer.store(connection, spec(50, 9)).0, code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(peer.log(), [0, 10, 20, 30, 40, 50]);
}

#[test]
fn a_gap_gets_45_an_old_epoch_47_and_a_new_epoch_begins_at_0() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let connection = peer.connect(1);
    assert_eq!(peer.store(connection, spec(0, 5)), (0, 0));
    assert_eq!(peer.store(connection, spec(6, 5)).0, code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(peer.store(connection, Spec { epoch: 1, ..spec(5, 5) }).0, code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(peer.store(connection, Spec { epoch: 1, ..spec(0, 5) }), (0, 5));
    assert_eq!(peer.store(connection, spec(5, 5)).0, code::INVALID_PRODUCER_EPOCH);
}

#[test]
fn an_unknown_producer_is_taken_at_any_sequence_and_before_2_5_only_at_0() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let connection = peer.connect(1);
    assert_eq!(peer.store(connection, spec(7, 1)), (0, 0));
    let mut peer = Peer::new(Profile { release: &RELEASES[2], ..Profile::plain(1, 1, 1) });
    let connection = peer.connect(1);
    assert_eq!(peer.store(connection, spec(7, 1)).0, code::UNKNOWN_PRODUCER_ID);
    assert_eq!(peer.store(connection, spec(0, 1)), (0, 0));
}

#[test]
fn sequences_wrap() {
    assert_eq!((sequence_after(i32::MAX, 1), sequence_after(i32::MAX - 1, 3), sequence_after(5, 2)), (0, 1, 7));
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let connection = peer.connect(1);
    assert_eq!(peer.store(connection, spec(i32::MAX - 1, 3)), (0, 0));
    assert_eq!(peer.store(connection, spec(1, 3)), (0, 3));
    assert_eq!(peer.store(connection, spec(i32::MAX - 1, 3)), (0, 0));
}

/// Seen on Kafka 4.2.0: four pipelined batches, a clean restart; the first three get 45, the last its old offset.
#[test]
fn after_a_restart_only_the_last_batch_is_remembered() {
    for clean in [true, false] {
        let mut peer = Peer::new(Profile::plain(1, 1, 1));
        let connection = peer.connect(1);
        for at in 0..4 {
            assert_eq!(peer.store(connection, spec(at * 10, 10)).0, 0);
        }
        let down = 500 * MS;
        let fault = if clean { Fault::Stop { node: 1, down } } else { Fault::Crash { node: 1, silent: false, down } };
        peer.cluster.inject(&fault, peer.now);
        peer.pass(2 * SECOND);
        assert_eq!(peer.closed, [connection]);
        let connection = peer.connect(1);
        for at in 0..3 {
            assert_eq!(peer.store(connection, spec(at * 10, 10)).0, code::OUT_OF_ORDER_SEQUENCE_NUMBER);
        }
        assert_eq!(peer.store(connection, spec(30, 10)), (0, 30));
        assert_eq!(peer.store(connection, spec(40, 10)), (0, 40));
        assert_eq!(peer.log(), [0, 10, 20, 30, 40]);
    }
}

#[test]
fn a_follower_that_becomes_leader_knows_the_repeats() {
    let mut peer = Peer::new(Profile::plain(3, 3, 1));
    let old = peer.leader();
    let connection = peer.connect(old);
    for at in 0..6 {
        assert_eq!(peer.store(connection, spec(at, 1)).0, 0);
    }
    peer.cluster.inject(&Fault::Elect { topic: "t".to_owned(), partition: 0 }, peer.now);
    peer.pass(SECOND);
    let new = peer.leader();
    assert_ne!(old, new);
    let connection = peer.connect(new);
    for at in 1..6 {
        assert_eq!(peer.store(connection, spec(at, 1)), (0, i64::from(at)));
    }
    assert_eq!(peer.store(connection, spec(0, 1)).0, code::OUT_OF_ORDER_SEQUENCE_NUMBER);
}

#[test]
fn a_forgetful_follower_knows_only_the_last() {
    let mut peer = Peer::new(Profile { forgetful_followers: true, ..Profile::plain(3, 3, 1) });
    let leader = peer.leader();
    let connection = peer.connect(leader);
    for first in 0..3 {
        assert_eq!(peer.store(connection, spec(first, 1)).0, 0);
    }
    peer.cluster.inject(&Fault::Elect { topic: "t".to_owned(), partition: 0 }, peer.now);
    peer.pass(SECOND);
    let leader = peer.leader();
    let connection = peer.connect(leader);
    assert_eq!(peer.store(connection, spec(1, 1)).0, code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(peer.store(connection, spec(2, 1)), (0, 2));
}

#[test]
fn a_repeat_waits_for_the_replicas_too() {
    let mut peer = Peer::new(Profile { min_isr: 2, ..Profile::plain(3, 3, 1) });
    peer.timeout_ms = 300;
    for node in 1..=3 {
        let fault = Fault::SlowReplica { node, span: SECOND, slowness: 900 * MS };
        peer.cluster.inject(&fault, peer.now);
    }
    let leader = peer.leader();
    let connection = peer.connect(leader);
    assert_eq!(peer.store(connection, spec(0, 1)).0, code::REQUEST_TIMED_OUT);
    peer.timeout_ms = 100;
    assert_eq!(peer.store(connection, spec(0, 1)).0, code::REQUEST_TIMED_OUT, "recognized, and not committed yet");
    peer.timeout_ms = 5_000;
    assert_eq!(peer.store(connection, spec(0, 1)), (0, 0));
    assert_eq!(peer.log(), [0]);
    assert_eq!(peer.cluster.counts()["repeats recognized"], 2);
}

/// Kafka answers a repeat with the batch's largest timestamp in the place of the append time, whatever the topic's
/// type: `appendInfo.setLogAppendTime(duplicate.timestamp)` in 2.1 as in 4.2.
#[test]
fn a_repeat_comes_with_the_largest_timestamp_as_append_time() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let connection = peer.connect(1);
    peer.send(connection, &[(0, spec(0, 5))]);
    assert_eq!(peer.answer(connection).log_append_time_ms, -1);
    peer.send(connection, &[(0, spec(0, 5))]);
    assert_eq!(peer.answer(connection).log_append_time_ms, 1_004);
}

#[test]
fn log_append_time_is_the_brokers_for_every_record() {
    let mut profile = Profile::plain(1, 1, 1);
    profile.topics[0].append_time = true;
    let mut peer = Peer::new(profile);
    let connection = peer.connect(1);
    peer.send(connection, &[(0, spec(0, 3))]);
    let append_ms = peer.answer(connection).log_append_time_ms;
    assert!(append_ms >= 1_700_000_000_000);
    let log = peer.records();
    assert_eq!(log.len(), 3);
    assert!(log.iter().all(|record| (record.timestamp_ms, record.timestamp_type) == (append_ms, 1)));
}

#[test]
fn who_wrote_nothing_for_long_can_be_forgotten_and_nobody_else() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let connection = peer.connect(1);
    let forget = Fault::Forget { topic: "t".to_owned(), partition: 0 };
    assert_eq!(peer.store(connection, spec(0, 1)).0, 0);
    peer.cluster.inject(&forget, peer.now);
    assert_eq!(peer.store(connection, spec(5, 1)).0, code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    peer.pass(3_601 * SECOND);
    peer.cluster.inject(&forget, peer.now);
    assert_eq!(peer.store(connection, spec(5, 1)), (0, 1));
}

#[test]
fn retention_makes_old_brokers_forget_and_takes_nothing_from_the_truth() {
    let mut peer = Peer::new(Profile { release: &RELEASES[0], ..Profile::plain(1, 1, 1) });
    let connection = peer.connect(1);
    assert_eq!(peer.store(connection, spec(0, 1)).0, 0);
    peer.pass(3_601 * SECOND);
    peer.cluster.inject(&Fault::Retention { topic: "t".to_owned(), partition: 0 }, peer.now);
    peer.send(connection, &[(0, spec(1, 1))]);
    let answer = peer.answer(connection);
    assert_eq!((answer.error_code, answer.log_start_offset), (code::UNKNOWN_PRODUCER_ID, 1));
    assert_eq!(peer.log(), [0]);
    assert!(!peer.cluster.lost("t", 0));
}
