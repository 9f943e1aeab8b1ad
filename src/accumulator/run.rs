//! Runs: neighbouring records of one call that go to the same partition, reserved and published together.

use super::block::{NewRecord, Place};
use super::word::COUNT_MAX;

/// Records of a run, at most.
pub const RUN_RECORDS: usize = 64;
/// Bytes of a run, at most; a larger record is one by itself.
pub(super) const RUN_BYTES: usize = 64 << 10;

/// What a block's class and `batch.size` leave for records.
#[derive(Clone, Copy)]
pub(super) struct Room {
    /// Bytes of records and entries.
    pub(super) capacity: usize,
    /// Bytes of records.
    pub(super) bytes_max: usize,
    pub(super) count_max: u32,
}

impl Room {
    #[inline(always)]
    pub(super) fn holds(self, place: Place) -> bool {
        place.end() <= self.capacity && place.records_end() <= self.bytes_max && place.index < self.count_max
    }
}

/// How many records of a run are reserved together, and the bytes of all of them.
#[derive(Clone, Copy, Default)]
pub(super) struct Span {
    pub(super) records: u32,
    pub(super) bytes: usize,
    base_timestamp_ms: i64,
    width_end: u32,
}

impl Span {
    /// Of the record at `place` and as many of those behind it as go with it.
    #[inline(always)]
    pub(super) fn measure(place: Place, behind: &[NewRecord<'_>], base_timestamp_ms: i64, room: Room) -> Self {
        let width_end = width_end(place.index);
        let room = Room {
            bytes_max: room.bytes_max.min(place.offset + RUN_BYTES),
            count_max: width_end.min(place.index + RUN_RECORDS as u32),
            ..room
        };
        let mut last = place;
        for record in behind {
            let next = last.next(record, base_timestamp_ms);
            if !room.holds(next) {
                break;
            }
            last = next;
        }
        let (records, bytes) = (last.index - place.index + 1, last.records_end() - place.offset);
        Self { records, bytes, base_timestamp_ms, width_end }
    }

    /// Whether the same records take the same bytes from `place` on, and there is room for them. After a lost exchange:
    /// measuring takes so long that whoever sends one record at a time would win again and again.
    #[inline(always)]
    pub(super) fn fits(self, place: Place, base_timestamp_ms: i64, room: Room) -> bool {
        let room = Room { count_max: width_end(place.index), ..room };
        // Where the last one would end, as if all were one.
        let mut whole = place;
        whole.bytes = self.bytes;
        whole.index = place.index.saturating_add(self.records).saturating_sub(1);
        self.base_timestamp_ms == base_timestamp_ms && self.width_end == room.count_max && room.holds(whole)
    }
}

/// Up to here an index takes as many bytes as this one: a run ends there, so that its bytes depend on its base and on
/// its index' width only.
#[inline(always)]
fn width_end(index: u32) -> u32 {
    match index {
        0..64 => 64,
        64..8192 => 8192,
        _ => COUNT_MAX,
    }
}
