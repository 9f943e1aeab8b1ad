//! When a network thread has to look at which partition again: one entry per partition.

use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Schedule {
    by_time: BTreeSet<(Time, u32)>,
    by_partition: BTreeMap<u32, Time>,
}

impl Schedule {
    /// The partition's moment, in place of the one it had.
    pub(super) fn set(&mut self, partition: u32, at: Time) {
        self.forget(partition);
        if at != Time::NEVER {
            self.by_partition.insert(partition, at);
            self.by_time.insert((at, partition));
        }
    }

    pub(super) fn forget(&mut self, partition: u32) {
        if let Some(at) = self.by_partition.remove(&partition) {
            self.by_time.remove(&(at, partition));
        }
    }

    /// The next partition whose moment has come.
    pub(super) fn pop(&mut self, now: Time) -> Option<u32> {
        let (at, partition) = self.by_time.first().copied().filter(|(at, _)| *at <= now)?;
        self.by_time.remove(&(at, partition));
        self.by_partition.remove(&partition);
        Some(partition)
    }

    pub(super) fn next(&self) -> Time {
        self.by_time.first().map_or(Time::NEVER, |(at, _)| *at)
    }

    /// All partitions in it.
    pub(super) fn partitions(&self) -> impl Iterator<Item = u32> + '_ {
        self.by_partition.keys().copied()
    }
}
