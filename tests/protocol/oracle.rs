//! Our messages told in the types of the `kafka-protocol` crate: each field, and each version's lack of it.

use kafka_protocol::messages as k;
use kurier::protocol::messages::api_versions::{ApiRange, ApiVersionsRequest, ApiVersionsResponse};
use kurier::protocol::messages::describe_producers::*;
use kurier::protocol::messages::fetch::*;
use kurier::protocol::messages::init_producer_id::InitProducerIdRequest;
use kurier::protocol::messages::list_offsets::*;
use kurier::protocol::messages::metadata::*;
use kurier::protocol::messages::produce::*;

use crate::generate::{string, string_or_null};

pub(crate) fn api_versions_request(ours: &ApiVersionsRequest, version: i16) -> k::ApiVersionsRequest {
    let theirs = k::ApiVersionsRequest::default();
    if version < 3 {
        return theirs;
    }
    theirs
        .with_client_software_name(string(&ours.client_software_name))
        .with_client_software_version(string(&ours.client_software_version))
}

pub(crate) fn api_versions_response(ours: &ApiVersionsResponse, version: i16) -> k::ApiVersionsResponse {
    let range = |range: &ApiRange| {
        k::api_versions_response::ApiVersion::default()
            .with_api_key(range.api_key)
            .with_min_version(range.min_version)
            .with_max_version(range.max_version)
    };
    let feature = |(name, highest, lowest): &(String, i16, i16)| {
        k::api_versions_response::FinalizedFeatureKey::default()
            .with_name(string(name))
            .with_max_version_level(*highest)
            .with_min_version_level(*lowest)
    };
    let mut theirs = k::ApiVersionsResponse::default()
        .with_error_code(ours.error_code)
        .with_api_keys(ours.api_keys.iter().map(range).collect());
    if version >= 1 {
        theirs.throttle_time_ms = ours.throttle_time_ms;
    }
    if version >= 3 {
        theirs.finalized_features_epoch = ours.finalized_features_epoch;
        theirs.finalized_features = ours.finalized_features.iter().map(feature).collect();
    }
    theirs
}

pub(crate) fn metadata_request(ours: &MetadataRequest, version: i16) -> k::MetadataRequest {
    let topic = |topic: &MetadataRequestTopic| {
        let mut theirs = k::metadata_request::MetadataRequestTopic::default();
        theirs.name = string_or_null(&topic.name).map(Into::into);
        if version >= 10 {
            theirs.topic_id = topic.topic_id.to_vec().try_into().unwrap();
        }
        theirs
    };
    k::MetadataRequest::default()
        .with_topics(ours.topics.as_ref().map(|topics| topics.iter().map(topic).collect()))
        .with_allow_auto_topic_creation(ours.allow_auto_topic_creation)
}

pub(crate) fn metadata_partition(
    ours: &MetadataPartition,
    version: i16,
) -> k::metadata_response::MetadataResponsePartition {
    let nodes = |nodes: &[i32]| nodes.iter().map(|node| (*node).into()).collect::<Vec<k::BrokerId>>();
    let mut theirs = k::metadata_response::MetadataResponsePartition::default()
        .with_error_code(ours.error_code)
        .with_partition_index(ours.partition_index)
        .with_leader_id(ours.leader_id.into())
        .with_replica_nodes(nodes(&ours.replica_nodes))
        .with_isr_nodes(nodes(&ours.isr_nodes));
    if version >= 7 {
        theirs.leader_epoch = ours.leader_epoch;
    }
    if version >= 5 {
        theirs.offline_replicas = nodes(&ours.offline_replicas);
    }
    theirs
}

pub(crate) fn metadata_response(ours: &MetadataResponse, version: i16) -> k::MetadataResponse {
    let broker = |broker: &MetadataBroker| {
        k::metadata_response::MetadataResponseBroker::default()
            .with_node_id(broker.node_id.into())
            .with_host(string(&broker.host))
            .with_port(broker.port)
            .with_rack(string_or_null(&broker.rack))
    };
    let topic = |topic: &MetadataTopic| {
        let mut theirs = k::metadata_response::MetadataResponseTopic::default()
            .with_error_code(topic.error_code)
            .with_name(string_or_null(&topic.name).map(Into::into))
            .with_is_internal(topic.is_internal)
            .with_partitions(topic.partitions.iter().map(|one| metadata_partition(one, version)).collect());
        if version >= 10 {
            theirs.topic_id = topic.topic_id.to_vec().try_into().unwrap();
        }
        theirs
    };
    let mut theirs = k::MetadataResponse::default()
        .with_throttle_time_ms(ours.throttle_time_ms)
        .with_brokers(ours.brokers.iter().map(broker).collect())
        .with_cluster_id(string_or_null(&ours.cluster_id))
        .with_controller_id(ours.controller_id.into())
        .with_topics(ours.topics.iter().map(topic).collect());
    if version >= 13 {
        theirs.error_code = ours.error_code;
    }
    theirs
}

pub(crate) fn init_producer_id_request(ours: &InitProducerIdRequest, version: i16) -> k::InitProducerIdRequest {
    let mut theirs = k::InitProducerIdRequest::default()
        .with_transactional_id(string_or_null(&ours.transactional_id).map(Into::into))
        .with_transaction_timeout_ms(ours.transaction_timeout_ms);
    if version >= 3 {
        theirs.producer_id = ours.producer_id.into();
        theirs.producer_epoch = ours.producer_epoch;
    }
    theirs
}

pub(crate) fn produce_request(ours: &ProduceRequest<'_>, version: i16) -> k::ProduceRequest {
    let topic = |topic: &ProduceTopic<'_>| {
        let partition = |(index, records): &(i32, Option<&[u8]>)| {
            k::produce_request::PartitionProduceData::default()
                .with_index(*index)
                .with_records(records.map(|records| records.to_vec().into()))
        };
        let mut theirs = k::produce_request::TopicProduceData::default()
            .with_partition_data(topic.partitions.iter().map(partition).collect());
        if version >= 13 {
            theirs.topic_id = topic.topic_id.to_vec().try_into().unwrap();
        } else {
            theirs.name = string(topic.name).into();
        }
        theirs
    };
    k::ProduceRequest::default()
        .with_transactional_id(ours.transactional_id.map(|id| string(id).into()))
        .with_acks(ours.acks)
        .with_timeout_ms(ours.timeout_ms)
        .with_topic_data(ours.topics.iter().map(topic).collect())
}

pub(crate) fn produce_partition(
    ours: &ProducePartitionResponse,
    version: i16,
) -> k::produce_response::PartitionProduceResponse {
    let record_error = |(index, message): &(i32, Option<String>)| {
        k::produce_response::BatchIndexAndErrorMessage::default()
            .with_batch_index(*index)
            .with_batch_index_error_message(string_or_null(message))
    };
    let mut theirs = k::produce_response::PartitionProduceResponse::default()
        .with_index(ours.index)
        .with_error_code(ours.error_code)
        .with_base_offset(ours.base_offset)
        .with_log_append_time_ms(ours.log_append_time_ms);
    if version >= 5 {
        theirs.log_start_offset = ours.log_start_offset;
    }
    if version >= 8 {
        theirs.record_errors = ours.record_errors.iter().map(record_error).collect();
        theirs.error_message = string_or_null(&ours.error_message);
    }
    if version >= 10 {
        theirs.current_leader = k::produce_response::LeaderIdAndEpoch::default()
            .with_leader_id(ours.current_leader.0.into())
            .with_leader_epoch(ours.current_leader.1);
    }
    theirs
}

pub(crate) fn produce_response(ours: &ProduceResponse, version: i16) -> k::ProduceResponse {
    let topic = |topic: &ProduceTopicResponse| {
        let mut theirs = k::produce_response::TopicProduceResponse::default()
            .with_partition_responses(topic.partitions.iter().map(|one| produce_partition(one, version)).collect());
        if version >= 13 {
            theirs.topic_id = topic.topic_id.to_vec().try_into().unwrap();
        } else {
            theirs.name = string(&topic.name).into();
        }
        theirs
    };
    let node = |node: &NodeEndpoint| {
        k::produce_response::NodeEndpoint::default()
            .with_node_id(node.node_id.into())
            .with_host(string(&node.host))
            .with_port(node.port)
            .with_rack(string_or_null(&node.rack))
    };
    let mut theirs = k::ProduceResponse::default()
        .with_responses(ours.topics.iter().map(topic).collect())
        .with_throttle_time_ms(ours.throttle_time_ms);
    if version >= 10 {
        theirs.node_endpoints = ours.node_endpoints.iter().map(node).collect();
    }
    theirs
}

pub(crate) fn fetch_request(ours: &FetchRequest, version: i16) -> k::FetchRequest {
    let partition = |one: &FetchPartition| {
        let mut theirs = k::fetch_request::FetchPartition::default()
            .with_partition(one.index)
            .with_fetch_offset(one.fetch_offset)
            .with_partition_max_bytes(one.max_bytes);
        if version >= 5 {
            theirs.log_start_offset = one.log_start_offset;
        }
        if version >= 9 {
            theirs.current_leader_epoch = one.current_leader_epoch;
        }
        if version >= 12 {
            theirs.last_fetched_epoch = one.last_fetched_epoch;
        }
        theirs
    };
    let topic = |topic: &FetchTopic| {
        k::fetch_request::FetchTopic::default()
            .with_topic(string(&topic.name).into())
            .with_partitions(topic.partitions.iter().map(partition).collect())
    };
    let forgotten = |(name, partitions): &(String, Vec<i32>)| {
        k::fetch_request::ForgottenTopic::default().with_topic(string(name).into()).with_partitions(partitions.clone())
    };
    let mut theirs = k::FetchRequest::default()
        .with_replica_id(ours.replica_id.into())
        .with_max_wait_ms(ours.max_wait_ms)
        .with_min_bytes(ours.min_bytes)
        .with_max_bytes(ours.max_bytes)
        .with_isolation_level(ours.isolation_level)
        .with_topics(ours.topics.iter().map(topic).collect());
    if version >= 7 {
        theirs.session_id = ours.session_id;
        theirs.session_epoch = ours.session_epoch;
        theirs.forgotten_topics_data = ours.forgotten_topics.iter().map(forgotten).collect();
    }
    if version >= 11 {
        theirs.rack_id = string(&ours.rack_id);
    }
    theirs
}

pub(crate) fn fetch_response(ours: &FetchResponse<'_>, version: i16) -> k::FetchResponse {
    let aborted = |(producer_id, first_offset): &(i64, i64)| {
        k::fetch_response::AbortedTransaction::default()
            .with_producer_id((*producer_id).into())
            .with_first_offset(*first_offset)
    };
    let partition = |one: &FetchPartitionResponse<'_>| {
        let all = one.aborted_transactions.as_ref();
        let mut theirs = k::fetch_response::PartitionData::default()
            .with_partition_index(one.index)
            .with_error_code(one.error_code)
            .with_high_watermark(one.high_watermark)
            .with_last_stable_offset(one.last_stable_offset)
            .with_aborted_transactions(all.map(|all| all.iter().map(aborted).collect()))
            .with_records(one.records.map(|records| records.to_vec().into()));
        if version >= 5 {
            theirs.log_start_offset = one.log_start_offset;
        }
        if version >= 11 {
            theirs.preferred_read_replica = one.preferred_read_replica.into();
        }
        if version >= 12 {
            theirs.current_leader = k::fetch_response::LeaderIdAndEpoch::default()
                .with_leader_id(one.current_leader.0.into())
                .with_leader_epoch(one.current_leader.1);
        }
        theirs
    };
    let topic = |topic: &FetchTopicResponse<'_>| {
        k::fetch_response::FetchableTopicResponse::default()
            .with_topic(string(&topic.name).into())
            .with_partitions(topic.partitions.iter().map(partition).collect())
    };
    let mut theirs = k::FetchResponse::default()
        .with_throttle_time_ms(ours.throttle_time_ms)
        .with_responses(ours.topics.iter().map(topic).collect());
    if version >= 7 {
        theirs.error_code = ours.error_code;
        theirs.session_id = ours.session_id;
    }
    theirs
}

pub(crate) fn list_offsets_request(ours: &ListOffsetsRequest, version: i16) -> k::ListOffsetsRequest {
    let partition = |one: &ListOffsetsPartition| {
        let mut theirs = k::list_offsets_request::ListOffsetsPartition::default()
            .with_partition_index(one.index)
            .with_timestamp(one.timestamp_ms);
        if version >= 4 {
            theirs.current_leader_epoch = one.current_leader_epoch;
        }
        theirs
    };
    let topic = |topic: &ListOffsetsTopic| {
        k::list_offsets_request::ListOffsetsTopic::default()
            .with_name(string(&topic.name).into())
            .with_partitions(topic.partitions.iter().map(partition).collect())
    };
    let mut theirs = k::ListOffsetsRequest::default()
        .with_replica_id(ours.replica_id.into())
        .with_topics(ours.topics.iter().map(topic).collect());
    if version >= 2 {
        theirs.isolation_level = ours.isolation_level;
    }
    theirs
}

pub(crate) fn list_offsets_response(ours: &ListOffsetsResponse, version: i16) -> k::ListOffsetsResponse {
    let partition = |one: &ListOffsetsPartitionResponse| {
        let mut theirs = k::list_offsets_response::ListOffsetsPartitionResponse::default()
            .with_partition_index(one.index)
            .with_error_code(one.error_code)
            .with_timestamp(one.timestamp_ms)
            .with_offset(one.offset);
        if version >= 4 {
            theirs.leader_epoch = one.leader_epoch;
        }
        theirs
    };
    let topic = |topic: &ListOffsetsTopicResponse| {
        k::list_offsets_response::ListOffsetsTopicResponse::default()
            .with_name(string(&topic.name).into())
            .with_partitions(topic.partitions.iter().map(partition).collect())
    };
    let mut theirs = k::ListOffsetsResponse::default().with_topics(ours.topics.iter().map(topic).collect());
    if version >= 2 {
        theirs.throttle_time_ms = ours.throttle_time_ms;
    }
    theirs
}

pub(crate) fn describe_producers_request(ours: &DescribeProducersRequest) -> k::DescribeProducersRequest {
    let topic = |topic: &DescribeProducersTopic| {
        k::describe_producers_request::TopicRequest::default()
            .with_name(string(&topic.name).into())
            .with_partition_indexes(topic.partition_indexes.clone())
    };
    k::DescribeProducersRequest::default().with_topics(ours.topics.iter().map(topic).collect())
}

pub(crate) fn describe_producers_response(ours: &DescribeProducersResponse) -> k::DescribeProducersResponse {
    use k::describe_producers_response as theirs;
    let producer = |producer: &ProducerState| {
        theirs::ProducerState::default()
            .with_producer_id(producer.producer_id.into())
            .with_producer_epoch(producer.producer_epoch)
            .with_last_sequence(producer.last_sequence)
            .with_last_timestamp(producer.last_timestamp_ms)
            .with_coordinator_epoch(producer.coordinator_epoch)
            .with_current_txn_start_offset(producer.current_txn_start_offset)
    };
    let partition = |partition: &DescribeProducersPartitionResponse| {
        theirs::PartitionResponse::default()
            .with_partition_index(partition.partition_index)
            .with_error_code(partition.error_code)
            .with_error_message(string_or_null(&partition.error_message))
            .with_active_producers(partition.active_producers.iter().map(producer).collect())
    };
    let topic = |topic: &DescribeProducersTopicResponse| {
        theirs::TopicResponse::default()
            .with_name(string(&topic.name).into())
            .with_partitions(topic.partitions.iter().map(partition).collect())
    };
    k::DescribeProducersResponse::default()
        .with_throttle_time_ms(ours.throttle_time_ms)
        .with_topics(ours.topics.iter().map(topic).collect())
}
