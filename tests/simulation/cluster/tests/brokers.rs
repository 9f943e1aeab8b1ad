//! Brokers that die, stop, are cut off, and answer with errors.

use kurier::protocol::broker_code as code;

use super::client::{MS, Peer, SECOND, spec};
use crate::cluster::broker::Point;
use crate::cluster::{Fault, Profile};

#[test]
fn a_zombie_appends_times_out_and_what_it_appended_vanishes() {
    let mut peer = Peer::new(Profile { min_isr: 2, ..Profile::plain(3, 3, 1) });
    let zombie = peer.leader();
    let before = peer.connect(zombie);
    assert_eq!(peer.store(before, spec(0, 1)), (0, 0));
    peer.cluster.inject(&Fault::Cut { node: zombie, span: 20 * SECOND }, peer.now);
    peer.pass(3 * SECOND);
    let new = peer.leader();
    assert_ne!(new, zombie);
    assert_eq!((peer.leader_by(zombie), peer.leader_by(new)), (zombie, new));
    assert_eq!(peer.store(before, spec(1, 1)), (code::REQUEST_TIMED_OUT, 1));
    let after = peer.connect(new);
    assert_eq!(peer.store(after, spec(1, 2)), (0, 1));
    peer.pass(30 * SECOND);
    assert_eq!(peer.leader_by(zombie), new);
    assert_eq!(peer.store(before, spec(1, 1)).0, code::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(peer.log(), [0, 1]);
    assert_eq!(peer.records().len(), 3);
    assert!(!peer.cluster.lost("t", 0));
}

#[test]
fn a_leader_deposed_while_a_request_waits_answers_6_and_names_the_new_one() {
    let mut peer = Peer::new(Profile { min_isr: 2, ..Profile::plain(3, 3, 1) });
    let old = peer.leader();
    for node in 1..=3 {
        peer.cluster.inject(&Fault::SlowReplica { node, span: SECOND, slowness: 700 * MS }, peer.now);
    }
    let connection = peer.connect(old);
    peer.timeout_ms = 10_000;
    peer.send(connection, &[(0, spec(0, 1))]);
    peer.pass(100 * MS);
    peer.cluster.inject(&Fault::Elect { topic: "t".to_owned(), partition: 0 }, peer.now);
    let answer = peer.answer_within(connection, SECOND).unwrap();
    let first = &answer.topics[0].partitions[0];
    assert_eq!(first.error_code, code::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(first.current_leader.0, peer.leader());
    assert_eq!(answer.node_endpoints[0].node_id, peer.leader());
    assert_eq!(peer.cluster.counts()["batches appended"], 1);
}

#[test]
fn too_few_in_sync_is_19_before_and_the_log_stays_as_it_was() {
    let mut peer = Peer::new(Profile { min_isr: 2, ..Profile::plain(2, 2, 1) });
    let leader = peer.leader();
    let node = peer.other();
    peer.cluster.inject(&Fault::Crash { node, silent: false, down: 60 * SECOND }, peer.now);
    let connection = peer.connect(leader);
    // In sync until the controller misses it: appended, and waited for in vain.
    assert_eq!(peer.store(connection, spec(0, 1)).0, code::REQUEST_TIMED_OUT);
    peer.pass(5 * SECOND);
    assert_eq!(peer.store(connection, spec(1, 1)).0, code::NOT_ENOUGH_REPLICAS);
    assert_eq!(peer.cluster.counts()["batches appended"], 1);
    peer.pass(60 * SECOND);
    assert_eq!(peer.store(connection, spec(0, 1)), (0, 0));
    assert_eq!(peer.store(connection, spec(1, 1)), (0, 1));
}

#[test]
fn before_3_7_the_watermark_rises_with_too_few_in_sync_and_the_answer_is_20() {
    let release = &crate::cluster::versions::RELEASES[7];
    let mut peer = Peer::new(Profile { min_isr: 2, release, ..Profile::plain(2, 2, 1) });
    let leader = peer.leader();
    let node = peer.other();
    peer.cluster.inject(&Fault::Crash { node, silent: false, down: 60 * SECOND }, peer.now);
    let connection = peer.connect(leader);
    peer.timeout_ms = 10_000;
    assert_eq!(peer.store(connection, spec(0, 1)).0, code::NOT_ENOUGH_REPLICAS_AFTER_APPEND);
}

#[test]
fn a_crash_at_each_point() {
    let points = [(Point::BeforeAppend, 0), (Point::AfterAppend, 1), (Point::BeforeAnswer, 1)];
    for (point, appended) in points {
        let mut peer = Peer::new(Profile { min_isr: 2, ..Profile::plain(3, 3, 1) });
        let node = peer.leader();
        let connection = peer.connect(node);
        peer.cluster.inject(&Fault::CrashAt { node, point, silent: false, down: 10 * SECOND }, peer.now);
        peer.send(connection, &[(0, spec(0, 1))]);
        assert_eq!(peer.answer_within(connection, SECOND), None);
        assert_eq!(peer.closed, [connection]);
        assert!(!peer.cluster.accept(node, 99, peer.now));
        let count = peer.cluster.counts().get("batches appended").copied().unwrap_or(0);
        assert_eq!(count, appended, "{point:?}");
        peer.pass(5 * SECOND);
        // Only what had been replicated is there, and a repeat of it is recognized.
        assert_eq!(peer.log().len(), usize::from(point == Point::BeforeAnswer), "{point:?}");
        let leader = peer.leader();
        let connection = peer.connect(leader);
        assert_eq!(peer.store(connection, spec(0, 1)), (0, 0));
        peer.pass(20 * SECOND);
        assert_eq!(peer.log(), [0]);
        assert!(!peer.cluster.lost("t", 0));
    }
}

#[test]
fn a_machine_without_power_says_nothing_until_it_is_back() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let connection = peer.connect(1);
    peer.cluster.inject(&Fault::Crash { node: 1, silent: true, down: 5 * SECOND }, peer.now);
    peer.send(connection, &[(0, spec(0, 1))]);
    assert_eq!(peer.answer_within(connection, SECOND), None);
    assert!(peer.closed.is_empty());
    peer.pass(10 * SECOND);
    peer.send(connection, &[(0, spec(0, 1))]);
    assert_eq!(peer.closed, [connection]);
}

#[test]
fn a_paused_broker_works_off_everything_when_it_goes_on() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let connection = peer.connect(1);
    peer.cluster.inject(&Fault::Pause { node: 1, span: 30 * SECOND }, peer.now);
    peer.send(connection, &[(0, spec(0, 1))]);
    assert_eq!(peer.answer_within(connection, 29 * SECOND), None);
    // The client gave up, and the request may be worked off all the same.
    assert_eq!(peer.answer(connection).error_code, 0);
}

#[test]
fn what_a_client_sent_before_it_went_is_sometimes_worked_off() {
    let mut stored = [0, 0];
    for seed in 0..40 {
        let mut peer = Peer::with_seed(Profile::plain(1, 1, 1), seed);
        let connection = peer.connect(1);
        peer.send(connection, &[(0, spec(0, 1))]);
        peer.cluster.close(connection, peer.now);
        peer.pass(10 * SECOND);
        stored[peer.log().len()] += 1;
    }
    assert!(stored.iter().all(|count| *count > 5), "{stored:?}");
}

#[test]
fn refused_instead_and_after() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let connection = peer.connect(1);
    let refuse = |code, after| Fault::Refuse { topic: "t".to_owned(), partition: 0, code, after, times: 1 };
    peer.cluster.inject(&refuse(code::KAFKA_STORAGE_ERROR, false), peer.now);
    assert_eq!(peer.store(connection, spec(0, 1)).0, code::KAFKA_STORAGE_ERROR);
    assert!(peer.log().is_empty());
    peer.cluster.inject(&refuse(code::NOT_LEADER_OR_FOLLOWER, true), peer.now);
    assert_eq!(peer.store(connection, spec(0, 1)).0, code::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(peer.log(), [0]);
    // Only a repeat can be a duplicate; only a batch that is not there be of an unknown producer.
    peer.cluster.inject(&refuse(code::DUPLICATE_SEQUENCE_NUMBER, false), peer.now);
    assert_eq!(peer.store(connection, spec(1, 1)), (0, 1));
    assert_eq!(peer.store(connection, spec(1, 1)).0, code::DUPLICATE_SEQUENCE_NUMBER);
    peer.cluster.inject(&refuse(code::UNKNOWN_PRODUCER_ID, false), peer.now);
    assert_eq!(peer.store(connection, spec(1, 1)), (0, 1));
    assert_eq!(peer.store(connection, spec(2, 1)).0, code::UNKNOWN_PRODUCER_ID);
}

#[test]
fn a_batch_too_large_as_it_arrives_is_refused() {
    let mut peer = Peer::new(Profile { message_bytes_max: 200, ..Profile::plain(1, 1, 1) });
    let connection = peer.connect(1);
    assert_eq!(peer.store(connection, spec(0, 20)).0, code::MESSAGE_TOO_LARGE);
    assert_eq!(peer.store(connection, spec(0, 4)), (0, 0));
    assert_eq!(peer.store(connection, spec(4, 4)), (0, 4));
    assert_eq!(peer.cluster.violations(), &[] as &[String], "children of a split stand in their parent's place");
}

#[test]
fn a_failed_log_directory_moves_the_leader() {
    let mut peer = Peer::new(Profile { min_isr: 2, ..Profile::plain(3, 3, 1) });
    let old = peer.leader();
    let connection = peer.connect(old);
    assert_eq!(peer.store(connection, spec(0, 1)), (0, 0));
    let fault = Fault::Storage { topic: "t".to_owned(), partition: 0, span: 5 * SECOND };
    peer.cluster.inject(&fault, peer.now);
    assert_eq!(peer.store(connection, spec(1, 1)).0, code::KAFKA_STORAGE_ERROR);
    peer.pass(SECOND);
    assert_ne!(peer.leader(), old);
    let leader = peer.leader();
    let connection = peer.connect(leader);
    peer.timeout_ms = 20_000;
    assert_eq!(peer.store(connection, spec(1, 1)), (0, 1));
}
