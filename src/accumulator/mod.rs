//! Records into batches: append in place, queues by partition, and the memory that all of it lives in.
//!
//! Five lines tell it: `append` reserves a span in the partition's open batch with one compare-exchange, for a record
//! or for a run of them, and encodes them there; the batch is *sealed* when it is full, lingered or wanted; it is
//! *closed* when its last writer is out; its partition goes on the list of the network thread that leads it; that
//! thread *collects* it. Memory returns when the last handle on the batch is dropped.

mod append;
mod batch;
mod block;
mod collect;
mod line;
mod memory;
mod partition;
mod pool;
mod ready;
mod run;
#[cfg(feature = "simulation")]
mod seeded;
mod unfated;
mod word;

#[cfg(all(test, loom))]
mod explored;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, not(loom)))]
mod tests_line;
#[cfg(all(test, not(loom), target_os = "linux"))]
mod tests_memory;
#[cfg(all(test, not(loom)))]
mod tests_run;

pub use batch::{Batch, Payload};
pub use block::{NewRecord, Run};
pub use collect::{Collected, GivenUp};
pub use partition::{Partition, Stall};
pub use pool::Signal;
pub use ready::Inbox;
pub use run::RUN_RECORDS;
pub use unfated::Unfated;

#[doc(hidden)]
pub use block::{QUIET, WAITER};

use crate::mutant::{self, Mutant};
use crate::protocol::compression::{Codec, Compressor, max_compressed_len};
use crate::sync::Shelf;
use crate::time::Time;
use block::Place;
use memory::Memory;
use pool::{Classes, Pool, Refused, Ticket};
use std::sync::Arc;
use std::time::Duration;

/// Bytes that the wire puts in front of a batch's records.
pub const BATCH_HEADER_BYTES: usize = 61;

/// What the accumulator has to know.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `buffer.memory`: everything that batches hold.
    pub memory_bytes: usize,
    /// The part of it that is kept from appenders.
    pub reserve_bytes: usize,
    /// `batch.size`, header included.
    pub batch_bytes: usize,
    /// `linger.ms`.
    pub linger: Duration,
    /// `delivery.timeout.ms`.
    pub delivery_timeout: Duration,
    /// Batches are compressed before they go out.
    pub compresses: bool,
}

/// See the file's first line.
pub struct Accumulator {
    pool: Arc<Pool>,
    linger: Duration,
    delivery_timeout: Duration,
    compresses: bool,
    partitions: Shelf<Arc<Partition>>,
    inboxes: Shelf<Arc<Inbox>>,
    /// Batches without a fate, for `flush`.
    pub unfated: Unfated,
}

impl Accumulator {
    /// `freed` is called, without a lock held, when memory may be there for a sender that went away without.
    #[must_use]
    pub fn new(limits: &Limits, freed: Signal) -> Self {
        let classes = Classes::new(limits.batch_bytes, BATCH_HEADER_BYTES);
        Self {
            pool: Arc::new(Pool::new(classes, limits.memory_bytes, limits.reserve_bytes, freed)),
            linger: limits.linger,
            delivery_timeout: limits.delivery_timeout,
            compresses: limits.compresses,
            partitions: Shelf::new(),
            inboxes: Shelf::new(),
            unfated: Unfated::default(),
        }
    }

    /// Gives the next network thread its list. They are numbered from 0 in the order of these calls.
    pub fn add_inbox(&self, inbox: Arc<Inbox>) {
        self.inboxes.push(inbox);
    }

    /// The list of a network thread.
    pub fn inbox(&self, thread: u32) -> Option<&Arc<Inbox>> {
        self.inboxes.get(thread as usize)
    }

    /// One more partition. They are numbered from 0 in the order of these calls.
    pub fn add_partition(&self, topic: u32, index: i32) -> Option<Arc<Partition>> {
        let number = u32::try_from(self.partitions.len()).ok()?;
        let partition = Arc::new(Partition::new(number, topic, index));
        self.partitions.push(Arc::clone(&partition))?;
        Some(partition)
    }

    /// The partition of this number.
    #[inline]
    pub fn partition(&self, number: u32) -> Option<&Arc<Partition>> {
        self.partitions.get(number as usize)
    }

    /// All partitions there are now.
    pub fn partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.partitions.iter()
    }

    /// Appends a record to the open batch, or opens one with it. Never waits.
    ///
    /// With `stop_at_boundary` a batch is not opened: the caller may want another partition for it.
    #[inline(always)]
    pub fn append(
        &self,
        partition: &Partition,
        record: &NewRecord<'_>,
        stop_at_boundary: bool,
        clock: &impl Fn() -> Time,
    ) -> Result<(), Stall> {
        partition.append(self, std::slice::from_ref(record), stop_at_boundary, clock).map(|_| ())
    }

    /// As [`Self::append`], of the first record and of as many of those behind it as are reserved with it: how many.
    pub fn append_run(
        &self,
        partition: &Partition,
        records: &[NewRecord<'_>],
        stop_at_boundary: bool,
        clock: &impl Fn() -> Time,
    ) -> Result<usize, Stall> {
        partition.append(self, records, stop_at_boundary, clock)
    }

    /// Waits at most `span` for what an append lacked; the caller tries again. [`Self::leave_line`] must follow.
    pub fn wait(&self, partition: &Partition, stall: Stall, record: &NewRecord<'_>, span: Duration) {
        let place = Place::first(record);
        partition.wait(self, stall, place, span);
    }

    /// A thread that called [`Self::wait`] has its record in, or gave up.
    pub fn leave_line(&self, partition: &Partition) {
        partition.leave_line(self);
    }

    /// A sender went away for want of memory for this record: signal it when there is some.
    pub fn want_memory(&self, partition: &Partition, record: &NewRecord<'_>) {
        let place = Place::first(record);
        self.pool.want(partition.class(), place.end(), !self.pool.classes.shares(place.bytes));
        self.wake_all();
    }

    /// Lists a partition with the thread that leads it, which wakes up if it would sleep beyond `due`.
    pub fn list(&self, partition: &Partition, due: Time) {
        if let Some(inbox) = self.inboxes.get(partition.leader() as usize) {
            inbox.list(partition, due);
        }
    }

    /// Seals every open batch and lists its partition.
    pub fn seal_all(&self) {
        for partition in self.partitions.iter() {
            partition.seal(self);
            self.list(partition, Time::ZERO);
        }
    }

    /// Makes a partition's open batch due at once.
    pub fn hurry(&self, partition: &Partition) {
        partition.hurry();
        self.list(partition, Time::ZERO);
    }

    /// Accepts nothing more, seals everything, wakes everybody who waits to be accepted.
    pub fn shut(&self) {
        // First: a partition that comes from now on can open no batch, and is not missed by the round.
        self.pool.close();
        for partition in self.partitions.iter() {
            partition.shut();
            self.list(partition, Time::ZERO);
        }
        self.wake_all();
    }

    /// Records ever accepted.
    pub fn accepted(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.accepted()).sum()
    }

    /// Whether a record of this size shares a batch with others; a larger one is a batch of its own.
    #[must_use]
    pub fn is_shared(&self, record_bytes: usize) -> bool {
        self.pool.classes.shares(record_bytes)
    }

    /// Every open batch is due, because somebody waits for memory.
    pub fn is_short(&self) -> bool {
        self.pool.is_short()
    }

    /// Bytes that batches hold: of the appenders' part and of the reserve.
    pub fn memory_used(&self) -> (usize, usize) {
        self.pool.used()
    }

    /// Blocks ever taken, and bytes of blocks that wait to be used again.
    pub fn traffic(&self) -> (u64, usize) {
        self.pool.traffic()
    }

    /// Gives unused blocks back to the system.
    pub fn trim(&self) {
        self.pool.trim();
    }

    /// Encodes a batch for the wire: compresses it, and renumbers it if it is a second half. False: there was no room
    /// for the copy now.
    pub fn encode(&self, batch: &Batch, codec: Codec, level: i32, compressor: &mut Compressor) -> bool {
        if batch.is_prepared() {
            return true;
        }
        let bytes_max = batch.plain().len();
        let renumbering = if batch.is_front() { 0 } else { bytes_max };
        let both = renumbering + max_compressed_len(codec, bytes_max);
        // A second half for which the reserve is too small is not compressed.
        let compresses = codec != Codec::None && (batch.is_front() || both <= self.pool.reserve());
        let charged = if compresses { both } else { renumbering };
        if !self.pool.take_reserve(charged) {
            return false;
        }
        let renumbered = (!batch.is_front()).then(|| batch.renumber());
        let plain = renumbered.as_deref().unwrap_or_else(|| batch.plain());
        let mut compressed = Vec::new();
        let is_smaller = compresses
            && compressor.compress(codec, level, plain, &mut compressed).is_ok()
            && compressed.len() < plain.len();
        // What does not get smaller goes out as it is.
        let copy = if is_smaller { Some((compressed, codec as i16)) } else { renumbered.map(|bytes| (bytes, 0)) };
        let held = copy.as_ref().map_or(0, |(bytes, _)| bytes.len().min(charged));
        match copy {
            Some((mut bytes, codec)) => {
                bytes.shrink_to_fit();
                batch.set_copied(bytes, codec, held, &self.pool);
            }
            None => batch.set_plain(),
        }
        self.pool.give_reserve(charged - held);
        true
    }

    /// Makes two batches of one, which share its memory. `None`: it cannot be done.
    pub fn split(&self, batch: &Batch) -> Option<(Batch, Batch)> {
        let halves = batch.split()?;
        if !mutant::is(Mutant::SplitNotPending) {
            self.unfated.register_in(batch.epoch());
        }
        if let Some(partition) = self.partition(batch.partition) {
            partition.was_split();
        }
        Some(halves)
    }

    fn wake_all(&self) {
        for inbox in self.inboxes.iter() {
            inbox.nudge();
        }
    }

    /// A block for a shared batch: what a place in the line was granted, else what is free.
    fn take_block(&self, class: usize, bytes: usize, ticket: Option<&Arc<Ticket>>) -> Result<(Memory, usize), Refused> {
        let Some(ticket) = ticket else { return self.pool.take(class, bytes) };
        // Looked at before it is used: the place of a batch of one large record is of no use here.
        let class = self.pool.class_of(ticket.capacity()).ok_or(Refused::Full)?;
        self.redeem(bytes, ticket).map(|memory| (memory, class))
    }

    fn take_exact(&self, bytes: usize, ticket: Option<&Arc<Ticket>>) -> Result<Memory, Refused> {
        match ticket {
            Some(ticket) => self.redeem(bytes, ticket),
            None => self.pool.take_exact(bytes),
        }
    }

    fn redeem(&self, bytes: usize, ticket: &Arc<Ticket>) -> Result<Memory, Refused> {
        self.pool.redeem(ticket, bytes).ok_or(Refused::Full)
    }

    /// A place in line for what an append of this record would take.
    fn stand_in_line(&self, class: usize, place: Place) -> Arc<Ticket> {
        let ticket = self.pool.enroll(class, place.end(), !self.pool.classes.shares(place.bytes));
        self.wake_all();
        ticket
    }
}
