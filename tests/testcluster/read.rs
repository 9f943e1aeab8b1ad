//! Reading back: fetches and the ends of logs.

use kurier::protocol::batch_header::batches;
use kurier::protocol::compression::Codec;
use kurier::protocol::messages::ApiKey;
use kurier::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use kurier::protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use kurier::protocol::wire::Reader;

use crate::client::{Client, batch, batch_of, cluster, command};

/// What a fetch of one partition gave: code, high watermark, and the batches' base offsets and epochs.
type Fetched = (i16, i64, Vec<(i64, i32)>);

pub(crate) fn send_fetch(
    client: &mut Client,
    topic: &str,
    offset: i64,
    max_bytes: i32,
    max_wait_ms: i32,
) -> (i32, i16) {
    let partition = FetchPartition { fetch_offset: offset, max_bytes, ..FetchPartition::default() };
    let topics = vec![FetchTopic { name: topic.into(), partitions: vec![partition] }];
    let request = FetchRequest { max_wait_ms, min_bytes: 1, session_epoch: 0, topics, ..FetchRequest::default() };
    (client.send(ApiKey::Fetch, 12, |version, writer| request.encode(version, writer)), 12)
}

fn fetched(client: &mut Client, version: i16, id: i32) -> Fetched {
    let body = client.body(ApiKey::Fetch, version, id).expect("an answer");
    let response = FetchResponse::decode(version, &mut Reader::new(&body)).expect("it can be read");
    assert_eq!((response.error_code, response.session_id), (0, 0));
    let partition = &response.topics[0].partitions[0];
    let found = batches(partition.records.unwrap_or_default()).map(|batch| {
        let batch = batch.expect("a whole batch");
        assert!(batch.is_crc_right());
        (batch.header.base_offset, batch.header.partition_leader_epoch)
    });
    (partition.error_code, partition.high_watermark, found.collect())
}

fn fetch(client: &mut Client, topic: &str, offset: i64, max_bytes: i32) -> Fetched {
    let (id, version) = send_fetch(client, topic, offset, max_bytes, 0);
    fetched(client, version, id)
}

#[test]
fn whole_batches_come_back_with_offset_and_epoch() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    let mut client = Client::to(&cluster, 1);
    let two = batch(&["a", "b"]);
    client.produce_batch("t", 0, &two);
    command(&cluster, "leader t 0 1");
    client.produce_batch("t", 0, &two);
    assert_eq!(fetch(&mut client, "t", 0, 1 << 20), (0, 4, vec![(0, 0), (2, 1)]));
    assert_eq!(fetch(&mut client, "t", 1, 1 << 20).2, [(0, 0), (2, 1)], "the batch that holds it");
    assert_eq!(fetch(&mut client, "t", 2, 1 << 20).2, [(2, 1)]);
    assert_eq!(fetch(&mut client, "t", 0, 1).2, [(0, 0)], "one batch at least (KIP-74)");
    assert_eq!(fetch(&mut client, "t", 4, 1 << 20), (0, 4, vec![]));
    assert_eq!(fetch(&mut client, "t", 5, 1 << 20).0, 1);
    assert_eq!(fetch(&mut client, "t", -1, 1 << 20).0, 1);
    assert_eq!(fetch(&mut client, "nobody", 0, 1 << 20).0, 3);
    for version in 4..=12 {
        let partition = FetchPartition { max_bytes: 1000, ..FetchPartition::default() };
        let topics = vec![FetchTopic { name: "t".into(), partitions: vec![partition] }];
        let request = FetchRequest { topics, ..FetchRequest::default() };
        let id = client.send(ApiKey::Fetch, version, |version, writer| request.encode(version, writer));
        assert_eq!(fetched(&mut client, version, id), (0, 4, vec![(0, 0), (2, 1)]), "version {version}");
    }
}

#[test]
fn a_fetch_waits_for_what_is_not_there_yet() {
    let cluster = cluster(2);
    command(&cluster, "create t 1");
    let (mut reader, mut writer) = (Client::to(&cluster, 1), Client::to(&cluster, 1));
    let (id, version) = send_fetch(&mut reader, "t", 0, 1000, 30_000);
    while cluster.requests(ApiKey::Fetch) != 1 {
        std::thread::yield_now();
    }
    writer.produce_batch("t", 0, &batch(&["a"]));
    assert_eq!(fetched(&mut reader, version, id), (0, 1, vec![(0, 0)]));
    let (id, version) = send_fetch(&mut reader, "t", 1, 1000, 10);
    assert_eq!(fetched(&mut reader, version, id), (0, 1, vec![]), "nothing came in time");
    let (id, version) = send_fetch(&mut reader, "t", 1, 1000, 30_000);
    command(&cluster, "leader t 0 2");
    assert_eq!(fetched(&mut reader, version, id).0, 6, "it moved meanwhile");
}

fn list_offsets(client: &mut Client, version: i16, timestamp_ms: i64) -> (i16, i64, i64) {
    let partition = ListOffsetsPartition { index: 0, current_leader_epoch: -1, timestamp_ms };
    let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![partition] }];
    let request = ListOffsetsRequest { replica_id: -1, isolation_level: 0, topics };
    let id = client.send(ApiKey::ListOffsets, version, |version, writer| request.encode(version, writer));
    let body = client.body(ApiKey::ListOffsets, version, id).expect("an answer");
    let response = ListOffsetsResponse::decode(version, &mut Reader::new(&body)).expect("it can be read");
    let partition = response.topics[0].partitions[0];
    (partition.error_code, partition.offset, partition.timestamp_ms)
}

#[test]
fn the_ends_of_a_log_and_times_in_it_are_found() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    let mut client = Client::to(&cluster, 1);
    for (codec, shift_ms) in [(Codec::None, 0), (Codec::Gzip, 1000), (Codec::Lz4, 500)] {
        let later = batch_of(&["a", "b", "c"], codec, |header| {
            header.base_timestamp_ms += shift_ms;
            header.max_timestamp_ms += shift_ms;
        });
        assert_eq!(client.produce_batch("t", 0, &later).error_code, 0);
    }
    for version in 1..=7 {
        assert_eq!(list_offsets(&mut client, version, -2), (0, 0, -1), "earliest, version {version}");
        assert_eq!(list_offsets(&mut client, version, -1), (0, 9, -1), "latest, version {version}");
    }
    assert_eq!(list_offsets(&mut client, 7, 0), (0, 0, 1_000_000));
    assert_eq!(list_offsets(&mut client, 7, 1_000_002), (0, 2, 1_000_002));
    assert_eq!(list_offsets(&mut client, 7, 1_000_003), (0, 3, 1_001_000), "in a compressed batch");
    assert_eq!(list_offsets(&mut client, 7, 1_001_001), (0, 4, 1_001_001));
    assert_eq!(list_offsets(&mut client, 7, 1_001_003), (0, -1, -1), "later than all");
    assert_eq!(list_offsets(&mut client, 7, -3), (0, 5, 1_001_002), "the largest");
}
