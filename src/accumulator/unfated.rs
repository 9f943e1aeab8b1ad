//! Counts batches that have no fate yet, so that `flush` can wait for those that were there when it began.

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Default)]
struct State {
    batches: BTreeMap<u64, u64>,
}

/// Batches by flush epoch. A batch takes its epoch when it is opened, before a record can be accepted into it; both
/// halves of a split inherit it (KAFKA-19479: a flush that forgets them returns early).
#[derive(Debug)]
pub struct Unfated {
    state: Mutex<State>,
    /// Changes under the lock; read also without.
    epoch: AtomicU64,
    changed: Condvar,
}

impl Default for Unfated {
    fn default() -> Self {
        Self { state: Mutex::new(State::default()), epoch: AtomicU64::new(0), changed: Condvar::new() }
    }
}

impl Unfated {
    /// One more batch; its epoch.
    pub(crate) fn register(&self) -> u64 {
        let mut state = self.state.lock();
        let epoch = self.epoch();
        *state.batches.entry(epoch).or_default() += 1;
        epoch
    }

    /// One more batch of an epoch that still has one.
    pub(crate) fn register_in(&self, epoch: u64) {
        *self.state.lock().batches.entry(epoch).or_default() += 1;
    }

    /// A batch of this epoch has its fate, and the application can see it.
    pub fn done(&self, epoch: u64) {
        let mut state = self.state.lock();
        if let Some(count) = state.batches.get_mut(&epoch) {
            *count -= 1;
            if *count == 0 {
                state.batches.remove(&epoch);
                drop(state);
                self.changed.notify_all();
            }
        }
    }

    /// Begins a new epoch; the answer is the last one of those to wait for.
    pub fn raise(&self) -> u64 {
        let _state = self.state.lock();
        self.epoch.fetch_add(1, Ordering::SeqCst)
    }

    /// The epoch of a batch that is opened now.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// True when no batch up to `epoch` lacks its fate; else waits for a change, at most `span`.
    pub fn wait(&self, epoch: u64, span: Duration) -> bool {
        let mut state = self.state.lock();
        if Self::ended(&state, epoch) {
            return true;
        }
        self.changed.wait_for(&mut state, span);
        Self::ended(&state, epoch)
    }

    /// Batches up to `epoch` without a fate.
    pub fn count(&self, epoch: u64) -> u64 {
        self.state.lock().batches.range(..=epoch).map(|(_, count)| count).sum()
    }

    /// Wakes whoever waits, to look at something else.
    pub fn wake(&self) {
        drop(self.state.lock());
        self.changed.notify_all();
    }

    fn ended(state: &State, epoch: u64) -> bool {
        state.batches.first_key_value().is_none_or(|(first, _)| *first > epoch)
    }
}
