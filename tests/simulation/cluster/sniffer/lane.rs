//! The batches of one partition, in the order in which they were seen first.

use std::collections::BTreeMap;

use super::batch::Seen;
use crate::cluster::producers::sequence_after;
use crate::cluster::profile::NEAR_THE_WRAP;

/// Batches of a partition that may be unanswered at a time.
const FLYING_MAX: usize = 5;

/// An unanswered batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flying {
    pub(crate) connection: u64,
    pub(crate) node: i32,
    /// Producer id, epoch, first sequence.
    pub(crate) batch: (i64, i16, i32),
}

/// A batch that was seen, or a part of one that was refused for its size.
#[derive(Clone, Copy, Debug)]
struct Place {
    last: i32,
    /// `None`: a rest of a batch that was split.
    crc: Option<u32>,
    may_split: bool,
}

/// The sequences of a producer's epoch.
#[derive(Debug, Default)]
struct Stream {
    /// Where it began. Sequences are counted from there: so far they never wrap.
    base: i32,
    places: BTreeMap<i32, Place>,
    next: i32,
    /// First and last sequences of what was sent and never arrived.
    holes: Vec<(i32, i32)>,
}

impl Stream {
    fn since_base(&self, sequence: i32) -> i32 {
        sequence.wrapping_sub(self.base) & i32::MAX
    }

    /// Does it fit into a hole? What is left of the hole stays.
    fn fill(&mut self, first: i32, last: i32) -> bool {
        let Some(at) = self.holes.iter().position(|(from, to)| *from <= first && last <= *to && first <= last) else {
            return false;
        };
        let (from, to) = self.holes.swap_remove(at);
        if from < first {
            self.holes.push((from, first - 1));
        }
        if last < to {
            self.holes.push((last + 1, to));
        }
        true
    }
}

/// A partition.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    incarnation: u32,
    streams: BTreeMap<(i64, i16), Stream>,
    flying: Vec<Flying>,
    /// Where the last batch went, and of whom it was.
    target: Option<(i32, i64)>,
    /// That leader has taken something from that producer.
    is_proven: bool,
    /// Connections that had ended when the last new batch arrived.
    ends: u64,
}

impl Lane {
    /// Is it the next, or one that was seen? Answers whether it is new.
    ///
    /// With a connection that ends, batches can be lost that nobody here saw: `ends` counts those connections.
    /// `is_late`: it comes from a connection that its client gave up before, after which everything may have changed.
    pub(crate) fn pass(
        &mut self,
        seen: &Seen,
        incarnation: u32,
        ends: u64,
        is_late: bool,
        faults: &mut Vec<String>,
    ) -> bool {
        // A recreated topic knows nothing of what its predecessor was sent.
        let is_reborn = incarnation != 0 && std::mem::replace(&mut self.incarnation, incarnation) != incarnation;
        let newest = self.streams.keys().filter(|(id, _)| *id == seen.producer_id).map(|(_, epoch)| *epoch).max();
        let who = format!("producer {} epoch {}", seen.producer_id, seen.epoch);
        let stream = self.streams.entry((seen.producer_id, seen.epoch)).or_default();
        if newest.is_none() && stream.places.is_empty() && seen.first == NEAR_THE_WRAP {
            stream.base = seen.first;
        }
        if is_reborn && seen.first == 0 {
            *stream = Stream::default();
        }
        let (first, last) = (stream.since_base(seen.first), stream.since_base(seen.last));
        if let Some(place) = stream.places.get(&first).copied() {
            if place.crc == Some(seen.crc) && place.last == last {
                return false;
            }
            if place.may_split && last <= place.last {
                stream.places.insert(first, Place { last, crc: Some(seen.crc), may_split: false });
                if last < place.last {
                    let rest = Place { crc: None, ..place };
                    stream.places.insert(sequence_after(last, 1), rest);
                }
                return true;
            }
            // A late one may be a parent whose children have come meanwhile.
            if !is_late {
                let before = place.last;
                faults.push(format!("{who}: {first}..{last} is not what was sent before as {first}..{before} (I15)"));
            }
            return true;
        }
        let may_be_lost = std::mem::replace(&mut self.ends, ends) != ends;
        if stream.fill(first, last) {
            stream.places.insert(first, Place { last, crc: Some(seen.crc), may_split: false });
            return true;
        }
        if first > stream.next && may_be_lost {
            stream.holes.push((stream.next, first - 1));
        } else if first != stream.next {
            faults.push(format!("{who}: {first}..{last} where {} comes next (I15)", stream.next));
        }
        if newest.is_some_and(|newest| newest > seen.epoch) && !is_late {
            faults.push(format!("{who}: a new batch {first}..{last} after epoch {newest:?} began (I15)"));
        }
        stream.places.insert(first, Place { last, crc: Some(seen.crc), may_split: false });
        stream.next = sequence_after(last, 1);
        true
    }

    /// It is on its way: with how many others, and where to?
    pub(crate) fn fly(&mut self, flying: &Flying, faults: &mut Vec<String>) {
        let (node, who) = (flying.node, &flying.batch);
        let target = Some((node, who.0));
        if self.target != target {
            self.target = target;
            self.is_proven = false;
        }
        if let Some(other) = self.flying.iter().find(|other| other.node != node) {
            let (batch, peer) = (other.batch, other.node);
            faults.push(format!("{who:?} goes to {node} while {batch:?} is unanswered at {peer} (rule 11)"));
        }
        if !self.is_proven && self.flying.iter().any(|other| other.node == node) {
            faults.push(format!("{who:?} goes to {node}, which has taken nothing yet, beside another one (rule 10)"));
        }
        self.flying.push(flying.clone());
        let mut different: Vec<(i64, i16, i32)> = self.flying.iter().map(|other| other.batch).collect();
        different.sort_unstable();
        different.dedup();
        if different.len() > FLYING_MAX {
            faults.push(format!("{} batches unanswered at a time: {different:?} (rule 2)", different.len()));
        }
    }

    /// It was answered, or never will be.
    pub(crate) fn land(&mut self, flying: &Flying) {
        if let Some(at) = self.flying.iter().position(|other| other == flying) {
            self.flying.remove(at);
        }
    }

    /// A success from this leader.
    pub(crate) fn prove(&mut self, node: i32) {
        self.is_proven |= self.target.is_some_and(|(target, _)| target == node);
    }

    /// It was too large: its records come again in smaller batches under the same sequences.
    pub(crate) fn may_split(&mut self, flying: &Flying) {
        let (producer_id, epoch, first) = flying.batch;
        if let Some(stream) = self.streams.get_mut(&(producer_id, epoch)) {
            let first = stream.since_base(first);
            if let Some(place) = stream.places.get_mut(&first) {
                place.may_split = true;
            }
        }
    }
}
