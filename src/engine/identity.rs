//! Who this producer is for the brokers: producer id and epoch, sequences and their bumps.
//!
//! Each partition has its own line of sequences under its own (id, epoch): a partition that needs a new
//! epoch takes it when nothing of it is on the wire, the others keep theirs until what has a sequence has
//! ended (rule 7; librdkafka issue 4953 is about a bump for the whole producer).

use super::inquiry::Inquiry;
use crate::coverage::{Arm, reached};
use crate::mutant::{self, Mutant};
use crate::time::Time;

/// Producer id and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProducerIdentity {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// What a batch carries from the first time it is taken for sending (rule 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) identity: ProducerIdentity,
    /// Sequence of its first record.
    pub(super) first: i32,
}

impl Stamp {
    /// Sequence of the last of `records`.
    pub(super) fn last(self, records: u32) -> i32 {
        sequence_add(self.first, records.saturating_sub(1))
    }
}

/// Sequences run from 0 to 2^31-1 and begin again (rule 12).
pub(super) fn sequence_add(sequence: i32, records: u32) -> i32 {
    if mutant::is(Mutant::SequenceWrap) {
        return sequence.wrapping_add_unsigned(records);
    }
    let sum = (i64::from(sequence) + i64::from(records)) & i64::from(i32::MAX);
    i32::try_from(sum).unwrap_or(0)
}

/// The sequence that follows `last`; `None`: nothing is there yet.
pub(super) fn sequence_after(last: Option<i32>) -> i32 {
    last.map_or(0, |last| sequence_add(last, 1))
}

/// Is `one` later than `other`, at less than half the circle's distance?
pub(super) fn sequence_is_later(one: i32, other: i32) -> bool {
    let distance = one.wrapping_sub(other) & i32::MAX;
    distance != 0 && distance < (1 << 30)
}

/// The newest identity of the producer.
#[derive(Debug, Default)]
pub(super) struct Identity {
    /// `None`: not asked yet, or used up.
    pub(super) current: Option<ProducerIdentity>,
    /// Where sequences under `current` begin.
    pub(super) first_sequence: i32,
    /// Counts the changes of `current`; partitions compare it with their own.
    pub(super) generation: u64,
    pub(super) asking: bool,
    pub(super) failures: u32,
    pub(super) not_before: Time,
}

impl Identity {
    /// A new id from the brokers.
    pub(super) fn adopt(&mut self, identity: ProducerIdentity, first_sequence: i32) {
        self.current = Some(identity);
        self.first_sequence = first_sequence;
        self.generation += 1;
        self.failures = 0;
    }

    /// Somebody else uses it: another id is needed.
    pub(super) fn abandon(&mut self) {
        self.generation += 1;
        self.current = None;
    }

    /// The next epoch, without a request; after the last one a new id has to be asked for.
    pub(super) fn bump(&mut self) {
        self.generation += 1;
        self.first_sequence = 0;
        self.current = match self.current {
            Some(ProducerIdentity { id, epoch }) if epoch < i16::MAX => Some(ProducerIdentity { id, epoch: epoch + 1 }),
            _ => None,
        };
    }
}

/// A partition's line of sequences.
#[derive(Debug)]
pub(super) struct Line {
    /// Under which its sequences count; `None`: none given out yet.
    pub(super) identity: Option<ProducerIdentity>,
    /// [`Identity::generation`] that `identity` is of.
    pub(super) generation: u64,
    /// Sequence of the next record that gets one.
    pub(super) next: i32,
    /// Sequence of the last record known to be written.
    pub(super) acked: Option<i32>,
    /// A batch that was sent has ended without a known outcome (rule 8).
    pub(super) unresolved: bool,
    /// A new epoch is needed as soon as nothing is in flight, because of this error.
    pub(super) bump: Option<i16>,
    /// This leader has accepted a batch of this line, so that it knows the producer id (rule 10;
    /// franz-go issue 223).
    pub(super) proven: bool,
    /// What the leader is asked about the batches whose end is open (rule 15).
    pub(super) inquiry: Inquiry,
    /// How often it was asked since a batch was written.
    pub(super) inquiries: u32,
    /// How often a batch was refused as out of order although the leader had told that it would fit.
    pub(super) contradictions: u32,
    /// Offset after the last record known to be written, -1 if none told.
    pub(super) acked_end: i64,
    /// The topic was created anew, or an offset says that the log was cut: a sequence in it does not say that those
    /// before are there, too (rule 10: who is not known may begin anywhere).
    pub(super) is_torn: bool,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            identity: None,
            generation: 0,
            next: 0,
            acked: None,
            unresolved: false,
            bump: None,
            proven: false,
            inquiry: Inquiry::None,
            inquiries: 0,
            contradictions: 0,
            acked_end: -1,
            is_torn: false,
        }
    }
}

impl Line {
    /// Has given nothing out yet under the producer's newest identity.
    pub(super) fn begin(&mut self, identity: &Identity) {
        let next = identity.first_sequence;
        let acked = (next > 0).then(|| next - 1);
        *self = Self { identity: identity.current, generation: identity.generation, next, acked, ..Self::default() };
    }

    /// Begins anew, under an identity that it gets when the next batch is taken.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }

    /// The sequences of the next batch of `records`.
    pub(super) fn stamp(&mut self, records: u32) -> Option<Stamp> {
        let stamp = Stamp { identity: self.identity?, first: self.next };
        self.next = sequence_add(self.next, records);
        Some(stamp)
    }

    /// A batch is in the log, at this offset (-1: not told). `is_first`: every batch before it has ended.
    pub(super) fn acknowledge(&mut self, stamp: Stamp, records: u32, base_offset: i64, is_first: bool) {
        if self.identity != Some(stamp.identity) {
            // A new epoch is taken when nothing is on its way any more: never seen, and of no consequence.
            return reached(Arm::SequenceOfOldEpoch);
        }
        self.inquiries = 0;
        self.contradictions = 0;
        let last = stamp.last(records);
        if self.acked.is_some_and(|acked| !sequence_is_later(last, acked)) {
            return reached(Arm::SequenceKnown);
        }
        // Between the last one that is known and this one there has to be room for those in between.
        let between = stamp.first.wrapping_sub(sequence_after(self.acked)) & i32::MAX;
        let least = self.acked_end.max(0).saturating_add(i64::from(between));
        self.is_torn = !is_first && (self.is_torn || (base_offset >= 0 && base_offset < least));
        reached(if self.is_torn { Arm::SequenceTorn } else { Arm::SequenceNext });
        self.acked = Some(last);
        if base_offset >= 0 {
            self.acked_end = base_offset.saturating_add(i64::from(records));
        }
    }

    /// The last acknowledged sequence, if a log that ends with `last` does not have it.
    pub(super) fn lost(&self, last: Option<i32>) -> Option<i32> {
        self.acked.filter(|acked| last.is_none_or(|last| sequence_is_later(*acked, last)))
    }

    /// Every sequence that was given out is known to be written.
    pub(super) fn is_complete(&self) -> bool {
        self.next == sequence_after(self.acked)
    }
}
