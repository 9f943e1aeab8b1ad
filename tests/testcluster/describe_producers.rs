//! What a broker tells of its memory of producers (DescribeProducers), and who tells it.

use kurier::protocol::messages::ApiKey;
use kurier::protocol::messages::describe_producers::*;
use kurier::protocol::wire::Reader;
use kurier::testcluster::Cluster;

use crate::client::{Client, batch_from, cluster, command};

/// Asks for partitions of topics and answers what is told of each.
fn ask(client: &mut Client, topics: &[(&str, &[i32])]) -> Vec<DescribeProducersPartitionResponse> {
    let topic = |(name, indexes): &(&str, &[i32])| DescribeProducersTopic {
        name: (*name).to_owned(),
        partition_indexes: indexes.to_vec(),
    };
    let request = DescribeProducersRequest { topics: topics.iter().map(topic).collect() };
    let id = client.send(ApiKey::DescribeProducers, 0, |version, writer| request.encode(version, writer));
    let body = client.body(ApiKey::DescribeProducers, 0, id).expect("an answer");
    let response = DescribeProducersResponse::decode(0, &mut Reader::new(&body)).expect("the answer can be read");
    response.topics.into_iter().flat_map(|topic| topic.partitions).collect()
}

/// Code, and id, epoch and last sequence of each producer, of one partition of topic `t`.
fn ask_one(client: &mut Client, partition: i32) -> (i16, Vec<(i64, i32, i32)>) {
    let mut answers = ask(client, &[("t", &[partition])]);
    assert_eq!(answers.len(), 1);
    let answer = answers.remove(0);
    assert_eq!(answer.partition_index, partition);
    let states = answer.active_producers.iter();
    (answer.error_code, states.map(|state| (state.producer_id, state.producer_epoch, state.last_sequence)).collect())
}

fn begin(brokers: i32) -> (Cluster, Client) {
    let cluster = cluster(brokers);
    command(&cluster, "create t 2");
    let client = Client::to(&cluster, 1);
    (cluster, client)
}

fn append(client: &mut Client, id: i64, epoch: i16, sequence: i32, values: &[&str]) {
    let answer = client.produce_batch("t", 0, &batch_from(id, epoch, sequence, values));
    assert_eq!(answer.error_code, 0);
}

#[test]
fn the_leader_tells_epoch_and_last_sequence_of_everyone_who_wrote() {
    let (_cluster, mut client) = begin(1);
    assert_eq!(ask_one(&mut client, 0), (0, vec![]));
    append(&mut client, 7, 0, 0, &["a", "b"]);
    append(&mut client, 7, 0, 2, &["c"]);
    append(&mut client, 9, 3, 40, &["d"]);
    assert_eq!(ask_one(&mut client, 0), (0, vec![(7, 0, 2), (9, 3, 40)]));
    assert_eq!(ask_one(&mut client, 1), (0, vec![]), "each partition has a memory of its own");
    append(&mut client, 7, 1, 0, &["e"]);
    assert_eq!(ask_one(&mut client, 0), (0, vec![(7, 1, 0), (9, 3, 40)]), "a new epoch replaces the old one");
    append(&mut client, 9, 3, 41, &["f"]);
    let repeated = client.produce_batch("t", 0, &batch_from(9, 3, 40, &["d"]));
    assert_eq!((repeated.error_code, ask_one(&mut client, 0).1[1]), (0, (9, 3, 41)), "a repeat changes nothing");
    let state = ask(&mut client, &[("t", &[0])])[0].active_producers[0];
    assert_eq!(state.last_timestamp_ms, 1_000_000, "that of the batch");
    assert_eq!((state.coordinator_epoch, state.current_txn_start_offset), (-1, -1));
}

#[test]
fn sequences_are_told_across_the_wrap() {
    let (_cluster, mut client) = begin(1);
    append(&mut client, 7, 0, i32::MAX - 1, &["a", "b", "c"]);
    assert_eq!(ask_one(&mut client, 0), (0, vec![(7, 0, 0)]));
}

/// Tried on Kafka 4.2.0: all but the last of the repeated batches are refused, and the last sequence tells that they
/// are all in the log.
#[test]
fn a_restart_leaves_the_last_batch_and_the_last_sequence_tells_of_all() {
    let (cluster, mut client) = begin(1);
    for number in 0..4 {
        append(&mut client, 7, 0, number * 10, &["r"; 10]);
    }
    command(&cluster, "stop 1");
    command(&cluster, "start 1");
    let mut client = Client::to(&cluster, 1);
    assert_eq!(ask_one(&mut client, 0), (0, vec![(7, 0, 39)]));
    let again = |client: &mut Client, number: i32| {
        let answer = client.produce_batch("t", 0, &batch_from(7, 0, number * 10, &["r"; 10]));
        (answer.error_code, answer.base_offset)
    };
    let answers: Vec<_> = (0..4).map(|number| again(&mut client, number)).collect();
    assert_eq!(answers, [(45, -1), (45, -1), (45, -1), (0, 30)]);
    assert_eq!(cluster.next_offsets("t"), [40, 0]);
    command(&cluster, "forget");
    assert_eq!(ask_one(&mut client, 0), (0, vec![]));
}

/// Who takes over has copied the log, and with it knows all five.
#[test]
fn a_leader_that_takes_over_remembers_what_the_old_one_did() {
    let (cluster, mut one) = begin(2);
    for number in 0..3 {
        append(&mut one, 7, 0, number, &["a"]);
    }
    let mut two = Client::to(&cluster, 2);
    assert_eq!(ask_one(&mut two, 0), (6, vec![]));
    command(&cluster, "stop 1");
    assert_eq!(ask_one(&mut two, 0), (0, vec![(7, 0, 2)]));
    let repeated = two.produce_batch("t", 0, &batch_from(7, 0, 0, &["a"]));
    assert_eq!((repeated.error_code, repeated.base_offset), (0, 0));
}

#[test]
fn who_does_not_lead_or_know_says_so_partition_by_partition() {
    let (cluster, mut one) = begin(2);
    append(&mut one, 7, 0, 0, &["a"]);
    let codes = |client: &mut Client, topics: &[(&str, &[i32])]| {
        ask(client, topics)
            .iter()
            .map(|partition| (partition.partition_index, partition.error_code))
            .collect::<Vec<_>>()
    };
    let asked: &[(&str, &[i32])] = &[("t", &[1, 0, 2, -1]), ("nobody", &[0]), ("t", &[])];
    assert_eq!(codes(&mut one, asked), [(1, 6), (0, 0), (2, 3), (-1, 3), (0, 3)]);
    command(&cluster, "leader t 0 -1");
    assert_eq!(codes(&mut one, &[("t", &[0])]), [(0, 6)]);
    command(&cluster, "delete t");
    assert_eq!(codes(&mut one, &[("t", &[0])]), [(0, 3)]);
    command(&cluster, "create t 1");
    command(&cluster, "leader t 0 1");
    assert_eq!(ask_one(&mut one, 0), (0, vec![]), "a topic created again has heard of nobody");
}

#[test]
fn errors_are_ordered_as_for_other_apis() {
    let (cluster, mut client) = begin(1);
    append(&mut client, 7, 0, 0, &["a"]);
    command(&cluster, "fail describe_producers TOPIC_AUTHORIZATION_FAILED 1 topic t partition 0");
    command(&cluster, "throttle 70 1 describe_producers");
    let refused = ask(&mut client, &[("t", &[0, 1])]);
    assert_eq!(refused.iter().map(|partition| partition.error_code).collect::<Vec<_>>(), [29, 0]);
    assert!(refused[0].active_producers.is_empty());
    assert_eq!(ask_one(&mut client, 0), (0, vec![(7, 0, 0)]));
}

/// In Kafka 4.2 a follower answers from its own copy of the log, without an error (`Partition.activeProducerState`).
/// Who believes it takes a batch for lost that the leader has.
#[test]
fn a_replica_that_is_behind_answers_without_the_last_batch() {
    let (cluster, mut one) = begin(2);
    for number in 0..3 {
        append(&mut one, 7, 0, number, &["a"]);
    }
    command(&cluster, "stale_producers 2");
    let mut two = Client::to(&cluster, 2);
    assert_eq!(ask_one(&mut two, 0), (0, vec![(7, 0, 1)]));
    command(&cluster, "forget_but_last");
    assert_eq!(ask_one(&mut one, 0), (0, vec![]));
    assert_eq!((ask_one(&mut one, 0), ask_one(&mut two, 0)), ((0, vec![(7, 0, 2)]), (6, vec![])));
}

#[test]
fn old_brokers_do_not_have_it() {
    let (cluster, mut client) = begin(1);
    let has_it = |client: &mut Client| client.api_versions(3).api_keys.iter().any(|range| range.api_key == 61);
    assert!(has_it(&mut client));
    for (text, expected) in
        [("profile 2.4", false), ("profile 2.8", true), ("versions describe_producers 0 -1", false), ("reset", true)]
    {
        command(&cluster, text);
        assert_eq!(has_it(&mut Client::to(&cluster, 1)), expected, "{text}");
    }
    command(&cluster, "profile 2.1");
    let request = DescribeProducersRequest::default();
    client.send(ApiKey::DescribeProducers, 0, |version, writer| request.encode(version, writer));
    assert!(client.is_closed(), "what is not offered closes the connection");
}

#[test]
fn malformed_answers_lie_about_partitions_too() {
    let (cluster, mut client) = begin(1);
    let mut partitions = |kind: &str| {
        command(&cluster, &format!("hostile {kind} describe_producers 1"));
        ask(&mut client, &[("t", &[0, 1])]).iter().map(|partition| partition.partition_index).collect::<Vec<_>>()
    };
    assert_eq!(partitions("omit_partition"), [0]);
    assert_eq!(partitions("repeat_partition"), [0, 1, 0]);
    assert_eq!(partitions("extra_partition"), [0, 1, i32::MAX]);
    command(&cluster, "hostile huge_count describe_producers 1");
    let request = DescribeProducersRequest::default();
    let id = client.send(ApiKey::DescribeProducers, 0, |version, writer| request.encode(version, writer));
    let body = client.body(ApiKey::DescribeProducers, 0, id).expect("an answer");
    assert!(DescribeProducersResponse::decode(0, &mut Reader::new(&body)).is_err());
}
