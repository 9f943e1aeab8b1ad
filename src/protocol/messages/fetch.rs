//! Fetch (1), versions 4 to 12: what the embedded cluster needs so that consumers can read it back.

use super::ApiKey;
use crate::protocol::wire::{Malformed, Reader, Writer};

/// Asks for records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// -1 from a consumer.
    pub replica_id: i32,
    /// How long the broker may wait for `min_bytes`.
    pub max_wait_ms: i32,
    /// Answer as soon as there are that many.
    pub min_bytes: i32,
    /// Not many more than that in one answer.
    pub max_bytes: i32,
    /// 0: all records; 1: only those of no or of committed transactions.
    pub isolation_level: i8,
    /// From version 7 (KIP-227); 0 for none.
    pub session_id: i32,
    /// From version 7; -1 for none.
    pub session_epoch: i32,
    /// Where to read.
    pub topics: Vec<FetchTopic>,
    /// From version 7: partitions that leave the session, by topic.
    pub forgotten_topics: Vec<(String, Vec<i32>)>,
    /// From version 11.
    pub rack_id: String,
}

/// A topic to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchTopic {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<FetchPartition>,
}

/// A partition to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// Its number.
    pub index: i32,
    /// From version 9: the leader epoch that the asker knows; -1.
    pub current_leader_epoch: i32,
    /// The first offset wanted.
    pub fetch_offset: i64,
    /// From version 12; -1.
    pub last_fetched_epoch: i32,
    /// From version 5, only from followers; -1.
    pub log_start_offset: i64,
    /// Not many more bytes than that from this partition.
    pub max_bytes: i32,
}

/// Records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchResponse<'a> {
    /// How long the broker wants to be left alone.
    pub throttle_time_ms: i32,
    /// From version 7.
    pub error_code: i16,
    /// From version 7; 0: no session.
    pub session_id: i32,
    /// By topic.
    pub topics: Vec<FetchTopicResponse<'a>>,
}

/// A topic's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchTopicResponse<'a> {
    /// Its name.
    pub name: String,
    /// By partition.
    pub partitions: Vec<FetchPartitionResponse<'a>>,
}

/// A partition's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPartitionResponse<'a> {
    /// Its number.
    pub index: i32,
    /// 0 or what went wrong.
    pub error_code: i16,
    /// Everything below is replicated.
    pub high_watermark: i64,
    /// Everything below is decided; -1 if unknown.
    pub last_stable_offset: i64,
    /// From version 5; -1 if unknown.
    pub log_start_offset: i64,
    /// Aborted transactions: producer id and first offset.
    pub aborted_transactions: Option<Vec<(i64, i64)>>,
    /// From version 11: read there next; -1.
    pub preferred_read_replica: i32,
    /// From version 12, tag 1: leader id and epoch; -1, -1 if absent.
    pub current_leader: (i32, i32),
    /// Record batches.
    pub records: Option<&'a [u8]>,
}

impl Default for FetchRequest {
    /// What a consumer without a session asks.
    fn default() -> Self {
        Self {
            replica_id: -1,
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: i32::MAX,
            isolation_level: 0,
            session_id: 0,
            session_epoch: -1,
            topics: Vec::new(),
            forgotten_topics: Vec::new(),
            rack_id: String::new(),
        }
    }
}

impl Default for FetchPartition {
    fn default() -> Self {
        Self {
            index: 0,
            current_leader_epoch: -1,
            fetch_offset: 0,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            max_bytes: 0,
        }
    }
}

impl Default for FetchPartitionResponse<'_> {
    fn default() -> Self {
        Self {
            index: 0,
            error_code: 0,
            high_watermark: 0,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted_transactions: None,
            preferred_read_replica: -1,
            current_leader: (-1, -1),
            records: None,
        }
    }
}

const TAG_CURRENT_LEADER: u32 = 1;

impl FetchRequest {
    /// Writes the body.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        ApiKey::Fetch.begin(version, writer);
        writer.int32(self.replica_id);
        writer.int32(self.max_wait_ms);
        writer.int32(self.min_bytes);
        writer.int32(self.max_bytes);
        writer.int8(self.isolation_level);
        if version >= 7 {
            writer.int32(self.session_id);
            writer.int32(self.session_epoch);
        }
        writer.array(&self.topics, |writer, topic| {
            writer.string(&topic.name);
            writer.array(&topic.partitions, |writer, partition| partition.encode(version, writer));
            writer.no_tags();
        });
        if version >= 7 {
            writer.array(&self.forgotten_topics, |writer, (name, partitions)| {
                writer.string(name);
                writer.array(partitions, |writer, index| writer.int32(*index));
                writer.no_tags();
            });
        }
        if version >= 11 {
            writer.string(&self.rack_id);
        }
        writer.no_tags();
    }

    /// Reads the body.
    pub fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        ApiKey::Fetch.open(version, reader)?;
        let mut request = Self {
            replica_id: reader.int32()?,
            max_wait_ms: reader.int32()?,
            min_bytes: reader.int32()?,
            max_bytes: reader.int32()?,
            isolation_level: reader.int8()?,
            ..Self::default()
        };
        if version >= 7 {
            request.session_id = reader.int32()?;
            request.session_epoch = reader.int32()?;
        }
        request.topics = reader.array(3, |reader| {
            let name = reader.string()?.to_owned();
            let partitions = reader.array(16, |reader| FetchPartition::decode(version, reader))?;
            reader.skip_tags()?;
            Ok(FetchTopic { name, partitions })
        })?;
        if version >= 7 {
            request.forgotten_topics = reader.array(3, |reader| {
                let forgotten = (reader.string()?.to_owned(), reader.array(4, Reader::int32)?);
                reader.skip_tags()?;
                Ok(forgotten)
            })?;
        }
        if version >= 11 {
            request.rack_id = reader.string()?.to_owned();
        }
        reader.skip_tags()?;
        reader.end()?;
        Ok(request)
    }
}

impl FetchPartition {
    fn encode(&self, version: i16, writer: &mut Writer) {
        writer.int32(self.index);
        if version >= 9 {
            writer.int32(self.current_leader_epoch);
        }
        writer.int64(self.fetch_offset);
        if version >= 12 {
            writer.int32(self.last_fetched_epoch);
        }
        if version >= 5 {
            writer.int64(self.log_start_offset);
        }
        writer.int32(self.max_bytes);
        writer.no_tags();
    }

    fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut partition = Self { index: reader.int32()?, ..Self::default() };
        if version >= 9 {
            partition.current_leader_epoch = reader.int32()?;
        }
        partition.fetch_offset = reader.int64()?;
        if version >= 12 {
            partition.last_fetched_epoch = reader.int32()?;
        }
        if version >= 5 {
            partition.log_start_offset = reader.int64()?;
        }
        partition.max_bytes = reader.int32()?;
        reader.skip_tags()?;
        Ok(partition)
    }
}

impl<'a> FetchResponse<'a> {
    /// Writes the body, records copied in.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        ApiKey::Fetch.begin(version, writer);
        writer.int32(self.throttle_time_ms);
        if version >= 7 {
            writer.int16(self.error_code);
            writer.int32(self.session_id);
        }
        writer.array(&self.topics, |writer, topic| {
            writer.string(&topic.name);
            writer.array(&topic.partitions, |writer, partition| partition.encode(version, writer));
            writer.no_tags();
        });
        writer.no_tags();
    }

    /// Reads the body; the records stay where they are, unchecked.
    pub fn decode(version: i16, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        ApiKey::Fetch.open(version, reader)?;
        let mut response = Self { throttle_time_ms: reader.int32()?, ..Self::default() };
        if version >= 7 {
            response.error_code = reader.int16()?;
            response.session_id = reader.int32()?;
        }
        response.topics = reader.array(3, |reader| {
            let name = reader.string()?.to_owned();
            let partitions = reader.array(24, |reader| FetchPartitionResponse::decode(version, reader))?;
            reader.skip_tags()?;
            Ok(FetchTopicResponse { name, partitions })
        })?;
        reader.skip_tags()?;
        reader.end()?;
        Ok(response)
    }
}

impl<'a> FetchPartitionResponse<'a> {
    fn encode(&self, version: i16, writer: &mut Writer) {
        writer.int32(self.index);
        writer.int16(self.error_code);
        writer.int64(self.high_watermark);
        writer.int64(self.last_stable_offset);
        if version >= 5 {
            writer.int64(self.log_start_offset);
        }
        writer.array_or_null(self.aborted_transactions.as_deref(), |writer, (producer_id, first_offset)| {
            writer.int64(*producer_id);
            writer.int64(*first_offset);
            writer.no_tags();
        });
        if version >= 11 {
            writer.int32(self.preferred_read_replica);
        }
        writer.bytes_or_null(self.records);
        if self.current_leader == (-1, -1) {
            return writer.no_tags();
        }
        let leader = writer.tag_content(|writer| {
            writer.int32(self.current_leader.0);
            writer.int32(self.current_leader.1);
            writer.no_tags();
        });
        writer.tags(&[(TAG_CURRENT_LEADER, &leader)]);
    }

    fn decode(version: i16, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut partition = Self {
            index: reader.int32()?,
            error_code: reader.int16()?,
            high_watermark: reader.int64()?,
            last_stable_offset: reader.int64()?,
            ..Self::default()
        };
        if version >= 5 {
            partition.log_start_offset = reader.int64()?;
        }
        partition.aborted_transactions = reader.array_or_null(16, |reader| {
            let aborted = (reader.int64()?, reader.int64()?);
            reader.skip_tags()?;
            Ok(aborted)
        })?;
        if version >= 11 {
            partition.preferred_read_replica = reader.int32()?;
        }
        partition.records = reader.bytes_or_null()?;
        reader.tags(|tag, field| {
            if tag != TAG_CURRENT_LEADER {
                return Ok(false);
            }
            partition.current_leader = (field.int32()?, field.int32()?);
            field.skip_tags()?;
            Ok(true)
        })?;
        Ok(partition)
    }
}
