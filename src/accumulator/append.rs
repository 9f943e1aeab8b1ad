//! Where records are appended, by any thread, without a lock: a run of them reserved with one exchange on the word.

#![expect(unsafe_code, reason = "the exchange on the word is what allows a span to be written")]

use super::Accumulator;
use super::block::{Block, NewRecord, Place};
use super::partition::{Partition, Slot, Stall, State};
use super::pool::{Refused, Ticket};
use super::run::{Room, Span};
use super::word::{COUNT_MAX, SLOTS, Word};
use crate::mutant::{self, Mutant, Stop};
use crate::sync::atomic::Ordering;
use crate::time::Time;
use std::sync::Arc;

impl Partition {
    /// Appends the first of the records to the open batch, with as many of those behind it as make a run with it, or
    /// opens a batch with it. How many that were, at least one. Never waits.
    ///
    /// With `stop_at_boundary` a batch is not opened: the caller may want another partition for it.
    #[inline(always)]
    pub(crate) fn append(
        &self,
        house: &Accumulator,
        records: &[NewRecord<'_>],
        stop_at_boundary: bool,
        clock: &impl Fn() -> Time,
    ) -> Result<usize, Stall> {
        let Some((first, behind)) = records.split_first() else { return Ok(0) };
        let classes = &house.pool.classes;
        let mut span = Span::default();
        let mut lost = 0;
        loop {
            let word = self.word();
            if word.is_sealed() {
                if stop_at_boundary {
                    return Err(Stall::Boundary(word.bytes()));
                }
                if self.open(house, first, clock)? {
                    return Ok(1);
                }
                continue;
            }
            // Before the exchange only the partition's own memory is read: the block may be gone by now.
            let Some(slot) = self.slots.get(word.slot()) else { continue };
            let base = self.base_timestamp_ms(word, slot);
            let place = Place::at(word.bytes(), first, base, word.count());
            let capacity = classes.capacity(word.class());
            let room = Room { capacity, bytes_max: classes.records_bytes_max, count_max: COUNT_MAX };
            if !room.holds(place) {
                if !classes.shares(place.bytes) {
                    return self.append_alone(house, first, clock).map(|()| 1);
                }
                self.seal_full(house, word);
                continue;
            }
            if behind.is_empty() || !span.fits(place, base, room) {
                span = Span::measure(place, behind, base, room);
            }
            let behind = behind.get(..span.records as usize - 1).unwrap_or_default();
            mutant::stop(Stop::BeforeExchange);
            let next = word.with_records(span.records, span.bytes);
            if self.word.compare_exchange(word.0, next.0, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                #[cfg(feature = "simulation")]
                if mutant::is(Mutant::WordInBatch) && self.append_elsewhere(house, word, span) {
                    return Ok(span.records as usize);
                }
                Self::back_off(&mut lost);
                continue;
            }
            #[cfg(feature = "simulation")]
            if mutant::is(Mutant::PublishBeforeWrite) {
                self.publish_early(house, word, span.bytes);
                return Ok(span.records as usize);
            }
            // SAFETY: the exchange reserved this span, of these records, in the batch of this word.
            let block = unsafe { Self::write(slot, first, behind, place, base) };
            mutant::stop(Stop::BeforePublish);
            if block.publish(span.bytes) {
                self.close(house, word.generation());
            }
            return Ok(span.records as usize);
        }
    }

    #[inline(always)]
    fn base_timestamp_ms(&self, word: Word, slot: &Slot) -> i64 {
        let slot = match self.slots.get((word.slot() + 1) % SLOTS) {
            Some(other) if mutant::is(Mutant::BaseOfAnother) => other,
            _ => slot,
        };
        slot.base_timestamp_ms.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn back_off(lost: &mut u32) {
        for _ in 0..1 << *lost {
            std::hint::spin_loop();
        }
        *lost = (*lost + 1).min(4);
        #[cfg(loom)]
        loom::thread::yield_now();
    }

    /// Writes a run, its first record at `place`.
    ///
    /// # Safety
    /// The caller's exchange reserved a span for these records, measured with this base and place and checked against
    /// the class's capacity, which is the block's, in the batch that `slot` has; and it has not published it.
    #[inline(always)]
    unsafe fn write<'a>(
        slot: &'a Slot,
        first: &NewRecord<'_>,
        behind: &[NewRecord<'_>],
        mut place: Place,
        base_timestamp_ms: i64,
    ) -> &'a Block {
        let block = slot.block.load(Ordering::Acquire);
        mutant::stop(Stop::BeforeWrite);
        if mutant::is(Mutant::SpanHeldBySerializer) {
            mutant::stop(Stop::Serializer);
        }
        // SAFETY: this batch is open, or sealed and not closed; the partition's state holds its block until it is
        // closed, and that needs the publish that is still to come.
        let block = unsafe { &*block };
        let mut base_now = slot.base_timestamp_ms.load(Ordering::Relaxed);
        if mutant::is(Mutant::BaseOfAnother) {
            base_now = base_timestamp_ms;
        }
        // SAFETY: `place` is the beginning of the span.
        unsafe { block.write(first, place, base_now) };
        for record in behind {
            // As it was measured: by the base of then, which decides the sizes.
            place = place.next(record, base_timestamp_ms);
            mutant::stop(Stop::BeforeWrite);
            // SAFETY: `place` is the next part of the span.
            unsafe { block.write(record, place, base_now) };
        }
        block
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
}
