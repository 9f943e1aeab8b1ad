//! A partition: its open batch, its queue of sealed ones, and how the one becomes the other.

use super::Accumulator;
use super::block::Block;
use super::collect::GivenUp;
use super::pool::Ticket;
use super::word::{SLOTS, Word};
#[cfg(feature = "simulation")]
use crate::mutant::{self, Mutant};
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
pub(super) struct Slot {
    pub(super) block: AtomicPtr<Block>,
    pub(super) base_timestamp_ms: AtomicI64,
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
    pub(super) slots: CachePadded<[Slot; SLOTS]>,
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

    pub(super) fn enqueue(
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
    pub(super) fn seal_full(&self, house: &Accumulator, seen: Word) {
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
