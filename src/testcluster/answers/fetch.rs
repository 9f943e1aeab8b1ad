//! Fetch: whole batches as they are stored; sessions are not offered.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::Reply;
use crate::protocol::broker_code::{
    FENCED_LEADER_EPOCH, FETCH_SESSION_ID_NOT_FOUND, NOT_LEADER_OR_FOLLOWER, OFFSET_OUT_OF_RANGE, UNKNOWN_LEADER_EPOCH,
    UNKNOWN_TOPIC_OR_PARTITION,
};
use crate::protocol::messages::fetch::{
    FetchPartition, FetchPartitionResponse, FetchRequest, FetchResponse, FetchTopicResponse,
};
use crate::protocol::wire::Reader;
use crate::testcluster::clock::now;
use crate::testcluster::connection::Request;
use crate::testcluster::state::Partition;

/// No answer is larger than this and one batch, whatever is asked for.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A partition of the answer, with the bytes that it refers to.
struct Part {
    index: i32,
    error_code: i16,
    next_offset: i64,
    start_offset: i64,
    leader: (i32, i32),
    records: Vec<u8>,
}

pub(super) fn answer(request: &Request<'_>, reader: &mut Reader<'_>) -> Reply {
    let Ok(asked) = FetchRequest::decode(request.version, reader) else { return Reply::Close };
    if asked.session_id != 0 {
        let error_code = FETCH_SESSION_ID_NOT_FOUND;
        let response = FetchResponse { error_code, ..FetchResponse::default() };
        return request.reply(|version, writer| response.encode(version, writer));
    }
    let wait = Duration::from_millis(u64::try_from(asked.max_wait_ms).unwrap_or(0)).min(WAIT_MAX);
    let deadline = now() + wait;
    let bytes_min = usize::try_from(asked.min_bytes).unwrap_or(0);
    let failures = failures(request, &asked);
    let mut is_last_try = wait.is_zero();
    loop {
        let seen = request.shared.arrivals();
        let parts = read(request, &asked, &failures);
        let all = || parts.iter().flatten();
        let is_enough = all().map(|part| part.records.len()).sum::<usize>() >= bytes_min;
        if is_last_try || is_enough || all().any(|part| part.error_code != 0) {
            return reply(request, &asked, &parts);
        }
        drop(parts);
        if !request.shared.wait_for_arrival(seen, deadline, &request.link.closed) {
            if request.link.is_closed() {
                return Reply::Close;
            }
            is_last_try = true;
        }
    }
}

fn failures(request: &Request<'_>, asked: &FetchRequest) -> Vec<Option<i16>> {
    let partitions =
        asked.topics.iter().flat_map(|topic| topic.partitions.iter().map(|p| (&*topic.name, Some(p.index))));
    let targets: Vec<_> = partitions.collect();
    let hits = request.shared.state.lock().faults.fail(request.api_index, &targets);
    hits.into_iter().map(|hit| hit.map(|failure| failure.code)).collect()
}

fn read(request: &Request<'_>, asked: &FetchRequest, failures: &[Option<i16>]) -> Vec<Vec<Part>> {
    let mut left = usize::try_from(asked.max_bytes).unwrap_or(0).min(ANSWER_BYTES_MAX);
    let mut is_first = true;
    let mut failures = failures.iter();
    let mut topics = Vec::with_capacity(asked.topics.len());
    for topic in &asked.topics {
        let mut parts = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            let refused = |error_code| Part {
                index: wanted.index,
                error_code,
                next_offset: -1,
                start_offset: -1,
                leader: (-1, -1),
                records: Vec::new(),
            };
            let part = match failures.next().copied().flatten() {
                Some(code) => refused(code),
                None => match find(request, &topic.name, wanted.index) {
                    Ok(partition) => read_partition(request, &partition.lock(), wanted, left, is_first),
                    Err(code) => refused(code),
                },
            };
            left = left.saturating_sub(part.records.len());
            is_first &= part.records.is_empty();
            parts.push(part);
        }
        topics.push(parts);
    }
    topics
}

/// The first batch of an answer comes whatever its size is: else a consumer would never get past it (KIP-74).
fn read_partition(
    request: &Request<'_>,
    partition: &Partition,
    wanted: &FetchPartition,
    left: usize,
    is_first: bool,
) -> Part {
    let log = &partition.log;
    let mut part = Part {
        index: wanted.index,
        error_code: 0,
        next_offset: log.next_offset(),
        start_offset: log.start_offset(),
        leader: (-1, -1),
        records: Vec::new(),
    };
    if let Err(code) = check_epoch(partition, request.link.broker, wanted.current_leader_epoch) {
        part.error_code = code;
        part.leader = (partition.leader, partition.leader_epoch);
        return part;
    }
    if !(log.start_offset()..=log.next_offset()).contains(&wanted.fetch_offset) {
        part.error_code = OFFSET_OUT_OF_RANGE;
        return part;
    }
    let bytes_max = usize::try_from(wanted.max_bytes).unwrap_or(0).min(left);
    for (_, batch) in log.batches_from(wanted.fetch_offset) {
        let is_due = is_first && part.records.is_empty();
        if !is_due && part.records.len() + batch.len() > bytes_max {
            break;
        }
        part.records.extend_from_slice(batch);
    }
    part
}

/// A partition by name and number.
pub(super) fn find(request: &Request<'_>, topic: &str, index: i32) -> Result<Arc<Mutex<Partition>>, i16> {
    let state = request.shared.state.lock();
    let place = usize::try_from(index).map_err(|_| UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = state.topics.get(topic).and_then(|topic| topic.partitions.get(place));
    partition.cloned().ok_or(UNKNOWN_TOPIC_OR_PARTITION)
}

/// Is this broker the leader, and does the asker know (KIP-320)?
pub(super) fn check_epoch(partition: &Partition, broker: i32, known_epoch: i32) -> Result<(), i16> {
    if partition.deleted {
        return Err(UNKNOWN_TOPIC_OR_PARTITION);
    }
    if known_epoch >= 0 && known_epoch < partition.leader_epoch {
        return Err(FENCED_LEADER_EPOCH);
    }
    if known_epoch > partition.leader_epoch {
        return Err(UNKNOWN_LEADER_EPOCH);
    }
    if partition.leader != broker {
        return Err(NOT_LEADER_OR_FOLLOWER);
    }
    Ok(())
}

fn reply(request: &Request<'_>, asked: &FetchRequest, topics: &[Vec<Part>]) -> Reply {
    let topics = asked.topics.iter().zip(topics).map(|(topic, parts)| FetchTopicResponse {
        name: topic.name.clone(),
        partitions: parts
            .iter()
            .map(|part| FetchPartitionResponse {
                index: part.index,
                error_code: part.error_code,
                high_watermark: part.next_offset,
                last_stable_offset: part.next_offset,
                log_start_offset: part.start_offset,
                current_leader: part.leader,
                records: Some(&part.records),
                ..FetchPartitionResponse::default()
            })
            .collect(),
    });
    let topics = topics.collect();
    let response = FetchResponse { throttle_time_ms: request.plan.throttle_ms, error_code: 0, session_id: 0, topics };
    request.reply(|version, writer| response.encode(version, writer))
}
