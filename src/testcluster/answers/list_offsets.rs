//! ListOffsets: the ends of a log, and the first record at or after a time.

use super::Reply;
use super::fetch::{check_epoch, find};
use crate::protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse, TIMESTAMP_EARLIEST, TIMESTAMP_LATEST, TIMESTAMP_MAX,
};
use crate::protocol::wire::Reader;
use crate::testcluster::connection::Request;
use crate::testcluster::records;
use crate::testcluster::state::Partition;

pub(super) fn answer(request: &Request<'_>, reader: &mut Reader<'_>) -> Reply {
    let Ok(asked) = ListOffsetsRequest::decode(request.version, reader) else { return Reply::Close };
    let mut topics = Vec::with_capacity(asked.topics.len());
    for topic in &asked.topics {
        let targets: Vec<_> =
            topic.partitions.iter().map(|partition| (topic.name.as_str(), Some(partition.index))).collect();
        let failures = request.shared.state.lock().faults.fail(request.api_index, &targets);
        let partitions = topic.partitions.iter().zip(failures);
        let partitions = partitions
            .map(|(wanted, failure)| {
                let found = match failure {
                    Some(failure) => Err(failure.code),
                    None => offset(request, &topic.name, wanted),
                };
                let refused = |error_code| ListOffsetsPartitionResponse { error_code, ..Default::default() };
                ListOffsetsPartitionResponse { index: wanted.index, ..found.unwrap_or_else(refused) }
            })
            .collect();
        topics.push(ListOffsetsTopicResponse { name: topic.name.clone(), partitions });
    }
    let response = ListOffsetsResponse { throttle_time_ms: request.plan.throttle_ms, topics };
    request.reply(|version, writer| response.encode(version, writer))
}

fn offset(
    request: &Request<'_>,
    topic: &str,
    wanted: &ListOffsetsPartition,
) -> Result<ListOffsetsPartitionResponse, i16> {
    let partition = find(request, topic, wanted.index)?;
    let partition = partition.lock();
    check_epoch(&partition, request.link.broker, wanted.current_leader_epoch)?;
    let (offset, timestamp_ms) = match wanted.timestamp_ms {
        TIMESTAMP_EARLIEST => (partition.log.start_offset(), -1),
        TIMESTAMP_LATEST => (partition.log.next_offset(), -1),
        TIMESTAMP_MAX => of_time(&partition, None),
        timestamp_ms => of_time(&partition, Some(timestamp_ms)),
    };
    let leader_epoch = partition.leader_epoch;
    Ok(ListOffsetsPartitionResponse { offset, timestamp_ms, leader_epoch, ..Default::default() })
}

/// The first record at or after a time, or that of the largest timestamp; -1 and -1 if there is none.
fn of_time(partition: &Partition, timestamp_ms: Option<i64>) -> (i64, i64) {
    let (batch, wanted) = match timestamp_ms {
        Some(wanted) => (partition.log.batch_at_timestamp(wanted), wanted),
        None => {
            let batch = partition.log.batch_of_max_timestamp();
            let wanted = batch.map_or(0, |(stored, _)| stored.max_timestamp_ms);
            (batch, wanted)
        }
    };
    let Some((stored, bytes)) = batch else { return (-1, -1) };
    let mut found = None;
    records::for_each(bytes, |offset, timestamp_ms, _| {
        if found.is_none() && timestamp_ms >= wanted {
            found = Some((offset, timestamp_ms));
        }
    });
    // A batch whose records cannot be read answers for all of them.
    found.unwrap_or((stored.base_offset, stored.max_timestamp_ms))
}
