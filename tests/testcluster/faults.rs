//! Faults: each does what its command says, and no more.

use std::io::Read;
use std::time::{Duration, Instant};

use kurier::protocol::messages::ApiKey;
use kurier::protocol::messages::api_versions::ApiRange;
use kurier::protocol::messages::header::decode_response_header;
use kurier::protocol::messages::metadata::MetadataRequest;
use kurier::protocol::messages::produce::ProduceResponse;
use kurier::protocol::wire::Reader;

use crate::client::{Client, batch, cluster, command, only, produce_request};

#[test]
fn ordered_errors_come_before_or_after_the_append_and_end() {
    let cluster = cluster(1);
    command(&cluster, "create t 2");
    command(&cluster, "create u 1");
    let mut client = Client::to(&cluster, 1);
    let one = batch(&["a"]);
    command(&cluster, "fail produce NOT_ENOUGH_REPLICAS 2");
    let codes: Vec<_> = (0..3).map(|_| client.produce_batch("t", 0, &one).error_code).collect();
    assert_eq!((codes, cluster.next_offsets("t")), (vec![19, 19, 0], vec![1, 0]));
    command(&cluster, "fail produce NOT_ENOUGH_REPLICAS_AFTER_APPEND 1 after_append");
    let answer = client.produce_batch("t", 0, &one);
    assert_eq!((answer.error_code, answer.base_offset, cluster.next_offsets("t")), (20, -1, vec![2, 0]));
    command(&cluster, "fail produce 7 1 topic t partition 1");
    assert_eq!(client.produce_batch("t", 0, &one).error_code, 0);
    assert_eq!(client.produce_batch("u", 0, &one).error_code, 0);
    assert_eq!(client.produce_batch("t", 1, &one).error_code, 7);
    assert_eq!(client.produce_batch("t", 1, &one).error_code, 0);
}

#[test]
fn ordered_errors_of_the_other_apis() {
    let cluster = cluster(1);
    let mut client = Client::to(&cluster, 1);
    command(&cluster, "fail metadata LEADER_NOT_AVAILABLE 1 topic t");
    assert_eq!(client.topic("u").error_code, 0);
    let topic = client.topic("t");
    assert_eq!((topic.error_code, topic.partitions.len()), (5, 0));
    assert_eq!(client.topic("t").error_code, 0);
    command(&cluster, "fail metadata LEADER_NOT_AVAILABLE 1 partition 2");
    let topic = client.topic("t");
    assert_eq!(topic.partitions.iter().map(|p| p.error_code).collect::<Vec<_>>(), [0, 0, 5, 0]);
    command(&cluster, "fail metadata REBOOTSTRAP_REQUIRED 1");
    let everything = MetadataRequest { topics: None, allow_auto_topic_creation: false };
    assert_eq!(client.metadata(13, &everything).error_code, 129);
    assert_eq!(client.metadata(13, &everything).error_code, 0);
    command(&cluster, "fail init_producer_id COORDINATOR_LOAD_IN_PROGRESS 1");
    assert_eq!(client.init_producer_id(4).error_code, 14);
    assert_eq!(client.init_producer_id(4).error_code, 0);
    command(&cluster, "fail api_versions INVALID_REQUEST 1");
    assert_eq!(client.api_versions(3).error_code, 42);
    assert_eq!(client.api_versions(3).error_code, 0);
}

/// A broker that is slow, not one that does one thing after the other.
#[test]
#[expect(clippy::disallowed_methods, reason = "a delay is real time; the bounds are far from what is measured")]
fn delayed_answers_wait_side_by_side_and_keep_their_order() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    command(&cluster, "delay produce 200ms");
    let mut client = Client::to(&cluster, 1);
    let one = batch(&["a"]);
    let start = Instant::now();
    let mut ids: Vec<_> = (0..50).map(|_| client.send_batch("t", 0, &one)).collect();
    for (offset, id) in (0..).zip(&ids) {
        assert_eq!(client.batch_answer(*id).expect("an answer").base_offset, offset);
    }
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(200), "{elapsed:?}: not delayed");
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}: one after the other takes 10 s");
    // What comes after the end of the delay does not overtake what waits.
    ids = vec![client.send_batch("t", 0, &one)];
    while cluster.next_offsets("t") != [51] {
        std::thread::yield_now();
    }
    command(&cluster, "delay 0");
    ids.push(client.send_batch("t", 0, &one));
    for (offset, id) in (50..).zip(ids) {
        assert_eq!(client.batch_answer(id).expect("an answer").base_offset, offset);
    }
}

#[test]
fn a_dropped_request_is_in_the_log_and_a_cut_one_is_not() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    let one = batch(&["a"]);
    for (text, appended) in [("drop 1", 1), ("cut 1", 1)] {
        command(&cluster, text);
        let mut client = Client::to(&cluster, 1);
        client.init_producer_id(4);
        let id = client.send_batch("t", 0, &one);
        assert!(client.batch_answer(id).is_none(), "{text}");
        assert_eq!(cluster.next_offsets("t"), [appended], "{text}");
    }
    assert_eq!(Client::to(&cluster, 1).produce_batch("t", 0, &one).base_offset, 1);
}

#[test]
fn a_muted_api_works_and_is_not_answered() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    command(&cluster, "mute produce");
    let mut client = Client::to(&cluster, 1);
    client.send_batch("t", 0, &batch(&["a"]));
    // The next answer is that of another request.
    assert_eq!(client.init_producer_id(4).error_code, 0);
    assert_eq!(cluster.next_offsets("t"), [1]);
    command(&cluster, "reset");
    assert_eq!(client.produce_batch("t", 0, &batch(&["a"])).base_offset, 1);
}

#[test]
fn a_throttled_client_is_told_so_a_number_of_times() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    command(&cluster, "throttle 250 2");
    command(&cluster, "throttle 9 1 metadata");
    let mut client = Client::to(&cluster, 1);
    let one = batch(&["a"]);
    let request = produce_request("t", 0, &one, -1);
    let mut throttles = Vec::new();
    for _ in 0..3 {
        let response = client.produce(9, &request).expect("an answer");
        throttles.push(response.throttle_time_ms);
        assert_eq!(only(response).error_code, 0);
    }
    assert_eq!(throttles, [250, 250, 0]);
    let everything = MetadataRequest { topics: None, allow_auto_topic_creation: false };
    let throttles: Vec<_> = (0..2).map(|_| client.metadata(9, &everything).throttle_time_ms).collect();
    assert_eq!(throttles, [9, 0]);
}

#[test]
fn a_range_that_is_told_is_kept_to() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    command(&cluster, "versions produce 3 8");
    let mut client = Client::to(&cluster, 1);
    let produce = |ranges: Vec<ApiRange>| ranges.into_iter().find(|range| range.api_key == 0).expect("produce");
    for version in 0..=4 {
        let response = client.api_versions(version);
        assert_eq!(response.error_code, 0);
        assert_eq!(produce(response.api_keys), ApiRange { api_key: 0, min_version: 3, max_version: 8 });
    }
    let one = batch(&["a"]);
    assert!(client.produce(8, &produce_request("t", 0, &one, -1)).is_some());
    assert!(client.produce(9, &produce_request("t", 0, &one, -1)).is_none(), "closed, as Kafka does");
    command(&cluster, "profile 2.1");
    let mut client = Client::to(&cluster, 1);
    let response = client.api_versions(2);
    assert_eq!(produce(response.api_keys).max_version, 7);
    command(&cluster, "reset");
    assert_eq!(produce(client.api_versions(4).api_keys).max_version, 13);
}

/// KIP-511: the answer to a version that the broker does not know comes in version 0 and says which it knows.
#[test]
fn an_unknown_version_of_api_versions_is_answered_with_the_range() {
    let cluster = cluster(1);
    command(&cluster, "versions api_versions 0 2");
    let mut client = Client::to(&cluster, 1);
    for version in [3, 4] {
        let response = client.api_versions(version);
        assert_eq!(response.error_code, 35);
        assert_eq!(response.api_keys, [ApiRange { api_key: 18, min_version: 0, max_version: 2 }]);
    }
    assert_eq!(client.api_versions(2).api_keys.len(), 7);
}

/// Sends one batch and gives all bytes that come back for it, up to that many.
fn raw_answer(client: &mut Client, bytes: usize) -> Vec<u8> {
    client.send_batch("t", 0, &batch(&["a"]));
    let mut answer = vec![0; bytes];
    client.stream.read_exact(&mut answer).expect("so many bytes");
    answer
}

#[test]
fn malformed_answers_are_what_their_names_say() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    let raw = |kind: &str, bytes: usize| {
        command(&cluster, &format!("hostile {kind} produce 1"));
        raw_answer(&mut Client::to(&cluster, 1), bytes)
    };
    assert_eq!(raw("negative_length", 4), (-1i32).to_be_bytes());
    assert_eq!(raw("huge_length", 4), i32::MAX.to_be_bytes());
    assert_eq!(raw("wrong_correlation", 8)[4..], (1 ^ 0x5555_5555i32).to_be_bytes());
    assert!(raw("not_kafka", 40).starts_with(b"HTTP/1.1 400"));
    let decoded = |kind: &str| {
        command(&cluster, &format!("hostile {kind} produce 1"));
        let mut client = Client::to(&cluster, 1);
        let id = client.send_batch("t", 0, &batch(&["a"]));
        let frame = client.receive().expect("a frame");
        assert_eq!(frame[..4], id.to_be_bytes(), "{kind}");
        let mut reader = Reader::new(&frame);
        let response = decode_response_header(ApiKey::Produce, 9, &mut reader);
        let response = response.and_then(|_| ProduceResponse::decode(9, &mut reader));
        let partitions =
            response.map(|response| response.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>());
        assert_eq!(client.produce_batch("t", 0, &batch(&["a"])).error_code, 0, "one answer, not two: {kind}");
        partitions
    };
    for kind in ["truncated", "huge_count", "garbage"] {
        assert!(decoded(kind).is_err(), "{kind}");
    }
    assert_eq!((decoded("extra_partition"), decoded("repeat_partition")), (Ok(2), Ok(2)));
    assert_eq!((decoded("omit_partition"), decoded("slow_byte")), (Ok(0), Ok(1)));
    // All other APIs have answers to spoil, too.
    command(&cluster, "hostile huge_count all");
    let mut client = Client::to(&cluster, 1);
    for api in [ApiKey::Metadata, ApiKey::ApiVersions, ApiKey::InitProducerId] {
        let id = match api {
            ApiKey::Metadata => {
                client.send(api, 9, |version, writer| MetadataRequest::default().encode(version, writer))
            }
            ApiKey::ApiVersions => client.send(api, 2, |_, _| {}),
            _ => client.send(api, 1, |_, writer| {
                writer.int16(-1);
                writer.int32(1);
            }),
        };
        let frame = client.receive().expect("a frame");
        assert_eq!(frame[..4], id.to_be_bytes());
        assert!(frame.windows(4).any(|bytes| bytes == [0xff; 4] || bytes == [0x7f, 0xff, 0xff, 0xff]), "{api:?}");
    }
}
