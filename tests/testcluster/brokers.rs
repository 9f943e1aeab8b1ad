//! Brokers that stop, pause and hand their partitions over.

use std::net::TcpStream;
use std::time::Duration;

use kurier::protocol::messages::ApiKey;
use kurier::protocol::messages::metadata::MetadataRequest;

use crate::client::{Client, batch, cluster, command, only, produce_request};

fn leaders(client: &mut Client, topic: &str) -> Vec<(i32, i32)> {
    client.topic(topic).partitions.iter().map(|p| (p.leader_id, p.leader_epoch)).collect()
}

#[test]
fn a_broker_that_does_not_lead_says_who_does() {
    let cluster = cluster(3);
    command(&cluster, "create t 3");
    let (mut one, mut two) = (Client::to(&cluster, 1), Client::to(&cluster, 2));
    let batch = batch(&["a"]);
    assert_eq!(one.produce_batch("t", 1, &batch).error_code, 6);
    assert_eq!(two.produce_batch("t", 1, &batch).error_code, 0);
    command(&cluster, "leader t 1 1");
    assert_eq!(one.produce_batch("t", 1, &batch).base_offset, 1);
    // KIP-951: from version 10 on with the new leader's address.
    let response = two.produce(10, &produce_request("t", 1, &batch, -1)).expect("an answer");
    let endpoint = response.node_endpoints.first().cloned().expect("an endpoint");
    let first = cluster.address().split(',').next().map(str::to_owned);
    assert_eq!((endpoint.node_id, Some(format!("{}:{}", endpoint.host, endpoint.port))), (1, first));
    let answer = only(response);
    assert_eq!((answer.error_code, answer.current_leader), (6, (1, 1)));
    let response = two.produce(9, &produce_request("t", 1, &batch, -1)).expect("an answer");
    assert!(response.node_endpoints.is_empty());
    assert_eq!(only(response).current_leader, (-1, -1));
    command(&cluster, "leader t 1 -1");
    assert_eq!(leaders(&mut one, "t"), [(1, 0), (-1, 2), (3, 0)]);
    assert_eq!(one.topic("t").partitions[1].error_code, 5);
    assert_eq!(one.produce_batch("t", 1, &batch).error_code, 6);
    command(&cluster, "reset");
    assert_eq!(cluster.leaders("t")[1].1, 3, "reset gives it a leader");
    assert!(cluster.leaders("t")[1].0 > 0);
}

#[test]
fn a_stopped_broker_is_gone_and_comes_back_on_its_port() {
    let cluster = cluster(2);
    command(&cluster, "create t 2");
    let address = cluster.address();
    let second = address.split(',').nth(1).expect("two brokers");
    let (mut one, mut two) = (Client::to(&cluster, 1), Client::to(&cluster, 2));
    let batch = batch(&["a"]);
    assert_eq!(two.produce_batch("t", 1, &batch).error_code, 0);
    for round in 0..3 {
        command(&cluster, "stop 2");
        assert!(two.is_closed());
        assert!(TcpStream::connect(second).is_err(), "nobody listens");
        assert!(leaders(&mut one, "t").iter().all(|(leader, _)| *leader == 1));
        let everything = MetadataRequest { topics: None, allow_auto_topic_creation: false };
        assert_eq!(one.metadata(12, &everything).brokers.len(), 1);
        assert_eq!(one.topic("t").partitions[1].offline_replicas, [2]);
        assert_eq!(one.produce_batch("t", 1, &batch).base_offset, 2 * round + 1);
        command(&cluster, "start 2");
        assert_eq!(cluster.address(), address);
        two = Client::to(&cluster, 2);
        assert_eq!(two.produce_batch("t", 1, &batch).error_code, 6, "its partitions stay where they went");
        command(&cluster, "leader t 1 2");
        assert_eq!(two.produce_batch("t", 1, &batch).base_offset, 2 * round + 2);
    }
    assert_eq!(leaders(&mut one, "t"), [(1, 0), (2, 6)]);
}

#[test]
fn the_last_broker_leaves_nobody_to_lead_and_takes_over_again() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    command(&cluster, "stop 1");
    command(&cluster, "stop 1");
    assert_eq!(cluster.leaders("t"), [(-1, 1)]);
    command(&cluster, "start 1");
    assert_eq!(cluster.leaders("t"), [(1, 2)]);
    command(&cluster, "stop 1");
    command(&cluster, "reset");
    assert_eq!(Client::to(&cluster, 1).produce_batch("t", 0, &batch(&["a"])).error_code, 0);
}

#[test]
fn a_paused_broker_takes_bytes_and_answers_when_it_goes_on() {
    let cluster = cluster(2);
    command(&cluster, "create t 2");
    command(&cluster, "pause 1");
    let mut one = Client::to(&cluster, 1);
    let id = one.send_batch("t", 0, &batch(&["a"]));
    one.stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
    let error = one.stream.peek(&mut [0]).expect_err("no answer");
    assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{error}");
    assert_eq!(cluster.next_offsets("t"), [0, 0]);
    assert_eq!(Client::to(&cluster, 2).produce_batch("t", 1, &batch(&["b"])).error_code, 0, "the other one works");
    command(&cluster, "resume 1");
    one.stream.set_read_timeout(Some(crate::client::PATIENCE)).expect("a timeout");
    assert_eq!(one.batch_answer(id).expect("an answer").error_code, 0);
}

/// librdkafka #999, #1640, #2339: destroy hangs. Here whatever its threads are at, they end.
#[test]
fn dropping_a_cluster_ends_whatever_it_is_at() {
    let cluster = cluster(3);
    command(&cluster, "create t 3");
    let batch = batch(&["a"]);
    command(&cluster, "delay produce 3600s");
    let mut delayed = Client::to(&cluster, 1);
    delayed.send_batch("t", 0, &batch);
    command(&cluster, "hostile slow_byte metadata");
    let mut slow = Client::to(&cluster, 2);
    slow.send(ApiKey::Metadata, 9, |version, writer| {
        MetadataRequest::default().encode(version, writer);
    });
    let mut half = Client::to(&cluster, 2);
    std::io::Write::write_all(&mut half.stream, &[0, 0, 1]).expect("three bytes");
    command(&cluster, "pause 3");
    let mut paused = Client::to(&cluster, 3);
    paused.send_batch("t", 2, &batch);
    while cluster.next_offsets("t")[0] != 1 || cluster.connections() != 4 {
        std::thread::yield_now();
    }
    let mut waiting = Client::to(&cluster, 1);
    crate::read::send_fetch(&mut waiting, "t", 1, 100, 60_000);
    while cluster.requests(ApiKey::Fetch) != 1 {
        std::thread::yield_now();
    }
    drop(cluster);
    for mut client in [delayed, half, paused, waiting] {
        assert!(client.is_closed());
    }
    drop(slow);
}

#[test]
fn stopping_a_paused_broker_does_not_hang() {
    let cluster = cluster(1);
    command(&cluster, "pause 1");
    let mut client = Client::to(&cluster, 1);
    client.send_batch("t", 0, &batch(&["a"]));
    while cluster.connections() != 1 {
        std::thread::yield_now();
    }
    command(&cluster, "stop 1");
    assert!(client.is_closed());
    command(&cluster, "start 1");
    assert_eq!(Client::to(&cluster, 1).api_versions(3).error_code, 0, "it is not paused any more");
}

#[test]
fn connections_that_end_are_forgotten() {
    let cluster = cluster(1);
    for _ in 0..200 {
        assert_eq!(Client::to(&cluster, 1).api_versions(0).error_code, 0);
    }
    let last = Client::to(&cluster, 1);
    while cluster.connections() != 1 {
        std::thread::yield_now();
    }
    drop(last);
}
