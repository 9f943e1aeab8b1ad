//! Clients that lie: their connection is closed, the others go on.

use std::io::Write;

use kurier::protocol::messages::ApiKey;
use kurier::protocol::messages::header::request_frame;
use kurier::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use kurier::protocol::messages::produce::{ProduceRequest, ProduceTopic};

use crate::client::{Client, batch, cluster, command, produce_request};

/// A generator whose seed is in the test.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn impossible_lengths_unknown_apis_and_versions_close_the_connection() {
    let cluster = cluster(1);
    let mut closing: Vec<Vec<u8>> = [-1, i32::MIN, i32::MAX, (128 << 20) + 1]
        .into_iter()
        .map(|length: i32| length.to_be_bytes().to_vec())
        .collect();
    closing.push(vec![0, 0, 0, 0]);
    closing.push(vec![0, 0, 0, 3, 0, 0, 0]);
    closing.push(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec());
    for (api, version) in [(9999i16, 0i16), (0, 2), (0, 14), (0, -1), (3, 99), (10, 1)] {
        let mut frame = vec![0, 0, 0, 12];
        frame.extend_from_slice(&api.to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&[0, 0, 0, 1, 255, 255, 0, 0]);
        closing.push(frame);
    }
    for bytes in closing {
        let mut client = Client::to(&cluster, 1);
        client.stream.write_all(&bytes).expect("sent");
        client.stream.shutdown(std::net::Shutdown::Write).expect("no more");
        assert!(client.is_closed(), "{bytes:?}");
    }
    assert_eq!(Client::to(&cluster, 1).api_versions(3).error_code, 0);
}

#[test]
fn a_produce_request_with_any_byte_changed_or_cut_never_ends_the_cluster() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    let one = batch(&["value"]);
    let request = produce_request("t", 0, &one, -1);
    for version in [3, 9, 13] {
        let frame =
            request_frame(ApiKey::Produce, version, 1, Some("c"), |v, w| request.encode(v, w)).expect("a frame");
        let mut noise = Noise(0x5eed_0000 + version as u64);
        for _ in 0..400 {
            let mut bytes = frame.clone();
            let count = 1 + noise.next() % 3;
            for _ in 0..count {
                let place = 4 + noise.next() as usize % (bytes.len() - 4);
                bytes[place] = noise.next() as u8;
            }
            if noise.next().is_multiple_of(4) {
                bytes.truncate(4 + noise.next() as usize % (bytes.len() - 4));
                let length = bytes.len() as i32 - 4;
                bytes[..4].copy_from_slice(&length.to_be_bytes());
            }
            let mut client = Client::to(&cluster, 1);
            client.stream.write_all(&bytes).expect("sent");
            // An answer or the end; acks may have become 0, so do not wait for more.
            client.stream.shutdown(std::net::Shutdown::Write).expect("no more");
            client.receive();
        }
    }
    assert_eq!(Client::to(&cluster, 1).produce_batch("t", 0, &one).error_code, 0, "the broker lives");
    for record in cluster.records("t") {
        assert_eq!(record.value.as_deref(), Some(b"value".as_slice()), "nothing that was changed is in the log");
    }
}

#[test]
fn requests_that_would_cost_a_multiple_of_their_size_close_the_connection() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    let topics = vec![ProduceTopic { name: "t", topic_id: [0; 16], partitions: vec![(0, None); 100_001] }];
    let request = ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 1, topics };
    assert!(Client::to(&cluster, 1).produce(9, &request).is_none());
    let wanted = MetadataRequestTopic { topic_id: [0; 16], name: Some("x".repeat(100)) };
    let request = MetadataRequest { topics: Some(vec![wanted; 50_000]), allow_auto_topic_creation: true };
    let mut client = Client::to(&cluster, 1);
    client.send(ApiKey::Metadata, 9, |version, writer| request.encode(version, writer));
    assert!(client.is_closed());
    assert_eq!((cluster.requests(ApiKey::Metadata), cluster.leaders("x")), (0, vec![]));
    assert_eq!(Client::to(&cluster, 1).api_versions(3).error_code, 0);
}

#[test]
fn random_bytes_never_end_the_cluster() {
    let cluster = cluster(1);
    command(&cluster, "create t 1");
    let mut noise = Noise(0x5eed);
    for round in 0..600 {
        let length = noise.next() as usize % 200;
        let mut bytes = (length as i32).to_be_bytes().to_vec();
        bytes.extend((0..length).map(|_| noise.next() as u8));
        let apis = [0i16, 1, 2, 3, 18, 22];
        if length >= 4 {
            // A header that is good enough to get to the body.
            let api = apis[round % apis.len()];
            bytes[4..6].copy_from_slice(&api.to_be_bytes());
            bytes[6..8].copy_from_slice(&((noise.next() % 14) as i16).to_be_bytes());
        }
        if length >= 10 {
            bytes[12..14].copy_from_slice(&(-1i16).to_be_bytes());
        }
        let mut client = Client::to(&cluster, 1);
        client.stream.write_all(&bytes).expect("sent");
        client.stream.shutdown(std::net::Shutdown::Write).expect("no more");
        client.receive();
    }
    assert_eq!(Client::to(&cluster, 1).produce_batch("t", 0, &batch(&["a"])).error_code, 0);
}
