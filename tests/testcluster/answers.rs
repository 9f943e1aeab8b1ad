//! The finer parts of produce answers: hints, record errors, where the log begins, topics that were created again.

use kurier::protocol::messages::produce::{ProducePartitionResponse, ProduceResponse};

use crate::client::{Client, batch, batch_from, by_name_or_id, cluster, command, only, produce_request};

fn answer(response: Option<ProduceResponse>) -> ProducePartitionResponse {
    only(response.expect("an answer"))
}

/// KIP-951: every answer with code 6 names the leader, also one of a batch that was appended.
#[test]
fn every_answer_with_code_6_names_the_leader() {
    let cluster = cluster(2);
    command(&cluster, "create t 1");
    let mut one = Client::to(&cluster, 1);
    let batch = batch(&["a"]);
    for (text, appended) in
        [("fail produce 6 1", 0), ("fail produce NOT_LEADER_OR_FOLLOWER 1 after_append", 1), ("leader t 0 2", 1)]
    {
        command(&cluster, text);
        let response = one.produce(10, &produce_request("t", 0, &batch, -1)).expect("an answer");
        let (leader, epoch) = cluster.leaders("t")[0];
        let nodes: Vec<_> = response.node_endpoints.iter().map(|node| node.node_id).collect();
        assert_eq!(nodes, [leader], "{text}");
        let answer = only(response);
        assert_eq!((answer.error_code, answer.current_leader), (6, (leader, epoch)), "{text}");
        assert_eq!(cluster.next_offsets("t"), [appended], "{text}");
    }
    command(&cluster, "stop 1");
    command(&cluster, "stop 2");
    command(&cluster, "start 1");
    command(&cluster, "leader t 0 2");
    let mut one = Client::to(&cluster, 1);
    let id = one_id(&mut one);
    let response = one.produce(13, &by_name_or_id("", id, 0, &batch, -1)).expect("an answer");
    assert!(response.node_endpoints.is_empty(), "a leader that is down has no address");
    assert_eq!(only(response).current_leader, (2, 4));
}

fn one_id(client: &mut Client) -> [u8; 16] {
    client.topic("t").topic_id
}

/// KIP-516: the id of a deleted topic is unknown for ever, the name goes to the new topic.
#[test]
fn a_topic_created_again_is_another_for_ids_and_the_same_for_names() {
    let cluster = cluster(1);
    let mut client = Client::to(&cluster, 1);
    command(&cluster, "create t 2");
    let old = one_id(&mut client);
    let later = batch_from(7, 0, 3, &["a"]);
    assert_eq!(answer(client.produce(13, &by_name_or_id("", old, 1, &later, -1))).error_code, 0);
    command(&cluster, "delete t");
    assert_eq!(answer(client.produce(13, &by_name_or_id("", old, 1, &later, -1))).error_code, 100);
    command(&cluster, "create t 3");
    let new = one_id(&mut client);
    assert_ne!(old, new);
    let response = client.produce(13, &by_name_or_id("", old, 1, &later, -1)).expect("an answer");
    assert_eq!(response.topics[0].topic_id, old);
    assert_eq!(only(response).error_code, 100);
    assert_eq!(cluster.next_offsets("t"), [0, 0, 0]);
    let repeated = answer(client.produce(12, &produce_request("t", 1, &later, -1)));
    assert_eq!((repeated.error_code, repeated.base_offset), (0, 0), "the new topic has never seen this producer");
    assert_eq!(answer(client.produce(13, &by_name_or_id("", new, 2, &later, -1))).error_code, 0);
}

#[test]
fn partitions_that_were_added_take_records_at_once() {
    let cluster = cluster(2);
    command(&cluster, "create t 1");
    let batch = batch(&["a"]);
    let mut clients = [Client::to(&cluster, 1), Client::to(&cluster, 2)];
    assert_eq!(clients[0].produce_batch("t", 2, &batch).error_code, 3);
    command(&cluster, "partitions t 3");
    for (partition, (leader, epoch)) in (0..).zip(cluster.leaders("t")) {
        assert_eq!(epoch, 0);
        let client = &mut clients[usize::try_from(leader - 1).expect("a broker")];
        assert_eq!(client.produce_batch("t", partition, &batch).error_code, 0);
    }
    assert_eq!(cluster.next_offsets("t"), [1, 1, 1]);
}

#[test]
fn a_storage_error_comes_before_or_after_the_append() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    let mut client = Client::to(&cluster, 1);
    let batch = batch_from(7, 0, 0, &["a", "b"]);
    command(&cluster, "fail produce KAFKA_STORAGE_ERROR 1");
    assert_eq!((client.produce_batch("t", 0, &batch).error_code, cluster.next_offsets("t")), (56, vec![0]));
    command(&cluster, "fail produce KAFKA_STORAGE_ERROR 1 after_append");
    let refused = client.produce_batch("t", 0, &batch);
    assert_eq!((refused.error_code, refused.base_offset, cluster.next_offsets("t")), (56, -1, vec![2]));
    let repeated = client.produce_batch("t", 0, &batch);
    assert_eq!((repeated.error_code, repeated.base_offset), (0, 0));
}

/// KIP-467: from version 8 on each bad record is named.
#[test]
fn bad_records_are_named() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    let mut client = Client::to(&cluster, 1);
    let batch = batch(&["a", "b", "c"]);
    command(&cluster, "fail produce INVALID_RECORD 2 records 0,2");
    let answers: Vec<_> =
        [7, 8].map(|version| answer(client.produce(version, &produce_request("t", 0, &batch, -1)))).into();
    assert_eq!(answers.iter().map(|answer| answer.error_code).collect::<Vec<_>>(), [87, 87]);
    assert!(answers[0].record_errors.is_empty(), "version 7 cannot tell");
    let (places, messages): (Vec<_>, Vec<_>) = answers[1].record_errors.iter().cloned().unzip();
    assert_eq!(places, [0, 2]);
    assert!(messages.iter().all(|message| message.as_ref().is_some_and(|message| !message.is_empty())));
    assert_eq!(client.produce_batch("t", 0, &batch).record_errors, []);
    assert_eq!(cluster.next_offsets("t"), [3]);
}

/// A producer tells by it whether retention took away what it knows of itself (UNKNOWN_PRODUCER_ID, KAFKA-5793).
#[test]
fn refusals_for_what_is_in_a_batch_tell_where_the_log_begins() {
    let cluster = cluster(1);
    command(&cluster, "retain 5000");
    command(&cluster, "create t 1");
    let mut client = Client::to(&cluster, 1);
    let value = "x".repeat(2000);
    for sequence in 0..5 {
        assert_eq!(client.produce_batch("t", 0, &batch_from(7, 0, sequence, &[&value])).error_code, 0);
    }
    let begins = cluster.records("t")[0].offset;
    assert!(begins > 0);
    let gap = batch_from(7, 0, 9, &["a"]);
    let refused = client.produce_batch("t", 0, &gap);
    assert_eq!((refused.error_code, refused.log_start_offset), (45, begins));
    for (code, expected) in [("UNKNOWN_PRODUCER_ID", begins), ("NOT_ENOUGH_REPLICAS", -1), ("MESSAGE_TOO_LARGE", -1)] {
        command(&cluster, &format!("fail produce {code} 1"));
        assert_eq!(client.produce_batch("t", 0, &gap).log_start_offset, expected, "{code}");
    }
}
