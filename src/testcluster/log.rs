//! The log of one partition: whole batches in recycled segments, the oldest dropped above a bound.

use std::collections::VecDeque;

use crate::protocol::batch_header::LEN;

/// Where a record batch keeps its base offset and its leader epoch: outside its checksum.
const BASE_OFFSET_AT: std::ops::Range<usize> = 0..8;
const LEADER_EPOCH_AT: std::ops::Range<usize> = 12..16;
const SEGMENT_BYTES_MIN: usize = 4 << 10;
const SEGMENT_BYTES_MAX: usize = 1 << 20;

/// What the log knows of a batch without looking into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredBatch {
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) max_timestamp_ms: i64,
    segment: u64,
    at: usize,
    bytes: usize,
}

/// Whole batches, in order.
#[derive(Debug)]
pub(super) struct Log {
    segments: VecDeque<Vec<u8>>,
    /// The absolute number of the first segment kept.
    segment_first: u64,
    /// The memory of the last segment dropped: a full log appends without asking the system for memory.
    spare: Option<Vec<u8>>,
    batches: VecDeque<StoredBatch>,
    bytes: usize,
    start_offset: i64,
    next_offset: i64,
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            segments: VecDeque::new(),
            segment_first: 0,
            spare: None,
            batches: VecDeque::new(),
            bytes: 0,
            start_offset: 0,
            next_offset: 0,
        }
    }

    /// The first offset that is kept, or the next one if nothing is.
    pub(super) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// The offset that the next record gets; without replication also the high watermark.
    pub(super) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// How many bytes of batches are kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Copies a batch that was checked to the end, with its offset and epoch in its header, and answers the
    /// offset. `records` is at least 1.
    pub(super) fn append(
        &mut self,
        mut header: [u8; LEN],
        payload: &[u8],
        records: i32,
        max_timestamp_ms: i64,
        epoch: i32,
        retain_bytes: usize,
    ) -> i64 {
        let bytes = LEN + payload.len();
        while self.bytes.saturating_add(bytes) > retain_bytes && !self.segments.is_empty() {
            self.drop_oldest();
        }
        let segment_bytes = (retain_bytes / 16).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        if self.segments.back().is_none_or(|tail| tail.len() + bytes > segment_bytes) {
            let segment = self.new_segment(bytes, segment_bytes);
            self.segments.push_back(segment);
        }
        let base_offset = self.next_offset;
        header[BASE_OFFSET_AT].copy_from_slice(&base_offset.to_be_bytes());
        header[LEADER_EPOCH_AT].copy_from_slice(&epoch.to_be_bytes());
        let segment = self.segment_first + self.segments.len() as u64 - 1;
        let mut at = 0;
        if let Some(tail) = self.segments.back_mut() {
            at = tail.len();
            tail.extend_from_slice(&header);
            tail.extend_from_slice(payload);
        }
        self.next_offset = base_offset.saturating_add(i64::from(records));
        self.bytes += bytes;
        let last_offset = self.next_offset - 1;
        self.batches.push_back(StoredBatch { base_offset, last_offset, max_timestamp_ms, segment, at, bytes });
        base_offset
    }

    /// The first segment grows as it is needed, for the many partitions that see a few records; later ones
    /// come in full size.
    fn new_segment(&mut self, batch_bytes: usize, segment_bytes: usize) -> Vec<u8> {
        match self.spare.take() {
            Some(spare) if spare.capacity() >= batch_bytes => spare,
            _ if self.segment_first == 0 && self.segments.is_empty() => Vec::with_capacity(batch_bytes),
            _ => Vec::with_capacity(batch_bytes.max(segment_bytes)),
        }
    }

    fn drop_oldest(&mut self) {
        let Some(mut segment) = self.segments.pop_front() else { return };
        while let Some(batch) = self.batches.front().copied().filter(|batch| batch.segment == self.segment_first) {
            self.bytes -= batch.bytes;
            self.batches.pop_front();
        }
        self.segment_first += 1;
        self.start_offset = self.batches.front().map_or(self.next_offset, |batch| batch.base_offset);
        segment.clear();
        self.spare = Some(segment);
    }

    /// Drops what is above a new bound.
    pub(super) fn shrink(&mut self, retain_bytes: usize) {
        while self.bytes > retain_bytes && self.segments.len() > 1 {
            self.drop_oldest();
        }
        self.spare = None;
    }

    /// The batches from the one that holds `offset`, oldest first.
    pub(super) fn batches_from(&self, offset: i64) -> impl Iterator<Item = (&StoredBatch, &[u8])> {
        let first = self.batches.partition_point(|batch| batch.last_offset < offset);
        self.batches.range(first..).map(|batch| (batch, self.bytes_of(batch)))
    }

    /// The first batch that may hold a record at or after a timestamp.
    pub(super) fn batch_at_timestamp(&self, timestamp_ms: i64) -> Option<(&StoredBatch, &[u8])> {
        let batch = self.batches.iter().find(|batch| batch.max_timestamp_ms >= timestamp_ms)?;
        Some((batch, self.bytes_of(batch)))
    }

    /// The first batch that holds the largest timestamp of the log.
    pub(super) fn batch_of_max_timestamp(&self) -> Option<(&StoredBatch, &[u8])> {
        let largest = self.batches.iter().map(|batch| batch.max_timestamp_ms).max()?;
        self.batch_at_timestamp(largest)
    }

    fn bytes_of(&self, batch: &StoredBatch) -> &[u8] {
        let index = usize::try_from(batch.segment - self.segment_first).unwrap_or(usize::MAX);
        self.segments.get(index).and_then(|segment| segment.get(batch.at..batch.at + batch.bytes)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends a batch of that many bytes, all of one kind.
    fn append(log: &mut Log, bytes: usize, mark: u8, records: i32, epoch: i32, retain_bytes: usize) -> i64 {
        log.append([mark; LEN], &vec![mark; bytes - LEN], records, 0, epoch, retain_bytes)
    }

    #[test]
    fn offsets_go_on_and_stand_in_the_header() {
        let mut log = Log::new();
        assert_eq!(append(&mut log, 100, 1, 3, 7, 1 << 20), 0);
        assert_eq!(append(&mut log, 100, 2, 2, 8, 1 << 20), 3);
        assert_eq!((log.start_offset(), log.next_offset(), log.bytes()), (0, 5, 200));
        let (stored, bytes) = log.batches_from(4).next().expect("offset 4 is in the second batch");
        assert_eq!((stored.base_offset, stored.last_offset), (3, 4));
        assert_eq!(bytes[0..8], 3i64.to_be_bytes());
        assert_eq!(bytes[12..16], 8i32.to_be_bytes());
        assert_eq!(bytes.len(), 100);
        assert!(bytes[16..].iter().all(|byte| *byte == 2));
        assert_eq!(log.batches_from(0).count(), 2);
        assert_eq!(log.batches_from(5).count(), 0);
    }

    #[test]
    fn the_oldest_goes_above_the_bound_and_the_bound_holds() {
        let mut log = Log::new();
        let retain = 64 << 10;
        for number in 0..1000i64 {
            assert_eq!(append(&mut log, 1000, 0, 2, 0, retain), number * 2);
            assert!(log.bytes() <= retain, "{} bytes kept", log.bytes());
        }
        assert!(log.bytes() > retain - 5000, "no more is dropped than a segment: {}", log.bytes());
        assert_eq!(log.next_offset(), 2000);
        let kept: Vec<i64> = log.batches_from(0).map(|(stored, _)| stored.base_offset).collect();
        assert_eq!(kept.first().copied(), Some(log.start_offset()));
        assert_eq!(kept.len() * 1000, log.bytes());
        assert!(kept.windows(2).all(|pair| pair[1] == pair[0] + 2), "no hole in what is kept");
    }

    #[test]
    fn a_batch_larger_than_the_bound_is_kept_alone() {
        let mut log = Log::new();
        append(&mut log, 100, 1, 1, 0, 10);
        append(&mut log, 2 << 20, 2, 1, 0, 10);
        assert_eq!((log.start_offset(), log.next_offset(), log.bytes()), (1, 2, 2 << 20));
        log.shrink(5);
        assert_eq!(log.bytes(), 2 << 20, "the last segment stays");
    }

    #[test]
    fn a_timestamp_finds_the_first_batch_that_reaches_it() {
        let mut log = Log::new();
        for timestamp_ms in [10, 50, 30] {
            log.append([0; LEN], &[], 1, timestamp_ms, 0, 1 << 20);
        }
        let at = |timestamp_ms| log.batch_at_timestamp(timestamp_ms).map(|(stored, _)| stored.base_offset);
        assert_eq!((at(0), at(11), at(30), at(51)), (Some(0), Some(1), Some(1), None));
        assert_eq!(log.batch_of_max_timestamp().map(|(stored, _)| stored.base_offset), Some(1));
    }
}
