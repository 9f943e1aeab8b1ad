//! ListOffsets (2), versions 1 to 7: what the embedded cluster needs so that consumers can find the ends of a log.

use super::ApiKey;
use crate::protocol::wire::{Malformed, Reader, Writer};

/// Instead of a time: the end of the log.
pub const TIMESTAMP_LATEST: i64 = -1;
/// Instead of a time: its start.
pub const TIMESTAMP_EARLIEST: i64 = -2;
/// Instead of a time, from version 7 (KIP-734): the record with the largest timestamp.
pub const TIMESTAMP_MAX: i64 = -3;

/// Asks for offsets by time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOffsetsRequest {
    /// -1 from a consumer.
    pub replica_id: i32,
    /// From version 2: 1 for committed records only.
    pub isolation_level: i8,
    /// By topic.
    pub topics: Vec<ListOffsetsTopic>,
}

/// A topic asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOffsetsTopic {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<ListOffsetsPartition>,
}

/// A partition asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListOffsetsPartition {
    /// Its number.
    pub index: i32,
    /// From version 4; -1 if unknown.
    pub current_leader_epoch: i32,
    /// The first record that is not older, or one of the `TIMESTAMP_` constants.
    pub timestamp_ms: i64,
}

/// Offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOffsetsResponse {
    /// From version 2.
    pub throttle_time_ms: i32,
    /// By topic.
    pub topics: Vec<ListOffsetsTopicResponse>,
}

/// A topic's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOffsetsTopicResponse {
    /// Its name.
    pub name: String,
    /// By partition.
    pub partitions: Vec<ListOffsetsPartitionResponse>,
}

/// A partition's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListOffsetsPartitionResponse {
    /// Its number.
    pub index: i32,
    /// 0 or what went wrong.
    pub error_code: i16,
    /// That record's timestamp; -1 for an end of the log.
    pub timestamp_ms: i64,
    /// Its offset; -1 if there is none.
    pub offset: i64,
    /// From version 4; -1 if unknown.
    pub leader_epoch: i32,
}

impl Default for ListOffsetsPartitionResponse {
    fn default() -> Self {
        Self { index: 0, error_code: 0, timestamp_ms: -1, offset: -1, leader_epoch: -1 }
    }
}

impl ListOffsetsRequest {
    /// Writes the body.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        ApiKey::ListOffsets.begin(version, writer);
        writer.int32(self.replica_id);
        if version >= 2 {
            writer.int8(self.isolation_level);
        }
        writer.array(&self.topics, |writer, topic| {
            writer.string(&topic.name);
            writer.array(&topic.partitions, |writer, partition| {
                writer.int32(partition.index);
                if version >= 4 {
                    writer.int32(partition.current_leader_epoch);
                }
                writer.int64(partition.timestamp_ms);
                writer.no_tags();
            });
            writer.no_tags();
        });
        writer.no_tags();
    }

    /// Reads the body.
    pub fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        ApiKey::ListOffsets.open(version, reader)?;
        let mut request = Self { replica_id: reader.int32()?, ..Self::default() };
        if version >= 2 {
            request.isolation_level = reader.int8()?;
        }
        request.topics = reader.array(3, |reader| {
            let name = reader.string()?.to_owned();
            let partitions = reader.array(12, |reader| {
                let index = reader.int32()?;
                let current_leader_epoch = if version >= 4 { reader.int32()? } else { -1 };
                let timestamp_ms = reader.int64()?;
                reader.skip_tags()?;
                Ok(ListOffsetsPartition { index, current_leader_epoch, timestamp_ms })
            })?;
            reader.skip_tags()?;
            Ok(ListOffsetsTopic { name, partitions })
        })?;
        reader.skip_tags()?;
        reader.end()?;
        Ok(request)
    }
}

impl ListOffsetsResponse {
    /// Writes the body.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        ApiKey::ListOffsets.begin(version, writer);
        if version >= 2 {
            writer.int32(self.throttle_time_ms);
        }
        writer.array(&self.topics, |writer, topic| {
            writer.string(&topic.name);
            writer.array(&topic.partitions, |writer, partition| {
                writer.int32(partition.index);
                writer.int16(partition.error_code);
                writer.int64(partition.timestamp_ms);
                writer.int64(partition.offset);
                if version >= 4 {
                    writer.int32(partition.leader_epoch);
                }
                writer.no_tags();
            });
            writer.no_tags();
        });
        writer.no_tags();
    }

    /// Reads the body.
    pub fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        ApiKey::ListOffsets.open(version, reader)?;
        let mut response = Self::default();
        if version >= 2 {
            response.throttle_time_ms = reader.int32()?;
        }
        response.topics = reader.array(3, |reader| {
            let name = reader.string()?.to_owned();
            let partitions = reader.array(22, |reader| {
                let index = reader.int32()?;
                let error_code = reader.int16()?;
                let timestamp_ms = reader.int64()?;
                let offset = reader.int64()?;
                let leader_epoch = if version >= 4 { reader.int32()? } else { -1 };
                reader.skip_tags()?;
                Ok(ListOffsetsPartitionResponse { index, error_code, timestamp_ms, offset, leader_epoch })
            })?;
            reader.skip_tags()?;
            Ok(ListOffsetsTopicResponse { name, partitions })
        })?;
        reader.skip_tags()?;
        reader.end()?;
        Ok(response)
    }
}
