//! A closed batch as the rest of the house holds it: a cheap handle on a block that nobody writes to any more.

use super::block::{Closed, Entry, Marks};
use super::pool::Pool;
use crate::protocol::record::{self, records};
use crate::sync::Mutex;
use crate::time::Time;
use std::sync::Arc;

/// Records that were encoded anew for the wire: kept for retries, charged to the reserve until dropped.
pub(crate) struct Copied {
    bytes: Vec<u8>,
    codec: i16,
    charged: usize,
    pool: Arc<Pool>,
}

impl Drop for Copied {
    fn drop(&mut self) {
        self.pool.give_reserve(self.charged);
    }
}

/// What a batch looks like on the wire, once that is decided.
enum Wire {
    /// Still to be compressed, or renumbered.
    Undecided,
    /// As it was appended.
    Plain,
    Copied(Arc<Copied>),
}

/// What a batch begins with. The second half of a split cannot go out as it was appended.
fn wire_of(closed: &Closed, compresses: bool) -> Option<Arc<Mutex<Wire>>> {
    (compresses || !closed.is_front()).then(|| Arc::new(Mutex::new(Wire::Undecided)))
}

/// A closed batch. Clones share bytes; the memory goes back when the last one is dropped.
#[derive(Clone)]
pub struct Batch {
    closed: Closed,
    /// `None`: there is nothing to decide, it goes out as it was appended.
    wire: Option<Arc<Mutex<Wire>>>,
    compresses: bool,
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
        let wire = wire_of(&closed, compresses);
        let max_timestamp_ms = closed.max_timestamp_ms();
        Self { closed, wire, compresses, max_timestamp_ms, partition, number }
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

    /// The records as they were appended: not compressed, and the indices of a second half do not begin at 0.
    #[must_use]
    pub fn plain(&self) -> &[u8] {
        self.closed.payload()
    }

    /// Whether its form on the wire is decided.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        self.wire.as_ref().is_none_or(|wire| !matches!(*wire.lock(), Wire::Undecided))
    }

    /// The codec of its form on the wire, and its size.
    #[must_use]
    pub fn wire_form(&self) -> (i16, usize) {
        self.copied().map_or_else(|| (0, self.plain().len()), |copied| (copied.codec, copied.bytes.len()))
    }

    /// The bytes of its form on the wire, which stay while the answer is held.
    #[must_use]
    pub fn payload(&self) -> Payload {
        Payload { closed: self.closed.clone(), copied: self.copied() }
    }

    fn copied(&self) -> Option<Arc<Copied>> {
        match &*self.wire.as_ref()?.lock() {
            Wire::Copied(copied) => Some(Arc::clone(copied)),
            Wire::Undecided | Wire::Plain => None,
        }
    }

    /// Whether it can go out as it was appended.
    pub(crate) fn is_front(&self) -> bool {
        self.closed.is_front()
    }

    /// Decides its form on the wire: `bytes` of codec `codec`, of which `charged` stand in the reserve.
    pub(crate) fn set_copied(&self, bytes: Vec<u8>, codec: i16, charged: usize, pool: &Arc<Pool>) {
        let copied = Copied { bytes, codec, charged, pool: Arc::clone(pool) };
        self.decide(Wire::Copied(Arc::new(copied)));
    }

    /// Decides that it goes out as it is.
    pub(crate) fn set_plain(&self) {
        self.decide(Wire::Plain);
    }

    /// What was decided before is dropped outside the lock.
    fn decide(&self, form: Wire) {
        if let Some(wire) = &self.wire {
            let before = std::mem::replace(&mut *wire.lock(), form);
            drop(before);
        }
    }

    /// Its form on the wire is undecided again. The copy is dropped with the answer.
    pub(crate) fn undecide(&self) -> Option<Payload> {
        let mut wire = self.wire.as_ref()?.lock();
        let Wire::Copied(copied) = &*wire else { return None };
        let payload = Payload { closed: self.closed.clone(), copied: Some(Arc::clone(copied)) };
        *wire = Wire::Undecided;
        Some(payload)
    }

    /// It has its fate: this handle needs no copy for the wire any more. (What others hold, a request perhaps, stays.)
    /// Deliveries may wait for long, and the reserve is what everything else has to be sent from.
    pub(crate) fn forget_copy(&mut self) {
        self.wire = None;
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

    /// Two of it, which share its bytes. `None`: its records cannot be walked.
    pub(crate) fn split(&self) -> Option<(Self, Self)> {
        // Its copy of the whole is of no use any more, and the reserve may need its bytes.
        self.decide(Wire::Undecided);
        let first_records = self.records().div_ceil(2);
        let (mut bytes, mut maxima) = (0, [i64::MIN; 2]);
        let mut walked = records(self.plain());
        for index in 0..self.records() {
            let record = walked.next()?.ok()?;
            let [first, second] = &mut maxima;
            let maximum = if index < first_records { first } else { second };
            *maximum = (*maximum).max(self.base_timestamp_ms() + record.timestamp_delta);
            if index + 1 == first_records {
                bytes = walked.position();
            }
        }
        let (first, second) = self.closed.parts(first_records, bytes);
        let half = |closed: Closed, max_timestamp_ms| Self {
            wire: wire_of(&closed, self.compresses),
            closed,
            max_timestamp_ms,
            ..*self
        };
        Some((half(first, maxima[0]), half(second, maxima[1])))
    }

    /// Its records with indices from 0, as a batch has to have them. No longer than before: indices only get smaller.
    pub(crate) fn renumber(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.plain().len()];
        let mut end = 0;
        // That they can be walked was seen when it was split.
        for (index, record) in (0..).zip(records(self.plain()).map_while(Result::ok)) {
            let (body, rest) = (record.body(), bytes.get_mut(end..).unwrap_or_default());
            end += record::encode(&body, body.fixed_bytes(), record.timestamp_delta, index, rest);
        }
        bytes.truncate(end);
        bytes
    }
}

/// A batch's bytes on the wire. They stay while this is held.
pub struct Payload {
    closed: Closed,
    copied: Option<Arc<Copied>>,
}

impl Payload {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.copied.as_ref().map_or_else(|| self.closed.payload(), |copied| &copied.bytes)
    }
}
