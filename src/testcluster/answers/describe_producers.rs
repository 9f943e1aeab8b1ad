//! DescribeProducers: what the leader of a partition remembers of those who wrote there.
//!
//! Source: `KafkaApis.handleDescribeProducersRequest` and `Partition.activeProducerState` of Apache Kafka 4.2. There a
//! follower answers too, from its own copy, which may be behind: see the command `stale_producers`.

use super::Reply;
use crate::protocol::broker_code::{NOT_LEADER_OR_FOLLOWER, UNKNOWN_TOPIC_OR_PARTITION};
use crate::protocol::messages::describe_producers::{
    DescribeProducersPartitionResponse, DescribeProducersRequest, DescribeProducersResponse, DescribeProducersTopic,
    DescribeProducersTopicResponse, ProducerState,
};
use crate::protocol::wire::Reader;
use crate::testcluster::connection::Request;
use crate::testcluster::hostile;
use crate::testcluster::state::State;

/// A request with more of them is after the broker's memory.
const PARTITIONS_MAX: usize = 100_000;

pub(super) fn answer(request: &Request<'_>, reader: &mut Reader<'_>) -> Reply {
    let Ok(asked) = DescribeProducersRequest::decode(request.version, reader) else { return Reply::Close };
    if asked.topics.iter().map(|topic| topic.partition_indexes.len()).sum::<usize>() > PARTITIONS_MAX {
        return Reply::Close;
    }
    let mut state = request.shared.state.lock();
    let is_stale = state.faults.is_producers_answer_stale();
    let mut topics: Vec<_> =
        asked.topics.iter().map(|wanted| describe(&mut state, request, wanted, is_stale)).collect();
    drop(state);
    hostile::spoil_describe_producers(request.plan.hostile, &mut topics);
    let response = DescribeProducersResponse { throttle_time_ms: request.plan.throttle_ms, topics };
    request.reply(|version, writer| response.encode(version, writer))
}

fn describe(
    state: &mut State,
    request: &Request<'_>,
    wanted: &DescribeProducersTopic,
    is_stale: bool,
) -> DescribeProducersTopicResponse {
    let targets: Vec<_> = wanted.partition_indexes.iter().map(|index| (wanted.name.as_str(), Some(*index))).collect();
    let failures = state.faults.fail(request.api_index, &targets);
    let partitions = wanted.partition_indexes.iter().zip(failures).map(|(index, failure)| {
        let found = match failure {
            Some(failure) => Err(failure.code),
            None => remembered(state, request.link.broker, &wanted.name, *index, is_stale),
        };
        let (error_code, active_producers) = found.map_or_else(|code| (code, Vec::new()), |producers| (0, producers));
        DescribeProducersPartitionResponse {
            partition_index: *index,
            error_code,
            error_message: None,
            active_producers,
        }
    });
    DescribeProducersTopicResponse { name: wanted.name.clone(), partitions: partitions.collect() }
}

fn remembered(state: &State, broker: i32, topic: &str, index: i32, is_stale: bool) -> Result<Vec<ProducerState>, i16> {
    let place = usize::try_from(index).map_err(|_| UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = state.topics.get(topic).and_then(|topic| topic.partitions.get(place));
    let partition = partition.ok_or(UNKNOWN_TOPIC_OR_PARTITION)?.lock();
    if partition.leader != broker && !is_stale {
        return Err(NOT_LEADER_OR_FOLLOWER);
    }
    let skipped = usize::from(is_stale);
    let state = |(producer_id, epoch, last_sequence, last_timestamp_ms)| ProducerState {
        producer_id,
        producer_epoch: i32::from(epoch),
        last_sequence,
        last_timestamp_ms,
        ..ProducerState::default()
    };
    Ok(partition.producers.states(skipped).map(state).collect())
}
