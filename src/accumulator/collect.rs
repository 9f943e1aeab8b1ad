//! What a network thread takes out of a partition, and what is given up before one could.

#![expect(unsafe_code, reason = "only here it is known that nobody writes to a batch any more")]

use super::Accumulator;
use super::batch::Batch;
use super::block::Closed;
use super::partition::{Partition, Sealed, State};
use crate::time::Time;

/// Why a batch ends before its fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// Its time ran out.
    TimedOut,
    /// The application purged it, or closed the producer.
    Purged,
}

/// What a network thread takes out of a partition.
#[derive(Default)]
pub struct Collected {
    /// Closed batches, in order.
    pub batches: Vec<Batch>,
    /// Numbers of batches that will not come.
    pub gaps: Vec<u64>,
    /// Batches that were given up while a writer was still inside, and are closed now.
    pub given_up: Vec<(Batch, GivenUp)>,
    /// When the open batch is due; `Time::NEVER` without one.
    pub due: Time,
    /// When the open batch must be sealed whatever happens, because its time to be delivered is over.
    pub expires: Time,
    /// When the oldest sealed batch that still has a writer inside is to be given up; `Time::NEVER` without one.
    pub deadline: Time,
}

impl Partition {
    /// Takes what is closed, gives up what is too old, and says when to look again.
    pub fn collect(&self, house: &Accumulator, now: Time) -> Collected {
        let mut collected = Collected { deadline: Time::NEVER, ..Collected::default() };
        let mut state = self.state.lock();
        while let Some(front) = state.queue.front() {
            let deadline = front.block.opened + house.delivery_timeout;
            if !front.closed && deadline > now {
                collected.deadline = deadline;
                break;
            }
            let Some(mut sealed) = state.queue.pop_front() else { break };
            if sealed.closed {
                collected.batches.push(self.batch(house, sealed));
            } else {
                sealed.given_up = Some(GivenUp::TimedOut);
                collected.gaps.push(sealed.number);
                state.abandoned.push(sealed);
            }
        }
        self.take_abandoned(house, &mut state, &mut collected);
        collected.due = state.due;
        collected.expires = state.open.as_ref().map_or(Time::NEVER, |open| open.opened + house.delivery_timeout);
        collected
    }

    /// What was given up while a writer was still inside, if the writer has left by now; `None`: there is nothing to
    /// wait for any more.
    pub fn collect_abandoned(&self, house: &Accumulator) -> Option<Collected> {
        let mut state = self.state.lock();
        if state.abandoned.is_empty() {
            return None;
        }
        let mut collected = Collected::default();
        self.take_abandoned(house, &mut state, &mut collected);
        Some(collected)
    }

    fn take_abandoned(&self, house: &Accumulator, state: &mut State, collected: &mut Collected) {
        if state.abandoned.is_empty() {
            return;
        }
        let (closed, open) =
            std::mem::take(&mut state.abandoned).into_iter().partition(|sealed: &Sealed| sealed.closed);
        state.abandoned = open;
        let closed: Vec<Sealed> = closed;
        for sealed in closed {
            let why = sealed.given_up.unwrap_or(GivenUp::TimedOut);
            collected.given_up.push((self.batch(house, sealed), why));
        }
    }

    fn batch(&self, house: &Accumulator, sealed: Sealed) -> Batch {
        // SAFETY: a closed batch has every span published, and no word leads to its block any more.
        let closed = unsafe { Closed::new(sealed.block, sealed.records, sealed.bytes) };
        Batch::new(closed, self.number, sealed.number, house.compresses)
    }

    /// Gives up everything that no network thread has taken yet: sealed batches and the open one.
    pub fn purge(&self, house: &Accumulator) -> Collected {
        let mut collected =
            Collected { deadline: Time::NEVER, due: Time::NEVER, expires: Time::NEVER, ..Collected::default() };
        let mut state = self.state.lock();
        self.seal_locked(&mut state);
        while let Some(mut sealed) = state.queue.pop_front() {
            collected.gaps.push(sealed.number);
            sealed.given_up = Some(GivenUp::Purged);
            state.abandoned.push(sealed);
        }
        self.take_abandoned(house, &mut state, &mut collected);
        collected
    }
}
