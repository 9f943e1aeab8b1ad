//! A produce request written around batches that stay where they are, and its size told beforehand.

use super::header::{PREFIX_BYTES, RequestHeader, close_frame};
use super::{ApiKey, TopicUuid};
use crate::protocol::batch_header::{self, BatchHeader};
use crate::protocol::varint::uvarint_len;
use crate::protocol::wire::{Unwritable, Writer};

fn string_bytes(flexible: bool, value: &str) -> usize {
    if flexible { uvarint_len(value.len() as u64 + 1) + value.len() } else { 2 + value.len() }
}

fn count_bytes(flexible: bool, count: usize) -> usize {
    if flexible { uvarint_len(count as u64 + 1) } else { 4 }
}

/// Bytes of a request without its topics, as its length prefix counts them (so without the prefix). A client id that
/// is empty is sent as such.
#[must_use]
pub fn request_bytes(version: i16, client_id: &str, transactional_id: Option<&str>, topic_count: usize) -> usize {
    let flexible = ApiKey::Produce.is_flexible(version);
    let tags = usize::from(flexible);
    let header = 2 + 2 + 4 + 2 + client_id.len() + tags;
    let id = transactional_id.map_or(if flexible { 1 } else { 2 }, |id| string_bytes(flexible, id));
    header + id + 2 + 4 + count_bytes(flexible, topic_count) + tags
}

/// Bytes that a topic adds to a request, without its partitions. The name counts below version 13.
#[must_use]
pub fn topic_bytes(version: i16, name: &str, partition_count: usize) -> usize {
    let flexible = ApiKey::Produce.is_flexible(version);
    let key = if version >= 13 { 16 } else { string_bytes(flexible, name) };
    key + count_bytes(flexible, partition_count) + usize::from(flexible)
}

/// Bytes that a partition adds to a request: its number, its batch's header and these many bytes of records.
#[must_use]
pub fn partition_bytes(version: i16, payload_bytes: usize) -> usize {
    let flexible = ApiKey::Produce.is_flexible(version);
    let batch = batch_header::LEN + payload_bytes;
    4 + count_bytes(flexible, batch) + batch + usize::from(flexible)
}

/// Writes a produce request of which the records are left out. Calls in order: for each topic announced
/// [`topic`](Self::topic), for each of its partitions [`partition`](Self::partition), and
/// [`end_topic`](Self::end_topic); then [`finish`](Self::finish), which tells any wrong count.
#[derive(Debug)]
pub struct ProduceWriter {
    writer: Writer,
    version: i16,
    header_ends: Vec<usize>,
    payload_bytes: usize,
    topics_missing: usize,
    partitions_missing: usize,
}

impl ProduceWriter {
    /// Opens the request. `version` is 3 to 13, `acks` is 0, 1 or -1.
    #[must_use]
    pub fn new(
        version: i16,
        correlation_id: i32,
        client_id: &str,
        transactional_id: Option<&str>,
        acks: i16,
        timeout_ms: i32,
        topic_count: usize,
    ) -> Self {
        let mut writer = Writer::with_capacity(256);
        writer.int32(0);
        let header = RequestHeader {
            api_key: ApiKey::Produce as i16,
            api_version: version,
            correlation_id,
            client_id: Some(client_id),
        };
        header.encode(&mut writer);
        ApiKey::Produce.begin(version, &mut writer);
        writer.string_or_null(transactional_id);
        writer.int16(acks);
        writer.int32(timeout_ms);
        writer.count_or_null(Some(topic_count));
        Self {
            writer,
            version,
            header_ends: Vec::new(),
            payload_bytes: 0,
            topics_missing: topic_count,
            partitions_missing: 0,
        }
    }

    /// Opens a topic; its name goes out below version 13, its id from there on.
    pub fn topic(&mut self, name: &str, topic_id: TopicUuid, partition_count: usize) {
        if self.partitions_missing > 0 {
            self.writer.fail("fewer partitions than announced");
        }
        match self.topics_missing.checked_sub(1) {
            Some(missing) => self.topics_missing = missing,
            None => self.writer.fail("more topics than announced"),
        }
        self.partitions_missing = partition_count;
        if self.version >= 13 {
            self.writer.raw(&topic_id)
        } else {
            self.writer.string(name)
        }
        self.writer.count_or_null(Some(partition_count));
    }

    /// A partition with its one batch of `payload_bytes` bytes of records. `batch_length` is computed here, and the
    /// checksum is left at zero for [`seal_crc`](batch_header::seal_crc).
    pub fn partition(&mut self, index: i32, header: &BatchHeader, payload_bytes: usize) {
        match self.partitions_missing.checked_sub(1) {
            Some(missing) => self.partitions_missing = missing,
            None => self.writer.fail("more partitions than announced"),
        }
        let Ok(batch_length) = i32::try_from(payload_bytes.saturating_add(batch_header::LEN_COUNTED)) else {
            return self.writer.fail("a batch beyond 2 GiB");
        };
        self.writer.int32(index);
        self.writer.count_or_null(Some(batch_header::LEN + payload_bytes));
        self.writer.raw(&BatchHeader { batch_length, crc: 0, ..*header }.encode());
        self.header_ends.push(self.writer.bytes().len());
        self.payload_bytes = self.payload_bytes.saturating_add(payload_bytes);
        self.writer.no_tags();
    }

    /// Closes a topic.
    pub fn end_topic(&mut self) {
        if self.partitions_missing > 0 {
            self.writer.fail("fewer partitions than announced");
        }
        self.writer.no_tags();
    }

    /// Bytes so far as the length prefix counts them, records included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        (self.writer.bytes().len() - PREFIX_BYTES).saturating_add(self.payload_bytes)
    }

    /// The frame with its length prefix but without records, and for each batch, in order, where its header ends and
    /// its records belong.
    pub fn finish(mut self) -> Result<(Vec<u8>, Vec<usize>), Unwritable> {
        if self.topics_missing > 0 {
            self.writer.fail("fewer topics than announced");
        }
        self.writer.no_tags();
        let frame = close_frame(self.writer, self.payload_bytes)?;
        Ok((frame, self.header_ends))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::batch_header::{batches, seal_crc};
    use crate::protocol::messages::produce::ProduceRequest;
    use crate::protocol::wire::Reader;

    const PAYLOADS: [(&str, &[usize]); 3] = [("a", &[0, 2, 61]), ("topic", &[70_000]), ("", &[])];

    fn written(version: i16, transactional_id: Option<&str>) -> (Vec<u8>, usize) {
        let mut writer = ProduceWriter::new(version, 9, "client", transactional_id, -1, 30_000, PAYLOADS.len());
        let mut expected = request_bytes(version, "client", transactional_id, PAYLOADS.len());
        for (name, sizes) in PAYLOADS {
            writer.topic(name, [7; 16], sizes.len());
            expected += topic_bytes(version, name, sizes.len());
            for (index, size) in sizes.iter().enumerate() {
                writer.partition(index as i32, &BatchHeader::default(), *size);
                expected += partition_bytes(version, *size);
            }
            writer.end_topic();
        }
        let (mut frame, ends) = writer.finish().unwrap();
        let sizes: Vec<usize> = PAYLOADS.iter().flat_map(|topic| topic.1).copied().collect();
        let mut whole = Vec::new();
        let mut from = 0;
        for (end, size) in ends.iter().zip(sizes) {
            let payload = vec![size as u8; size];
            seal_crc(&mut frame[..*end], &payload).unwrap();
            whole.extend_from_slice(&frame[from..*end]);
            whole.extend_from_slice(&payload);
            from = *end;
        }
        whole.extend_from_slice(&frame[from..]);
        (whole, expected)
    }

    #[test]
    fn records_put_in_their_places_make_the_request_that_was_announced() {
        for version in ApiKey::Produce.client_range() {
            for transactional_id in [None, Some("transaction")] {
                let (frame, expected) = written(version, transactional_id);
                let length = i32::from_be_bytes(frame[..4].try_into().unwrap()) as usize;
                assert_eq!((length, expected), (frame.len() - 4, frame.len() - 4), "version {version}");
                let mut reader = Reader::new(&frame[4..]);
                RequestHeader::decode(&mut reader).unwrap();
                let request = ProduceRequest::decode(version, &mut reader).unwrap();
                assert_eq!((request.transactional_id, request.acks), (transactional_id, -1));
                for (topic, (name, sizes)) in request.topics.iter().zip(PAYLOADS) {
                    assert_eq!(topic.name, if version >= 13 { "" } else { name });
                    assert_eq!(topic.partitions.len(), sizes.len());
                    for ((index, records), (place, size)) in topic.partitions.iter().zip(sizes.iter().enumerate()) {
                        assert_eq!(*index, place as i32);
                        let all: Vec<_> = batches(records.unwrap()).collect::<Result<_, _>>().unwrap();
                        assert_eq!((all.len(), all[0].payload.len(), all[0].is_crc_right()), (1, *size, true));
                    }
                }
            }
        }
    }

    #[test]
    fn counts_that_do_not_fit_are_told() {
        let open = |topics| ProduceWriter::new(9, 1, "", None, 1, 1, topics);
        assert!(open(0).finish().is_ok());
        assert!(open(1).finish().is_err());
        let mut writer = open(1);
        writer.topic("t", [0; 16], 1);
        writer.end_topic();
        assert!(writer.finish().is_err());
        let mut writer = open(1);
        writer.topic("t", [0; 16], 0);
        writer.partition(0, &BatchHeader::default(), 1);
        assert!(writer.finish().is_err());
        let mut writer = open(0);
        writer.topic("t", [0; 16], 0);
        assert!(writer.finish().is_err());
    }

    #[test]
    fn a_frame_beyond_its_length_field_is_refused() {
        let with = |payload: usize| {
            let mut writer = ProduceWriter::new(9, 1, "", None, 1, 1, 1);
            writer.topic("t", [0; 16], 2);
            writer.partition(0, &BatchHeader::default(), payload);
            writer.partition(1, &BatchHeader::default(), payload);
            writer.end_topic();
            writer.finish()
        };
        assert!(with(1 << 29).is_ok());
        assert!(with(1 << 30).is_err(), "together beyond 2 GiB");
        assert!(with(usize::MAX).is_err());
    }
}
