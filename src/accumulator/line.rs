//! A partition's place in the line for memory: one thread stands there, the others wait for the batch it will open.

use super::Accumulator;
use super::block::Place;
use super::partition::{Partition, Stall, State};
use super::pool::Ticket;
use std::sync::Arc;
use std::time::Duration;

impl Partition {
    /// The class of its next block.
    pub(super) fn class(&self) -> usize {
        self.state.lock().class
    }

    /// Waits at most `span` for what `stall` says is missing. May return early; the caller looks again.
    pub(crate) fn wait(&self, house: &Accumulator, stall: Stall, place: Place, span: Duration) {
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
        let class = state.class;
        let ticket = state.ticket.clone().filter(|ticket| !ticket.is_spent());
        drop(state);
        let ticket = ticket.unwrap_or_else(|| {
            let ticket = house.stand_in_line(class, place);
            self.state.lock().ticket = Some(Arc::clone(&ticket));
            ticket
        });
        house.pool.wait(&ticket, span);
        self.state.lock().standing = false;
        self.changed.notify_all();
    }

    /// A waiter of this partition is done, with its record in or without: nobody keeps a place in line for nothing.
    pub(crate) fn leave_line(&self, house: &Accumulator) {
        let mut state = self.state.lock();
        let ticket = Self::orphan(&mut state);
        drop(state);
        if let Some(ticket) = ticket {
            house.pool.cancel(&ticket);
        }
        self.changed.notify_all();
    }

    /// A granted place that does not suit who came with it is given up, so that another can be asked for; unless
    /// somebody stands there, whom it suits.
    pub(super) fn leave_small_place(&self, house: &Accumulator, ticket: Option<&Arc<Ticket>>) {
        let Some(ticket) = ticket.filter(|ticket| ticket.is_granted()) else { return };
        let mut state = self.state.lock();
        let is_ours = state.ticket.as_ref().is_some_and(|other| Arc::ptr_eq(other, ticket));
        if !is_ours || state.standing {
            return;
        }
        state.ticket = None;
        drop(state);
        house.pool.cancel(ticket);
    }

    /// Takes a place that nobody stands at or waits for any more out of the state, to be cancelled without the lock.
    pub(super) fn orphan(state: &mut State) -> Option<Arc<Ticket>> {
        let idle = !state.standing && state.waiting == 0 && !state.opening;
        if idle { state.ticket.take() } else { None }
    }
}
