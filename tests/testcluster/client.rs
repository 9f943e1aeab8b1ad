//! A client that says exactly what it is told to.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use kurier::protocol::batch_header::{BatchHeader, LEN_COUNTED, seal_crc};
use kurier::protocol::compression::{Codec, Compressor};
use kurier::protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use kurier::protocol::messages::header::{decode_response_header, request_frame};
use kurier::protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use kurier::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataTopic};
use kurier::protocol::messages::produce::{ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopic};
use kurier::protocol::messages::{ApiKey, TopicUuid};
use kurier::protocol::record::{Header, RecordBody, encode, record_bytes};
use kurier::protocol::wire::{Reader, Writer};
use kurier::testcluster::Cluster;

/// So long an answer may take on a busy machine before a test says that none came.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster, or the test is over.
pub(crate) fn cluster(brokers: i32) -> Cluster {
    Cluster::start(brokers).expect("a cluster starts")
}

/// Gives a command that must be taken.
pub(crate) fn command(cluster: &Cluster, text: &str) {
    cluster.command(text).unwrap_or_else(|error| panic!("`{text}`: {error}"));
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    next_id: i32,
}

impl Client {
    /// To a broker by its number.
    pub(crate) fn to(cluster: &Cluster, broker: usize) -> Self {
        let address = cluster.address();
        let address = address.split(',').nth(broker - 1).expect("there is that broker");
        Self::new(TcpStream::connect(address).expect("the broker accepts"))
    }

    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, next_id: 1 }
    }

    /// Sends a request and gives its correlation id.
    pub(crate) fn send(&mut self, api: ApiKey, version: i16, body: impl FnOnce(i16, &mut Writer)) -> i32 {
        let id = self.next_id;
        self.next_id += 1;
        let frame = request_frame(api, version, id, Some("test"), body).expect("it has a wire form");
        self.stream.write_all(&frame).expect("it is sent");
        id
    }

    /// The next frame without its length, `None` if the connection is closed.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        if let Err(error) = self.stream.read_exact(&mut length) {
            assert!(
                !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
                "neither an answer nor the end of the connection"
            );
            return None;
        }
        let length = usize::try_from(i32::from_be_bytes(length)).expect("a length");
        let mut frame = vec![0; length];
        self.stream.read_exact(&mut frame).ok()?;
        Some(frame)
    }

    /// The body of the next answer, which must be to that request.
    pub(crate) fn body(&mut self, api: ApiKey, version: i16, id: i32) -> Option<Vec<u8>> {
        let frame = self.receive()?;
        let mut reader = Reader::new(&frame);
        assert_eq!(decode_response_header(api, version, &mut reader), Ok(id));
        Some(frame[frame.len() - reader.remaining()..].to_vec())
    }

    fn call<T>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: impl FnOnce(i16, &mut Writer),
        decode: impl FnOnce(i16, &mut Reader<'_>) -> Result<T, kurier::protocol::wire::Malformed>,
    ) -> Option<T> {
        let id = self.send(api, version, request);
        let body = self.body(api, version, id)?;
        Some(decode(version, &mut Reader::new(&body)).expect("the answer can be read"))
    }

    pub(crate) fn api_versions(&mut self, version: i16) -> ApiVersionsResponse {
        let request = ApiVersionsRequest { client_software_name: "test".into(), client_software_version: "1.0".into() };
        let encode = |version: i16, writer: &mut Writer| request.encode(version, writer);
        self.call(ApiKey::ApiVersions, version, encode, ApiVersionsResponse::decode).expect("an answer")
    }

    pub(crate) fn init_producer_id(&mut self, version: i16) -> InitProducerIdResponse {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            producer_id: -1,
            producer_epoch: -1,
        };
        let encode = |version: i16, writer: &mut Writer| request.encode(version, writer);
        self.call(ApiKey::InitProducerId, version, encode, InitProducerIdResponse::decode).expect("an answer")
    }

    pub(crate) fn metadata(&mut self, version: i16, request: &MetadataRequest) -> MetadataResponse {
        let encode = |version: i16, writer: &mut Writer| request.encode(version, writer);
        self.call(ApiKey::Metadata, version, encode, MetadataResponse::decode).expect("an answer")
    }

    /// Metadata of one topic by name, created if it is missing.
    pub(crate) fn topic(&mut self, name: &str) -> MetadataTopic {
        let topic = MetadataRequestTopic { topic_id: [0; 16], name: Some(name.into()) };
        let request = MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: true };
        let response = self.metadata(12, &request);
        assert_eq!(response.topics.len(), 1);
        response.topics.into_iter().next().expect("one topic")
    }

    pub(crate) fn produce(&mut self, version: i16, request: &ProduceRequest<'_>) -> Option<ProduceResponse> {
        let encode = |version: i16, writer: &mut Writer| request.encode(version, writer);
        self.call(ApiKey::Produce, version, encode, ProduceResponse::decode)
    }

    /// Sends one batch and does not wait.
    pub(crate) fn send_batch(&mut self, topic: &str, partition: i32, batch: &[u8]) -> i32 {
        let request = produce_request(topic, partition, batch, -1);
        self.send(ApiKey::Produce, 9, |version, writer| request.encode(version, writer))
    }

    /// The answer to [`Self::send_batch`], `None` if the connection is closed.
    pub(crate) fn batch_answer(&mut self, id: i32) -> Option<ProducePartitionResponse> {
        let body = self.body(ApiKey::Produce, 9, id)?;
        let response = ProduceResponse::decode(9, &mut Reader::new(&body)).expect("the answer can be read");
        Some(only(response))
    }

    /// One batch to one partition.
    pub(crate) fn produce_batch(&mut self, topic: &str, partition: i32, batch: &[u8]) -> ProducePartitionResponse {
        let id = self.send_batch(topic, partition, batch);
        self.batch_answer(id).expect("an answer")
    }

    /// Whether the broker closed the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.receive().is_none()
    }
}

pub(crate) fn produce_request<'a>(topic: &'a str, partition: i32, batch: &'a [u8], acks: i16) -> ProduceRequest<'a> {
    by_name_or_id(topic, [0; 16], partition, batch, acks)
}

pub(crate) fn by_name_or_id<'a>(
    name: &'a str,
    topic_id: TopicUuid,
    partition: i32,
    batch: &'a [u8],
    acks: i16,
) -> ProduceRequest<'a> {
    let topic = ProduceTopic { name, topic_id, partitions: vec![(partition, Some(batch))] };
    ProduceRequest { transactional_id: None, acks, timeout_ms: 30_000, topics: vec![topic] }
}

/// The only partition of an answer.
pub(crate) fn only(response: ProduceResponse) -> ProducePartitionResponse {
    assert_eq!(response.topics.len(), 1);
    assert_eq!(response.topics[0].partitions.len(), 1);
    response.topics.into_iter().next().and_then(|topic| topic.partitions.into_iter().next()).expect("one partition")
}

/// A batch of one record per value, the key being its number, without producer id.
pub(crate) fn batch(values: &[&str]) -> Vec<u8> {
    batch_of(values, Codec::None, |_| {})
}

/// The same of a producer.
pub(crate) fn batch_from(producer_id: i64, epoch: i16, sequence: i32, values: &[&str]) -> Vec<u8> {
    batch_of(values, Codec::None, |header| {
        (header.producer_id, header.producer_epoch, header.base_sequence) = (producer_id, epoch, sequence);
    })
}

/// The same with a codec, and a header that may be changed before the checksum is made.
pub(crate) fn batch_of(values: &[&str], codec: Codec, change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let mut records = Vec::new();
    for (number, value) in values.iter().enumerate() {
        let key = number.to_string();
        let headers = [Header { name: b"h", value: Some(b"1") }, Header { name: b"h", value: None }];
        let body = RecordBody { key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &headers };
        let fixed = body.fixed_bytes();
        let from = records.len();
        records.resize(from + record_bytes(fixed, number as i64, number as u32), 0);
        encode(&body, fixed, number as i64, number as u32, &mut records[from..]);
    }
    let mut payload = Vec::new();
    Compressor::new().compress(codec, codec.default_level(), &records, &mut payload).expect("it compresses");
    let mut header = BatchHeader {
        batch_length: (LEN_COUNTED + payload.len()) as i32,
        attributes: codec as i16,
        last_offset_delta: values.len() as i32 - 1,
        base_timestamp_ms: 1_000_000,
        max_timestamp_ms: 1_000_000 + values.len() as i64 - 1,
        records_count: values.len() as i32,
        ..BatchHeader::default()
    };
    change(&mut header);
    let mut bytes = header.encode().to_vec();
    seal_crc(&mut bytes, &payload).expect("a header");
    bytes.extend_from_slice(&payload);
    bytes
}
