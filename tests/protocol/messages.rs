//! Each message in each version, byte for byte as the `kafka-protocol` crate writes it, and read as it reads it.

use std::collections::BTreeMap;
use std::fmt::Debug;

use kafka_protocol::messages as k;
use kafka_protocol::protocol::{Decodable, Encodable};
use kurier::protocol::messages::ApiKey;
use kurier::protocol::messages::api_versions::{ApiRange, ApiVersionsRequest, ApiVersionsResponse};
use kurier::protocol::messages::fetch::*;
use kurier::protocol::messages::header::*;
use kurier::protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use kurier::protocol::messages::list_offsets::*;
use kurier::protocol::messages::metadata::*;
use kurier::protocol::messages::produce::*;
use kurier::protocol::wire::{Malformed, Reader, Writer};
use proptest::prelude::*;

use crate::generate::*;
use crate::oracle::*;

/// Our bytes are `theirs`; what we read from them, told in their types by `reread`, is what they read.
pub(crate) fn agree<K: Encodable + Decodable + PartialEq + Debug>(
    version: i16,
    encode: impl FnOnce(i16, &mut Writer),
    theirs: K,
    reread: impl Fn(&mut Reader<'_>) -> Result<K, Malformed>,
) {
    let mut writer = Writer::new();
    encode(version, &mut writer);
    let ours = writer.finish().unwrap();
    let mut expected = Vec::new();
    theirs.encode(&mut expected, version).unwrap();
    assert_eq!(ours, expected, "version {version}: {theirs:?}");
    let read = K::decode(&mut expected.as_slice(), version).unwrap();
    assert_eq!(reread(&mut Reader::new(&ours)), Ok(read), "version {version}");
}

pub(crate) fn each_version(api: ApiKey, check: impl Fn(i16)) {
    api.client_range().for_each(check);
}

/// Five numbers, record errors, message and leader of a partition's answer.
type ProducePartition = ((i32, i16, i64, i64, i64), Vec<(i32, Option<String>)>, Option<String>, (i32, i32));

proptest! {
    // Each case goes through every version.
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn api_versions(
        request in (text(), text()),
        numbers in any::<(i16, i32)>(),
        epoch in prop_oneof![Just(-1), any::<i64>()],
        ranges in list(any::<(i16, i16, i16)>()),
        finalized_features in list((text(), any::<i16>(), any::<i16>())),
    ) {
        let request = ApiVersionsRequest { client_software_name: request.0, client_software_version: request.1 };
        let range = |(api_key, min_version, max_version)| ApiRange { api_key, min_version, max_version };
        let response = ApiVersionsResponse {
            error_code: numbers.0,
            api_keys: ranges.into_iter().map(range).collect(),
            throttle_time_ms: numbers.1,
            finalized_features_epoch: epoch,
            finalized_features,
        };
        each_version(ApiKey::ApiVersions, |version| {
            agree(version, |v, w| request.encode(v, w), api_versions_request(&request, version), |reader| {
                Ok(api_versions_request(&ApiVersionsRequest::decode(version, reader)?, version))
            });
            agree(version, |v, w| response.encode(v, w), api_versions_response(&response, version), |reader| {
                Ok(api_versions_response(&ApiVersionsResponse::decode(version, reader)?, version))
            });
        });
    }

    #[test]
    fn metadata_requests(
        topics in proptest::option::of(list((id(), text_or_null()))),
        allow_auto_topic_creation: bool,
    ) {
        each_version(ApiKey::Metadata, |version| {
            let topic = |(topic_id, name): &([u8; 16], Option<String>)| MetadataRequestTopic {
                topic_id: *topic_id,
                name: if version < 10 { Some(name.clone().unwrap_or_default()) } else { name.clone() },
            };
            let topics = topics.as_ref().map(|topics| topics.iter().map(topic).collect());
            let request = MetadataRequest { topics, allow_auto_topic_creation };
            agree(version, |v, w| request.encode(v, w), metadata_request(&request, version), |reader| {
                Ok(metadata_request(&MetadataRequest::decode(version, reader)?, version))
            });
        });
    }

    #[test]
    fn metadata_responses(
        numbers in any::<(i32, i32, i16)>(),
        cluster_id in text_or_null(),
        brokers in list((any::<i32>(), text(), any::<i32>(), text_or_null())),
        topics in list((any::<(i16, bool)>(), text_or_null(), id(), list((
            any::<(i16, i32, i32, i32)>(), list(any::<i32>()), list(any::<i32>()), list(any::<i32>()),
        )))),
    ) {
        let brokers: Vec<_> = brokers
            .into_iter()
            .map(|(node_id, host, port, rack)| MetadataBroker { node_id, host, port, rack })
            .collect();
        each_version(ApiKey::Metadata, |version| {
            let topics = topics.iter().cloned().map(|(numbers, name, topic_id, partitions)| MetadataTopic {
                error_code: numbers.0,
                name: if version < 12 { Some(name.unwrap_or_default()) } else { name },
                topic_id,
                is_internal: numbers.1,
                partitions: partitions.into_iter().map(|(numbers, replica_nodes, isr_nodes, offline_replicas)| {
                    MetadataPartition {
                        error_code: numbers.0,
                        partition_index: numbers.1,
                        leader_id: numbers.2,
                        leader_epoch: numbers.3,
                        replica_nodes,
                        isr_nodes,
                        offline_replicas,
                    }
                }).collect(),
            }).collect();
            let response = MetadataResponse {
                throttle_time_ms: numbers.0,
                brokers: brokers.clone(),
                cluster_id: cluster_id.clone(),
                controller_id: numbers.1,
                topics,
                error_code: numbers.2,
            };
            agree(version, |v, w| response.encode(v, w), metadata_response(&response, version), |reader| {
                Ok(metadata_response(&MetadataResponse::decode(version, reader)?, version))
            });
        });
    }

    #[test]
    fn init_producer_id(
        transactional_id in text_or_null(),
        request in any::<(i32, i64, i16)>(),
        response in any::<(i32, i16, i64, i16)>(),
    ) {
        let request = InitProducerIdRequest {
            transactional_id,
            transaction_timeout_ms: request.0,
            producer_id: request.1,
            producer_epoch: request.2,
        };
        let response = InitProducerIdResponse {
            throttle_time_ms: response.0,
            error_code: response.1,
            producer_id: response.2,
            producer_epoch: response.3,
        };
        let theirs = |ours: &InitProducerIdResponse| k::InitProducerIdResponse::default()
            .with_throttle_time_ms(ours.throttle_time_ms)
            .with_error_code(ours.error_code)
            .with_producer_id(ours.producer_id.into())
            .with_producer_epoch(ours.producer_epoch);
        each_version(ApiKey::InitProducerId, |version| {
            agree(version, |v, w| request.encode(v, w), init_producer_id_request(&request, version), |reader| {
                Ok(init_producer_id_request(&InitProducerIdRequest::decode(version, reader)?, version))
            });
            agree(version, |v, w| response.encode(v, w), theirs(&response), |reader| {
                Ok(theirs(&InitProducerIdResponse::decode(version, reader)?))
            });
        });
    }

    #[test]
    fn produce_requests(
        transactional_id in text_or_null(),
        numbers in any::<(i16, i32)>(),
        topics in list((text(), id(), list((any::<i32>(), proptest::option::of(bytes()))))),
    ) {
        let topics = topics.iter().map(|(name, topic_id, partitions)| ProduceTopic {
            name,
            topic_id: *topic_id,
            partitions: partitions.iter().map(|(index, records)| (*index, records.as_deref())).collect(),
        }).collect();
        let request = ProduceRequest {
            transactional_id: transactional_id.as_deref(),
            acks: numbers.0,
            timeout_ms: numbers.1,
            topics,
        };
        each_version(ApiKey::Produce, |version| {
            agree(version, |v, w| request.encode(v, w), produce_request(&request, version), |reader| {
                Ok(produce_request(&ProduceRequest::decode(version, reader)?, version))
            });
        });
    }

    #[test]
    fn produce_responses(
        throttle_time_ms: i32,
        nodes in list((any::<i32>(), text(), any::<i32>(), text_or_null())),
        topics in list((text(), id(), list((
            any::<(i32, i16, i64, i64, i64)>(), list((any::<i32>(), text_or_null())), text_or_null(),
            prop_oneof![Just((-1, -1)), any::<(i32, i32)>()],
        )))),
    ) {
        let partition = |(numbers, record_errors, error_message, current_leader): ProducePartition| {
            ProducePartitionResponse {
            index: numbers.0,
            error_code: numbers.1,
            base_offset: numbers.2,
            log_append_time_ms: numbers.3,
            log_start_offset: numbers.4,
            record_errors,
            error_message,
            current_leader,
            }
        };
        let response = ProduceResponse {
            topics: topics.into_iter().map(|(name, topic_id, partitions)| ProduceTopicResponse {
                name,
                topic_id,
                partitions: partitions.into_iter().map(partition).collect(),
            }).collect(),
            throttle_time_ms,
            node_endpoints: nodes.into_iter()
                .map(|(node_id, host, port, rack)| NodeEndpoint { node_id, host, port, rack }).collect(),
        };
        each_version(ApiKey::Produce, |version| {
            agree(version, |v, w| response.encode(v, w), produce_response(&response, version), |reader| {
                Ok(produce_response(&ProduceResponse::decode(version, reader)?, version))
            });
        });
    }

    #[test]
    fn fetch_requests(
        numbers in any::<(i32, i32, i32, i32, i8, i32, i32)>(),
        topics in list((text(), list(any::<(i32, i32, i64, i32, i64, i32)>()))),
        forgotten_topics in list((text(), list(any::<i32>()))),
        rack_id in text(),
    ) {
        let partition = |numbers: (i32, i32, i64, i32, i64, i32)| FetchPartition {
            index: numbers.0,
            current_leader_epoch: numbers.1,
            fetch_offset: numbers.2,
            last_fetched_epoch: numbers.3,
            log_start_offset: numbers.4,
            max_bytes: numbers.5,
        };
        let request = FetchRequest {
            replica_id: numbers.0,
            max_wait_ms: numbers.1,
            min_bytes: numbers.2,
            max_bytes: numbers.3,
            isolation_level: numbers.4,
            session_id: numbers.5,
            session_epoch: numbers.6,
            topics: topics.into_iter().map(|(name, partitions)| FetchTopic {
                name,
                partitions: partitions.into_iter().map(partition).collect(),
            }).collect(),
            forgotten_topics,
            rack_id,
        };
        each_version(ApiKey::Fetch, |version| {
            // The last epoch cannot be left out below version 12, says the message definition.
            let mut request = request.clone();
            if version < 12 {
                for partition in request.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                    partition.last_fetched_epoch = -1;
                }
            }
            agree(version, |v, w| request.encode(v, w), fetch_request(&request, version), |reader| {
                Ok(fetch_request(&FetchRequest::decode(version, reader)?, version))
            });
        });
    }

    #[test]
    fn fetch_responses(
        numbers in any::<(i32, i16, i32)>(),
        topics in list((text(), list((
            any::<(i32, i16, i64, i64, i64, i32)>(), proptest::option::of(list(any::<(i64, i64)>())),
            prop_oneof![Just((-1, -1)), any::<(i32, i32)>()], proptest::option::of(bytes()),
        )))),
    ) {
        let topics = topics.iter().map(|(name, partitions)| FetchTopicResponse {
            name: name.clone(),
            partitions: partitions.iter().map(|(numbers, aborted, current_leader, records)| FetchPartitionResponse {
                index: numbers.0,
                error_code: numbers.1,
                high_watermark: numbers.2,
                last_stable_offset: numbers.3,
                log_start_offset: numbers.4,
                aborted_transactions: aborted.clone(),
                preferred_read_replica: numbers.5,
                current_leader: *current_leader,
                records: records.as_deref(),
            }).collect(),
        }).collect();
        let response = FetchResponse {
            throttle_time_ms: numbers.0,
            error_code: numbers.1,
            session_id: numbers.2,
            topics,
        };
        each_version(ApiKey::Fetch, |version| {
            // Preferred replicas cannot be left out below version 11, says the message definition.
            let mut response = response.clone();
            if version < 11 {
                for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                    partition.preferred_read_replica = -1;
                }
            }
            agree(version, |v, w| response.encode(v, w), fetch_response(&response, version), |reader| {
                Ok(fetch_response(&FetchResponse::decode(version, reader)?, version))
            });
        });
    }

    #[test]
    fn list_offsets(
        numbers in any::<(i32, i8, i32)>(),
        asked in list((text(), list(any::<(i32, i32, i64)>()))),
        answered in list((text(), list(any::<(i32, i16, i64, i64, i32)>()))),
    ) {
        let request = ListOffsetsRequest {
            replica_id: numbers.0,
            isolation_level: numbers.1,
            topics: asked.into_iter().map(|(name, partitions)| ListOffsetsTopic {
                name,
                partitions: partitions.into_iter().map(|(index, current_leader_epoch, timestamp_ms)| {
                    ListOffsetsPartition { index, current_leader_epoch, timestamp_ms }
                }).collect(),
            }).collect(),
        };
        let response = ListOffsetsResponse {
            throttle_time_ms: numbers.2,
            topics: answered.into_iter().map(|(name, partitions)| ListOffsetsTopicResponse {
                name,
                partitions: partitions.into_iter().map(|(index, error_code, timestamp_ms, offset, leader_epoch)| {
                    ListOffsetsPartitionResponse { index, error_code, timestamp_ms, offset, leader_epoch }
                }).collect(),
            }).collect(),
        };
        each_version(ApiKey::ListOffsets, |version| {
            // Committed offsets cannot be asked for in version 1.
            let request = if version < 2 { ListOffsetsRequest { isolation_level: 0, ..request.clone() } }
                else { request.clone() };
            agree(version, |v, w| request.encode(v, w), list_offsets_request(&request, version), |reader| {
                Ok(list_offsets_request(&ListOffsetsRequest::decode(version, reader)?, version))
            });
            agree(version, |v, w| response.encode(v, w), list_offsets_response(&response, version), |reader| {
                Ok(list_offsets_response(&ListOffsetsResponse::decode(version, reader)?, version))
            });
        });
    }
}

#[test]
fn headers_are_those_of_the_other_implementation() {
    for api in ApiKey::ALL {
        let key = k::ApiKey::try_from(*api as i16).unwrap();
        for version in api.client_range() {
            for client_id in [None, Some(""), Some("client"), Some("größe")] {
                let ours = RequestHeader { api_key: *api as i16, api_version: version, correlation_id: 77, client_id };
                let mut writer = Writer::new();
                ours.encode(&mut writer);
                let ours_bytes = writer.finish().unwrap();
                let theirs = k::RequestHeader::default()
                    .with_request_api_key(*api as i16)
                    .with_request_api_version(version)
                    .with_correlation_id(77)
                    .with_client_id(client_id.map(string));
                let mut expected = Vec::new();
                theirs.encode(&mut expected, key.request_header_version(version)).unwrap();
                assert_eq!(ours_bytes, expected, "{api:?} {version}");
                let mut reader = Reader::new(&expected);
                assert_eq!((RequestHeader::decode(&mut reader), reader.remaining()), (Ok(ours), 0));
            }
            let mut writer = Writer::new();
            encode_response_header(*api, version, -5, &mut writer);
            let mut expected = Vec::new();
            let theirs = k::ResponseHeader::default().with_correlation_id(-5);
            theirs.encode(&mut expected, key.response_header_version(version)).unwrap();
            assert_eq!(writer.finish().unwrap(), expected, "{api:?} {version}");
            let mut reader = Reader::new(&expected);
            assert_eq!((decode_response_header(*api, version, &mut reader), reader.remaining()), (Ok(-5), 0));
        }
    }
}

#[test]
fn tagged_fields_of_a_later_kafka_are_skipped_at_every_level() {
    let unknown = || BTreeMap::from([(7, vec![1, 2, 3].into()), (300, Vec::new().into())]);
    let mut leader = k::produce_response::LeaderIdAndEpoch::default().with_leader_id(3.into()).with_leader_epoch(9);
    leader.unknown_tagged_fields = unknown();
    let mut partition =
        k::produce_response::PartitionProduceResponse::default().with_index(5).with_current_leader(leader);
    partition.unknown_tagged_fields = unknown();
    let mut topic = k::produce_response::TopicProduceResponse::default().with_partition_responses(vec![partition]);
    topic.unknown_tagged_fields = unknown();
    let mut node = k::produce_response::NodeEndpoint::default().with_host(string("host"));
    node.unknown_tagged_fields = unknown();
    let mut theirs = k::ProduceResponse::default().with_responses(vec![topic]).with_node_endpoints(vec![node]);
    theirs.unknown_tagged_fields = unknown();
    for version in 10..=13 {
        let mut bytes = Vec::new();
        theirs.encode(&mut bytes, version).unwrap();
        let read = ProduceResponse::decode(version, &mut Reader::new(&bytes)).unwrap();
        let partition = &read.topics[0].partitions[0];
        assert_eq!((partition.index, partition.current_leader), (5, (3, 9)));
        assert_eq!(read.node_endpoints[0].host, "host");
    }
}

/// A broker that does not speak the version asked with answers in version 0, whatever that was (KIP-511).
#[test]
fn unsupported_version_is_understood_in_a_body_of_version_0() {
    let range = ApiRange { api_key: 18, min_version: 0, max_version: 3 };
    for api_keys in [vec![], vec![range], vec![range; 60]] {
        let response = ApiVersionsResponse { error_code: 35, api_keys, ..ApiVersionsResponse::default() };
        for body_version in [0, 4] {
            let mut writer = Writer::new();
            response.encode(body_version, &mut writer);
            let bytes = writer.finish().unwrap();
            assert_eq!(ApiVersionsResponse::decode(4, &mut Reader::new(&bytes)), Ok(response.clone()));
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let mut writer = Writer::new();
    InitProducerIdResponse::default().encode(5, &mut writer);
    writer.int8(0);
    let bytes = writer.finish().unwrap();
    assert!(InitProducerIdResponse::decode(5, &mut Reader::new(&bytes)).is_err());
}

#[test]
fn what_a_length_field_cannot_tell_is_not_written() {
    let long = "x".repeat(32_768);
    for version in [1, 5] {
        for (text, writable) in [(&long[..32_767], true), (&long, false)] {
            let request = InitProducerIdRequest {
                transactional_id: Some(text.to_owned()),
                transaction_timeout_ms: 1,
                producer_id: -1,
                producer_epoch: -1,
            };
            let frame = request_frame(ApiKey::InitProducerId, version, 1, None, |v, w| request.encode(v, w));
            assert_eq!(frame.is_ok(), writable);
        }
    }
    let nameless = MetadataRequest { topics: Some(vec![Default::default()]), allow_auto_topic_creation: false };
    assert!(request_frame(ApiKey::Metadata, 9, 1, None, |v, w| nameless.encode(v, w)).is_err());
    assert!(request_frame(ApiKey::Metadata, 12, 1, None, |v, w| nameless.encode(v, w)).is_ok());
    assert!(request_frame(ApiKey::Metadata, 14, 1, None, |v, w| nameless.encode(v, w)).is_err());
}
