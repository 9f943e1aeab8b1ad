//! A model of what a cluster remembers: logs, leaders, and five batches per producer and partition.

use std::collections::{BTreeMap, VecDeque};

use super::SentPart;
use crate::engine::identity::sequence_add;

/// What a broker knows of a producer on a partition.
#[derive(Debug)]
struct Memory {
    epoch: i16,
    /// First and last sequence, offset; the newest at the back.
    batches: VecDeque<(i32, i32, i64)>,
}

/// One partition, its replicas always in step.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Numbers of the records, by offset.
    pub(super) records: Vec<u64>,
    producers: BTreeMap<i64, Memory>,
    pub(super) leader: i32,
    pub(super) epoch: i32,
    /// A batch of more records is too large.
    pub(super) records_max: u32,
}

impl Log {
    pub(super) fn new(leader: i32, records_max: u32) -> Self {
        Self { leader, records_max, ..Self::default() }
    }

    /// What the broker `node` does with a batch: code and offset.
    pub(super) fn append(&mut self, node: i32, part: &SentPart) -> (i16, i64) {
        if node != self.leader {
            return (6, -1);
        }
        if part.records > self.records_max {
            return (10, -1);
        }
        if part.producer_id >= 0 {
            let last = sequence_add(part.sequence, part.records - 1);
            if let Some(memory) = self.producers.get(&part.producer_id) {
                if part.epoch < memory.epoch {
                    return (47, -1);
                }
                let newest = memory.batches.back().map_or(-1, |(_, last, _)| *last);
                if part.epoch > memory.epoch && part.sequence != 0 {
                    return (45, -1);
                }
                if part.epoch == memory.epoch {
                    let known = memory.batches.iter().find(|batch| (batch.0, batch.1) == (part.sequence, last));
                    if let Some((_, _, offset)) = known {
                        return (0, *offset);
                    }
                    if part.sequence != sequence_add(newest, 1) {
                        return (45, -1);
                    }
                }
            }
            // Of an id that it does not know the broker accepts any sequence.
            let memory = self
                .producers
                .entry(part.producer_id)
                .or_insert_with(|| Memory { epoch: part.epoch, batches: VecDeque::new() });
            if memory.epoch != part.epoch {
                *memory = Memory { epoch: part.epoch, batches: VecDeque::new() };
            }
            memory.batches.push_back((part.sequence, last, self.records.len() as i64));
            if memory.batches.len() > 5 {
                memory.batches.pop_front();
            }
        }
        let offset = self.records.len() as i64;
        self.records.extend(part.first..part.first + u64::from(part.records));
        (0, offset)
    }

    /// Id, epoch and last sequence of each producer.
    pub(super) fn last_sequences(&self) -> Vec<(i64, i16, i32)> {
        let last = |memory: &Memory| memory.batches.back().map_or(-1, |(_, last, _)| *last);
        self.producers.iter().map(|(id, memory)| (*id, memory.epoch, last(memory))).collect()
    }

    /// A broker that restarts reads back only the last batch of each producer.
    pub(super) fn restart(&mut self) {
        for memory in self.producers.values_mut() {
            while memory.batches.len() > 1 {
                memory.batches.pop_front();
            }
        }
    }
}
