//! What a replica remembers of producers: how it knows a repeat from a gap.
//!
//! As `ProducerStateManager`, `ProducerAppendInfo` and `ProducerStateEntry` of Apache Kafka do it.

use std::collections::{BTreeMap, VecDeque};

use kurier::protocol::broker_code as code;
use kurier::time::Time;

/// Batches remembered of a producer.
const REMEMBERED_MAX: usize = 5;

/// A batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) first: i32,
    pub(crate) last: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    /// The largest timestamp in the log: what a repeat is answered with.
    pub(crate) timestamp_ms: i64,
}

/// A producer on a partition.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) epoch: i16,
    pub(crate) batches: VecDeque<Remembered>,
    pub(crate) written: Time,
}

/// Who a batch says it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) first: i32,
    pub(crate) last: i32,
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Append,
    Duplicate(Remembered),
    Refuse(i16),
}

/// All producers of a replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct Producers {
    known: BTreeMap<i64, Known>,
}

/// The sequence `count` behind `first`; after the largest comes 0.
pub(crate) fn sequence_after(first: i32, count: i32) -> i32 {
    ((i64::from(first) + i64::from(count)) & i64::from(i32::MAX)) as i32
}

impl Producers {
    /// Judges a batch of a client. `refuse_unknown`: as brokers did it before 2.5.
    pub(crate) fn check(&self, batch: &Identity, refuse_unknown: bool) -> Check {
        let Some(known) = self.known.get(&batch.producer_id) else {
            let refused = refuse_unknown && batch.first != 0;
            return if refused { Check::Refuse(code::UNKNOWN_PRODUCER_ID) } else { Check::Append };
        };
        if batch.epoch < known.epoch {
            return Check::Refuse(code::INVALID_PRODUCER_EPOCH);
        }
        let next = if batch.epoch > known.epoch {
            0
        } else {
            let same = |old: &&Remembered| (old.first, old.last) == (batch.first, batch.last);
            if let Some(old) = known.batches.iter().find(same) {
                return Check::Duplicate(*old);
            }
            known.batches.back().map_or(0, |last| sequence_after(last.last, 1))
        };
        if batch.first == next { Check::Append } else { Check::Refuse(code::OUT_OF_ORDER_SEQUENCE_NUMBER) }
    }

    /// A batch was appended, by a client or from the leader.
    pub(crate) fn add(&mut self, producer_id: i64, epoch: i16, batch: Remembered, now: Time) {
        let fresh = || Known { epoch, batches: VecDeque::new(), written: now };
        let known = self.known.entry(producer_id).or_insert_with(fresh);
        if known.epoch != epoch {
            known.epoch = epoch;
            known.batches.clear();
        }
        if known.batches.len() == REMEMBERED_MAX {
            known.batches.pop_front();
        }
        known.batches.push_back(batch);
        known.written = now;
    }

    /// What a snapshot holds: of each producer the last batch.
    pub(crate) fn keep_last(&mut self) {
        for known in self.known.values_mut() {
            let behind = known.batches.len().saturating_sub(1);
            known.batches.drain(..behind);
        }
    }

    /// Forgets who wrote nothing since `before`; how many those were.
    pub(crate) fn forget(&mut self, before: Time) -> usize {
        let count = self.known.len();
        self.known.retain(|_, known| known.written >= before);
        count - self.known.len()
    }

    pub(crate) fn clear(&mut self) {
        self.known.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Known)> {
        self.known.iter().map(|(producer_id, known)| (*producer_id, known))
    }
}
