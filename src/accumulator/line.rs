//! A partition's place in the line for memory: one thread stands there, the others wait for the batch it will open.

use super::Accumulator;
use super::partition::{Partition, Stall};
use super::pool::Ticket;
use std::sync::Arc;
use std::time::Duration;

impl Partition {
    /// Waits at most `span` for what `stall` says is missing. May return early; the caller looks again.
    pub(crate) fn wait(&self, house: &Accumulator, stall: Stall, bytes: usize, span: Duration) {
        let mut state = self.state.lock();
        let word = self.word();
        if state.closed || !(word.is_sealed() || stall == Stall::Memory) {
            return;
        }
        if stall != Stall::Memory || state.standing {
            let missing = match stall {
                Stall::Memory => true,
                _ => state.opening || state.slot_busy.get(word.opened(0, 0).slot()).copied().unwrap_or(false),
            };
            if missing {
                state.waiting += 1;
                self.changed.wait_for(&mut state, span);
                state.waiting -= 1;
            }
            return;
        }
        state.standing = true;
        let ticket = state.ticket.clone();
        drop(state);
        let ticket = ticket.unwrap_or_else(|| house.stand_in_line(bytes));
        self.state.lock().ticket = Some(Arc::clone(&ticket));
        house.pool.wait(&ticket, span);
        self.state.lock().standing = false;
        self.changed.notify_all();
    }

    /// A waiter of this partition is done, with its record in or without: nobody keeps a place in line for nothing.
    pub(crate) fn leave_line(&self, house: &Accumulator) {
        let mut state = self.state.lock();
        let idle = !state.standing && state.waiting == 0 && !state.opening;
        let ticket = if idle { state.ticket.take() } else { None };
        drop(state);
        if let Some(ticket) = ticket {
            house.pool.cancel(&ticket);
        }
        self.changed.notify_all();
    }

    /// A granted place that is too small for who came with it is given up, so that a larger one can be asked for.
    pub(super) fn leave_small_place(&self, house: &Accumulator, ticket: Option<&Arc<Ticket>>) {
        let Some(ticket) = ticket.filter(|ticket| ticket.is_granted()) else { return };
        let mut state = self.state.lock();
        if state.ticket.as_ref().is_some_and(|other| Arc::ptr_eq(other, ticket)) {
            state.ticket = None;
        }
        drop(state);
        house.pool.cancel(ticket);
    }
}
