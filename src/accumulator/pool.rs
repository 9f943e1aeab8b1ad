//! Where blocks live, and the one byte-accurate limit (`buffer.memory`) under which all of them stand.
//!
//! Charged by block when it is taken, so no counter shared by all threads is touched per record. A part of the limit
//! (the *reserve*) is kept from appenders: what is encoded anew for the wire (compressed, or split) comes out of it.

use super::memory::Memory;
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
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
/// Blocks of the free lists from here on are mappings of their own: a burst leaves nothing behind, and a Linux that
/// allows 65,530 mappings (vm.max_map_count) has room for 4 GB of them, where they do not lie side by side.
const MAPPED: usize = 64 << 10;

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
    /// The block itself, if one of its size had just become free.
    granted: Mutex<Option<Memory>>,
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
    /// Somebody who did not wait wants to be told when so many bytes are there; the least of several.
    wanted: Option<usize>,
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
    /// Blocks that records are appended to.
    open: AtomicU32,
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
        let (short, open) = (AtomicBool::new(false), AtomicU32::new(0));
        Self { classes, limit, reserve, state: Mutex::new(state), short, open, freed }
    }

    fn charge(capacity: usize) -> usize {
        capacity + BLOCK_OVERHEAD
    }

    /// The class of the next block: `wanted` if, with that size, all open blocks would have room in half of the memory
    /// and eight in all of it, else less; in any case with room for `bytes`. `None`: there is none.
    ///
    /// Not by what is free: who outruns the brokers finds little free, always, and would fill the queue with ever
    /// smaller batches.
    fn class(&self, wanted: usize, bytes: usize) -> Option<usize> {
        let least = self.classes.fitting(bytes)?;
        let share = (self.limit - self.reserve) / (2 * (self.open.load(Ordering::Relaxed) as usize + 4));
        let mut class = wanted.max(least);
        while class > least && Self::charge(self.classes.capacity(class)) > share {
            class -= 1;
        }
        Some(class)
    }

    /// Records are appended to a block.
    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// No more records come to a block.
    pub(crate) fn sealed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// A block for a batch that several records share; its class.
    pub(crate) fn take(&self, wanted: usize, bytes: usize) -> Result<(Memory, usize), Refused> {
        let class = self.class(wanted, bytes).ok_or(Refused::Never)?;
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if !state.line.is_empty() {
            return Err(Refused::Full);
        }
        state.takes += 1;
        if let Some(memory) = Self::reuse(&mut state, class) {
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

    /// A warm block of the free lists.
    fn reuse(state: &mut State, class: usize) -> Option<Memory> {
        let memory = state.free.get_mut(class).and_then(Vec::pop)?;
        state.idle -= Self::charge(memory.capacity());
        Some(memory)
    }

    /// Blocks of the free lists are dropped before anybody is refused.
    fn take_new(&self, mut state: crate::sync::MutexGuard<'_, State>, capacity: usize) -> Result<Memory, Refused> {
        let charge = Self::charge(capacity);
        if charge > self.available(&state) {
            return Err(Refused::Full);
        }
        let dropped = self.make_room(&mut state, charge);
        state.used += charge;
        drop(state);
        drop(dropped);
        self.allocate(capacity).ok_or_else(|| {
            self.state.lock().used -= charge;
            Refused::Never
        })
    }

    /// A block of one large record is the allocator's: it would pay for fresh pages with every record.
    fn allocate(&self, capacity: usize) -> Option<Memory> {
        let is_kept = capacity >= MAPPED && self.class_of(capacity).is_some();
        if is_kept { Memory::mapped(capacity) } else { Memory::new(capacity) }
    }

    fn available(&self, state: &State) -> usize {
        (self.limit - self.reserve + state.idle).saturating_sub(state.used)
    }

    /// Takes so many blocks from the free lists, the largest first, that `charge` more bytes have room.
    fn make_room(&self, state: &mut State, charge: usize) -> Vec<Memory> {
        let room = self.limit - self.reserve;
        let mut dropped = Vec::new();
        for class in (0..state.free.len()).rev() {
            while state.used + charge > room
                && let Some(memory) = Self::reuse(state, class)
            {
                state.used -= Self::charge(memory.capacity());
                dropped.push(memory);
            }
        }
        dropped
    }

    fn empty_free_lists(state: &mut State) -> Vec<Memory> {
        state.used -= state.idle;
        state.idle = 0;
        state.free.iter_mut().flat_map(std::mem::take).collect()
    }

    /// Takes a block back. Wakes whoever gets its bytes.
    pub(crate) fn give_back(&self, memory: Memory) {
        let mut state = self.state.lock();
        let surplus = self.put_back(&mut state, memory);
        self.share_out(state);
        drop(surplus);
    }

    /// A block of a class becomes a warm one of the free lists. Another one is the answer, and not charged any more.
    fn put_back(&self, state: &mut State, memory: Memory) -> Option<Memory> {
        let charge = Self::charge(memory.capacity());
        let class = self.class_of(memory.capacity()).filter(|_| !state.closed);
        if let Some(list) = class.and_then(|class| state.free.get_mut(class)) {
            state.idle += charge;
            list.push(memory);
            return None;
        }
        state.used -= charge;
        Some(memory)
    }

    /// Memory may be there: grants what can be granted, and tells whoever gets it or wanted to hear of it.
    fn share_out(&self, mut state: crate::sync::MutexGuard<'_, State>) {
        let (mut woken, mut dropped) = (Vec::new(), Vec::new());
        while let Some(ticket) = state.line.front().filter(|ticket| ticket.need <= self.available(&state)).cloned() {
            let class = self.class_of(ticket.capacity());
            let warm = class.and_then(|class| Self::reuse(&mut state, class));
            if warm.is_none() {
                dropped.extend(self.make_room(&mut state, ticket.need));
                state.used += ticket.need;
            }
            *ticket.granted.lock() = warm;
            ticket.stage.store(GRANTED, Ordering::Release);
            state.line.pop_front();
            woken.push(ticket);
        }
        let is_told = state.line.is_empty() && state.wanted.is_some_and(|need| need <= self.available(&state));
        if is_told {
            state.wanted = None;
        }
        self.short.store(!state.line.is_empty() || state.wanted.is_some(), Ordering::Relaxed);
        drop(state);
        drop(dropped);
        for ticket in woken {
            ticket.changed.notify_all();
        }
        if is_told {
            (self.freed)();
        }
    }

    /// What a block takes that a record of `bytes` would open, or be alone in.
    fn need(&self, wanted: usize, bytes: usize, alone: bool) -> usize {
        let class = if alone { None } else { self.class(wanted, bytes) };
        Self::charge(class.map_or(bytes, |class| self.classes.capacity(class)))
    }

    /// Stands in line for a block of `wanted` class, or as [`Self::take`] would choose it, with room for `bytes`.
    pub(crate) fn enroll(&self, wanted: usize, bytes: usize, alone: bool) -> Arc<Ticket> {
        let need = self.need(wanted, bytes, alone);
        let stage = AtomicU8::new(WAITING);
        let ticket = Arc::new(Ticket { need, stage, granted: Mutex::new(None), changed: Condvar::new() });
        let mut state = self.state.lock();
        state.line.push_back(Arc::clone(&ticket));
        self.share_out(state);
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
        let mut surplus = None;
        let mut state = self.state.lock();
        match ticket.stage.swap(SPENT, Ordering::AcqRel) {
            GRANTED => match ticket.granted.lock().take() {
                Some(memory) => surplus = self.put_back(&mut state, memory),
                None => state.used -= ticket.need,
            },
            WAITING => state.line.retain(|other| !Arc::ptr_eq(other, ticket)),
            _ => {}
        }
        self.share_out(state);
        drop(surplus);
    }

    /// The block that a granted ticket stands for, if `bytes` fit into it.
    pub(crate) fn redeem(&self, ticket: &Arc<Ticket>, bytes: usize) -> Option<Memory> {
        let used = |ticket: &Ticket| {
            ticket.stage.compare_exchange(GRANTED, SPENT, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if ticket.capacity() < bytes || !used(ticket) {
            return None;
        }
        let warm = ticket.granted.lock().take();
        let memory = warm.or_else(|| self.allocate(ticket.capacity()));
        if memory.is_none() {
            self.state.lock().used -= ticket.need;
        }
        memory
    }

    /// The class of a block of this capacity.
    pub(crate) fn class_of(&self, capacity: usize) -> Option<usize> {
        self.classes.capacities.iter().position(|other| *other == capacity)
    }

    /// Remembers that somebody went away for want of memory, and wants to hear when what [`Self::enroll`] would wait
    /// for is there. It may be already: then at once.
    pub(crate) fn want(&self, wanted: usize, bytes: usize, alone: bool) {
        let need = self.need(wanted, bytes, alone);
        let mut state = self.state.lock();
        state.wanted = Some(state.wanted.map_or(need, |least| least.min(need)));
        self.share_out(state);
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
