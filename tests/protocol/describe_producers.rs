//! DescribeProducers, byte for byte as the `kafka-protocol` crate writes it.

use kurier::protocol::messages::ApiKey;
use kurier::protocol::messages::describe_producers::*;
use proptest::prelude::*;

use crate::generate::*;
use crate::messages::{agree, each_version};
use crate::oracle::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn describe_producers(
        throttle_time_ms: i32,
        asked in list((text(), list(any::<i32>()))),
        answered in list((text(), list((
            any::<(i32, i16)>(), text_or_null(), list(any::<(i64, i32, i32, i64, i32, i64)>()),
        )))),
    ) {
        let topic = |(name, partition_indexes)| DescribeProducersTopic { name, partition_indexes };
        let request = DescribeProducersRequest { topics: asked.into_iter().map(topic).collect() };
        let state = |numbers: (i64, i32, i32, i64, i32, i64)| ProducerState {
            producer_id: numbers.0,
            producer_epoch: numbers.1,
            last_sequence: numbers.2,
            last_timestamp_ms: numbers.3,
            coordinator_epoch: numbers.4,
            current_txn_start_offset: numbers.5,
        };
        let response = DescribeProducersResponse {
            throttle_time_ms,
            topics: answered.into_iter().map(|(name, partitions)| DescribeProducersTopicResponse {
                name,
                partitions: partitions.into_iter().map(|(numbers, error_message, producers)| {
                    DescribeProducersPartitionResponse {
                        partition_index: numbers.0,
                        error_code: numbers.1,
                        error_message,
                        active_producers: producers.into_iter().map(state).collect(),
                    }
                }).collect(),
            }).collect(),
        };
        each_version(ApiKey::DescribeProducers, |version| {
            agree(version, |v, w| request.encode(v, w), describe_producers_request(&request), |reader| {
                Ok(describe_producers_request(&DescribeProducersRequest::decode(version, reader)?))
            });
            agree(version, |v, w| response.encode(v, w), describe_producers_response(&response), |reader| {
                Ok(describe_producers_response(&DescribeProducersResponse::decode(version, reader)?))
            });
        });
    }
}
