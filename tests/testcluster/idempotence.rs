//! The broker's memory of producers, over the wire.

use kurier::testcluster::Cluster;

use crate::client::{Client, batch_from, cluster, command};

/// Cluster with topic `t` of two partitions and a client.
fn begin() -> (Cluster, Client, i64) {
    let cluster = cluster(1);
    command(&cluster, "create t 2");
    let mut client = Client::to(&cluster, 1);
    let given = client.init_producer_id(4);
    assert_eq!((given.error_code, given.producer_epoch), (0, 0));
    assert_eq!(cluster.producer_ids(), [given.producer_id]);
    (cluster, client, given.producer_id)
}

/// Code and offset of an answer.
fn send(client: &mut Client, id: i64, epoch: i16, sequence: i32, values: &[&str]) -> (i16, i64) {
    let answer = client.produce_batch("t", 0, &batch_from(id, epoch, sequence, values));
    (answer.error_code, answer.base_offset)
}

#[test]
fn a_repeated_batch_is_a_success_with_its_old_offset_while_it_is_remembered() {
    let (cluster, mut client, id) = begin();
    for number in 0..6 {
        assert_eq!(send(&mut client, id, 0, number * 2, &["a", "b"]), (0, i64::from(number) * 2));
    }
    for number in 1..6 {
        assert_eq!(send(&mut client, id, 0, number * 2, &["a", "b"]), (0, i64::from(number) * 2), "batch {number}");
    }
    assert_eq!(send(&mut client, id, 0, 0, &["a", "b"]).0, 45, "the sixth last is forgotten");
    assert_eq!(send(&mut client, id, 0, 13, &["a"]).0, 45, "a gap");
    assert_eq!(cluster.next_offsets("t"), [12, 0]);
    assert_eq!(cluster.last_sequences("t", 0), [(id, 0, 11)]);
    let elsewhere = client.produce_batch("t", 1, &batch_from(id, 0, 77, &["a"]));
    assert_eq!(elsewhere.error_code, 0, "another partition has another memory");
}

#[test]
fn epochs_go_up_and_begin_at_zero() {
    let (_cluster, mut client, id) = begin();
    assert_eq!(send(&mut client, id, 0, 0, &["a"]).0, 0);
    assert_eq!(send(&mut client, id, 1, 1, &["b"]).0, 45);
    assert_eq!(send(&mut client, id, 1, 0, &["b"]), (0, 1));
    assert_eq!(send(&mut client, id, 0, 1, &["c"]).0, 47);
    assert_eq!(send(&mut client, id, 0, 0, &["a"]).0, 47, "not even what was written under it");
}

#[test]
fn an_unknown_producer_begins_anywhere_and_sequences_wrap() {
    let (_cluster, mut client, _) = begin();
    assert_eq!(send(&mut client, 4242, 3, i32::MAX - 1, &["a", "b", "c"]), (0, 0));
    assert_eq!(send(&mut client, 4242, 3, 2, &["d"]).0, 45);
    assert_eq!(send(&mut client, 4242, 3, 1, &["d"]), (0, 3));
    assert_eq!(send(&mut client, 4242, 3, i32::MAX - 1, &["a", "b", "c"]), (0, 0), "found across the wrap");
}

/// Tried on Kafka 4.2.0 (protocol.md, rule 15): after a restart only the last of the batches in flight is known.
#[test]
fn after_a_restart_only_the_last_batch_is_known_and_after_forgetting_none() {
    let (cluster, mut client, id) = begin();
    for number in 0..4 {
        assert_eq!(send(&mut client, id, 0, number, &["a"]).0, 0);
    }
    command(&cluster, "forget_but_last");
    let answers: Vec<_> = (0..4).map(|number| send(&mut client, id, 0, number, &["a"])).collect();
    assert_eq!(answers.iter().map(|answer| answer.0).collect::<Vec<_>>(), [45, 45, 45, 0]);
    assert_eq!(answers[3].1, 3);
    command(&cluster, "forget");
    assert_eq!(send(&mut client, id, 0, 1, &["a"]), (0, 4), "written twice: the broker cannot know");
}

#[test]
fn producer_ids_are_new_each_time_in_every_version() {
    let cluster = cluster(2);
    let (mut one, mut two) = (Client::to(&cluster, 1), Client::to(&cluster, 2));
    let mut ids = Vec::new();
    for version in 0..=5 {
        ids.push(one.init_producer_id(version).producer_id);
        ids.push(two.init_producer_id(version).producer_id);
    }
    assert_eq!(ids, cluster.producer_ids());
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 12);
}
