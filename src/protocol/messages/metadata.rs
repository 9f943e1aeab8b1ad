//! Metadata (3), versions 4 to 13.

use super::TopicUuid;

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
