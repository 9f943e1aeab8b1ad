//! Answers as no broker should give them.

use super::faults::Hostile;
use crate::protocol::messages::ApiKey;
use crate::protocol::messages::describe_producers::DescribeProducersTopicResponse;
use crate::protocol::messages::header::PREFIX_BYTES;
use crate::protocol::messages::metadata::MetadataTopic;
use crate::protocol::messages::produce::ProduceTopicResponse;

const NOT_KAFKA: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nno.\n";
const CORRELATION_ID_BYTES: usize = 4;

/// Spoils a whole frame, with its length in front. Kinds that change partitions were at work before.
pub(super) fn spoil(kind: Hostile, api: ApiKey, version: i16, mut frame: Vec<u8>) -> Vec<u8> {
    let length = match kind {
        Hostile::NegativeLength => -1,
        Hostile::HugeLength => i32::MAX,
        Hostile::Truncated => {
            frame.truncate(PREFIX_BYTES + CORRELATION_ID_BYTES + (frame.len() - PREFIX_BYTES) / 2);
            length_of(&frame)
        }
        Hostile::HugeCount => {
            frame = with_huge_count(api, version, frame);
            length_of(&frame)
        }
        Hostile::WrongCorrelation => {
            for byte in frame.iter_mut().skip(PREFIX_BYTES).take(CORRELATION_ID_BYTES) {
                *byte ^= 0x55;
            }
            length_of(&frame)
        }
        Hostile::Garbage => {
            let mut noise = 0x9e37_79b9_7f4a_7c15u64 ^ frame.len() as u64;
            for byte in frame.iter_mut().skip(PREFIX_BYTES + CORRELATION_ID_BYTES) {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = noise.to_be_bytes()[0];
            }
            length_of(&frame)
        }
        Hostile::NotKafka => return NOT_KAFKA.to_vec(),
        Hostile::ExtraPartition | Hostile::OmitPartition | Hostile::RepeatPartition | Hostile::SlowByte => {
            return frame;
        }
    };
    if let Some(prefix) = frame.first_chunk_mut::<PREFIX_BYTES>() {
        *prefix = length.to_be_bytes();
    }
    frame
}

fn length_of(frame: &[u8]) -> i32 {
    i32::try_from(frame.len() - PREFIX_BYTES).unwrap_or(i32::MAX)
}

/// The first count of the body becomes as large as it can be.
fn with_huge_count(api: ApiKey, version: i16, mut frame: Vec<u8>) -> Vec<u8> {
    let flexible = api.is_flexible(version);
    let header_tags = usize::from(flexible && api != ApiKey::ApiVersions);
    let before = match api {
        ApiKey::Produce => 0,
        ApiKey::Fetch if version >= 7 => 10,
        ApiKey::Fetch | ApiKey::Metadata | ApiKey::DescribeProducers => 4,
        ApiKey::ListOffsets if version >= 2 => 4,
        ApiKey::ListOffsets => 0,
        ApiKey::ApiVersions => 2,
        // It has no count: a tag section of that many fields does the same.
        ApiKey::InitProducerId => 16,
    };
    let at = PREFIX_BYTES + CORRELATION_ID_BYTES + header_tags + before;
    let rest = frame.get(at + 1..).unwrap_or_default().to_vec();
    frame.truncate(at);
    let count: &[u8] = if flexible { &[0xff, 0xff, 0xff, 0xff, 0x0f] } else { &[0x7f, 0xff, 0xff, 0xff] };
    frame.extend_from_slice(count);
    frame.extend_from_slice(rest.get(if flexible { 0 } else { 3 }..).unwrap_or_default());
    frame
}

/// Partitions that nobody asked about, that were forgotten, or that come twice.
fn spoil_partitions<P: Clone>(kind: Option<Hostile>, partitions: &mut Vec<P>, set_foreign: impl FnOnce(&mut P)) {
    match kind {
        Some(Hostile::ExtraPartition) => {
            if let Some(mut partition) = partitions.first().cloned() {
                set_foreign(&mut partition);
                partitions.push(partition);
            }
        }
        Some(Hostile::OmitPartition) => {
            partitions.pop();
        }
        Some(Hostile::RepeatPartition) => partitions.extend(partitions.first().cloned()),
        _ => {}
    }
}

/// Of the answer to a produce request.
pub(super) fn spoil_produce(kind: Option<Hostile>, topics: &mut Vec<ProduceTopicResponse>) {
    let Some(topic) = topics.first_mut() else { return };
    spoil_partitions(kind, &mut topic.partitions, |partition| partition.index = i32::MAX - partition.index);
    if topic.partitions.is_empty() {
        topics.remove(0);
    }
}

/// Of metadata.
pub(super) fn spoil_metadata(kind: Option<Hostile>, topics: &mut [MetadataTopic]) {
    let Some(topic) = topics.first_mut() else { return };
    spoil_partitions(kind, &mut topic.partitions, |partition| partition.partition_index = i32::MAX);
}

/// Of what is remembered of producers.
pub(super) fn spoil_describe_producers(kind: Option<Hostile>, topics: &mut [DescribeProducersTopicResponse]) {
    let Some(topic) = topics.first_mut() else { return };
    spoil_partitions(kind, &mut topic.partitions, |partition| partition.partition_index = i32::MAX);
}
