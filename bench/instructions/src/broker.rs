//! A broker in memory: takes requests as they are written, and answers when it is told to.

use kurier::io::Stream;
use kurier::protocol::messages::api_versions::{ApiRange, ApiVersionsResponse};
use kurier::protocol::messages::header::response_frame;
use kurier::protocol::messages::init_producer_id::InitProducerIdResponse;
use kurier::protocol::messages::metadata::{MetadataBroker, MetadataPartition, MetadataResponse, MetadataTopic};
use kurier::protocol::messages::produce::{ProducePartitionResponse, ProduceResponse, ProduceTopicResponse};
use kurier::protocol::messages::{ApiKey, TopicUuid};
use std::io::{self, IoSlice};

/// The one topic.
pub const TOPIC: &str = "counted";
const TOPIC_ID: TopicUuid = [7; 16];
/// Where it is found.
pub const HOST: &str = "broker";
pub const PORT: u16 = 9092;
const NODE: i32 = 1;

const APIS: [ApiKey; 4] = [ApiKey::Produce, ApiKey::Metadata, ApiKey::ApiVersions, ApiKey::InitProducerId];

/// A request that has no answer yet, and the records in each of its batches.
struct Asked {
    api_key: i16,
    version: i16,
    correlation_id: i32,
    records: Vec<u32>,
}

/// See the file's first line.
pub struct Broker {
    /// The next offset of each partition.
    offsets: Vec<i64>,
    asked: Vec<Asked>,
    answers: Vec<u8>,
    read: usize,
}

impl Broker {
    /// It leads so many partitions.
    pub fn new(partitions: usize) -> Self {
        Self { offsets: vec![0; partitions], asked: Vec::new(), answers: Vec::new(), read: 0 }
    }

    /// Batches of the requests that have no answer yet.
    pub fn batches(&self) -> Vec<usize> {
        self.asked.iter().map(|asked| asked.records.len()).collect()
    }

    /// Makes the answers to everything that was asked.
    pub fn answer(&mut self) {
        self.answers.drain(..self.read);
        self.read = 0;
        for asked in std::mem::take(&mut self.asked) {
            let frame = self.frame(&asked);
            self.answers.extend_from_slice(&frame);
        }
    }

    fn frame(&mut self, asked: &Asked) -> Vec<u8> {
        let (version, id) = (asked.version, asked.correlation_id);
        let frame = match ApiKey::from_number(asked.api_key) {
            Some(api @ ApiKey::ApiVersions) => response_frame(api, version, id, |version, writer| {
                let range = |api: ApiKey| {
                    let (min_version, max_version) = api.client_range().into_inner();
                    ApiRange { api_key: api as i16, min_version, max_version }
                };
                let api_keys = APIS.into_iter().map(range).collect();
                ApiVersionsResponse { api_keys, ..ApiVersionsResponse::default() }.encode(version, writer);
            }),
            Some(api @ ApiKey::InitProducerId) => response_frame(api, version, id, |version, writer| {
                let (throttle_time_ms, error_code, producer_id, producer_epoch) = (0, 0, 1000, 0);
                InitProducerIdResponse { throttle_time_ms, error_code, producer_id, producer_epoch }
                    .encode(version, writer);
            }),
            Some(api @ ApiKey::Metadata) => {
                response_frame(api, version, id, |version, writer| self.metadata().encode(version, writer))
            }
            Some(api @ ApiKey::Produce) => {
                let response = self.append(&asked.records);
                response_frame(api, version, id, |version, writer| response.encode(version, writer))
            }
            _ => panic!("nobody answers API {}", asked.api_key),
        };
        frame.expect("an answer can be written")
    }

    fn metadata(&self) -> MetadataResponse {
        let partition = |index| MetadataPartition {
            partition_index: index,
            leader_id: NODE,
            leader_epoch: 0,
            replica_nodes: vec![NODE],
            isr_nodes: vec![NODE],
            ..MetadataPartition::default()
        };
        let topic = MetadataTopic {
            name: Some(TOPIC.into()),
            topic_id: TOPIC_ID,
            partitions: (0..).take(self.offsets.len()).map(partition).collect(),
            ..MetadataTopic::default()
        };
        let broker = MetadataBroker { node_id: NODE, host: HOST.into(), port: PORT.into(), rack: None };
        MetadataResponse { brokers: vec![broker], controller_id: NODE, topics: vec![topic], ..Default::default() }
    }

    /// Every partition has one batch in the request; if there are several, all hold as many records.
    fn append(&mut self, records: &[u32]) -> ProduceResponse {
        assert_eq!(records.len(), self.offsets.len(), "a batch of every partition");
        assert!(records.iter().all(|count| Some(count) == records.first()), "in whatever order they stand");
        let partitions = (0..).zip(self.offsets.iter_mut().zip(records)).map(|(index, (offset, count))| {
            let base_offset = *offset;
            *offset += i64::from(*count);
            ProducePartitionResponse { index, base_offset, log_start_offset: 0, ..Default::default() }
        });
        let partitions = partitions.collect();
        let topic = ProduceTopicResponse { name: TOPIC.into(), topic_id: TOPIC_ID, partitions };
        ProduceResponse { topics: vec![topic], ..ProduceResponse::default() }
    }
}

impl Stream for Broker {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.answers.get(self.read..).unwrap_or_default();
        if left.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = left.len().min(into.len());
        into[..count].copy_from_slice(&left[..count]);
        self.read += count;
        Ok(count)
    }

    /// Takes a whole request: of its bytes only what an answer needs, so that little is counted here.
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let head = slices.first().and_then(|slice| slice.get(4..12)).expect("a request begins with its header");
        // A batch is the last 61 bytes of a piece, which end with its count of records, and the piece that follows.
        let batches = slices.chunks_exact(2).filter_map(|pair| pair.first()?.last_chunk::<4>().copied());
        self.asked.push(Asked {
            api_key: i16::from_be_bytes([head[0], head[1]]),
            version: i16::from_be_bytes([head[2], head[3]]),
            correlation_id: i32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            records: batches.map(u32::from_be_bytes).collect(),
        });
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }
}
