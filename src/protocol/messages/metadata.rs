//! Metadata (3), versions 4 to 13.

use super::{ApiKey, TopicUuid};
use crate::protocol::wire::{Malformed, Reader, Writer};

/// Asks for brokers and for the topics named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataRequest {
    /// `None`: all topics. An empty list: brokers only.
    pub topics: Option<Vec<MetadataRequestTopic>>,
    /// May the brokers create what is missing.
    pub allow_auto_topic_creation: bool,
}

/// A topic asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataRequestTopic {
    /// From version 10; zeros when asked by name.
    pub topic_id: TopicUuid,
    /// `None` only from version 12, with an id.
    pub name: Option<String>,
}

/// The cluster as this broker sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataResponse {
    /// From version 3.
    pub throttle_time_ms: i32,
    /// All live brokers.
    pub brokers: Vec<MetadataBroker>,
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// -1 if none.
    pub controller_id: i32,
    /// The topics asked for.
    pub topics: Vec<MetadataTopic>,
    /// Version 13: REBOOTSTRAP_REQUIRED (129) or 0.
    pub error_code: i16,
}

/// A broker's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataBroker {
    /// Its number.
    pub node_id: i32,
    /// Name or address.
    pub host: String,
    /// TCP port, as it was sent: nothing has checked it.
    pub port: i32,
    /// Its rack.
    pub rack: Option<String>,
}

/// A topic's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataTopic {
    /// 0 or why there is no more to say.
    pub error_code: i16,
    /// `None` only from version 12, asked by an unknown id.
    pub name: Option<String>,
    /// From version 10.
    pub topic_id: TopicUuid,
    /// One of the brokers' own.
    pub is_internal: bool,
    /// In the order sent: nothing has sorted or checked them.
    pub partitions: Vec<MetadataPartition>,
}

/// A partition's leader and replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataPartition {
    /// 0, or 5 (LEADER_NOT_AVAILABLE), …
    pub error_code: i16,
    /// Its number.
    pub partition_index: i32,
    /// -1 if there is none.
    pub leader_id: i32,
    /// From version 7; -1 below.
    pub leader_epoch: i32,
    /// All replicas.
    pub replica_nodes: Vec<i32>,
    /// Those in sync.
    pub isr_nodes: Vec<i32>,
    /// From version 5.
    pub offline_replicas: Vec<i32>,
}

/// What a broker writes where it was not asked for authorized operations (KIP-430). We never ask.
const OPERATIONS_NOT_ASKED: i32 = i32::MIN;

/// Do requests and responses of this version have the cluster's authorized operations? Only 8 to 10 do.
fn has_cluster_operations(version: i16) -> bool {
    (8..=10).contains(&version)
}

impl MetadataRequest {
    /// Writes the body.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        ApiKey::Metadata.begin(version, writer);
        writer.array_or_null(self.topics.as_deref(), |writer, topic| {
            if version >= 10 {
                writer.raw(&topic.topic_id);
            } else if topic.name.is_none() {
                writer.fail("a topic without a name below version 10");
            }
            writer.string_or_null(topic.name.as_deref());
            writer.no_tags();
        });
        writer.boolean(self.allow_auto_topic_creation);
        if has_cluster_operations(version) {
            writer.boolean(false);
        }
        if version >= 8 {
            writer.boolean(false);
        }
        writer.no_tags();
    }

    /// Reads the body.
    pub fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        ApiKey::Metadata.open(version, reader)?;
        let topics = reader.array_or_null(2, |reader| {
            let mut topic = MetadataRequestTopic::default();
            if version >= 10 {
                topic.topic_id = reader.uuid()?;
            }
            topic.name = reader.string_or_null()?.map(str::to_owned);
            if topic.name.is_none() && version < 10 {
                return Err(Malformed("null where a string must be"));
            }
            reader.skip_tags()?;
            Ok(topic)
        })?;
        let request = Self { topics, allow_auto_topic_creation: reader.boolean()? };
        if has_cluster_operations(version) {
            reader.boolean()?;
        }
        if version >= 8 {
            reader.boolean()?;
        }
        reader.skip_tags()?;
        reader.end()?;
        Ok(request)
    }
}

impl MetadataResponse {
    /// Writes the body.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        ApiKey::Metadata.begin(version, writer);
        writer.int32(self.throttle_time_ms);
        writer.array(&self.brokers, |writer, broker| {
            writer.int32(broker.node_id);
            writer.string(&broker.host);
            writer.int32(broker.port);
            writer.string_or_null(broker.rack.as_deref());
            writer.no_tags();
        });
        writer.string_or_null(self.cluster_id.as_deref());
        writer.int32(self.controller_id);
        writer.array(&self.topics, |writer, topic| topic.encode(version, writer));
        if has_cluster_operations(version) {
            writer.int32(OPERATIONS_NOT_ASKED);
        }
        if version >= 13 {
            writer.int16(self.error_code);
        }
        writer.no_tags();
    }

    /// Reads the body.
    pub fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        ApiKey::Metadata.open(version, reader)?;
        let mut response = Self { throttle_time_ms: reader.int32()?, ..Self::default() };
        response.brokers = reader.array(11, |reader| {
            let broker = MetadataBroker {
                node_id: reader.int32()?,
                host: reader.string()?.to_owned(),
                port: reader.int32()?,
                rack: reader.string_or_null()?.map(str::to_owned),
            };
            reader.skip_tags()?;
            Ok(broker)
        })?;
        response.cluster_id = reader.string_or_null()?.map(str::to_owned);
        response.controller_id = reader.int32()?;
        response.topics = reader.array(9, |reader| MetadataTopic::decode(version, reader))?;
        if has_cluster_operations(version) {
            reader.int32()?;
        }
        if version >= 13 {
            response.error_code = reader.int16()?;
        }
        reader.skip_tags()?;
        reader.end()?;
        Ok(response)
    }
}

impl MetadataTopic {
    fn encode(&self, version: i16, writer: &mut Writer) {
        writer.int16(self.error_code);
        if self.name.is_none() && version < 12 {
            writer.fail("a topic without a name below version 12");
        }
        writer.string_or_null(self.name.as_deref());
        if version >= 10 {
            writer.raw(&self.topic_id);
        }
        writer.boolean(self.is_internal);
        writer.array(&self.partitions, |writer, partition| partition.encode(version, writer));
        if version >= 8 {
            writer.int32(OPERATIONS_NOT_ASKED);
        }
        writer.no_tags();
    }

    fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut topic =
            Self { error_code: reader.int16()?, name: reader.string_or_null()?.map(str::to_owned), ..Self::default() };
        if topic.name.is_none() && version < 12 {
            return Err(Malformed("null where a string must be"));
        }
        if version >= 10 {
            topic.topic_id = reader.uuid()?;
        }
        topic.is_internal = reader.boolean()?;
        topic.partitions = reader.array(13, |reader| MetadataPartition::decode(version, reader))?;
        if version >= 8 {
            reader.int32()?;
        }
        reader.skip_tags()?;
        Ok(topic)
    }
}

impl MetadataPartition {
    fn encode(&self, version: i16, writer: &mut Writer) {
        writer.int16(self.error_code);
        writer.int32(self.partition_index);
        writer.int32(self.leader_id);
        if version >= 7 {
            writer.int32(self.leader_epoch);
        }
        writer.array(&self.replica_nodes, |writer, node| writer.int32(*node));
        writer.array(&self.isr_nodes, |writer, node| writer.int32(*node));
        if version >= 5 {
            writer.array(&self.offline_replicas, |writer, node| writer.int32(*node));
        }
        writer.no_tags();
    }

    fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut partition = Self {
            error_code: reader.int16()?,
            partition_index: reader.int32()?,
            leader_id: reader.int32()?,
            leader_epoch: -1,
            ..Self::default()
        };
        if version >= 7 {
            partition.leader_epoch = reader.int32()?;
        }
        partition.replica_nodes = reader.array(4, Reader::int32)?;
        partition.isr_nodes = reader.array(4, Reader::int32)?;
        if version >= 5 {
            partition.offline_replicas = reader.array(4, Reader::int32)?;
        }
        reader.skip_tags()?;
        Ok(partition)
    }
}
