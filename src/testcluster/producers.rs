//! What a partition remembers of each producer: epoch and last five batches, judged as a broker judges.
//!
//! Source: `ProducerStateManager`, `ProducerAppendInfo` and `ProducerStateEntry` of Apache Kafka 4.2, and
//! what Kafka 4.2.0 answered when it was tried.

use std::collections::{BTreeMap, VecDeque};

use crate::protocol::broker_code::{INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER};

/// How many batches a broker remembers of a producer.
const BATCHES: usize = 5;
/// How many producers are remembered per partition; the lowest ids, the oldest ones, go first.
const PRODUCERS: usize = 10_000;

/// A batch's place in its producer's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequenced {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) first: i32,
    pub(super) last: i32,
}

/// The sequence `count` records after `sequence`: 0 follows 2^31-1.
pub(super) fn sequence_after(sequence: i32, count: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(count);
    i32::try_from(sum & i64::from(i32::MAX)).unwrap_or(0)
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Append it.
    Append,
    /// It is in the log, here.
    Duplicate { base_offset: i64, append_time_ms: i64 },
    /// Refuse it with this code.
    Refuse(i16, &'static str),
}

#[derive(Clone, Copy, Debug)]
struct Remembered {
    first: i32,
    last: i32,
    base_offset: i64,
    /// Its largest.
    timestamp_ms: i64,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Remembered>,
}

/// The producers of one partition.
#[derive(Debug, Default)]
pub(super) struct Producers(BTreeMap<i64, Producer>);

impl Producers {
    /// Judges a batch. Nothing is remembered before [`Self::remember`].
    pub(super) fn judge(&self, batch: Sequenced) -> Verdict {
        // A producer that is not known may begin anywhere: a broker cannot tell a new one from one that
        // it has forgotten.
        let Some(producer) = self.0.get(&batch.producer_id) else { return Verdict::Append };
        if producer.epoch == batch.epoch
            && let Some(known) =
                producer.batches.iter().find(|known| known.first == batch.first && known.last == batch.last)
        {
            return Verdict::Duplicate { base_offset: known.base_offset, append_time_ms: known.timestamp_ms };
        }
        if batch.epoch < producer.epoch {
            return Verdict::Refuse(
                INVALID_PRODUCER_EPOCH,
                "the epoch of the producer is older than the last one seen",
            );
        }
        let expected = match producer.batches.back() {
            Some(last) if producer.epoch == batch.epoch => sequence_after(last.last, 1),
            _ => 0,
        };
        if batch.first != expected {
            return Verdict::Refuse(OUT_OF_ORDER_SEQUENCE_NUMBER, "the sequence is not the one after the last");
        }
        Verdict::Append
    }

    /// Remembers a batch that was appended; `timestamp_ms` is its largest.
    pub(super) fn remember(&mut self, batch: Sequenced, base_offset: i64, timestamp_ms: i64) {
        if self.0.len() >= PRODUCERS && !self.0.contains_key(&batch.producer_id) {
            self.0.pop_first();
        }
        let producer = self
            .0
            .entry(batch.producer_id)
            .or_insert_with(|| Producer { epoch: batch.epoch, batches: VecDeque::with_capacity(BATCHES) });
        if producer.epoch != batch.epoch {
            producer.epoch = batch.epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == BATCHES {
            producer.batches.pop_front();
        }
        let (first, last) = (batch.first, batch.last);
        producer.batches.push_back(Remembered { first, last, base_offset, timestamp_ms });
    }

    /// Forgets all producers.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// Keeps only the last batch of each: what a broker knows after a restart, from its snapshot.
    pub(super) fn forget_but_last(&mut self) {
        for producer in self.0.values_mut() {
            while producer.batches.len() > 1 {
                producer.batches.pop_front();
            }
        }
    }

    /// Producer id, epoch, last sequence and last timestamp of each, by id, as one knows them who has not copied the
    /// `behind` last batches of each yet: of whom nothing is left, that one has not heard.
    pub(super) fn states(&self, behind: usize) -> impl Iterator<Item = (i64, i16, i32, i64)> {
        self.0.iter().filter_map(move |(id, producer)| {
            let last = producer.batches.iter().rev().nth(behind)?;
            Some((*id, producer.epoch, last.last, last.timestamp_ms))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(epoch: i16, first: i32, count: i32) -> Sequenced {
        Sequenced { producer_id: 9, epoch, first, last: sequence_after(first, count - 1) }
    }

    fn refused(verdict: Verdict) -> i16 {
        match verdict {
            Verdict::Refuse(code, _) => code,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Appends what may be appended; panics on the rest.
    fn append(producers: &mut Producers, batch: Sequenced, offset: i64) {
        assert_eq!(producers.judge(batch), Verdict::Append, "{batch:?}");
        producers.remember(batch, offset, offset + 1000);
    }

    #[test]
    fn five_batches_are_found_again_and_older_ones_are_out_of_order() {
        let mut producers = Producers::default();
        for number in 0..6 {
            append(&mut producers, batch(0, number * 10, 10), i64::from(number) * 10);
        }
        for number in 1..6 {
            let found = producers.judge(batch(0, number * 10, 10));
            assert_eq!(
                found,
                Verdict::Duplicate {
                    base_offset: i64::from(number) * 10,
                    append_time_ms: i64::from(number) * 10 + 1000
                }
            );
        }
        assert_eq!(refused(producers.judge(batch(0, 0, 10))), 45);
        assert_eq!(refused(producers.judge(batch(0, 50, 9))), 45, "cut differently, it is not the same batch");
        assert_eq!(refused(producers.judge(batch(0, 61, 10))), 45, "a gap");
        append(&mut producers, batch(0, 60, 1), 60);
    }

    #[test]
    fn an_unknown_producer_begins_anywhere_but_a_new_epoch_at_zero() {
        let mut producers = Producers::default();
        append(&mut producers, batch(3, 7, 2), 0);
        assert_eq!(refused(producers.judge(batch(4, 9, 1))), 45);
        assert_eq!(refused(producers.judge(batch(2, 9, 1))), 47);
        append(&mut producers, batch(4, 0, 1), 2);
        assert_eq!(refused(producers.judge(batch(3, 7, 2))), 47, "the old epoch is over, its batches too");
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let mut producers = Producers::default();
        append(&mut producers, batch(0, i32::MAX - 1, 4), 0);
        assert_eq!(sequence_after(i32::MAX, 1), 0);
        assert_eq!(refused(producers.judge(batch(0, 3, 1))), 45);
        append(&mut producers, batch(0, 2, 1), 4);
        assert_eq!(producers.states(0).collect::<Vec<_>>(), [(9, 0, 2, 1004)]);
        assert_eq!(producers.states(1).collect::<Vec<_>>(), [(9, 0, 1, 1000)]);
        assert_eq!(producers.states(2).count(), 0);
    }

    #[test]
    fn a_restart_leaves_the_last_batch_and_an_amnesia_none() {
        let mut producers = Producers::default();
        for number in 0..3 {
            append(&mut producers, batch(0, number, 1), i64::from(number));
        }
        producers.forget_but_last();
        assert_eq!(refused(producers.judge(batch(0, 1, 1))), 45);
        assert_eq!(producers.judge(batch(0, 2, 1)), Verdict::Duplicate { base_offset: 2, append_time_ms: 1002 });
        append(&mut producers, batch(0, 3, 1), 3);
        producers.forget();
        append(&mut producers, batch(0, 1, 1), 4);
    }

    #[test]
    fn memory_of_producers_is_bounded() {
        let mut producers = Producers::default();
        for producer_id in 0..PRODUCERS as i64 + 5 {
            producers.remember(Sequenced { producer_id, ..batch(0, 0, 1) }, producer_id, -1);
        }
        assert_eq!(producers.0.len(), PRODUCERS);
    }
}
