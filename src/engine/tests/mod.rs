//! A rig with virtual time around the engine: it connects, answers handshakes, metadata and producer ids by
//! itself, and leaves produce requests to the tests.

mod handshake;
mod inquiry;
mod leaders;
mod lifecycle;
mod model;
mod produce;
mod random;
mod recovery;
mod scenarios;
mod sent;
mod sequence;
mod units;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::protocol::batch_header::{batches, seal_crc};
use crate::protocol::messages::ApiKey;
use crate::protocol::messages::TopicUuid;
use crate::protocol::messages::api_versions::{ApiRange, ApiVersionsResponse};
use crate::protocol::messages::header::{RequestHeader, encode_response_header};
use crate::protocol::messages::init_producer_id::InitProducerIdResponse;
use crate::protocol::messages::metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
};
use crate::protocol::messages::produce::{
    ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopicResponse,
};
use crate::protocol::wire::{Reader, Writer};

use sent::{Sent, SentPart, read};

pub(super) const BOOT: ConnectionNumber = ConnectionNumber::BOOTSTRAP;

/// Records `first .. first + records` of a partition's numbering.
#[derive(Clone, Debug)]
pub(super) struct TestBatch {
    pub(super) first: u64,
    pub(super) records: u32,
    pub(super) bytes: usize,
    pub(super) opened: Time,
    pub(super) codec: i16,
    pub(super) prepared: Arc<AtomicBool>,
}

impl Parcel for TestBatch {
    fn records(&self) -> u32 {
        self.records
    }
    /// What is not compressed yet is four times as large.
    fn payload_bytes(&self) -> usize {
        if self.is_prepared() { self.bytes } else { 4 * self.bytes }
    }
    fn is_prepared(&self) -> bool {
        self.prepared.load(Ordering::Relaxed)
    }
    fn codec(&self) -> i16 {
        self.codec
    }
    fn base_timestamp_ms(&self) -> i64 {
        1_000
    }
    fn max_timestamp_ms(&self) -> i64 {
        2_000
    }
    fn opened(&self) -> Time {
        self.opened
    }
}

/// Id, error, and leaders with epochs.
type KnownTopic = (TopicUuid, i16, Vec<(i32, i32)>);

pub(super) struct Rig {
    pub(super) engine: Engine<TestBatch>,
    pub(super) now: Time,
    /// Fates by topic partition and first record.
    pub(super) fates: BTreeMap<(u32, u64), Vec<(u32, Fate)>>,
    pub(super) logs: Vec<String>,
    pub(super) splits: VecDeque<(PartitionNumber, TestBatch)>,
    pub(super) errors: Vec<(TopicNumber, Error)>,
    pub(super) partitions: BTreeMap<u32, Vec<PartitionNumber>>,
    pub(super) leaders: BTreeMap<u32, ConnectionNumber>,
    pub(super) connections: BTreeSet<ConnectionNumber>,
    pub(super) released: usize,
    pub(super) closed: Vec<(ConnectionNumber, Error)>,
    pub(super) attempts: Vec<(ConnectionNumber, String, u16, Time)>,
    /// Unanswered produce requests.
    pub(super) wire: BTreeMap<ConnectionNumber, VecDeque<Sent>>,
    /// Produce requests that were out when the engine had a connection closed.
    pub(super) lost: Vec<(ConnectionNumber, Sent)>,
    /// Unanswered other requests, if `is_manual`.
    pub(super) asked: BTreeMap<ConnectionNumber, VecDeque<Sent>>,
    pub(super) is_manual: bool,
    /// Requests stay unwritten.
    pub(super) is_stuck: bool,
    pub(super) broken: BTreeSet<ConnectionNumber>,
    pub(super) versions: Vec<ApiRange>,
    pub(super) brokers: BTreeMap<i32, i32>,
    /// By name.
    pub(super) topics: BTreeMap<String, KnownTopic>,
    pub(super) metadata_count: usize,
    pub(super) identity: (i64, i16),
    pub(super) numbers: BTreeMap<u32, u64>,
    pub(super) records: BTreeMap<u32, u64>,
}

pub(super) fn range(api: ApiKey, min_version: i16, max_version: i16) -> ApiRange {
    ApiRange { api_key: api as i16, min_version, max_version }
}

pub(super) fn config() -> EngineConfig {
    let patience_min = Duration::from_secs(60);
    let bootstrap = vec![("boot".into(), 9092)];
    EngineConfig { bootstrap, client_id: "test".into(), patience_min, ..EngineConfig::default() }
}

impl Rig {
    pub(super) fn new(config: EngineConfig) -> Self {
        Self {
            engine: Engine::new(config, 1),
            now: Time(1_000_000_000),
            fates: BTreeMap::new(),
            logs: Vec::new(),
            splits: VecDeque::new(),
            errors: Vec::new(),
            partitions: BTreeMap::new(),
            leaders: BTreeMap::new(),
            connections: BTreeSet::from([BOOT]),
            released: 0,
            closed: Vec::new(),
            attempts: Vec::new(),
            wire: BTreeMap::new(),
            lost: Vec::new(),
            asked: BTreeMap::new(),
            is_manual: false,
            is_stuck: false,
            broken: BTreeSet::new(),
            versions: vec![
                range(ApiKey::Produce, 0, 12),
                range(ApiKey::Metadata, 0, 13),
                range(ApiKey::ApiVersions, 0, 4),
                range(ApiKey::InitProducerId, 0, 5),
            ],
            brokers: BTreeMap::from([(1, 9001), (2, 9002)]),
            topics: BTreeMap::new(),
            metadata_count: 0,
            identity: (4000, 0),
            numbers: BTreeMap::new(),
            records: BTreeMap::new(),
        }
    }

    /// Topic 0, named "t", whose partitions have these leaders, known and connected.
    pub(super) fn up(config: EngineConfig, leaders: &[i32]) -> Self {
        Self::new(config).start(leaders)
    }

    pub(super) fn start(self, leaders: &[i32]) -> Self {
        let mut rig = self;
        rig.topics.insert("t".into(), ([9; 16], 0, leaders.iter().map(|leader| (*leader, 0)).collect()));
        rig.engine.add_topic(TopicNumber(0), "t", rig.now);
        rig.pump();
        assert_eq!(rig.partitions[&0].len(), leaders.len());
        rig
    }

    pub(super) fn partition(&self, index: usize) -> PartitionNumber {
        self.partitions[&0][index]
    }

    /// From the next metadata on, another broker leads it.
    pub(super) fn elect(&mut self, index: usize, leader: i32, epoch: i32) {
        self.topics.get_mut("t").unwrap().2[index] = (leader, epoch);
    }

    pub(super) fn connection(&self, index: usize) -> ConnectionNumber {
        self.leaders[&self.partition(index).0]
    }

    /// A batch of `records`, handed in and sent if it may go. Its first record's number comes back.
    pub(super) fn send(&mut self, index: usize, records: u32) -> u64 {
        let batch = self.batch(index, records);
        let first = batch.first;
        self.hand_in(index, batch);
        self.pump();
        first
    }

    pub(super) fn batch(&mut self, index: usize, records: u32) -> TestBatch {
        let number = self.partition(index).0;
        let next = self.records.entry(number).or_default();
        let first = *next;
        *next += u64::from(records);
        TestBatch {
            first,
            records,
            bytes: 10 * records as usize,
            opened: self.now,
            codec: 0,
            prepared: Arc::new(AtomicBool::new(true)),
        }
    }

    pub(super) fn hand_in(&mut self, index: usize, batch: TestBatch) {
        let partition = self.partition(index);
        let number = self.numbers.entry(partition.0).or_default();
        *number += 1;
        self.engine.handle_batch(partition, *number - 1, batch, self.now);
    }

    pub(super) fn drain(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Fate(partition, batch, fate) => {
                    self.fates.entry((partition.0, batch.first)).or_default().push((batch.records, fate));
                }
                Action::Released(_) => self.released += 1,
                Action::Unprepare(batch) => batch.prepared.store(false, Ordering::Relaxed),
                Action::Split(partition, batch) => self.splits.push_back((partition, batch)),
                Action::Start(connection) => assert!(self.connections.insert(connection)),
                Action::Wake(_) | Action::Finished => {}
                Action::Leader(partition, connection) => {
                    self.leaders.insert(partition.0, connection);
                }
                Action::Partitions(topic, partitions) => {
                    for partition in &partitions {
                        self.leaders.entry(partition.0).or_insert(BOOT);
                    }
                    self.partitions.insert(topic.0, partitions);
                }
                Action::TopicError(topic, error) => self.errors.push((topic, error)),
                Action::Log(Level::Debug, _) => {}
                Action::Log(_, line) => self.logs.push(line),
            }
        }
    }

    /// Lets every connection do what it can without time passing.
    pub(super) fn pump(&mut self) {
        for round in 0.. {
            assert!(round < 1_000, "the engine does not come to rest");
            self.drain();
            let mut is_quiet = true;
            for connection in self.connections.clone() {
                is_quiet &= !self.step(connection);
            }
            if is_quiet {
                return self.drain();
            }
        }
    }

    fn step(&mut self, connection: ConnectionNumber) -> bool {
        if let Some(reason) = self.engine.poll_close(connection, self.now) {
            self.closed.push((connection, reason));
            let lost = self.disconnect(connection);
            self.lost.extend(lost.into_iter().map(|sent| (connection, sent)));
            return true;
        }
        if let Connect::To { host, port, .. } = self.engine.poll_connect(connection, self.now) {
            self.attempts.push((connection, host, port, self.now));
            if self.broken.contains(&connection) {
                self.engine.handle_connect_failed(connection, "refused", self.now);
            } else {
                self.engine.handle_connected(connection, self.now);
            }
            return true;
        }
        match self.engine.poll_transmit(connection, self.now) {
            None => false,
            Some(Transmit::Prepare(raw)) => {
                for batch in raw {
                    batch.prepared.store(true, Ordering::Relaxed);
                }
                true
            }
            Some(Transmit::Request(request)) => {
                let sent = read(&request);
                if !self.is_stuck {
                    self.engine.handle_written(connection, request.correlation_id, self.now);
                }
                if sent.api == ApiKey::Produce {
                    if self.engine.config.acks != 0 {
                        self.wire.entry(connection).or_default().push_back(sent);
                    }
                } else if self.is_manual || sent.api == ApiKey::DescribeProducers {
                    self.asked.entry(connection).or_default().push_back(sent);
                } else {
                    self.serve(connection, &sent);
                }
                true
            }
        }
    }

    /// The connection breaks: what was on it is gone.
    pub(super) fn disconnect(&mut self, connection: ConnectionNumber) -> Vec<Sent> {
        self.engine.handle_disconnected(connection, "reset", self.now);
        self.asked.remove(&connection);
        self.wire.remove(&connection).unwrap_or_default().into()
    }

    /// Answers what is not produced.
    pub(super) fn serve(&mut self, connection: ConnectionNumber, sent: &Sent) {
        let mut reader = Reader::new(&sent.body);
        match sent.api {
            ApiKey::ApiVersions => {
                let response = ApiVersionsResponse { api_keys: self.versions.clone(), ..Default::default() };
                self.reply(connection, sent, |version, writer| response.encode(version, writer));
            }
            ApiKey::Metadata => {
                self.metadata_count += 1;
                let request = MetadataRequest::decode(sent.version, &mut reader).unwrap();
                let names = request.topics.unwrap().into_iter().map(|topic| topic.name.unwrap());
                let response = self.metadata(names.collect());
                self.reply(connection, sent, |version, writer| response.encode(version, writer));
            }
            ApiKey::InitProducerId => {
                let (producer_id, producer_epoch) = self.identity;
                self.identity.0 += 1;
                let response = InitProducerIdResponse { producer_id, producer_epoch, ..Default::default() };
                self.reply(connection, sent, |version, writer| response.encode(version, writer));
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn metadata(&self, names: Vec<String>) -> MetadataResponse {
        let brokers = self.brokers.iter().map(|(node, port)| MetadataBroker {
            node_id: *node,
            host: format!("host{node}"),
            port: *port,
            rack: None,
        });
        let topics = names.into_iter().map(|name| {
            let (topic_id, error_code, leaders) = self.topics.get(&name).cloned().unwrap_or(([0; 16], 3, Vec::new()));
            let partitions = leaders.iter().enumerate().map(|(index, (leader, epoch))| MetadataPartition {
                error_code: if *leader < 0 { 5 } else { 0 },
                partition_index: index as i32,
                leader_id: *leader,
                leader_epoch: *epoch,
                ..Default::default()
            });
            MetadataTopic {
                error_code,
                name: Some(name),
                topic_id,
                partitions: partitions.collect(),
                ..Default::default()
            }
        });
        MetadataResponse { brokers: brokers.collect(), topics: topics.collect(), ..Default::default() }
    }

    pub(super) fn reply(&mut self, connection: ConnectionNumber, sent: &Sent, encode: impl FnOnce(i16, &mut Writer)) {
        let mut writer = Writer::new();
        encode_response_header(sent.api, sent.version, sent.correlation_id, &mut writer);
        encode(sent.version, &mut writer);
        let frame = writer.finish().unwrap();
        if let Err(reason) = self.engine.handle_frame(connection, &frame, self.now) {
            assert_eq!(self.engine.poll_close(connection, self.now), Some(reason));
        }
        self.drain();
    }

    /// Answers the oldest produce request of a connection: each part gets what `answer` says.
    pub(super) fn answer_with(
        &mut self,
        connection: ConnectionNumber,
        throttle_time_ms: i32,
        answer: impl Fn(&SentPart) -> ProducePartitionResponse,
    ) -> Sent {
        let sent = self.wire.get_mut(&connection).and_then(VecDeque::pop_front).expect("a produce request");
        let topics = sent.parts.iter().map(|part| ProduceTopicResponse {
            name: part.topic.clone(),
            topic_id: part.topic_id,
            partitions: vec![ProducePartitionResponse { index: part.index, ..answer(part) }],
        });
        let response = ProduceResponse { topics: topics.collect(), throttle_time_ms, node_endpoints: Vec::new() };
        self.reply(connection, &sent, |version, writer| response.encode(version, writer));
        self.pump();
        sent
    }

    /// Answers the oldest produce request with this code for every part (success: offset = record number).
    pub(super) fn answer(&mut self, connection: ConnectionNumber, error_code: i16) -> Sent {
        self.answer_with(connection, 0, |part| ProducePartitionResponse {
            error_code,
            base_offset: if error_code == 0 { part.first as i64 } else { -1 },
            log_start_offset: 0,
            ..Default::default()
        })
    }

    /// First records of the produce requests out on a connection.
    pub(super) fn out(&self, connection: ConnectionNumber) -> Vec<u64> {
        self.wire.get(&connection).into_iter().flatten().flat_map(Sent::firsts).collect()
    }

    /// (epoch, sequence) of the batches out on a connection.
    pub(super) fn stamps(&self, connection: ConnectionNumber) -> Vec<(i16, i32)> {
        let parts = self.wire.get(&connection).into_iter().flatten().flat_map(|sent| &sent.parts);
        parts.map(|part| (part.epoch, part.sequence)).collect()
    }

    /// Lets time pass, waking at every deadline the engine names.
    pub(super) fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        for round in 0.. {
            assert!(round < 100_000, "the engine spins at {:?}", self.now);
            self.pump();
            let next = self.connections.iter().map(|number| self.engine.poll_timeout(*number)).min().unwrap();
            assert!(next > self.now, "a deadline in the past would make a thread spin");
            self.now = next.min(end);
            if next >= end {
                break;
            }
        }
        self.pump();
    }

    pub(super) fn fate(&self, index: usize, first: u64) -> Option<&Fate> {
        let fates = self.fates.get(&(self.partition(index).0, first))?;
        assert_eq!(fates.len(), 1, "more than one fate");
        Some(&fates[0].1)
    }

    /// Code, broker code and outcome of a batch's fate.
    pub(super) fn end(&self, index: usize, first: u64) -> (Code, i16, Outcome) {
        let fate = self.fate(index, first).expect("no fate");
        (fate.code, fate.broker_code, fate.outcome)
    }
}
