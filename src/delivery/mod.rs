//! Fates on their way back: a batch is queued as one object and becomes deliveries where the application takes them.
//!
//! The queue is a list of batches that exist, so it needs no bound of its own: a batch stays charged to
//! `buffer.memory` until its deliveries are taken. Batches that owe nobody a delivery never stand in it.

mod waiters;

#[cfg(test)]
mod tests;

pub use waiters::Waiter;

use crate::accumulator::{Accumulator, Batch, QUIET, WAITER};
use crate::code::{Code, Outcome};
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex};
use crate::time::Time;
use std::collections::VecDeque;
use std::sync::Arc;
use waiters::Waiters;

/// What became of one record. Laid out as the C header says.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The record's own number.
    pub opaque: u64,
    /// Its place in the log; -1 if no broker told it.
    pub offset: i64,
    /// Its timestamp in the log.
    pub timestamp_ms: i64,
    /// The topic's number.
    pub topic: u32,
    /// The partition.
    pub partition: i32,
    /// A [`Code`].
    pub code: i32,
    /// The last error code that a broker gave for it; 0 for none.
    pub broker_code: i16,
    /// An [`Outcome`].
    pub outcome: u8,
    /// How often it was sent; 255: or more.
    pub attempts: u8,
}

/// A batch with its fate.
pub struct Completed {
    /// The batch.
    pub batch: Batch,
    /// Number of its topic.
    pub topic: u32,
    /// Kafka's number of its partition.
    pub partition: i32,
    /// `OK`, or what went wrong.
    pub code: Code,
    /// The last broker error.
    pub broker_code: i16,
    /// What is known about its bytes.
    pub outcome: Outcome,
    /// Offset of its first record, or -1.
    pub base_offset: i64,
    /// -1: the records' own timestamps stand.
    pub log_append_time_ms: i64,
    /// How often it was sent.
    pub attempts: u8,
    /// Broker codes of records that differ from the batch's, by index (KIP-467).
    pub record_codes: Vec<(u32, i16)>,
}

impl Completed {
    fn delivery(&self, index: u32) -> (Delivery, u8) {
        let entry = self.batch.entry(index);
        let own = self.record_codes.iter().find(|(other, _)| *other == index);
        let offset = if self.base_offset < 0 { -1 } else { self.base_offset + i64::from(index) };
        let timestamp_ms = match self.log_append_time_ms {
            -1 => self.batch.timestamp_ms(index, entry),
            log_append_time_ms => log_append_time_ms,
        };
        let delivery = Delivery {
            opaque: entry.opaque,
            offset,
            timestamp_ms,
            topic: self.topic,
            partition: self.partition,
            code: self.code.0,
            broker_code: own.map_or(self.broker_code, |(_, code)| *code),
            outcome: self.outcome as u8,
            attempts: self.attempts,
        };
        (delivery, entry.flags)
    }

    /// Is a record with these flags delivered to whoever reads?
    fn is_read(&self, flags: u8) -> bool {
        flags & WAITER == 0 && (flags & QUIET == 0 || self.code != Code::OK)
    }
}

/// How far the reader is in a batch.
struct Cursor {
    completed: Completed,
    next: u32,
}

#[derive(Default)]
struct Arrived {
    queue: VecDeque<Completed>,
    /// Somebody called `wake`, or memory is there for a send that went away without.
    woken: bool,
    /// Nothing more will come.
    ended: bool,
    /// A batch is taken out of the queue and not read to its end.
    begun: bool,
}

/// Called by a library thread when `poll` would return at once; carries nothing.
pub type ReadyCallback = Arc<dyn Fn() + Send + Sync>;

/// What a poll found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// So many deliveries; 0: the time is over, or somebody called `wake`.
    Count(usize),
    /// There will be none any more.
    Ended,
}

/// See the file's first line.
pub struct Deliveries {
    accumulator: Arc<Accumulator>,
    arrived: Mutex<Arrived>,
    changed: Condvar,
    reading: Mutex<Option<Cursor>>,
    /// Records that the application has got, or that it is owed no delivery for any more.
    finished: AtomicU64,
    waiters: Waiters,
    ready: Option<ReadyCallback>,
    /// A batch has ended for `flush` when the callback has returned, not when it is queued.
    by_callback: bool,
}

impl Deliveries {
    /// With `by_callback` a thread reads with [`Self::poll`] and says [`Self::end_batch`] after each callback.
    #[must_use]
    pub fn new(accumulator: Arc<Accumulator>, ready: Option<ReadyCallback>, by_callback: bool) -> Self {
        Self {
            accumulator,
            arrived: Mutex::new(Arrived::default()),
            changed: Condvar::new(),
            reading: Mutex::new(None),
            finished: AtomicU64::new(0),
            waiters: Waiters::default(),
            ready,
            by_callback,
        }
    }

    /// A call that waits for one record, whose opaque is `opaque`.
    pub fn wait_for(&self, opaque: u64) -> Waiter<'_> {
        self.waiters.add(opaque)
    }

    /// A batch has its fate.
    pub fn complete(&self, completed: Completed) {
        if let Some(partition) = self.accumulator.partition(completed.batch.partition) {
            partition.fated();
        }
        let marks = completed.batch.marks();
        if marks.has_waiter() {
            self.serve_waiters(&completed);
        }
        let epoch = completed.batch.epoch();
        let tells_quiet = completed.code != Code::OK && !mutant::is(Mutant::QuietSwallowsErrors);
        if marks.has_loud() || (marks.has_quiet() && tells_quiet) {
            let mut arrived = self.arrived.lock();
            arrived.queue.push_back(completed);
            drop(arrived);
            if !self.by_callback {
                self.accumulator.unfated.done(epoch);
            }
            self.announce();
        } else {
            let quiet = if marks.has_quiet() { self.count(&completed, |flags| flags & WAITER == 0) } else { 0 };
            self.finished.fetch_add(quiet, Ordering::Release);
            drop(completed);
            self.accumulator.unfated.done(epoch);
        }
    }

    fn count(&self, completed: &Completed, counts: impl Fn(u8) -> bool) -> u64 {
        let batch = &completed.batch;
        (0..batch.records()).filter(|index| counts(batch.entry(*index).flags)).count() as u64
    }

    fn serve_waiters(&self, completed: &Completed) {
        for index in 0..completed.batch.records() {
            if completed.batch.entry(index).flags & WAITER != 0 {
                let (delivery, _) = completed.delivery(index);
                self.finished.fetch_add(1, Ordering::Release);
                self.waiters.deliver(delivery.opaque, delivery);
            }
        }
    }

    fn announce(&self) {
        self.changed.notify_one();
        if let Some(ready) = &self.ready {
            ready();
        }
    }

    /// A waiting poll, else the next one, returns without a delivery.
    pub fn wake(&self) {
        self.arrived.lock().woken = true;
        self.announce();
    }

    /// Nothing more will come: polls end when everything is read.
    pub fn end(&self) {
        self.arrived.lock().ended = true;
        self.changed.notify_all();
        self.announce();
    }

    /// Fills `deliveries` with what is there; waits until `deadline` for the first. `epochs` takes the flush epochs
    /// of batches that were read to their end.
    pub fn poll(
        &self,
        deliveries: &mut [Delivery],
        deadline: Time,
        clock: &dyn Fn() -> Time,
        epochs: &mut Vec<u64>,
    ) -> Polled {
        loop {
            let count = self.read(deliveries, epochs);
            if count > 0 || !epochs.is_empty() {
                return Polled::Count(count);
            }
            let mut arrived = self.arrived.lock();
            if !arrived.queue.is_empty() || arrived.begun {
                continue;
            }
            if arrived.woken {
                arrived.woken = false;
                return Polled::Count(0);
            }
            if arrived.ended {
                return Polled::Ended;
            }
            let span = deadline.since(clock());
            if span.is_zero() {
                return Polled::Count(0);
            }
            self.changed.wait_for(&mut arrived, span);
        }
    }

    /// The callback has returned for everything up to the end of this batch.
    pub fn end_batch(&self, epoch: u64) {
        self.accumulator.unfated.done(epoch);
    }

    fn read(&self, deliveries: &mut [Delivery], epochs: &mut Vec<u64>) -> usize {
        // Dropped last, when no lock is held: their memory may be what a sender's signal waits for.
        let mut ended = Vec::new();
        let mut reading = self.reading.lock();
        let (mut count, mut skipped) = (0, 0);
        while count < deliveries.len() {
            if reading.is_none() {
                let mut arrived = self.arrived.lock();
                *reading = arrived.queue.pop_front().map(|completed| Cursor { completed, next: 0 });
                arrived.begun = reading.is_some();
            }
            let Some(cursor) = reading.as_mut() else { break };
            let (read, passed_over) = Self::read_batch(cursor, deliveries.get_mut(count..).unwrap_or(&mut []));
            count += read;
            skipped += passed_over;
            if cursor.next == cursor.completed.batch.records() {
                let epoch = cursor.completed.batch.epoch();
                ended.extend(reading.take());
                if self.by_callback {
                    epochs.push(epoch);
                    break;
                }
            }
        }
        let mut arrived = self.arrived.lock();
        arrived.begun = reading.is_some();
        let (is_left, has_ended) = (arrived.begun || !arrived.queue.is_empty(), arrived.ended);
        drop(arrived);
        drop(reading);
        let delivered = if self.by_callback { 0 } else { count };
        self.finished.fetch_add((delivered + skipped) as u64, Ordering::Release);
        if is_left {
            // Whoever was woken for it may be us: what we leave is another poller's.
            self.changed.notify_one();
        } else if has_ended {
            self.changed.notify_all();
        }
        count
    }

    /// (delivered, passed over because they are owed to nobody).
    fn read_batch(cursor: &mut Cursor, deliveries: &mut [Delivery]) -> (usize, usize) {
        let records = cursor.completed.batch.records();
        let (mut read, mut skipped) = (0, 0);
        while cursor.next < records {
            let (delivery, flags) = cursor.completed.delivery(cursor.next);
            if cursor.completed.is_read(flags) {
                let Some(place) = deliveries.get_mut(read) else { break };
                *place = delivery;
                read += 1;
            } else if flags & WAITER == 0 {
                skipped += 1;
            }
            cursor.next += 1;
        }
        (read, skipped)
    }

    /// The callback has returned for so many deliveries.
    pub fn finish(&self, records: u64) {
        self.finished.fetch_add(records, Ordering::Release);
    }

    /// Records accepted and not yet delivered.
    pub fn pending(&self) -> u64 {
        // Read first: what ends meanwhile is counted as pending rather than the other way round.
        let finished = self.finished.load(Ordering::Acquire);
        self.accumulator.accepted().saturating_sub(finished)
    }
}
