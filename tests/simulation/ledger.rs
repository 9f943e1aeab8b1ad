//! What the application knows: which records it tried to send, what was accepted, and what it was told of each.

use kurier::delivery::Delivery;
use kurier::time::Time;

/// How far a record came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its append has not returned. It may be in a batch.
    Trying,
    Accepted,
    Refused,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) topic: u32,
    pub(crate) partition: i32,
    pub(crate) timestamp_ms: i64,
    pub(crate) quiet: bool,
    pub(crate) stage: Stage,
    pub(crate) accepted_at: Time,
    pub(crate) fate: Option<(Delivery, Time)>,
    /// Sent when everything was well again: it has to be written.
    pub(crate) is_probe: bool,
}

/// All records, by sender and number.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) senders: Vec<Vec<Entry>>,
}

/// A record's number: who sent it, and which of his it is.
pub(crate) fn number(sender: u32, place: usize) -> u64 {
    u64::from(sender) << 32 | place as u64
}

impl Ledger {
    pub(crate) fn new(senders: u32) -> Self {
        Self { senders: (0..senders).map(|_| Vec::new()).collect() }
    }

    /// Before the append, because a batch may come back before its append returns.
    pub(crate) fn begin(&mut self, sender: u32, entry: Entry) -> u64 {
        let entries = &mut self.senders[sender as usize];
        entries.push(entry);
        number(sender, entries.len() - 1)
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Entry> {
        self.senders.get((number >> 32) as usize)?.get(number as u32 as usize)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Entry> {
        self.senders.get_mut((number >> 32) as usize)?.get_mut(number as u32 as usize)
    }

    /// All records with their numbers.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, &Entry)> {
        (0..).zip(&self.senders).flat_map(|(sender, entries)| {
            entries.iter().enumerate().map(move |(place, entry)| (number(sender, place), entry))
        })
    }

    /// A delivery came. What is wrong with it, if something is (I10).
    pub(crate) fn deliver(&mut self, delivery: &Delivery, now: Time) -> Result<(), String> {
        let number = delivery.opaque;
        let Some(entry) = self.get_mut(number) else {
            return Err(format!("I10: a delivery of a record that nobody sent: {delivery:?}"));
        };
        if entry.stage == Stage::Refused {
            return Err(format!("I10: a delivery of record {number:#x}, which was refused: {delivery:?}"));
        }
        if let Some((first, at)) = &entry.fate {
            return Err(format!("I10: a second delivery of {number:#x}: {first:?} at {at:?}, now {delivery:?}"));
        }
        if (delivery.topic, delivery.partition) != (entry.topic, entry.partition) {
            return Err(format!("I5: record {number:#x} of {}-{}: {delivery:?}", entry.topic, entry.partition));
        }
        if entry.quiet && delivery.code == 0 {
            return Err(format!("I10: a quiet record's good end was told: {delivery:?}"));
        }
        entry.fate = Some((*delivery, now));
        Ok(())
    }
}
