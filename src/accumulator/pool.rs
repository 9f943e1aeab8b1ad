//! Where blocks live, and the one byte-accurate limit (`buffer.memory`) under which all of them stand.
//!
//! Charged by block when it is taken, so no counter shared by all threads is touched per record. A part of the limit
//! (the *reserve*) is kept from appenders: what is encoded anew for the wire (compressed, or split) comes out of it.

use super::block::Memory;
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use crate::sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// What a block costs beside its bytes: its struct, its reference counts, its places in queues.
pub(crate) const BLOCK_OVERHEAD: usize = 256;
/// Bytes beside each record, from the block's end downwards.
pub(crate) const ENTRY_BYTES: usize = 12;
/// Blocks of classes that are smaller than the top one.
const SMALL: [usize; 5] = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10];

/// The capacities a block may have, smallest first. At most six, so that a class fits in 3 bits.
#[derive(Clone, Debug)]
pub(crate) struct Classes {
    capacities: Vec<usize>,
    /// Bytes of records that a shared batch may hold.
    pub(crate) records_bytes_max: usize,
}

impl Classes {
    /// Classes for batches of `batch_size` bytes with their 61-byte header.
    pub(crate) fn new(batch_size: usize, header_bytes: usize) -> Self {
        let records_bytes_max = batch_size.saturating_sub(header_bytes).min(super::word::BYTES_MAX);
        let top = (batch_size + batch_size / 8 + ENTRY_BYTES).next_multiple_of(4096);
        let mut capacities: Vec<usize> = SMALL.into_iter().filter(|small| *small < top).collect();
        capacities.push(top);
        Self { capacities, records_bytes_max }
    }

    #[inline]
    pub(crate) fn capacity(&self, class: usize) -> usize {
        self.capacities.get(class).copied().unwrap_or(0)
    }

    pub(crate) fn top(&self) -> usize {
        self.capacities.len() - 1
    }

    /// The smallest class with room for `bytes`.
    fn fitting(&self, bytes: usize) -> Option<usize> {
        self.capacities.iter().position(|capacity| *capacity >= bytes)
    }

    /// May a record of this size share a batch with others?
    #[inline]
    pub(crate) fn shares(&self, record_bytes: usize) -> bool {
        record_bytes <= self.records_bytes_max
    }
}

/// A place in the line for memory; its bytes are granted by the thread that frees them.
#[derive(Debug)]
pub(crate) struct Ticket {
    need: usize,
    /// [`WAITING`], [`GRANTED`] or [`SPENT`], in this order.
    stage: AtomicU8,
    changed: Condvar,
}

const WAITING: u8 = 0;
const GRANTED: u8 = 1;
/// Used or given up, by whichever thread of its partition: nobody has to wait for it any more.
const SPENT: u8 = 2;

impl Ticket {
    pub(crate) fn is_granted(&self) -> bool {
        self.stage.load(Ordering::Acquire) == GRANTED
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.stage.load(Ordering::Acquire) == SPENT
    }

    /// Bytes of the block that it stands for.
    pub(crate) fn capacity(&self) -> usize {
        self.need - BLOCK_OVERHEAD
    }
}

#[derive(Debug, Default)]
struct State {
    /// Bytes that are charged, free lists included.
    used: usize,
    /// Bytes of the free lists.
    idle: usize,
    /// Bytes taken out of the reserve.
    reserve_used: usize,
    /// Freed blocks by class, the warmest last.
    free: Vec<Vec<Memory>>,
    line: VecDeque<Arc<Ticket>>,
    closed: bool,
    /// Counts takes, so that a timer can see whether there was traffic.
    takes: u64,
}

/// Told, without a lock held, when memory that somebody missed may be there.
pub type Signal = Box<dyn Fn() + Send + Sync>;

/// See the file's first line.
pub(crate) struct Pool {
    pub(crate) classes: Classes,
    limit: usize,
    reserve: usize,
    state: Mutex<State>,
    /// Somebody waits, or went away without: every open batch counts as lingered.
    short: AtomicBool,
    /// Somebody who did not wait wants to be told.
    wanted: AtomicBool,
    freed: Signal,
}

/// A block's worth of memory was not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Not now.
    Full,
    /// Never: the system gave none, or it is more than there is.
    Never,
    /// Nothing is accepted any more.
    Closed,
}

impl Pool {
    /// `limit` bytes in all, `reserve` of them kept from appenders.
    pub(crate) fn new(classes: Classes, limit: usize, reserve: usize, freed: Signal) -> Self {
        let free = classes.capacities.iter().map(|_| Vec::new()).collect();
        let state = State { free, ..State::default() };
        let (short, wanted) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { classes, limit, reserve, state: Mutex::new(state), short, wanted, freed }
    }

    fn charge(capacity: usize) -> usize {
        capacity + BLOCK_OVERHEAD
    }

    /// A block of `wanted` class if a quarter of what is free allows it, in any case with room for `bytes`.
    pub(crate) fn take(&self, wanted: usize, bytes: usize) -> Result<(Memory, usize), Refused> {
        let least = self.classes.fitting(bytes).ok_or(Refused::Never)?;
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if !state.line.is_empty() {
            return Err(Refused::Full);
        }
        let available = self.available(&state);
        let mut class = wanted.max(least);
        while class > least && Self::charge(self.classes.capacity(class)) > available / 4 {
            class -= 1;
        }
        state.takes += 1;
        if let Some(memory) = state.free.get_mut(class).and_then(Vec::pop) {
            state.idle -= Self::charge(memory.capacity());
            return Ok((memory, class));
        }
        self.take_new(state, self.classes.capacity(class)).map(|memory| (memory, class))
    }

    /// A block of exactly this many bytes, for a batch of one large record.
    pub(crate) fn take_exact(&self, bytes: usize) -> Result<Memory, Refused> {
        if Self::charge(bytes) > self.limit - self.reserve {
            return Err(Refused::Never);
        }
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if !state.line.is_empty() {
            return Err(Refused::Full);
        }
        state.takes += 1;
        self.take_new(state, bytes)
    }

    /// Free lists are emptied before anybody is refused.
    fn take_new(&self, mut state: crate::sync::MutexGuard<'_, State>, capacity: usize) -> Result<Memory, Refused> {
        let charge = Self::charge(capacity);
        let room = self.limit - self.reserve;
        if charge > self.available(&state) {
            return Err(Refused::Full);
        }
        let dropped = if state.used + charge > room { Self::empty_free_lists(&mut state) } else { Vec::new() };
        state.used += charge;
        drop(state);
        drop(dropped);
        Memory::new(capacity).ok_or_else(|| {
            self.state.lock().used -= charge;
            Refused::Never
        })
    }

    fn available(&self, state: &State) -> usize {
        (self.limit - self.reserve + state.idle).saturating_sub(state.used)
    }

    fn empty_free_lists(state: &mut State) -> Vec<Memory> {
        state.used -= state.idle;
        state.idle = 0;
        state.free.iter_mut().flat_map(std::mem::take).collect()
    }

    /// Takes a block back. Wakes whoever gets its bytes.
    pub(crate) fn give_back(&self, memory: Memory) {
        let charge = Self::charge(memory.capacity());
        let mut state = self.state.lock();
        let class = self.classes.capacities.iter().position(|capacity| *capacity == memory.capacity());
        let mut surplus = None;
        if let (Some(class), true, false) = (class, state.line.is_empty(), state.closed) {
            state.idle += charge;
            if let Some(list) = state.free.get_mut(class) {
                list.push(memory);
            }
        } else {
            state.used -= charge;
            surplus = Some(memory);
        }
        let woken = self.grant(&mut state);
        drop(state);
        drop(surplus);
        for ticket in woken {
            ticket.changed.notify_all();
        }
        self.tell_who_wanted();
    }

    /// Charges the head of the line as long as there is room for it.
    fn grant(&self, state: &mut State) -> Vec<Arc<Ticket>> {
        let mut woken = Vec::new();
        while let Some(ticket) = state.line.front().filter(|ticket| ticket.need <= self.available(state)).cloned() {
            if state.used + ticket.need > self.limit - self.reserve {
                Self::empty_free_lists(state);
            }
            state.used += ticket.need;
            ticket.stage.store(GRANTED, Ordering::Release);
            state.line.pop_front();
            woken.push(ticket);
        }
        if state.line.is_empty() {
            self.short.store(self.wanted.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        woken
    }

    /// Stands in line for a block with room for `bytes`.
    pub(crate) fn enroll(&self, bytes: usize, alone: bool) -> Arc<Ticket> {
        let least = self.classes.fitting(bytes).map_or(bytes, |class| self.classes.capacity(class));
        let need = Self::charge(if alone { bytes } else { least });
        let ticket = Arc::new(Ticket { need, stage: AtomicU8::new(WAITING), changed: Condvar::new() });
        let mut state = self.state.lock();
        state.line.push_back(Arc::clone(&ticket));
        self.short.store(true, Ordering::Relaxed);
        let woken = self.grant(&mut state);
        drop(state);
        for ticket in woken {
            ticket.changed.notify_all();
        }
        ticket
    }

    /// Waits at most `span` while the ticket stands in line; true when the bytes are there.
    pub(crate) fn wait(&self, ticket: &Ticket, span: Duration) -> bool {
        let mut state = self.state.lock();
        // Not "while it is not granted": another thread of the partition may have used it already.
        if ticket.stage.load(Ordering::Acquire) == WAITING && !state.closed {
            ticket.changed.wait_for(&mut state, span);
        }
        ticket.is_granted()
    }

    /// Leaves the line, or gives back what was granted and not used.
    pub(crate) fn cancel(&self, ticket: &Arc<Ticket>) {
        let mut state = self.state.lock();
        match ticket.stage.swap(SPENT, Ordering::AcqRel) {
            GRANTED => state.used -= ticket.need,
            WAITING => state.line.retain(|other| !Arc::ptr_eq(other, ticket)),
            _ => {}
        }
        let woken = self.grant(&mut state);
        drop(state);
        for ticket in woken {
            ticket.changed.notify_all();
        }
        self.tell_who_wanted();
    }

    /// The block that a granted ticket stands for, if `bytes` fit into it.
    pub(crate) fn redeem(&self, ticket: &Arc<Ticket>, bytes: usize) -> Option<Memory> {
        let used = |ticket: &Ticket| {
            ticket.stage.compare_exchange(GRANTED, SPENT, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if ticket.capacity() < bytes || !used(ticket) {
            return None;
        }
        let memory = Memory::new(ticket.capacity());
        if memory.is_none() {
            self.state.lock().used -= ticket.need;
        }
        memory
    }

    /// The class of a block of this capacity.
    pub(crate) fn class_of(&self, capacity: usize) -> Option<usize> {
        self.classes.capacities.iter().position(|other| *other == capacity)
    }

    /// Remembers that somebody went away for want of memory and wants to hear when there is some.
    pub(crate) fn want(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        self.short.store(true, Ordering::Relaxed);
        // The bytes may have been freed between the refusal and the mark: look once more.
        let smallest = Self::charge(self.classes.capacity(0));
        let there = {
            let state = self.state.lock();
            self.available(&state) >= smallest && state.line.is_empty()
        };
        if there {
            self.tell_who_wanted();
        }
    }

    fn tell_who_wanted(&self) {
        if self.wanted.load(Ordering::SeqCst) && self.wanted.swap(false, Ordering::SeqCst) {
            if self.state.lock().line.is_empty() {
                self.short.store(false, Ordering::Relaxed);
            }
            (self.freed)();
        }
    }

    /// Every open batch counts as lingered while this holds.
    #[inline]
    pub(crate) fn is_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    pub(crate) fn reserve(&self) -> usize {
        self.reserve
    }

    /// Bytes out of the reserve for a batch that is encoded anew; there is always room for one.
    pub(crate) fn take_reserve(&self, bytes: usize) -> bool {
        let mut state = self.state.lock();
        let fits = state.reserve_used == 0 || state.reserve_used + bytes <= self.reserve;
        if fits {
            state.reserve_used += bytes;
        }
        fits
    }

    /// Gives bytes back to the reserve.
    pub(crate) fn give_reserve(&self, bytes: usize) {
        self.state.lock().reserve_used -= if mutant::is(Mutant::ReserveLeaks) { 0 } else { bytes };
    }

    /// Gives the free lists back to the system. Says how many takes there have been, so that the caller can tell
    /// a quiet time from a busy one.
    pub(crate) fn trim(&self) {
        let dropped = Self::empty_free_lists(&mut self.state.lock());
        drop(dropped);
    }

    /// (takes so far, bytes of the free lists).
    pub(crate) fn traffic(&self) -> (u64, usize) {
        let state = self.state.lock();
        (state.takes, state.idle)
    }

    /// Bytes charged, without the free lists; and those of the reserve.
    pub(crate) fn used(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.used - state.idle, state.reserve_used)
    }

    /// No more memory: who waits is woken, who asks is refused.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let line = std::mem::take(&mut state.line);
        drop(state);
        for ticket in line {
            ticket.changed.notify_all();
        }
    }
}
