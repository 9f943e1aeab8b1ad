//! DescribeProducers (61), version 0: what the leader of a partition remembers of its producers (KIP-664).

use super::ApiKey;
use crate::protocol::wire::{Malformed, Reader, Writer};

/// Asks leaders what they remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeProducersRequest {
    /// By topic.
    pub topics: Vec<DescribeProducersTopic>,
}

/// A topic asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeProducersTopic {
    /// Its name.
    pub name: String,
    /// The numbers of its partitions.
    pub partition_indexes: Vec<i32>,
}

/// What they remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeProducersResponse {
    /// How long the broker wants to be left alone.
    pub throttle_time_ms: i32,
    /// By topic.
    pub topics: Vec<DescribeProducersTopicResponse>,
}

/// A topic's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeProducersTopicResponse {
    /// Its name.
    pub name: String,
    /// By partition.
    pub partitions: Vec<DescribeProducersPartitionResponse>,
}

/// A partition's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeProducersPartitionResponse {
    /// Its number.
    pub partition_index: i32,
    /// 0 or what went wrong.
    pub error_code: i16,
    /// More about it, if there is more.
    pub error_message: Option<String>,
    /// Every producer that wrote here and is not forgotten; a busy partition has very many.
    pub active_producers: Vec<ProducerState>,
}

/// What is remembered of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerState {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch; wider here than everywhere else.
    pub producer_epoch: i32,
    /// The sequence of its last record that was appended; -1 if there is none under this epoch.
    pub last_sequence: i32,
    /// The timestamp of its last batch; -1 if unknown.
    pub last_timestamp_ms: i64,
    /// Of the transaction coordinator that wrote its last marker; -1 without one.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins; -1 without one.
    pub current_txn_start_offset: i64,
}

impl Default for ProducerState {
    fn default() -> Self {
        Self {
            producer_id: -1,
            producer_epoch: -1,
            last_sequence: -1,
            last_timestamp_ms: -1,
            coordinator_epoch: -1,
            current_txn_start_offset: -1,
        }
    }
}

/// Bytes of the smallest topic in request and response: an empty name, an empty list and no tagged fields.
const TOPIC_BYTES_MIN: usize = 3;
/// Number, code, no message, an empty list and no tagged fields.
const PARTITION_BYTES_MIN: usize = 9;
/// Six numbers and no tagged fields.
const PRODUCER_BYTES: usize = 37;

impl DescribeProducersRequest {
    /// Writes the body.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        ApiKey::DescribeProducers.begin(version, writer);
        writer.array(&self.topics, |writer, topic| {
            writer.string(&topic.name);
            writer.array(&topic.partition_indexes, |writer, index| writer.int32(*index));
            writer.no_tags();
        });
        writer.no_tags();
    }

    /// Reads the body.
    pub fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        ApiKey::DescribeProducers.open(version, reader)?;
        let topics = reader.array(TOPIC_BYTES_MIN, |reader| {
            let name = reader.string()?.to_owned();
            let partition_indexes = reader.array(4, Reader::int32)?;
            reader.skip_tags()?;
            Ok(DescribeProducersTopic { name, partition_indexes })
        })?;
        reader.skip_tags()?;
        reader.end()?;
        Ok(Self { topics })
    }
}

impl DescribeProducersResponse {
    /// Writes the body.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        ApiKey::DescribeProducers.begin(version, writer);
        writer.int32(self.throttle_time_ms);
        writer.array(&self.topics, |writer, topic| {
            writer.string(&topic.name);
            writer.array(&topic.partitions, |writer, partition| partition.encode(writer));
            writer.no_tags();
        });
        writer.no_tags();
    }

    /// Reads the body, in the order sent. Whether it answers what was asked is not known here.
    pub fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        ApiKey::DescribeProducers.open(version, reader)?;
        let throttle_time_ms = reader.int32()?;
        let topics = reader.array(TOPIC_BYTES_MIN, |reader| {
            let name = reader.string()?.to_owned();
            let partitions = reader.array(PARTITION_BYTES_MIN, DescribeProducersPartitionResponse::decode)?;
            reader.skip_tags()?;
            Ok(DescribeProducersTopicResponse { name, partitions })
        })?;
        reader.skip_tags()?;
        reader.end()?;
        Ok(Self { throttle_time_ms, topics })
    }
}

impl DescribeProducersPartitionResponse {
    fn encode(&self, writer: &mut Writer) {
        writer.int32(self.partition_index);
        writer.int16(self.error_code);
        writer.string_or_null(self.error_message.as_deref());
        writer.array(&self.active_producers, |writer, producer| producer.encode(writer));
        writer.no_tags();
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let partition = Self {
            partition_index: reader.int32()?,
            error_code: reader.int16()?,
            error_message: reader.string_or_null()?.map(str::to_owned),
            active_producers: reader.array(PRODUCER_BYTES, ProducerState::decode)?,
        };
        reader.skip_tags()?;
        Ok(partition)
    }
}

impl ProducerState {
    fn encode(&self, writer: &mut Writer) {
        writer.int64(self.producer_id);
        writer.int32(self.producer_epoch);
        writer.int32(self.last_sequence);
        writer.int64(self.last_timestamp_ms);
        writer.int32(self.coordinator_epoch);
        writer.int64(self.current_txn_start_offset);
        writer.no_tags();
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let producer = Self {
            producer_id: reader.int64()?,
            producer_epoch: reader.int32()?,
            last_sequence: reader.int32()?,
            last_timestamp_ms: reader.int64()?,
            coordinator_epoch: reader.int32()?,
            current_txn_start_offset: reader.int64()?,
        };
        reader.skip_tags()?;
        Ok(producer)
    }
}
