//! Produce: batches checked and appended, with the answers that a leader gives.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Reply;
use crate::protocol::batch_header::{ATTRIBUTE_LOG_APPEND_TIME, Batch, BatchHeader, seal_crc};
use crate::protocol::broker_code::{
    INVALID_PRODUCER_EPOCH, INVALID_RECORD, INVALID_REQUIRED_ACKS, INVALID_TIMESTAMP, NOT_LEADER_OR_FOLLOWER,
    OUT_OF_ORDER_SEQUENCE_NUMBER, UNKNOWN_PRODUCER_ID, UNKNOWN_SERVER_ERROR, UNKNOWN_TOPIC_ID,
    UNKNOWN_TOPIC_OR_PARTITION,
};
use crate::protocol::messages::produce::{
    NodeEndpoint, ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopicResponse,
};
use crate::protocol::wire::Reader;
use crate::testcluster::check::{check_content, check_form};
use crate::testcluster::clock::now_ms;
use crate::testcluster::connection::Request;
use crate::testcluster::faults::Failure;
use crate::testcluster::hostile;
use crate::testcluster::producers::{Sequenced, Verdict, sequence_after};
use crate::testcluster::state::{Partition, State};

/// From this version on topics are known by id (KIP-516).
const IDS_FROM: i16 = 13;
/// From this version on a broker that does not lead says who does (KIP-951).
const LEADER_HINT_FROM: i16 = 10;

/// Codes whose answers say where the log begins (`ReplicaManager.appendToLocalLog`).
const LOOKED_INTO: [i16; 5] =
    [INVALID_TIMESTAMP, OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, UNKNOWN_PRODUCER_ID, INVALID_RECORD];

/// A request with more of them is after the broker's memory, not after its log.
const PARTITIONS_MAX: usize = 100_000;

/// Where a batch is to go, found out for a whole request under one lock.
struct Place {
    partition: Result<Arc<Mutex<Partition>>, i16>,
    max_message_bytes: usize,
    retain_bytes: usize,
    log_append_time: bool,
    failure: Option<Failure>,
}

pub(super) fn answer(request: &Request<'_>, reader: &mut Reader<'_>) -> Reply {
    let Ok(asked) = ProduceRequest::decode(request.version, reader) else { return Reply::Close };
    if asked.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>() > PARTITIONS_MAX {
        return Reply::Close;
    }
    let places = places(&mut request.shared.state.lock(), request, &asked);
    let batches = places.len() as u64;
    request.shared.counters.produce_batches.fetch_add(batches, std::sync::atomic::Ordering::Relaxed);
    let is_acks_legal = matches!(asked.acks, -1..=1);
    let mut places = places.into_iter();
    let mut topics = Vec::with_capacity(asked.topics.len());
    let mut is_success = true;
    for topic in &asked.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for ((index, records), place) in topic.partitions.iter().zip(&mut places) {
            let mut answer = if is_acks_legal {
                append(request, *records, &place)
            } else {
                refusal(INVALID_REQUIRED_ACKS, "acks is -1, 0 or 1")
            };
            add_what_is_known(request, &place, &mut answer);
            answer.index = *index;
            is_success &= answer.error_code == 0;
            partitions.push(answer);
        }
        topics.push(ProduceTopicResponse { name: topic.name.to_owned(), topic_id: topic.topic_id, partitions });
    }
    request.shared.note_arrival();
    if asked.acks == 0 {
        // Nobody waits for an answer; a closed connection is the only way to tell an error.
        return if is_success { Reply::Nothing } else { Reply::Close };
    }
    let node_endpoints = endpoints(request, &mut topics);
    hostile::spoil_produce(request.plan.hostile, &mut topics);
    let response = ProduceResponse { topics, throttle_time_ms: request.plan.throttle_ms, node_endpoints };
    request.reply(|version, writer| response.encode(version, writer))
}

fn places(state: &mut State, request: &Request<'_>, asked: &ProduceRequest<'_>) -> Vec<Place> {
    let mut places = Vec::with_capacity(asked.topics.iter().map(|topic| topic.partitions.len()).sum());
    let mut targets: Vec<(&str, Option<i32>)> = Vec::new();
    let has_failures = !state.faults.failures.is_empty();
    for wanted in &asked.topics {
        let by_id = request.version >= IDS_FROM;
        let name = if by_id { state.names.get(&wanted.topic_id).map(String::as_str) } else { Some(wanted.name) };
        let topic = name.and_then(|name| state.topics.get(name));
        let unknown = if by_id && topic.is_none() { UNKNOWN_TOPIC_ID } else { UNKNOWN_TOPIC_OR_PARTITION };
        for (index, _) in &wanted.partitions {
            let place = usize::try_from(*index).ok();
            let partition = topic.and_then(|topic| topic.partitions.get(place?));
            places.push(Place {
                partition: partition.cloned().ok_or(unknown),
                max_message_bytes: topic.and_then(|topic| topic.max_message_bytes).unwrap_or(state.max_message_bytes),
                retain_bytes: state.retain_bytes,
                log_append_time: topic.is_some_and(|topic| topic.log_append_time),
                failure: None,
            });
            if has_failures {
                targets.push((name.unwrap_or_default(), Some(*index)));
            }
        }
    }
    if has_failures {
        let hits = state.faults.fail(request.api_index, &targets);
        for (place, failure) in places.iter_mut().zip(hits) {
            place.failure = failure;
        }
    }
    places
}

fn refusal(error_code: i16, message: &str) -> ProducePartitionResponse {
    ProducePartitionResponse { error_code, error_message: Some(message.to_owned()), ..Default::default() }
}

/// The leader in every answer with code 6, whatever it comes from (KIP-951); where the log begins in those that
/// brokers refuse after they looked into it.
fn add_what_is_known(request: &Request<'_>, place: &Place, answer: &mut ProducePartitionResponse) {
    let Ok(partition) = &place.partition else { return };
    match answer.error_code {
        NOT_LEADER_OR_FOLLOWER if request.version >= LEADER_HINT_FROM => {
            let partition = partition.lock();
            answer.current_leader = (partition.leader, partition.leader_epoch);
        }
        code if LOOKED_INTO.contains(&code) => answer.log_start_offset = partition.lock().log.start_offset(),
        _ => {}
    }
}

/// A refusal by command.
fn ordered(failure: &Failure) -> ProducePartitionResponse {
    let message = |place: &i32| (*place, Some(format!("record {place} is bad by order of a command")));
    ProducePartitionResponse {
        record_errors: failure.records.iter().map(message).collect(),
        ..refusal(failure.code, "this error was ordered by a command")
    }
}

/// Appends one batch, or says why not.
fn append(request: &Request<'_>, records: Option<&[u8]>, place: &Place) -> ProducePartitionResponse {
    let failure = place.failure.as_ref();
    if let Some(failure) = failure.filter(|failure| !failure.after_append) {
        return ordered(failure);
    }
    let batch = match check_form(records, request.version) {
        Ok(batch) => batch,
        Err((code, message)) => return refusal(code, message),
    };
    let partition = match &place.partition {
        Ok(partition) => partition,
        Err(code) => return refusal(*code, "the broker does not have this partition"),
    };
    if let Err((code, message)) = check_content(&batch, place.max_message_bytes) {
        // Who leads is looked at before what is in the batch.
        return not_leader(request, &partition.lock()).unwrap_or_else(|| refusal(code, message));
    }
    let mut partition = partition.lock();
    if let Some(refused) = not_leader(request, &partition) {
        return refused;
    }
    let answer = append_checked(&mut partition, &batch, place);
    failure.filter(|_| answer.error_code == 0).map_or(answer, ordered)
}

fn not_leader(request: &Request<'_>, partition: &Partition) -> Option<ProducePartitionResponse> {
    if partition.deleted {
        let by_id = request.version >= IDS_FROM;
        let code = if by_id { UNKNOWN_TOPIC_ID } else { UNKNOWN_TOPIC_OR_PARTITION };
        return Some(refusal(code, "the topic was deleted"));
    }
    if partition.leader == request.link.broker {
        return None;
    }
    Some(refusal(NOT_LEADER_OR_FOLLOWER, "another broker leads this partition"))
}

/// Appends a batch that was checked to a partition that is led here, unless its producer's order is against it.
fn append_checked(partition: &mut Partition, batch: &Batch<'_>, place: &Place) -> ProducePartitionResponse {
    let header = &batch.header;
    let sequenced = (header.producer_id >= 0).then(|| Sequenced {
        producer_id: header.producer_id,
        epoch: header.producer_epoch,
        first: header.base_sequence,
        last: sequence_after(header.base_sequence, header.last_offset_delta),
    });
    match sequenced.map_or(Verdict::Append, |sequenced| partition.producers.judge(sequenced)) {
        Verdict::Append => {}
        Verdict::Refuse(code, message) => return refusal(code, message),
        Verdict::Duplicate { base_offset, append_time_ms } => {
            return ProducePartitionResponse {
                base_offset,
                log_append_time_ms: append_time_ms,
                log_start_offset: partition.log.start_offset(),
                ..Default::default()
            };
        }
    }
    let (mut header_bytes, mut max_timestamp_ms, mut append_time_ms) =
        (*batch.header_bytes, header.max_timestamp_ms, -1);
    if place.log_append_time {
        append_time_ms = now_ms();
        max_timestamp_ms = append_time_ms;
        let attributes = header.attributes | ATTRIBUTE_LOG_APPEND_TIME;
        header_bytes = BatchHeader { attributes, max_timestamp_ms, ..*header }.encode();
        if seal_crc(&mut header_bytes, batch.payload).is_err() {
            return refusal(UNKNOWN_SERVER_ERROR, "the batch could not be sealed again");
        }
    }
    let epoch = partition.leader_epoch;
    let log = &mut partition.log;
    let base_offset =
        log.append(header_bytes, batch.payload, header.records_count, max_timestamp_ms, epoch, place.retain_bytes);
    let log_start_offset = log.start_offset();
    if let Some(sequenced) = sequenced {
        // As Kafka does (UnifiedLog.append): the answer to a repeat has the batch's largest timestamp, also where the
        // topic keeps the producer's.
        partition.producers.remember(sequenced, base_offset, max_timestamp_ms);
    }
    ProducePartitionResponse { base_offset, log_append_time_ms: append_time_ms, log_start_offset, ..Default::default() }
}

/// Where the leaders that the answer names can be reached.
fn endpoints(request: &Request<'_>, topics: &mut [ProduceTopicResponse]) -> Vec<NodeEndpoint> {
    let partitions = topics.iter().flat_map(|topic| &topic.partitions);
    let mut leaders: Vec<_> =
        partitions.map(|partition| partition.current_leader.0).filter(|leader| *leader >= 0).collect();
    if leaders.is_empty() {
        return Vec::new();
    }
    leaders.sort_unstable();
    leaders.dedup();
    let state = request.shared.state.lock();
    let nodes = leaders.into_iter().filter_map(|leader| state.node(leader)).filter(|node| node.live);
    nodes
        .map(|node| NodeEndpoint { node_id: node.id, host: "127.0.0.1".into(), port: i32::from(node.port), rack: None })
        .collect()
}
