//! A closed batch as the rest of the house holds it: a cheap handle on a block that nobody writes to any more.

#![expect(unsafe_code, reason = "the second half of a split is written as an append writes")]

use super::block::{Block, Closed, Entry, Marks, NewRecord, Place};
use super::pool::{ENTRY_BYTES, Pool, Refused};
use crate::protocol::record::records;
use crate::sync::Mutex;
use crate::time::Time;
use std::sync::Arc;

/// Compressed records of a batch: kept for retries, charged to the reserve until dropped.
pub(crate) struct Compressed {
    bytes: Vec<u8>,
    codec: i16,
    charged: usize,
    pool: Arc<Pool>,
}

impl Drop for Compressed {
    fn drop(&mut self) {
        self.pool.give_reserve(self.charged);
    }
}

/// What a batch looks like on the wire, once that is decided.
#[derive(Clone)]
enum Wire {
    /// Still to be compressed.
    Undecided,
    Plain,
    Compressed(Arc<Compressed>),
}

/// A closed batch. Clones share bytes; the memory goes back when the last one is dropped.
#[derive(Clone)]
pub struct Batch {
    closed: Closed,
    wire: Arc<Mutex<Wire>>,
    max_timestamp_ms: i64,
    /// The partition's number.
    pub partition: u32,
    /// Its place among the partition's batches: 0, 1, 2, …
    pub number: u64,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Batch({}:{}, {} records)", self.partition, self.number, self.records())
    }
}

impl Batch {
    pub(crate) fn new(closed: Closed, partition: u32, number: u64, compresses: bool) -> Self {
        let wire = if compresses { Wire::Undecided } else { Wire::Plain };
        let max_timestamp_ms = closed.max_timestamp_ms();
        Self { closed, wire: Arc::new(Mutex::new(wire)), max_timestamp_ms, partition, number }
    }

    /// A seeded bug: see `Mutant::ReuseOnExpiry`.
    #[cfg(feature = "simulation")]
    pub(crate) fn scribble(&self) {
        self.closed.scribble();
    }

    /// Number of records.
    #[must_use]
    pub fn records(&self) -> u32 {
        self.closed.records()
    }

    /// The records in wire form, not compressed.
    #[must_use]
    pub fn plain(&self) -> &[u8] {
        self.closed.payload()
    }

    /// Whether its form on the wire is decided.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        !matches!(*self.wire.lock(), Wire::Undecided)
    }

    /// The codec of its form on the wire, and its size.
    #[must_use]
    pub fn wire_form(&self) -> (i16, usize) {
        match &*self.wire.lock() {
            Wire::Compressed(compressed) => (compressed.codec, compressed.bytes.len()),
            Wire::Undecided | Wire::Plain => (0, self.plain().len()),
        }
    }

    /// The bytes of its form on the wire, which stay while the answer is held.
    #[must_use]
    pub fn payload(&self) -> Payload {
        let compressed = match &*self.wire.lock() {
            Wire::Compressed(compressed) => Some(Arc::clone(compressed)),
            Wire::Undecided | Wire::Plain => None,
        };
        Payload { closed: self.closed.clone(), compressed }
    }

    /// Decides its form on the wire: `bytes` of codec `codec`, of which `charged` stand in the reserve.
    pub(crate) fn set_compressed(&self, bytes: Vec<u8>, codec: i16, charged: usize, pool: &Arc<Pool>) {
        let compressed = Compressed { bytes, codec, charged, pool: Arc::clone(pool) };
        *self.wire.lock() = Wire::Compressed(Arc::new(compressed));
    }

    /// Decides that it goes out as it is.
    pub(crate) fn set_plain(&self) {
        *self.wire.lock() = Wire::Plain;
    }

    /// Its form on the wire is undecided again. The copy is dropped with the answer.
    pub(crate) fn undecide(&self) -> Option<Payload> {
        let mut wire = self.wire.lock();
        let Wire::Compressed(compressed) = &*wire else { return None };
        let payload = Payload { closed: self.closed.clone(), compressed: Some(Arc::clone(compressed)) };
        *wire = Wire::Undecided;
        Some(payload)
    }

    /// It has its fate: this handle needs no copy for the wire any more. (What others hold, a request perhaps, stays.)
    /// Deliveries may wait for long, and the reserve is what everything else has to be sent from.
    pub(crate) fn forget_copy(&mut self) {
        if !matches!(*self.wire.lock(), Wire::Plain) {
            self.wire = Arc::new(Mutex::new(Wire::Plain));
        }
    }

    /// First record's timestamp.
    #[must_use]
    pub fn base_timestamp_ms(&self) -> i64 {
        self.closed.block().base_timestamp_ms
    }

    /// Largest timestamp.
    #[must_use]
    pub fn max_timestamp_ms(&self) -> i64 {
        self.max_timestamp_ms
    }

    /// When it was opened.
    #[must_use]
    pub fn opened(&self) -> Time {
        self.closed.block().opened
    }

    /// Which flushes wait for it.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.closed.block().epoch
    }

    pub(crate) fn entry(&self, index: u32) -> Entry {
        self.closed.entry(index)
    }

    pub(crate) fn marks(&self) -> Marks {
        self.closed.marks()
    }

    /// The record's own timestamp. Walks the records if it is too far from the batch's for its entry.
    pub(crate) fn timestamp_ms(&self, index: u32, entry: Entry) -> i64 {
        self.closed.timestamp_ms(entry).unwrap_or_else(|| {
            let record = records(self.plain()).nth(index as usize);
            let delta = record.and_then(Result::ok).map_or(0, |record| record.timestamp_delta);
            self.base_timestamp_ms() + delta
        })
    }

    /// Two of it: the first half keeps the block, the second is encoded anew (its indices begin at 0) into a block of
    /// the reserve. `Err(Refused::Full)`: no reserve now, try again.
    pub(crate) fn split(&self, pool: &Arc<Pool>) -> Result<(Self, Self), Refused> {
        let compresses = {
            let mut wire = self.wire.lock();
            let compresses = !matches!(*wire, Wire::Plain);
            // Its copy of the whole is of no use any more, and the reserve may need its bytes.
            let copy = std::mem::replace(&mut *wire, if compresses { Wire::Undecided } else { Wire::Plain });
            drop(wire);
            drop(copy);
            compresses
        };
        let first_records = self.records().div_ceil(2);
        let mut first_bytes = 0;
        let mut first_max = i64::MIN;
        let mut iterator = records(self.plain());
        for _ in 0..first_records {
            let Some(Ok(record)) = iterator.next() else { return Err(Refused::Never) };
            first_max = first_max.max(self.base_timestamp_ms() + record.timestamp_delta);
            first_bytes = iterator.position();
        }
        let second = self.second_half(first_records, first_bytes, pool)?;
        let second = Self::new(second, self.partition, self.number, compresses);
        let mut first =
            Self::new(self.closed.prefix(first_records, first_bytes), self.partition, self.number, compresses);
        first.max_timestamp_ms = first_max;
        Ok((first, second))
    }

    fn second_half(&self, from: u32, from_bytes: usize, pool: &Arc<Pool>) -> Result<Closed, Refused> {
        let rest = self.plain().get(from_bytes..).unwrap_or(&[]);
        let count = self.records() - from;
        let Some(Ok(first)) = records(rest).next() else { return Err(Refused::Never) };
        let base_timestamp_ms = self.base_timestamp_ms() + first.timestamp_delta;
        // Indices get smaller; deltas are counted from another base, and may take more bytes than before.
        let memory = pool.take_from_reserve(rest.len() + count as usize * (9 + ENTRY_BYTES))?;
        let block = Block::new(memory, Arc::clone(pool), base_timestamp_ms, self.opened(), self.epoch());
        let block = block.charged_to_reserve();
        let mut bytes = 0;
        for (index, record) in (0..count).zip(records(rest)) {
            let record = record.map_err(|_| Refused::Never)?;
            let timestamp_ms = self.base_timestamp_ms() + record.timestamp_delta;
            let entry = self.entry(from + index);
            let body = record.body();
            let flags = entry.flags & (super::block::QUIET | super::block::WAITER);
            let new = NewRecord { body, timestamp_ms, opaque: entry.opaque, flags };
            let fixed = body.fixed_bytes();
            let place = Place::at(bytes, fixed, timestamp_ms - base_timestamp_ms, index);
            if place.end() > block.capacity() {
                return Err(Refused::Never);
            }
            // SAFETY: nobody else has this block, and the place was checked against its capacity.
            unsafe { block.write(&new, fixed, place, base_timestamp_ms) };
            bytes += place.bytes;
        }
        // SAFETY: all of its records were written above, by this thread.
        Ok(unsafe { Closed::new(Arc::new(block), count, bytes) })
    }
}

/// A batch's bytes on the wire. They stay while this is held.
pub struct Payload {
    closed: Closed,
    compressed: Option<Arc<Compressed>>,
}

impl Payload {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.compressed.as_ref().map_or_else(|| self.closed.payload(), |compressed| &compressed.bytes)
    }
}
