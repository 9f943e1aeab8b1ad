//! A client of the model in a few lines: it sends what it is told and reads one answer at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use kurier::protocol::batch_header::{BatchHeader, LEN_COUNTED, seal_crc};
use kurier::protocol::messages::ApiKey;
use kurier::protocol::messages::header::{decode_response_header, request_frame};
use kurier::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use kurier::protocol::messages::produce::{ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopic};
use kurier::protocol::record::{RecordBody, encode, record_bytes};
use kurier::protocol::wire::{Reader, Writer};
use kurier::time::Time;

use crate::cluster::{Cluster, Output, Profile, Stored};
use crate::random::Random;

/// A batch to be: producer id, epoch, first sequence, number of records, and what tells its content from another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) id: i64,
    pub(super) epoch: i16,
    pub(super) first: i32,
    pub(super) count: i32,
    pub(super) mark: i64,
}

/// `count` records from sequence `first` of producer 7, epoch 0.
pub(super) fn spec(first: i32, count: i32) -> Spec {
    Spec { id: 7, epoch: 0, first, count, mark: 0 }
}

/// The batch in its wire form.
pub(super) fn batch(spec: Spec) -> Vec<u8> {
    let mut payload = Vec::new();
    for index in 0..spec.count as u32 {
        let value = format!("{}.{}.{}.{}.{index}", spec.mark, spec.id, spec.epoch, spec.first);
        let body = RecordBody { key: None, value: Some(value.as_bytes()), headers: &[] };
        let mut record = vec![0; record_bytes(body.fixed_bytes(), i64::from(index), index)];
        encode(&body, body.fixed_bytes(), i64::from(index), index, &mut record);
        payload.extend_from_slice(&record);
    }
    let header = BatchHeader {
        batch_length: (LEN_COUNTED + payload.len()) as i32,
        last_offset_delta: spec.count - 1,
        base_timestamp_ms: 1_000,
        max_timestamp_ms: 1_000 + i64::from(spec.count) - 1,
        producer_id: spec.id,
        producer_epoch: spec.epoch,
        base_sequence: spec.first,
        records_count: spec.count,
        ..BatchHeader::default()
    };
    let mut bytes = header.encode();
    seal_crc(&mut bytes, &payload).unwrap();
    let mut whole = bytes.to_vec();
    whole.extend_from_slice(&payload);
    whole
}

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// A cluster and who talks to it.
pub(super) struct Peer {
    pub(super) cluster: Cluster,
    pub(super) now: Time,
    pub(super) version: i16,
    pub(super) acks: i16,
    pub(super) timeout_ms: i32,
    /// From version 13.
    pub(super) topic_id: [u8; 16],
    connections: u64,
    correlation_id: i32,
    inbox: BTreeMap<u64, Vec<u8>>,
    pub(super) closed: Vec<u64>,
}

impl Peer {
    pub(super) fn new(profile: Profile) -> Self {
        Self::with_seed(profile, 1)
    }

    pub(super) fn with_seed(profile: Profile, seed: u64) -> Self {
        let mut peer = Self {
            version: *profile.release.range(0).unwrap().end().min(&12),
            cluster: Cluster::new(profile, Random::new(seed).fork()),
            now: Time::ZERO,
            acks: -1,
            timeout_ms: 1_000,
            topic_id: [0; 16],
            connections: 0,
            correlation_id: 0,
            inbox: BTreeMap::new(),
            closed: Vec::new(),
        };
        peer.pass(SECOND);
        peer
    }

    pub(super) fn connect(&mut self, node: i32) -> u64 {
        self.connections += 1;
        assert!(self.cluster.accept(node, self.connections, self.now), "{node} refuses");
        self.connections
    }

    /// Lets time go by.
    pub(super) fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        self.cluster.advance(self.now);
        self.collect();
    }

    fn collect(&mut self) {
        for (connection, output) in self.cluster.take_output() {
            match output {
                Output::Bytes(bytes) => self.inbox.entry(connection).or_default().extend(bytes),
                Output::Close => self.closed.push(connection),
            }
        }
    }

    pub(super) fn request(&mut self, api: ApiKey, version: i16, body: impl FnOnce(i16, &mut Writer)) -> Vec<u8> {
        self.correlation_id += 1;
        request_frame(api, version, self.correlation_id, Some("peer"), body).unwrap()
    }

    pub(super) fn raw(&mut self, connection: u64, bytes: &[u8]) {
        self.cluster.receive(connection, bytes, self.now);
        self.collect();
    }

    /// Sends batches, one per partition of topic "t".
    pub(super) fn send(&mut self, connection: u64, batches: &[(i32, Spec)]) {
        let bytes: Vec<(i32, Vec<u8>)> = batches.iter().map(|(index, spec)| (*index, batch(*spec))).collect();
        let partitions = bytes.iter().map(|(index, bytes)| (*index, Some(bytes.as_slice()))).collect();
        let topic = ProduceTopic { name: "t", topic_id: self.topic_id, partitions };
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.acks,
            timeout_ms: self.timeout_ms,
            topics: vec![topic],
        };
        let version = self.version;
        let frame = self.request(ApiKey::Produce, version, |version, writer| request.encode(version, writer));
        self.raw(connection, &frame);
    }

    /// The next frame of a connection, waited for until `patience` is over.
    pub(super) fn frame_within(&mut self, connection: u64, patience: Duration) -> Option<Vec<u8>> {
        let until = self.now + patience;
        loop {
            let inbox = self.inbox.entry(connection).or_default();
            if let Some(prefix) = inbox.first_chunk::<4>() {
                let length = i32::from_be_bytes(*prefix) as usize;
                if inbox.len() >= 4 + length {
                    let frame = inbox[4..4 + length].to_vec();
                    inbox.drain(..4 + length);
                    return Some(frame);
                }
            }
            let next = self.cluster.next();
            if next > until {
                self.now = until;
                self.cluster.advance(until);
                self.collect();
                return None;
            }
            self.now = self.now.max(next);
            self.cluster.advance(self.now);
            self.collect();
        }
    }

    pub(super) fn answer_within(&mut self, connection: u64, patience: Duration) -> Option<ProduceResponse> {
        let frame = self.frame_within(connection, patience)?;
        let mut reader = Reader::new(&frame);
        decode_response_header(ApiKey::Produce, self.version, &mut reader).unwrap();
        Some(ProduceResponse::decode(self.version, &mut reader).unwrap())
    }

    /// The first partition of the next answer.
    pub(super) fn answer(&mut self, connection: u64) -> ProducePartitionResponse {
        let response = self.answer_within(connection, 100 * SECOND).expect("an answer");
        response.topics[0].partitions[0].clone()
    }

    /// Sends one batch to partition 0 and gives code and offset of the answer.
    pub(super) fn store(&mut self, connection: u64, spec: Spec) -> (i16, i64) {
        self.send(connection, &[(0, spec)]);
        let answer = self.answer(connection);
        (answer.error_code, answer.base_offset)
    }

    pub(super) fn metadata(&mut self, node: i32) -> MetadataResponse {
        let connection = self.connect(node);
        let asked = MetadataRequestTopic { topic_id: [0; 16], name: Some("t".to_owned()) };
        let request = MetadataRequest { topics: Some(vec![asked]), allow_auto_topic_creation: true };
        let frame = self.request(ApiKey::Metadata, 7, |version, writer| request.encode(version, writer));
        self.raw(connection, &frame);
        let frame = self.frame_within(connection, SECOND).unwrap();
        self.cluster.close(connection, self.now);
        let mut reader = Reader::new(&frame);
        decode_response_header(ApiKey::Metadata, 7, &mut reader).unwrap();
        MetadataResponse::decode(7, &mut reader).unwrap()
    }

    /// Who leads partition 0, by what this node knows.
    pub(super) fn leader_by(&mut self, node: i32) -> i32 {
        self.metadata(node).topics[0].partitions.first().map_or(-1, |partition| partition.leader_id)
    }

    pub(super) fn leader(&self) -> i32 {
        self.cluster.controller.image.topics["t"].partitions[0].leader
    }

    pub(super) fn other(&self) -> i32 {
        let leader = self.leader();
        let replicas = &self.cluster.controller.image.topics["t"].partitions[0].replicas;
        *replicas.iter().find(|node| **node != leader).unwrap()
    }

    /// The committed log of partition 0.
    pub(super) fn records(&self) -> Vec<Stored> {
        self.cluster.log("t", 0)
    }

    /// First sequences of the batches in the committed log of partition 0.
    pub(super) fn log(&self) -> Vec<i32> {
        let mut firsts: Vec<(u64, i32)> = Vec::new();
        for record in self.records() {
            if firsts.last().is_none_or(|(batch, _)| *batch != record.batch) {
                firsts.push((record.batch, record.sequence));
            }
        }
        firsts.into_iter().map(|(_, first)| first).collect()
    }
}
