//! Topics that come and go, leaders that move, metadata that is old.

use kurier::protocol::broker_code as code;

use super::client::{MS, Peer, SECOND, spec};
use crate::cluster::{Fault, Profile};

#[test]
fn a_recreated_topic_has_another_id_and_its_first_life_is_lost() {
    let mut peer = Peer::new(Profile::plain(3, 3, 1));
    let leader = peer.leader();
    let connection = peer.connect(leader);
    assert_eq!(peer.store(connection, spec(0, 1)), (0, 0));
    let id = peer.cluster.controller.image.topics["t"].id;
    peer.cluster.inject(&Fault::Recreate { topic: "t".to_owned(), absent: 2 * SECOND }, peer.now);
    peer.pass(SECOND);
    assert_eq!(peer.metadata(leader).topics[0].error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(peer.store(connection, spec(1, 1)).0, code::UNKNOWN_TOPIC_OR_PARTITION);
    peer.pass(2 * SECOND);
    assert_ne!(peer.cluster.controller.image.topics["t"].id, id);
    assert!(peer.cluster.lost("t", 0));
    let leader = peer.leader();
    let connection = peer.connect(leader);
    assert_eq!(peer.store(connection, spec(1, 1)), (0, 0), "nobody is known there: any sequence will do");
    let log = peer.records();
    assert_eq!(log.iter().map(|record| (record.incarnation, record.offset)).collect::<Vec<_>>(), [(1, 0), (2, 0)]);
}

#[test]
fn from_version_13_the_id_of_a_topic_that_was_deleted_gets_100() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    peer.version = 13;
    peer.topic_id = peer.cluster.controller.image.topics["t"].id;
    let connection = peer.connect(1);
    assert_eq!(peer.store(connection, spec(0, 1)), (0, 0));
    peer.cluster.inject(&Fault::Recreate { topic: "t".to_owned(), absent: SECOND }, peer.now);
    for _ in 0..2 {
        peer.pass(2 * SECOND);
        assert_eq!(peer.store(connection, spec(1, 1)).0, code::UNKNOWN_TOPIC_ID);
    }
    peer.topic_id = peer.cluster.controller.image.topics["t"].id;
    assert_eq!(peer.store(connection, spec(1, 1)), (0, 0));
    assert_eq!(peer.cluster.violations(), &[] as &[String]);
}

#[test]
fn metadata_has_the_addresses() {
    let mut peer = Peer::new(Profile::plain(3, 1, 1));
    let metadata = peer.metadata(2);
    let found = metadata.brokers.into_iter().map(|broker| (broker.node_id, broker.host, broker.port as u16));
    assert_eq!(found.collect::<Vec<_>>(), peer.cluster.addresses());
}

#[test]
fn a_topic_is_created_on_demand_and_answers_3_until_then() {
    let mut profile = Profile::plain(3, 2, 4);
    profile.topics[0].exists = false;
    let mut peer = Peer::new(profile);
    assert_eq!(peer.cluster.topics(), [("t".to_owned(), 4)]);
    assert_eq!(peer.metadata(1).topics[0].error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
    peer.pass(2 * SECOND);
    assert_eq!(peer.metadata(1).topics[0].partitions.len(), 4);
}

#[test]
fn partitions_are_added() {
    let mut peer = Peer::new(Profile::plain(3, 2, 1));
    peer.cluster.inject(&Fault::AddPartitions { topic: "t".to_owned(), count: 2 }, peer.now);
    peer.pass(SECOND);
    assert_eq!(peer.cluster.topics(), [("t".to_owned(), 3)]);
    let found = peer.metadata(1).topics[0].clone();
    assert!(found.partitions.len() == 3 && found.partitions.iter().all(|partition| partition.leader_id > 0));
}

#[test]
fn an_uninformed_broker_has_old_metadata() {
    let mut peer = Peer::new(Profile::plain(3, 3, 1));
    let (leader, node) = (peer.leader(), peer.other());
    peer.cluster.inject(&Fault::Uninformed { node, span: 10 * SECOND }, peer.now);
    peer.cluster.inject(&Fault::Crash { node: leader, silent: false, down: 60 * SECOND }, peer.now);
    peer.pass(4 * SECOND);
    assert_eq!(peer.leader_by(node), leader);
    peer.pass(10 * SECOND);
    assert_ne!(peer.leader_by(node), leader);
}

#[test]
fn an_unclean_election_takes_committed_records_away_and_says_so() {
    let mut peer = Peer::new(Profile::plain(2, 2, 1));
    let (leader, node) = (peer.leader(), peer.other());
    let connection = peer.connect(leader);
    assert_eq!(peer.store(connection, spec(0, 1)), (0, 0));
    peer.cluster.inject(&Fault::Crash { node, silent: false, down: 10 * SECOND }, peer.now);
    peer.pass(5 * SECOND);
    assert_eq!(peer.store(connection, spec(1, 1)), (0, 1));
    peer.cluster.inject(&Fault::Crash { node: leader, silent: false, down: 60 * SECOND }, peer.now);
    peer.pass(10 * SECOND);
    assert_eq!(peer.leader_by(node), -1, "the one that is up is not in sync");
    assert!(!peer.cluster.lost("t", 0));
    peer.cluster.inject(&Fault::UncleanElect { topic: "t".to_owned(), partition: 0 }, peer.now);
    peer.pass(SECOND);
    assert_eq!(peer.leader(), node);
    assert!(peer.cluster.lost("t", 0));
    assert_eq!(peer.log(), [0]);
    let connection = peer.connect(node);
    assert_eq!(peer.store(connection, spec(1, 2)), (0, 1));
    peer.pass(80 * SECOND);
    assert_eq!(peer.log(), [0, 1]);
    assert_eq!(peer.records().len(), 3);
}

/// Not the follower: the leader alone, whose last batches had not reached its disk.
#[test]
fn power_lost_by_the_last_in_sync_takes_records_away_and_says_so() {
    for (replicas, is_lost) in [(1, true), (3, false)] {
        let mut peer = Peer::new(Profile::plain(replicas, replicas, 1));
        let node = peer.leader();
        let connection = peer.connect(node);
        for first in 0..4 {
            assert_eq!(peer.store(connection, spec(first, 1)).0, 0);
        }
        peer.cluster.inject(&Fault::PowerLoss { node, batches: 3, down: 5 * SECOND }, peer.now);
        peer.pass(20 * SECOND);
        assert_eq!(peer.cluster.lost("t", 0), is_lost);
        assert_eq!(peer.log().len(), if is_lost { 1 } else { 4 });
        let leader = peer.leader();
        let connection = peer.connect(leader);
        assert_eq!(peer.store(connection, spec(if is_lost { 1 } else { 4 }, 1)).0, 0);
    }
}

#[test]
fn a_slow_follower_falls_out_of_sync_and_comes_back() {
    let mut peer = Peer::new(Profile { min_isr: 1, ..Profile::plain(2, 2, 1) });
    let (leader, node) = (peer.leader(), peer.other());
    peer.cluster.inject(&Fault::SlowReplica { node, span: SECOND, slowness: 10 * SECOND }, peer.now);
    let connection = peer.connect(leader);
    peer.timeout_ms = 20_000;
    assert_eq!(peer.store(connection, spec(0, 1)), (0, 0));
    let isr = |peer: &Peer| peer.cluster.controller.image.topics["t"].partitions[0].isr.clone();
    assert_eq!(isr(&peer), [leader], "the answer came when it was taken out");
    peer.pass(30 * SECOND);
    assert_eq!(isr(&peer).len(), 2);
}

#[test]
fn heal_ends_everything() {
    let mut peer = Peer::new(Profile { min_isr: 2, ..Profile::plain(3, 3, 2) });
    let hour = 3_600 * SECOND;
    peer.cluster.inject(&Fault::AllDown { clean: false, down: hour }, peer.now);
    peer.pass(SECOND);
    peer.cluster.inject(&Fault::Recreate { topic: "t".to_owned(), absent: hour }, peer.now);
    let code = code::POLICY_VIOLATION;
    peer.cluster.inject(&Fault::Refuse { topic: "t".to_owned(), partition: 0, code, after: false, times: 9 }, peer.now);
    peer.pass(SECOND);
    peer.cluster.heal(peer.now);
    peer.pass(500 * MS);
    let leader = peer.leader();
    let connection = peer.connect(leader);
    assert_eq!(peer.store(connection, spec(0, 1)), (0, 0));
}
