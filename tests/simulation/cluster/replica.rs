//! One copy of a partition: its log, its high watermark, what it takes itself for.

use std::collections::BTreeMap;
use std::rc::Rc;

use kurier::protocol::batch_header::BatchHeader;
use kurier::time::Time;

use super::producers::{Producers, Remembered, sequence_after};

/// A batch as a client sent it; all replicas share it.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) header: BatchHeader,
    pub(crate) payload: Vec<u8>,
    /// Counts all batches ever appended.
    pub(crate) number: u64,
    /// Of a topic with LogAppendTime: the leader's clock.
    pub(crate) append_ms: Option<i64>,
}

impl Batch {
    pub(crate) fn timestamp_ms(&self) -> i64 {
        self.append_ms.unwrap_or(self.header.max_timestamp_ms)
    }
}

/// A batch in a log.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) base_offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) appended: Time,
    pub(crate) batch: Rc<Batch>,
}

impl Entry {
    /// The offset behind its last record.
    pub(crate) fn end(&self) -> i64 {
        self.base_offset + i64::from(self.batch.header.records_count)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.leader_epoch == other.leader_epoch
            && self.base_offset == other.base_offset
            && Rc::ptr_eq(&self.batch, &other.batch)
    }
}

/// How far a follower is, as the leader knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) end: i64,
    /// Since then it is behind; the present if it is not.
    pub(crate) caught_up: Time,
}

/// What a leader knows.
#[derive(Clone, Debug)]
pub(crate) struct Leadership {
    pub(crate) epoch: i32,
    /// Of the partition's state at the controller, as far as this leader knows it.
    pub(crate) partition_epoch: u64,
    pub(crate) isr: Vec<i32>,
    pub(crate) progress: BTreeMap<i32, Progress>,
    /// A look at who lags behind is due.
    pub(crate) is_watching: bool,
}

/// What a replica takes itself for, which may be out of date.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// Its broker is down, or the topic is gone.
    Idle,
    Leader(Leadership),
    /// `aligned`: its log has been cut to what the leader of that epoch has.
    Follower {
        leader: i32,
        epoch: i32,
        aligned: bool,
    },
}

/// A request that waits until the high watermark reaches an offset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) offset: i64,
    pub(crate) ticket: u64,
    /// Which of the request's partitions.
    pub(crate) place: usize,
}

/// One copy.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) node: i32,
    pub(crate) entries: Vec<Entry>,
    pub(crate) high_watermark: i64,
    pub(crate) log_start: i64,
    pub(crate) role: Role,
    pub(crate) producers: Producers,
    pub(crate) waiting: Vec<Waiting>,
    /// A fetch is under way.
    pub(crate) is_fetching: bool,
    /// Its log directory is offline until then.
    pub(crate) offline_until: Time,
}

impl Replica {
    pub(crate) fn new(node: i32) -> Self {
        Self {
            node,
            entries: Vec::new(),
            high_watermark: 0,
            log_start: 0,
            role: Role::Idle,
            producers: Producers::default(),
            waiting: Vec::new(),
            is_fetching: false,
            offline_until: Time::ZERO,
        }
    }

    /// The offset that the next record gets.
    pub(crate) fn end(&self) -> i64 {
        self.entries.last().map_or(0, Entry::end)
    }

    pub(crate) fn leadership(&self) -> Option<&Leadership> {
        match &self.role {
            Role::Leader(leadership) => Some(leadership),
            _ => None,
        }
    }

    pub(crate) fn leadership_mut(&mut self) -> Option<&mut Leadership> {
        match &mut self.role {
            Role::Leader(leadership) => Some(leadership),
            _ => None,
        }
    }

    pub(crate) fn append(&mut self, entry: Entry) {
        remember(&mut self.producers, &entry);
        self.entries.push(entry);
    }

    /// Cuts the log to its first `count` batches. What it knows of producers comes from a snapshot and the batches
    /// behind it: either all that it would have remembered, or only the last of each.
    pub(crate) fn truncate(&mut self, count: usize, only_last: bool) -> bool {
        if count >= self.entries.len() {
            return false;
        }
        self.entries.truncate(count);
        self.high_watermark = self.high_watermark.min(self.end());
        self.log_start = self.log_start.min(self.end());
        // Whoever was forgotten and is not in the part cut off stays forgotten.
        let known: Vec<i64> = self.producers.iter().map(|(producer_id, _)| producer_id).collect();
        self.producers.clear();
        for entry in self.entries.iter().filter(|entry| known.contains(&entry.batch.header.producer_id)) {
            remember(&mut self.producers, entry);
        }
        if only_last {
            self.producers.keep_last();
        }
        true
    }

    /// How many batches from the start are the same in both logs.
    pub(crate) fn same_as(&self, other: &[Entry]) -> usize {
        // The same batch at the same place under the same epoch: then everything in front of it is the same, too.
        let both = self.entries.len().min(other.len());
        (0..both).rev().find(|at| self.entries[*at].is_same(&other[*at])).map_or(0, |at| at + 1)
    }
}

fn remember(producers: &mut Producers, entry: &Entry) {
    let header = &entry.batch.header;
    if header.producer_id >= 0 {
        let batch = Remembered {
            first: header.base_sequence,
            last: sequence_after(header.base_sequence, header.records_count - 1),
            base_offset: entry.base_offset,
            last_offset: entry.end() - 1,
            timestamp_ms: entry.batch.timestamp_ms(),
        };
        producers.add(header.producer_id, header.producer_epoch, batch, entry.appended);
    }
}
