//! Produce (0), versions 3 to 13.

use super::{ApiKey, TopicUuid};
use crate::protocol::wire::{Malformed, Reader, Writer};

/// A produce request, decoded (the embedded cluster's side). The client writes it around batches that stay
/// where they are, with
/// [`ProduceWriter`](super::produce_writer::ProduceWriter).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceRequest<'a> {
    /// `None` outside transactions.
    pub transactional_id: Option<&'a str>,
    /// 0, 1 or -1.
    pub acks: i16,
    /// How long the broker may wait for its replicas.
    pub timeout_ms: i32,
    /// Topics with their batches.
    pub topics: Vec<ProduceTopic<'a>>,
}

/// A topic of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceTopic<'a> {
    /// Below version 13.
    pub name: &'a str,
    /// From version 13.
    pub topic_id: TopicUuid,
    /// Partition number and record batch.
    pub partitions: Vec<(i32, Option<&'a [u8]>)>,
}

/// A broker's answer to a produce request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceResponse {
    /// By topic.
    pub topics: Vec<ProduceTopicResponse>,
    /// How long the broker wants to be left alone.
    pub throttle_time_ms: i32,
    /// From version 10, tag 0 (KIP-951).
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// A topic's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceTopicResponse {
    /// Below version 13.
    pub name: String,
    /// From version 13.
    pub topic_id: TopicUuid,
    /// By partition.
    pub partitions: Vec<ProducePartitionResponse>,
}

/// A batch's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducePartitionResponse {
    /// Partition number.
    pub index: i32,
    /// 0 or what went wrong.
    pub error_code: i16,
    /// Offset of the first record, -1 if unknown.
    pub base_offset: i64,
    /// -1: the records' own timestamps stand; else it replaces every record's.
    pub log_append_time_ms: i64,
    /// From version 5; -1.
    pub log_start_offset: i64,
    /// From version 8 (KIP-467): index in the batch and message.
    pub record_errors: Vec<(i32, Option<String>)>,
    /// From version 8.
    pub error_message: Option<String>,
    /// From version 10, tag 0 (KIP-951): leader id and epoch; -1, -1 if absent.
    pub current_leader: (i32, i32),
}

/// Where a leader can be reached (KIP-951).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// Its number.
    pub node_id: i32,
    /// Name or address.
    pub host: String,
    /// TCP port, unchecked.
    pub port: i32,
    /// Its rack.
    pub rack: Option<String>,
}

/// Bytes of the smallest topic in request and response: an empty name, an empty list and no tagged fields.
const TOPIC_BYTES_MIN: usize = 3;
const TAG_CURRENT_LEADER: u32 = 0;
const TAG_NODE_ENDPOINTS: u32 = 0;

fn encode_topic_key(version: i16, name: &str, topic_id: TopicUuid, writer: &mut Writer) {
    if version >= 13 { writer.raw(&topic_id) } else { writer.string(name) }
}

fn decode_topic_key<'a>(version: i16, reader: &mut Reader<'a>) -> Result<(&'a str, TopicUuid), Malformed> {
    if version >= 13 { Ok(("", reader.uuid()?)) } else { Ok((reader.string()?, TopicUuid::default())) }
}

impl<'a> ProduceRequest<'a> {
    /// Writes the body, batches copied in.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        ApiKey::Produce.begin(version, writer);
        writer.string_or_null(self.transactional_id);
        writer.int16(self.acks);
        writer.int32(self.timeout_ms);
        writer.array(&self.topics, |writer, topic| {
            encode_topic_key(version, topic.name, topic.topic_id, writer);
            writer.array(&topic.partitions, |writer, (index, records)| {
                writer.int32(*index);
                writer.bytes_or_null(*records);
                writer.no_tags();
            });
            writer.no_tags();
        });
        writer.no_tags();
    }

    /// Reads the body; the batches stay where they are, unchecked.
    pub fn decode(version: i16, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        ApiKey::Produce.open(version, reader)?;
        let mut request = Self {
            transactional_id: reader.string_or_null()?,
            acks: reader.int16()?,
            timeout_ms: reader.int32()?,
            topics: Vec::new(),
        };
        request.topics = reader.array(TOPIC_BYTES_MIN, |reader| {
            let (name, topic_id) = decode_topic_key(version, reader)?;
            let partitions = reader.array(5, |reader| {
                let partition = (reader.int32()?, reader.bytes_or_null()?);
                reader.skip_tags()?;
                Ok(partition)
            })?;
            reader.skip_tags()?;
            Ok(ProduceTopic { name, topic_id, partitions })
        })?;
        reader.skip_tags()?;
        reader.end()?;
        Ok(request)
    }
}

impl Default for ProducePartitionResponse {
    /// A success of which nothing is known.
    fn default() -> Self {
        Self {
            index: 0,
            error_code: 0,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: Vec::new(),
            error_message: None,
            current_leader: (-1, -1),
        }
    }
}

impl ProduceResponse {
    /// Writes the body.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        ApiKey::Produce.begin(version, writer);
        writer.array(&self.topics, |writer, topic| {
            encode_topic_key(version, &topic.name, topic.topic_id, writer);
            writer.array(&topic.partitions, |writer, partition| partition.encode(version, writer));
            writer.no_tags();
        });
        writer.int32(self.throttle_time_ms);
        let endpoints =
            writer.tag_content(|writer| writer.array(&self.node_endpoints, |writer, node| node.encode(writer)));
        if version >= 10 && !self.node_endpoints.is_empty() {
            writer.tags(&[(TAG_NODE_ENDPOINTS, &endpoints)]);
        } else {
            writer.no_tags();
        }
    }

    /// Reads the body, in the order sent. Whether it answers what was asked is not known here.
    pub fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        ApiKey::Produce.open(version, reader)?;
        let topics = reader.array(TOPIC_BYTES_MIN, |reader| {
            let (name, topic_id) = decode_topic_key(version, reader)?;
            let name = name.to_owned();
            let partitions = reader.array(22, |reader| ProducePartitionResponse::decode(version, reader))?;
            reader.skip_tags()?;
            Ok(ProduceTopicResponse { name, topic_id, partitions })
        })?;
        let mut response = Self { topics, throttle_time_ms: reader.int32()?, node_endpoints: Vec::new() };
        reader.tags(|tag, field| {
            if tag != TAG_NODE_ENDPOINTS || version < 10 {
                return Ok(false);
            }
            response.node_endpoints = field.array(11, NodeEndpoint::decode)?;
            Ok(true)
        })?;
        reader.end()?;
        Ok(response)
    }
}

impl ProducePartitionResponse {
    fn encode(&self, version: i16, writer: &mut Writer) {
        writer.int32(self.index);
        writer.int16(self.error_code);
        writer.int64(self.base_offset);
        writer.int64(self.log_append_time_ms);
        if version >= 5 {
            writer.int64(self.log_start_offset);
        }
        if version >= 8 {
            writer.array(&self.record_errors, |writer, (index, message)| {
                writer.int32(*index);
                writer.string_or_null(message.as_deref());
                writer.no_tags();
            });
            writer.string_or_null(self.error_message.as_deref());
        }
        if version >= 10 && self.current_leader != (-1, -1) {
            let leader = writer.tag_content(|writer| {
                writer.int32(self.current_leader.0);
                writer.int32(self.current_leader.1);
                writer.no_tags();
            });
            writer.tags(&[(TAG_CURRENT_LEADER, &leader)]);
        } else {
            writer.no_tags();
        }
    }

    fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut partition = Self {
            index: reader.int32()?,
            error_code: reader.int16()?,
            base_offset: reader.int64()?,
            log_append_time_ms: reader.int64()?,
            ..Self::default()
        };
        if version >= 5 {
            partition.log_start_offset = reader.int64()?;
        }
        if version >= 8 {
            partition.record_errors = reader.array(5, |reader| {
                let error = (reader.int32()?, reader.string_or_null()?.map(str::to_owned));
                reader.skip_tags()?;
                Ok(error)
            })?;
            partition.error_message = reader.string_or_null()?.map(str::to_owned);
        }
        reader.tags(|tag, field| {
            if tag != TAG_CURRENT_LEADER || version < 10 {
                return Ok(false);
            }
            partition.current_leader = (field.int32()?, field.int32()?);
            field.skip_tags()?;
            Ok(true)
        })?;
        Ok(partition)
    }
}

impl NodeEndpoint {
    fn encode(&self, writer: &mut Writer) {
        writer.int32(self.node_id);
        writer.string(&self.host);
        writer.int32(self.port);
        writer.string_or_null(self.rack.as_deref());
        writer.no_tags();
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let node = Self {
            node_id: reader.int32()?,
            host: reader.string()?.to_owned(),
            port: reader.int32()?,
            rack: reader.string_or_null()?.map(str::to_owned),
        };
        reader.skip_tags()?;
        Ok(node)
    }
}
