//! A block: one flat piece of memory with records from its start upwards and their entries from its end downwards,
//! written by many threads at once, each in its own span, and read by nobody before the last of them is done.
//!
//! It holds no pointers; offsets only. So the same block could live in a mapped file.

#![expect(unsafe_code, reason = "the memory that writers share is raw")]

use super::memory::Memory;
use super::pool::{ENTRY_BYTES, Pool};
use super::run::RUN_RECORDS;
use crate::protocol::record::{self, RecordBody, clamp_delta, framed_bytes};
use crate::protocol::varint::{varint_len, varlong_len};
use crate::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use crate::time::Time;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Stands for a block's bytes where loom looks: many may write at once (disjoint spans), reading needs them all to have
/// ended, and loom fails where it does not follow that they have. Nothing in a real build.
#[derive(Debug, Default)]
struct Touch {
    #[cfg(loom)]
    cell: loom::cell::UnsafeCell<()>,
}

// SAFETY: there is nothing in it; loom watches how it is reached.
#[cfg(loom)]
unsafe impl Sync for Touch {}

impl Touch {
    #[inline]
    fn write(&self) {
        #[cfg(loom)]
        self.cell.with(|_| ());
    }

    fn read_all(&self) {
        #[cfg(loom)]
        self.cell.with_mut(|_| ());
    }
}

/// What stands beside a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The application's number, or a waiter's with [`WAITER`].
    pub(crate) opaque: u64,
    /// Distance from the block's base timestamp; [`DELTA_IN_RECORD`]: too far for 24 bits, read the record.
    delta: i32,
    /// [`QUIET`], [`WAITER`].
    pub(crate) flags: u8,
}

/// The entry is complete. Stored last, so that a block could be read after its process was killed.
const WRITTEN: u8 = 1;
/// No delivery if all is well.
pub const QUIET: u8 = 2;
/// The delivery goes to the `send_wait` whose number stands in place of the opaque.
pub const WAITER: u8 = 4;
const DELTA_IN_RECORD: i32 = -(1 << 23);

/// A record on its way into a block: everything that does not depend on its place.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    body: RecordBody<'a>,
    /// What [`RecordBody::fixed_bytes`] says.
    fixed_bytes: usize,
    timestamp_ms: i64,
    opaque: u64,
    flags: u8,
}

impl<'a> NewRecord<'a> {
    /// With milliseconds since 1970, not negative; a number that comes back in the delivery; `QUIET`, `WAITER`.
    #[inline(always)]
    #[must_use]
    pub fn new(body: RecordBody<'a>, timestamp_ms: i64, opaque: u64, flags: u8) -> Self {
        Self { body, fixed_bytes: body.fixed_bytes(), timestamp_ms, opaque, flags }
    }

    /// Its timestamp.
    #[inline(always)]
    #[must_use]
    pub fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    /// The least bytes that it takes in a batch: as its first record.
    #[must_use]
    pub fn bytes(&self) -> usize {
        Place::first(self).bytes
    }

    /// Whether these are no more than `bytes_max`.
    #[inline(always)]
    #[must_use]
    pub fn is_at_most(&self, bytes_max: usize) -> bool {
        // Length, delta and index of a first record take at most 5 + 1 + 1 bytes: it seldom has to be known better.
        self.fixed_bytes < bytes_max.saturating_sub(8) || self.bytes() <= bytes_max
    }
}

/// Records gathered for one partition.
pub struct Run<'a> {
    records: [MaybeUninit<NewRecord<'a>>; RUN_RECORDS],
    count: usize,
}

impl Default for Run<'_> {
    #[inline(always)]
    fn default() -> Self {
        Self { records: [const { MaybeUninit::uninit() }; RUN_RECORDS], count: 0 }
    }
}

impl<'a> Run<'a> {
    /// Nothing more can be added.
    #[inline(always)]
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count == RUN_RECORDS
    }

    /// One more, if it is not full.
    #[inline(always)]
    pub fn push(&mut self, record: NewRecord<'a>) {
        if let Some(place) = self.records.get_mut(self.count) {
            place.write(record);
            self.count += 1;
        }
    }

    /// In the order of the pushes.
    #[inline(always)]
    #[must_use]
    pub fn records(&self) -> &[NewRecord<'a>] {
        // SAFETY: the first `count` were written.
        unsafe { std::slice::from_raw_parts(self.records.as_ptr().cast(), self.count) }
    }

    /// Empty again.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.count = 0;
    }
}

/// Deliveries that a batch owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks(u8);

impl Marks {
    const LOUD: u8 = 8;

    pub(crate) fn has_waiter(self) -> bool {
        self.0 & WAITER != 0
    }
    pub(crate) fn has_quiet(self) -> bool {
        self.0 & QUIET != 0
    }
    /// A record that is neither quiet nor waited for.
    pub(crate) fn has_loud(self) -> bool {
        self.0 & Self::LOUD != 0
    }
    fn of(flags: u8) -> u8 {
        if flags & (QUIET | WAITER) == 0 { Self::LOUD } else { flags & (QUIET | WAITER) }
    }
}

/// What every publisher touches. It stands with the rest of the block, which every publisher has read just before: a
/// line of its own would cost an aligned allocation for each batch and gain nothing.
#[derive(Debug)]
struct Shared {
    /// Bytes published, less the batch's total once it is sealed: whose operation yields 0 closes the batch.
    balance: AtomicI64,
    max_timestamp_ms: AtomicI64,
    marks: AtomicU8,
}

/// See the file's first line.
pub(crate) struct Block {
    memory: Option<Memory>,
    pool: Arc<Pool>,
    shared: Shared,
    touch: Touch,
    readers_gone: AtomicU8,
    /// The first record's timestamp.
    pub(crate) base_timestamp_ms: i64,
    /// When its first record came: linger and `delivery.timeout.ms` count from here.
    pub(crate) opened: Time,
    /// Which flushes wait for it.
    pub(crate) epoch: u64,
}

impl Block {
    pub(crate) fn new(memory: Memory, pool: Arc<Pool>, base_timestamp_ms: i64, opened: Time, epoch: u64) -> Self {
        let shared = Shared {
            balance: AtomicI64::new(0),
            max_timestamp_ms: AtomicI64::new(base_timestamp_ms),
            marks: AtomicU8::new(0),
        };
        Self {
            memory: Some(memory),
            pool,
            shared,
            touch: Touch::default(),
            readers_gone: AtomicU8::new(0),
            base_timestamp_ms,
            opened,
            epoch,
        }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Encodes one record into its span and its entry into its place.
    ///
    /// Nothing here can fail: no allocation, callback, lock, system call or panic between reserve and publish.
    ///
    /// # Safety
    /// `offset..offset + bytes` and entry `index` were reserved for this caller alone in this block, they do not meet,
    /// and `place` was made for this record.
    #[inline(always)]
    pub(crate) unsafe fn write(&self, record: &NewRecord<'_>, place: Place, base_timestamp_ms: i64) {
        let Some(memory) = &self.memory else { return };
        debug_assert!(place.end() <= memory.capacity);
        let mut delta = record.timestamp_ms.wrapping_sub(base_timestamp_ms);
        if delta != place.delta_ms {
            // The word came round to the same value, 65,536 batches later, with another base.
            delta = clamp_delta(delta, place.delta_bytes);
        }
        self.touch.write();
        // SAFETY: the span is inside the block, initialised (zeroed or written before), and this caller's alone.
        let span = unsafe { std::slice::from_raw_parts_mut(memory.start.as_ptr().add(place.offset), place.bytes) };
        record::write(&record.body, place.body_bytes, delta, place.index, span);
        // SAFETY: entry `index` is inside the block and this caller's alone.
        unsafe { self.write_entry(place.index, record.opaque, delta, record.flags) };
        memory.expect_writes(place.offset + place.bytes, memory.capacity - ENTRY_BYTES * (place.index as usize + 1));
        let timestamp_ms = base_timestamp_ms.wrapping_add(delta);
        if timestamp_ms > self.shared.max_timestamp_ms.load(Ordering::Relaxed) {
            self.shared.max_timestamp_ms.fetch_max(timestamp_ms, Ordering::Relaxed);
        }
        let mark = Marks::of(record.flags);
        if self.shared.marks.load(Ordering::Relaxed) & mark != mark {
            self.shared.marks.fetch_or(mark, Ordering::Relaxed);
        }
    }

    /// # Safety
    /// Entry `index` lies inside the block, beyond all records, and belongs to the caller alone.
    #[inline(always)]
    unsafe fn write_entry(&self, index: u32, opaque: u64, delta: i64, flags: u8) {
        let Some(memory) = &self.memory else { return };
        let short = i32::try_from(delta).ok().filter(|short| (-(1 << 23) + 1..1 << 23).contains(short));
        let packed = (short.unwrap_or(DELTA_IN_RECORD) as u32) << 8 | u32::from(flags | WRITTEN);
        let from_end = ENTRY_BYTES * (index as usize + 1);
        // SAFETY: the caller's promise; writes of unaligned plain numbers.
        unsafe {
            let place = memory.start.as_ptr().add(memory.capacity - from_end);
            place.cast::<u64>().write_unaligned(opaque);
            place.add(8).cast::<u32>().write_unaligned(packed);
        }
    }

    /// The last touch of the block by who wrote `bytes`. True: that closed the batch.
    #[inline(always)]
    pub(crate) fn publish(&self, bytes: usize) -> bool {
        self.shared.balance.fetch_add(bytes as i64, Ordering::AcqRel) + bytes as i64 == 0
    }

    /// Subtracts a sealed batch's total. True: all spans were published, the batch is closed.
    pub(crate) fn settle(&self, total: usize) -> bool {
        self.shared.balance.fetch_sub(total as i64, Ordering::AcqRel) == total as i64
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // What every reader did is over. The count of holders says so too, by a fence, which ThreadSanitizer does not
        // understand: with this pair it watches what becomes of the memory afterwards.
        self.readers_gone.load(Ordering::Acquire);
        if let Some(memory) = self.memory.take() {
            self.pool.give_back(memory);
        }
    }
}

/// Where a record goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
    /// What the record's length field says.
    body_bytes: usize,
    pub(crate) index: u32,
    delta_ms: i64,
    delta_bytes: usize,
    index_bytes: usize,
}

impl Place {
    /// The place of a record as number `index` at `offset` in a block with this base.
    #[inline(always)]
    pub(crate) fn at(offset: usize, record: &NewRecord<'_>, base_timestamp_ms: i64, index: u32) -> Self {
        let delta_ms = record.timestamp_ms.wrapping_sub(base_timestamp_ms);
        let (delta_bytes, index_bytes) = (varlong_len(delta_ms), varint_len(index as i32));
        let body_bytes = record.fixed_bytes.saturating_add(delta_bytes + index_bytes);
        Self { offset, bytes: framed_bytes(body_bytes), body_bytes, index, delta_ms, delta_bytes, index_bytes }
    }

    /// The place of the record behind it, whose index is as wide.
    #[inline(always)]
    pub(crate) fn next(self, record: &NewRecord<'_>, base_timestamp_ms: i64) -> Self {
        let delta_ms = record.timestamp_ms.wrapping_sub(base_timestamp_ms);
        let delta_bytes = if delta_ms == self.delta_ms { self.delta_bytes } else { varlong_len(delta_ms) };
        let body_bytes = record.fixed_bytes.saturating_add(delta_bytes + self.index_bytes);
        let (offset, index) = (self.records_end(), self.index + 1);
        Self { offset, bytes: framed_bytes(body_bytes), body_bytes, index, delta_ms, delta_bytes, ..self }
    }

    /// The place of a block's first record, which makes the base.
    #[inline(always)]
    pub(crate) fn first(record: &NewRecord<'_>) -> Self {
        Self::at(0, record, record.timestamp_ms, 0)
    }

    /// Where the next record would begin.
    #[inline(always)]
    pub(crate) fn records_end(self) -> usize {
        self.offset + self.bytes
    }

    /// Where record and entries would meet: the least capacity of a block that has this place.
    #[inline(always)]
    pub(crate) fn end(self) -> usize {
        self.records_end() + ENTRY_BYTES * (self.index as usize + 1)
    }
}

/// The bytes and entries of a batch whose every span is published, or of a part of it. Immutable; clones and parts
/// share the block.
#[derive(Clone)]
pub(crate) struct Closed {
    block: Arc<Block>,
    /// Its first record's number in the block.
    first: u32,
    records: u32,
    /// Where its first record begins.
    start: usize,
    bytes: usize,
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.block.readers_gone.fetch_add(1, Ordering::Release);
    }
}

impl Closed {
    /// # Safety
    /// All of the first `records` records, `bytes` in all, were published, and nobody writes to the block any more.
    pub(crate) unsafe fn new(block: Arc<Block>, records: u32, bytes: usize) -> Self {
        block.touch.read_all();
        Self { block, first: 0, records, start: 0, bytes }
    }

    pub(crate) fn block(&self) -> &Block {
        &self.block
    }

    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// Its records stand at the block's start: their indices are those that a batch has to have.
    pub(crate) fn is_front(&self) -> bool {
        self.first == 0
    }

    /// The records as they were appended.
    pub(crate) fn payload(&self) -> &[u8] {
        let Some(memory) = &self.block.memory else { return &[] };
        // SAFETY: inside the block, initialised, and by `new`'s promise nobody writes there any more.
        unsafe { std::slice::from_raw_parts(memory.start.as_ptr().add(self.start), self.bytes) }
    }

    /// A seeded bug (`Mutant::ReuseOnExpiry`): the bytes are somebody else's now, whoever still reads them.
    #[cfg(feature = "simulation")]
    pub(crate) fn scribble(&self) {
        if let Some(memory) = &self.block.memory {
            // SAFETY: inside the block; one thread runs at a time in a simulation.
            unsafe { memory.start.as_ptr().add(self.start).write_bytes(0xEE, self.bytes) }
        }
    }

    pub(crate) fn entry(&self, index: u32) -> Entry {
        let Some(memory) = self.block.memory.as_ref().filter(|_| index < self.records) else {
            return Entry { opaque: 0, delta: 0, flags: 0 };
        };
        let from_end = ENTRY_BYTES * (self.first as usize + index as usize + 1);
        // SAFETY: entries of published records lie inside the block; unaligned reads of plain numbers.
        let (opaque, packed) = unsafe {
            let place = memory.start.as_ptr().add(memory.capacity - from_end);
            (place.cast::<u64>().read_unaligned(), place.add(8).cast::<u32>().read_unaligned())
        };
        Entry { opaque, delta: packed as i32 >> 8, flags: packed as u8 }
    }

    /// The record's own timestamp, `None` if it stands only in the record itself.
    pub(crate) fn timestamp_ms(&self, entry: Entry) -> Option<i64> {
        (entry.delta != DELTA_IN_RECORD).then(|| self.block.base_timestamp_ms + i64::from(entry.delta))
    }

    pub(crate) fn max_timestamp_ms(&self) -> i64 {
        self.block.shared.max_timestamp_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn marks(&self) -> Marks {
        Marks(self.block.shared.marks.load(Ordering::Relaxed))
    }

    /// The first `records` of it, `bytes` in all, and the others.
    pub(crate) fn parts(&self, records: u32, bytes: usize) -> (Self, Self) {
        debug_assert!(records <= self.records && bytes <= self.bytes);
        let (records, bytes) = (records.min(self.records), bytes.min(self.bytes));
        let front = Self { block: Arc::clone(&self.block), records, bytes, ..*self };
        let rest = Self {
            block: Arc::clone(&self.block),
            first: self.first + records,
            records: self.records - records,
            start: self.start + bytes,
            bytes: self.bytes - bytes,
        };
        (front, rest)
    }
}
