//! Which partitions a network thread has to look at, and how it is woken: only when it sleeps.

use super::partition::Partition;
use crate::mutant::{self, Mutant};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use crate::time::Time;

/// The list of one network thread: many writers, one reader. A partition stands in it at most once.
pub struct Inbox {
    listed: Mutex<Vec<u32>>,
    /// Until when its thread sleeps; 0: it is awake and will look by itself.
    asleep_until: AtomicU64,
    /// There is something to do that is not in the list.
    nudged: AtomicBool,
    /// Since when batches wait for its broker and nothing moves; 0: they do not.
    stalled_since: AtomicU64,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Inbox {
    /// `wake` makes the thread's wait return; it is called without a lock held.
    #[must_use]
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            listed: Mutex::new(Vec::new()),
            asleep_until: AtomicU64::new(0),
            nudged: AtomicBool::new(false),
            stalled_since: AtomicU64::new(0),
            wake,
        }
    }

    /// Lists a partition that has something to do at `due`.
    ///
    /// The sleeper is woken if it would sleep longer, listed already or not: an entry made for a later moment does
    /// not wake it, and what came since may be due now.
    pub(crate) fn list(&self, partition: &Partition, due: Time) {
        if !partition.listed.swap(true, Ordering::AcqRel) {
            let mut listed = self.listed.lock();
            listed.push(partition.number);
            if listed.len() > 1 && mutant::is(Mutant::WakeWasEmpty) {
                return;
            }
        }
        self.wake_before(due);
    }

    /// The thread has something to do that is not in its list: it looks before it sleeps again.
    pub fn nudge(&self) {
        self.nudged.store(true, Ordering::Release);
        self.wake_before(Time::ZERO);
    }

    /// Wakes the thread if it would sleep beyond `due`.
    fn wake_before(&self, due: Time) {
        // Pairs with the fence in `fall_asleep`: either the sleeper sees what was pushed, or we see that it sleeps.
        fence(Ordering::SeqCst);
        if self.asleep_until.load(Ordering::Relaxed) > due.0 && self.asleep_until.swap(0, Ordering::SeqCst) != 0 {
            (self.wake)();
        }
    }

    /// Takes everything that is listed.
    pub fn take(&self, into: &mut Vec<u32>) {
        // An exchange, not a store: it reads what the nudge wrote, and so what follows sees what the nudge was about.
        self.nudged.swap(false, Ordering::AcqRel);
        into.append(&mut self.listed.lock());
    }

    /// Announces a sleep. False: something was listed meanwhile, stay awake.
    pub fn fall_asleep(&self, until: Time) -> bool {
        let told = if mutant::is(Mutant::LostWakeUp) { 0 } else { until.0.max(1) };
        self.asleep_until.store(told, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let is_empty = self.listed.lock().is_empty() || mutant::is(Mutant::WakeWasEmpty);
        if is_empty && !self.nudged.load(Ordering::Acquire) {
            return true;
        }
        self.stay_awake();
        false
    }

    /// Batches wait for this thread's broker (`Some`: nothing has moved since), or they do not.
    pub fn set_stalled(&self, since: Option<Time>) {
        self.stalled_since.store(since.map_or(0, |since| since.0.max(1)), Ordering::Relaxed);
    }

    /// For how long batches have waited for this thread's broker while nothing moved.
    pub fn stalled_for(&self, now: Time) -> std::time::Duration {
        match self.stalled_since.load(Ordering::Relaxed) {
            0 => std::time::Duration::ZERO,
            since => now.since(Time(since)),
        }
    }

    /// The sleep is over.
    pub fn stay_awake(&self) {
        self.asleep_until.store(0, Ordering::SeqCst);
    }
}
