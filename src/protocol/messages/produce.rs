//! Produce (0), versions 3 to 13.

use super::TopicUuid;

/// A produce request, decoded (the embedded cluster's side). The client writes it around batches that stay
/// where they are, with [`ProduceWriter`].
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
