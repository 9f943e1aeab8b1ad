//! A partition's open batch and its queue of sealed ones: where records are appended, by any thread, without a lock.

#![expect(unsafe_code, reason = "the exchange on the word is what allows a span to be written")]

use super::Accumulator;
use super::block::{Block, NewRecord, Place};
use super::collect::GivenUp;
use super::pool::{Refused, Ticket};
use super::word::{COUNT_MAX, SLOTS, Word};
use crate::mutant::{self, Mutant, Stop};
use crate::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::time::Time;
use crossbeam_utils::CachePadded;
use std::collections::VecDeque;
use std::sync::Arc;

/// Why a record could not be appended at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stall {
    /// The open batch has ended; this many bytes were in it. Only for who asked to stop here, to choose another
    /// partition.
    Boundary(usize),
    /// Another thread is opening a batch, or an old one still waits for a writer.
    Busy,
    /// No memory.
    Memory,
    /// No more records are accepted.
    Closed,
    /// The system gave no memory, or the record is larger than all of it.
    Impossible,
}

/// A block of the slot's generation and its base timestamp.
struct Slot {
    block: AtomicPtr<Block>,
    base_timestamp_ms: AtomicI64,
}

/// A sealed batch.
pub(super) struct Sealed {
    pub(super) block: Arc<Block>,
    pub(super) slot: Option<usize>,
    pub(super) number: u64,
    pub(super) records: u32,
    pub(super) bytes: usize,
    pub(super) closed: bool,
    pub(super) given_up: Option<GivenUp>,
}

pub(super) struct State {
    pub(super) open: Option<Arc<Block>>,
    pub(super) opening: bool,
    pub(super) closed: bool,
    /// Class of the next block.
    pub(super) class: usize,
    /// When the open batch is due.
    pub(super) due: Time,
    pub(super) queue: VecDeque<Sealed>,
    /// Given up, but a writer is still inside.
    pub(super) abandoned: Vec<Sealed>,
    pub(super) slot_busy: [bool; SLOTS],
    pub(super) next_number: u64,
    pub(super) sealed_records: u64,
    /// This partition's place in the line for memory, and whether a thread stands there.
    pub(super) ticket: Option<Arc<Ticket>>,
    pub(super) standing: bool,
    pub(super) waiting: usize,
}

/// One partition of one topic. Made once, never moved or freed while the producer lives.
pub struct Partition {
    pub(super) word: CachePadded<AtomicU64>,
    slots: CachePadded<[Slot; SLOTS]>,
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
    pub(crate) listed: AtomicBool,
    /// The network thread that leads it.
    leader: AtomicU32,
    has_leader: AtomicBool,
    /// Sealed batches without a fate: what the adaptive partitioner goes by.
    queued: AtomicU32,
    /// Dense over all topics.
    pub number: u32,
    /// The topic's number.
    pub topic: u32,
    /// Kafka's number of it.
    pub index: i32,
}

impl Partition {
    pub(crate) fn new(number: u32, topic: u32, index: i32) -> Self {
        let slot = || Slot { block: AtomicPtr::new(std::ptr::null_mut()), base_timestamp_ms: AtomicI64::new(0) };
        let state = State {
            open: None,
            opening: false,
            closed: false,
            class: 0,
            due: Time::NEVER,
            queue: VecDeque::new(),
            abandoned: Vec::new(),
            slot_busy: [false; SLOTS],
            next_number: 0,
            sealed_records: 0,
            ticket: None,
            standing: false,
            waiting: 0,
        };
        Self {
            word: CachePadded::new(AtomicU64::new(Word::start().0)),
            slots: CachePadded::new([slot(), slot(), slot(), slot()]),
            state: Mutex::new(state),
            changed: Condvar::new(),
            listed: AtomicBool::new(false),
            leader: AtomicU32::new(0),
            has_leader: AtomicBool::new(false),
            queued: AtomicU32::new(0),
            number,
            topic,
            index,
        }
    }

    pub(super) fn word(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    /// The network thread whose list it goes on.
    pub fn leader(&self) -> u32 {
        self.leader.load(Ordering::Acquire)
    }

    /// Sets the network thread, 0 for none.
    pub fn set_leader(&self, thread: u32) {
        self.leader.store(thread, Ordering::Release);
        self.has_leader.store(thread != 0, Ordering::Relaxed);
    }

    /// It stands in no list any more. Before the look at it: what comes later lists it again.
    pub fn unlist(&self) {
        // An exchange, not a store: it reads what the last lister wrote, and so the look sees what that one did.
        self.listed.swap(false, Ordering::AcqRel);
    }

    /// Whether some broker leads it.
    pub fn has_leader(&self) -> bool {
        self.has_leader.load(Ordering::Relaxed)
    }

    /// Sealed batches that have no fate yet.
    pub fn queued(&self) -> u32 {
        self.queued.load(Ordering::Relaxed)
    }

    /// A batch of it has its fate.
    pub fn fated(&self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }

    /// A batch of it was split: two fates are to come instead of one.
    pub fn was_split(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// Records ever accepted.
    pub(crate) fn accepted(&self) -> u64 {
        let state = self.state.lock();
        let word = self.word();
        let open = if word.is_sealed() { 0 } else { word.count() };
        state.sealed_records + u64::from(open)
    }

    /// Appends a record to the open batch, or opens one with it. Never waits.
    ///
    /// With `stop_at_boundary` a batch is not opened: the caller may want another partition for it.
    #[inline(always)]
    pub(crate) fn append(
        &self,
        house: &Accumulator,
        record: &NewRecord<'_>,
        stop_at_boundary: bool,
        clock: &impl Fn() -> Time,
    ) -> Result<(), Stall> {
        let mut lost = 0;
        loop {
            let word = self.word();
            if word.is_sealed() {
                if stop_at_boundary {
                    return Err(Stall::Boundary(word.bytes()));
                }
                if self.open(house, record, clock)? {
                    return Ok(());
                }
                continue;
            }
            // Before the exchange only the partition's own memory is read: the block may be gone by now.
            let Some(slot) = self.slots.get(word.slot()) else { continue };
            let mut base = slot.base_timestamp_ms.load(Ordering::Relaxed);
            if mutant::is(Mutant::BaseOfAnother)
                && let Some(slot) = self.slots.get((word.slot() + 1) % SLOTS)
            {
                base = slot.base_timestamp_ms.load(Ordering::Relaxed);
            }
            let place = Place::at(word.bytes(), record, base, word.count());
            let records_end = place.offset + place.bytes;
            if place.end() > house.pool.classes.capacity(word.class())
                || records_end > house.pool.classes.records_bytes_max
                || word.count() == COUNT_MAX
            {
                if !house.pool.classes.shares(place.bytes) {
                    return self.append_alone(house, record, clock);
                }
                self.seal_full(house, word);
                continue;
            }
            let next = word.with_record(place.bytes);
            mutant::stop(Stop::BeforeExchange);
            if self.word.compare_exchange(word.0, next.0, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                #[cfg(feature = "simulation")]
                if mutant::is(Mutant::WordInBatch) && self.append_elsewhere(house, word, place.bytes) {
                    return Ok(());
                }
                for _ in 0..1 << lost {
                    std::hint::spin_loop();
                }
                lost = (lost + 1).min(4);
                #[cfg(loom)]
                loom::thread::yield_now();
                continue;
            }
            let block = slot.block.load(Ordering::Acquire);
            mutant::stop(Stop::BeforeWrite);
            if mutant::is(Mutant::SpanHeldBySerializer) {
                mutant::stop(Stop::Serializer);
            }
            #[cfg(feature = "simulation")]
            if mutant::is(Mutant::PublishBeforeWrite) {
                self.publish_early(house, word, place.bytes);
                return Ok(());
            }
            // SAFETY: the exchange reserved a span in the batch of this word, so its block is open or sealed and not
            // closed; the partition's state holds it until it is closed, and that needs our publish below.
            let block = unsafe { &*block };
            if !mutant::is(Mutant::BaseOfAnother) {
                base = slot.base_timestamp_ms.load(Ordering::Relaxed);
            }
            // SAFETY: `place` is the span that the exchange reserved, checked against the class's capacity, which is
            // the block's.
            unsafe { block.write(record, place, base) };
            mutant::stop(Stop::BeforePublish);
            if block.publish(place.bytes) {
                self.close(house, word.generation());
            }
            return Ok(());
        }
    }

    /// Opens a batch with this record in it. `Ok(false)`: another thread was first, look again.
    #[cold]
    fn open(&self, house: &Accumulator, record: &NewRecord<'_>, clock: &impl Fn() -> Time) -> Result<bool, Stall> {
        let place = Place::first(record);
        if !house.pool.classes.shares(place.bytes) {
            return self.append_alone(house, record, clock).map(|()| true);
        }
        let mut state = self.state.lock();
        let word = self.word();
        if state.closed {
            return Err(Stall::Closed);
        }
        if !word.is_sealed() {
            return Ok(false);
        }
        let next = word.opened(0, 0);
        if state.opening || state.slot_busy.get(next.slot()).copied().unwrap_or(true) {
            return Err(Stall::Busy);
        }
        state.opening = true;
        let (class, ticket) = (state.class, state.ticket.clone());
        drop(state);

        let taken = house.take_block(class, place.end(), ticket.as_ref());
        let (memory, class) = match taken {
            Ok(taken) => taken,
            Err(refused) => {
                self.state.lock().opening = false;
                self.changed.notify_all();
                self.leave_small_place(house, ticket.as_ref());
                return Err(Self::stall(refused));
            }
        };
        let epoch = house.unfated.register();
        let opened = clock();
        let block = Block::new(memory, Arc::clone(&house.pool), record.timestamp_ms(), opened, epoch);
        let block = Arc::new(block);

        let mut state = self.state.lock();
        state.opening = false;
        Self::used(&mut state, ticket.as_ref());
        if state.closed {
            drop(state);
            house.unfated.done(epoch);
            self.changed.notify_all();
            return Err(Stall::Closed);
        }
        let next = self.word().opened(class, place.bytes);
        let Some(slot) = self.slots.get(next.slot()) else { return Err(Stall::Busy) };
        if let Some(busy) = state.slot_busy.get_mut(next.slot()) {
            *busy = true;
        }
        slot.block.store(Arc::as_ptr(&block).cast_mut(), Ordering::Release);
        slot.base_timestamp_ms.store(record.timestamp_ms(), Ordering::Relaxed);
        state.open = Some(Arc::clone(&block));
        house.pool.opened();
        // A flush that began meanwhile waits for this batch, and may have come by before it was there to be sealed.
        state.due = if house.unfated.epoch() == epoch { opened + house.linger } else { Time::ZERO };
        let due = state.due;
        self.word.store(next.0, Ordering::Release);
        let awaited = state.waiting > 0;
        // Who stood there may have left while we were opening, and could not take the place along.
        let orphan = Self::orphan(&mut state);
        drop(state);
        if awaited {
            self.changed.notify_all();
        }
        if let Some(orphan) = orphan {
            house.pool.cancel(&orphan);
        }
        // SAFETY: the word was stored with this record in it: its first span is ours.
        unsafe { block.write(record, place, record.timestamp_ms()) };
        mutant::stop(Stop::BeforePublish);
        if block.publish(place.bytes) {
            self.close(house, next.generation());
        } else {
            mutant::stop(Stop::BeforeList);
            house.list(self, due);
            // After the listing: either we see here that somebody waits, or its call to the thread finds this entry.
            if house.is_short() && due > Time::ZERO {
                house.list(self, Time::ZERO);
            }
        }
        Ok(true)
    }

    /// A record too large to share: a batch of its own, in a block of its size.
    #[cold]
    fn append_alone(
        &self,
        house: &Accumulator,
        record: &NewRecord<'_>,
        clock: &impl Fn() -> Time,
    ) -> Result<(), Stall> {
        let place = Place::first(record);
        let ticket = {
            let state = self.state.lock();
            if state.closed {
                return Err(Stall::Closed);
            }
            state.ticket.clone()
        };
        let memory = house.take_exact(place.end(), ticket.as_ref()).map_err(|refused| {
            self.leave_small_place(house, ticket.as_ref());
            Self::stall(refused)
        })?;
        let epoch = house.unfated.register();
        let block = Block::new(memory, Arc::clone(&house.pool), record.timestamp_ms(), clock(), epoch);
        // SAFETY: nobody else has this block, and it was made to hold exactly this record.
        unsafe { block.write(record, place, record.timestamp_ms()) };
        let mut state = self.state.lock();
        Self::used(&mut state, ticket.as_ref());
        if state.closed {
            drop(state);
            drop(block);
            house.unfated.done(epoch);
            return Err(Stall::Closed);
        }
        self.seal_locked(&mut state);
        self.enqueue(&mut state, Arc::new(block), None, 1, place.bytes, true);
        drop(state);
        house.list(self, Time::ZERO);
        Ok(())
    }

    /// The place in line that was used, if any, is one no more. (Not whatever stands there: it may be another by now.)
    fn used(state: &mut State, ticket: Option<&Arc<Ticket>>) {
        if ticket.is_some_and(|ticket| state.ticket.as_ref().is_some_and(|other| Arc::ptr_eq(other, ticket))) {
            state.ticket = None;
        }
    }

    fn stall(refused: Refused) -> Stall {
        match refused {
            Refused::Full => Stall::Memory,
            Refused::Never => Stall::Impossible,
            Refused::Closed => Stall::Closed,
        }
    }

    fn enqueue(
        &self,
        state: &mut State,
        block: Arc<Block>,
        slot: Option<usize>,
        records: u32,
        bytes: usize,
        closed: bool,
    ) {
        let number = state.next_number;
        state.next_number += 1;
        state.sealed_records += u64::from(records);
        self.queued.fetch_add(1, Ordering::Relaxed);
        state.queue.push_back(Sealed { block, slot, number, records, bytes, closed, given_up: None });
    }

    /// Seals the open batch, if there is one. Nobody waits for a writer inside it.
    pub(super) fn seal_locked(&self, state: &mut MutexGuard<'_, State>) -> bool {
        let Some(block) = state.open.take() else { return false };
        block.pool().sealed();
        let word = Word(self.word.fetch_or(Word::SEALED, Ordering::AcqRel));
        let closed = block.settle(word.bytes());
        #[cfg(feature = "simulation")]
        if !closed && mutant::is(Mutant::SealerWaits) {
            mutant::spin("for a sender that holds a span");
        }
        if let (true, Some(busy)) = (closed, state.slot_busy.get_mut(word.slot())) {
            *busy = false;
        }
        state.due = Time::NEVER;
        self.enqueue(state, block, Some(word.slot()), word.count(), word.bytes(), closed);
        true
    }

    #[cold]
    fn seal_full(&self, house: &Accumulator, seen: Word) {
        let mut state = self.state.lock();
        let word = self.word();
        if word.is_sealed() || word.generation() != seen.generation() {
            return;
        }
        self.seal_locked(&mut state);
        state.class = state.class.max(seen.class() + 1).min(house.pool.classes.top());
        drop(state);
        house.list(self, Time::ZERO);
    }

    /// Seals the open batch because somebody wants it to go out: linger, flush, memory, close.
    pub fn seal(&self, house: &Accumulator) {
        let mut state = self.state.lock();
        let word = self.word();
        if !self.seal_locked(&mut state) {
            return;
        }
        if word.class() == state.class && word.bytes() < house.pool.classes.capacity(word.class()) / 8 {
            state.class = state.class.saturating_sub(1);
        }
    }

    /// Makes the open batch due at once.
    pub(crate) fn hurry(&self) {
        let mut state = self.state.lock();
        if state.open.is_some() {
            state.due = Time::ZERO;
        }
    }

    /// The last writer of a sealed batch was inside until now.
    #[cold]
    pub(super) fn close(&self, house: &Accumulator, generation: u16) {
        let slot = usize::from(generation) % SLOTS;
        let mut state = self.state.lock();
        let State { queue, abandoned, slot_busy, .. } = &mut *state;
        let of_slot = |sealed: &&mut Sealed| sealed.slot == Some(slot) && !sealed.closed;
        if let Some(sealed) = queue.iter_mut().chain(abandoned.iter_mut()).find(of_slot) {
            sealed.closed = true;
        }
        if let Some(busy) = slot_busy.get_mut(slot) {
            *busy = false;
        }
        drop(state);
        self.changed.notify_all();
        house.list(self, Time::ZERO);
    }

    /// Accepts nothing more. What was accepted before this returns is sealed, exactly.
    pub(crate) fn shut(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.seal_locked(&mut state);
        drop(state);
        self.changed.notify_all();
    }
}
