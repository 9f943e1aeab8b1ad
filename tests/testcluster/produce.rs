//! Producing: what is appended, what is refused and how, what is kept.

use kurier::code::Code;
use kurier::protocol::compression::Codec;
use kurier::protocol::messages::ApiKey;
use kurier::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use kurier::protocol::messages::produce::{ProduceRequest, ProduceTopic};
use kurier::testcluster::Cluster;

use crate::client::{Client, batch, batch_of, by_name_or_id, cluster, command, only, produce_request};

#[test]
fn records_of_every_codec_and_version_are_in_the_log_as_they_were_sent() {
    let cluster = cluster(1);
    let mut client = Client::to(&cluster, 1);
    let topic = client.topic("t");
    assert_eq!((topic.error_code, topic.partitions.len()), (0, 4));
    let mut expected = 0;
    for version in 3..=13 {
        for codec in Codec::ALL.iter().filter(|codec| version >= 7 || **codec != Codec::Zstd) {
            let batch = batch_of(&["a", "b", "c"], *codec, |_| {});
            let name = if version >= 13 { "" } else { "t" };
            let response = client.produce(version, &by_name_or_id(name, topic.topic_id, 2, &batch, -1));
            let response = response.expect("an answer");
            if version >= 13 {
                assert_eq!(response.topics[0].topic_id, topic.topic_id);
            }
            let answer = only(response);
            assert_eq!((answer.index, answer.error_code, answer.base_offset), (2, 0, expected), "{version} {codec:?}");
            assert_eq!(answer.log_append_time_ms, -1);
            expected += 3;
        }
    }
    let records = cluster.records("t");
    assert_eq!(records.len() as i64, expected);
    for (offset, record) in (0..).zip(&records) {
        let number = offset % 3;
        assert_eq!((record.partition, record.offset), (2, offset));
        assert_eq!(record.timestamp_ms, 1_000_000 + number);
        assert_eq!(record.key.as_deref(), Some(number.to_string().as_bytes()));
        assert_eq!(record.value.as_deref(), Some(["a", "b", "c"][number as usize].as_bytes()));
        assert_eq!(record.headers, [(b"h".to_vec(), Some(b"1".to_vec())), (b"h".to_vec(), None)]);
    }
    assert_eq!(cluster.next_offsets("t"), [0, 0, expected, 0]);
}

#[test]
fn a_batch_that_a_broker_would_refuse_is_refused_and_nothing_is_appended() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    let mut client = Client::to(&cluster, 1);
    let good = batch(&["a"]);
    let mut corrupt = good.clone();
    *corrupt.last_mut().expect("bytes") ^= 1;
    let refused = [
        (corrupt, 2),
        (Vec::new(), 87),
        (good[..good.len() - 1].to_vec(), 87),
        ([good.clone(), good.clone()].concat(), 87),
        (batch_of(&["a"], Codec::None, |header| header.last_offset_delta = 1), 87),
        (batch_of(&["a"], Codec::None, |header| header.producer_id = 1), 87),
        (batch_of(&["a"], Codec::None, |header| header.attributes = 7), 76),
    ];
    for (bytes, code) in refused {
        let answer = client.produce_batch("t", 0, &bytes);
        assert_eq!((answer.error_code, answer.base_offset), (code, -1), "{bytes:?}");
        assert!(answer.error_message.is_some_and(|message| !message.is_empty()));
    }
    for (topic, partition) in [("t", 1), ("t", -1), ("nobody", 0)] {
        assert_eq!(client.produce_batch(topic, partition, &good).error_code, 3, "{topic} {partition}");
    }
    let by_id = client.produce(13, &by_name_or_id("", [9; 16], 0, &good, -1)).expect("an answer");
    assert_eq!(only(by_id).error_code, 100);
    let acks = client.produce(9, &produce_request("t", 0, &good, 2)).expect("an answer");
    assert_eq!(only(acks).error_code, 21);
    assert_eq!(cluster.next_offsets("t"), [0]);
    assert_eq!(client.produce_batch("t", 0, &good).error_code, 0, "the connection goes on");
}

#[test]
fn limits_on_the_size_of_a_batch_hold_by_cluster_and_by_topic() {
    let cluster = cluster(1);
    let two = batch(&["a", "b"]);
    command(&cluster, &format!("create small 1 max_message_bytes={}", two.len() - 1));
    command(&cluster, "create other 1");
    let mut client = Client::to(&cluster, 1);
    assert_eq!(client.produce_batch("small", 0, &two).error_code, 10);
    assert_eq!(client.produce_batch("small", 0, &batch(&["a"])).error_code, 0);
    assert_eq!(client.produce_batch("other", 0, &two).error_code, 0);
    command(&cluster, &format!("max_message_bytes {}", two.len() - 1));
    assert_eq!(client.produce_batch("other", 0, &two).error_code, 10);
}

#[test]
fn one_request_with_many_partitions_is_answered_partition_by_partition() {
    let cluster = cluster(1);
    command(&cluster, "create a 3");
    command(&cluster, "create b 1");
    let (one, two) = (batch(&["x"]), batch(&["y", "z"]));
    let topics = vec![
        ProduceTopic {
            name: "a",
            topic_id: [0; 16],
            partitions: vec![(2, Some(&one)), (0, Some(&two)), (7, Some(&one))],
        },
        ProduceTopic { name: "b", topic_id: [0; 16], partitions: vec![(0, Some(&two)), (0, None)] },
    ];
    let request = ProduceRequest { transactional_id: None, acks: 1, timeout_ms: 1000, topics };
    let response = Client::to(&cluster, 1).produce(11, &request).expect("an answer");
    let codes: Vec<_> = response
        .topics
        .iter()
        .map(|topic| {
            (topic.name.as_str(), topic.partitions.iter().map(|p| (p.index, p.error_code)).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(codes, [("a", vec![(2, 0), (0, 0), (7, 3)]), ("b", vec![(0, 0), (0, 87)])]);
    assert_eq!((cluster.next_offsets("a"), cluster.next_offsets("b")), (vec![2, 0, 1], vec![2]));
    assert_eq!((cluster.produce_batches(), cluster.requests(ApiKey::Produce)), (5, 1));
    assert_eq!(cluster.last_versions(), [(ApiKey::Produce, 11)]);
}

#[test]
fn without_acks_there_is_no_answer_and_an_error_closes_the_connection() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    let mut client = Client::to(&cluster, 1);
    let good = batch(&["a"]);
    for _ in 0..3 {
        let request = produce_request("t", 0, &good, 0);
        client.send(ApiKey::Produce, 9, |version, writer| request.encode(version, writer));
    }
    // The next answer is that of the next request.
    assert_eq!(client.produce_batch("t", 0, &good).base_offset, 3);
    let request = produce_request("t", 9, &good, 0);
    client.send(ApiKey::Produce, 9, |version, writer| request.encode(version, writer));
    assert!(client.is_closed());
}

#[test]
fn the_brokers_clock_replaces_the_records_where_the_topic_says_so() {
    let cluster = cluster(1);
    command(&cluster, "create t 1 log_append_time");
    let answer = Client::to(&cluster, 1).produce_batch("t", 0, &batch(&["a", "b"]));
    assert!(answer.log_append_time_ms > 1_700_000_000_000, "{}", answer.log_append_time_ms);
    let records = cluster.records("t");
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.timestamp_ms == answer.log_append_time_ms));
    let stored = cluster.batches("t", 0);
    let batch = kurier::protocol::batch_header::batches(&stored[0]).next().expect("one").expect("whole");
    assert!(batch.is_crc_right(), "sealed again");
}

#[test]
fn the_oldest_is_dropped_above_the_bound() {
    let cluster = cluster(1);
    command(&cluster, "retain 100000");
    command(&cluster, "create t 1");
    let mut client = Client::to(&cluster, 1);
    let value = "x".repeat(10_000);
    let batch = batch(&[&value]);
    for offset in 0..50 {
        assert_eq!(client.produce_batch("t", 0, &batch).base_offset, offset);
        assert!(cluster.stored_bytes("t")[0] <= 100_000);
    }
    let records = cluster.records("t");
    assert!((5..=10).contains(&records.len()), "{} records kept", records.len());
    assert_eq!(records.last().map(|record| record.offset), Some(49));
    assert_eq!(client.produce_batch("t", 0, &batch).log_start_offset, cluster.records("t")[0].offset);
}

#[test]
fn topics_are_created_grown_and_deleted_by_command() {
    let cluster = cluster(3);
    command(&cluster, "create t 2");
    let mut client = Client::to(&cluster, 1);
    let first = client.topic("t");
    assert_eq!(first.partitions.iter().map(|p| p.leader_id).collect::<Vec<_>>(), [1, 2]);
    command(&cluster, "partitions t 5");
    assert_eq!(client.topic("t").partitions.iter().map(|p| p.leader_id).collect::<Vec<_>>(), [1, 2, 3, 1, 2]);
    command(&cluster, "delete t");
    let by_id = MetadataRequestTopic { topic_id: first.topic_id, name: None };
    let request = MetadataRequest { topics: Some(vec![by_id.clone()]), allow_auto_topic_creation: false };
    assert_eq!(client.metadata(12, &request).topics[0].error_code, 100);
    let by_name = MetadataRequestTopic { topic_id: [0; 16], name: Some("t".into()) };
    let request = MetadataRequest { topics: Some(vec![by_name]), allow_auto_topic_creation: false };
    assert_eq!(client.metadata(9, &request).topics[0].error_code, 3);
    assert_eq!(client.produce_batch("t", 0, &batch(&["a"])).error_code, 3);
    command(&cluster, "create t 1");
    let again = client.topic("t");
    assert_ne!(again.topic_id, first.topic_id, "created again it is another topic");
    assert_eq!(client.topic("a b").error_code, 17);
    let code = |text: &str| cluster.command(text).expect_err(text).code;
    assert_eq!(code("create t 1"), Code::INVALID_ARGUMENT);
    assert_eq!(code("partitions t 0"), Code::INVALID_ARGUMENT);
    assert_eq!(code("create u 0"), Code::INVALID_ARGUMENT);
    assert_eq!(code("delete nobody"), Code::UNKNOWN_TOPIC);
    assert_eq!(code("leader t 5 1"), Code::UNKNOWN_PARTITION);
    assert_eq!(code("leader t 0 4"), Code::INVALID_ARGUMENT);
    assert_eq!(code("stop 0"), Code::INVALID_ARGUMENT);
}

#[test]
fn a_cluster_has_one_to_nine_brokers() {
    for brokers in [0, -1, 10, i32::MAX] {
        assert_eq!(Cluster::start(brokers).expect_err("too few or too many").code, Code::INVALID_ARGUMENT);
    }
    let cluster = cluster(9);
    assert_eq!(cluster.address().split(',').count(), 9);
    let request = MetadataRequest { topics: Some(Vec::new()), allow_auto_topic_creation: false };
    for version in 4..=13 {
        let response = Client::to(&cluster, 9).metadata(version, &request);
        let brokers: Vec<_> =
            response.brokers.iter().map(|broker| format!("{}:{}", broker.host, broker.port)).collect();
        assert_eq!(brokers.join(","), cluster.address(), "version {version}");
        assert_eq!(
            response.brokers.iter().map(|broker| broker.node_id).collect::<Vec<_>>(),
            (1..=9).collect::<Vec<_>>()
        );
    }
}
