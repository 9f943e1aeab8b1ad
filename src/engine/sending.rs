//! One partition's batches on their way: which come in which order, what is in flight, what may go next.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::identity::{Identity, Line, Stamp};
use super::inquiry::Inquiry;
use super::{ConnectionNumber, Parcel, TopicNumber};
use crate::mutant::{self, Mutant};
use crate::time::Time;

/// Where a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits to be sent, for the first time or again.
    Queued,
    /// A request holds it.
    Flying,
    /// The broker finds it too large; `asked`: somebody is making two of it.
    Splitting { asked: bool },
}

/// A batch without a fate.
#[derive(Debug)]
pub(super) struct Batch<B> {
    /// Tells it again when its answer comes; unique in the partition.
    pub(super) serial: u64,
    pub(super) parcel: B,
    pub(super) state: State,
    pub(super) stamp: Option<Stamp>,
    /// How often it was sent.
    pub(super) attempts: u32,
    /// How often it came back to be sent again, splits not counted.
    pub(super) retries: u32,
    /// From which leader it came back, as `Partition::leaders` counts them, and how often: the backoff grows with that.
    pub(super) refused: (u32, u32),
    /// One of its attempts may be in the log.
    pub(super) open: bool,
    /// The last error a broker gave for it.
    pub(super) last_code: i16,
    /// What its halves end with, decided while it was being split.
    pub(super) doom: Option<super::fates::Doom>,
}

impl<B: Parcel> Batch<B> {
    /// Sequence of its last record, if it has any.
    pub(super) fn last_sequence(&self) -> Option<i32> {
        self.stamp.map(|stamp| stamp.last(self.parcel.records()))
    }
}

/// A partition and its unfinished batches.
#[derive(Debug)]
pub(super) struct Partition<B> {
    pub(super) topic: TopicNumber,
    pub(super) index: i32,
    /// -1: none.
    pub(super) leader: i32,
    /// -1: not known.
    pub(super) leader_epoch: i32,
    /// How often it got a leader, another one or the same one elected again.
    pub(super) leaders: u32,
    /// Answers in a row with an older epoch than that.
    pub(super) older_answers: u32,
    /// `BOOTSTRAP` while there is no leader.
    pub(super) connection: ConnectionNumber,
    /// It had a leader once.
    pub(super) has_been_led: bool,
    /// Why there is no leader, as a broker's error code.
    pub(super) trouble: i16,

    /// Number of the batch that comes next into `queue`.
    pub(super) expected: u64,
    /// Batches that came before their predecessors; `None` is a gap.
    pub(super) arriving: BTreeMap<u64, Option<B>>,
    /// In order. Those with a stamp stand before those without.
    pub(super) queue: VecDeque<Batch<B>>,
    pub(super) next_serial: u64,

    /// Requests out with a batch of this partition, also of batches whose fate is decided.
    pub(super) in_flight: usize,
    /// The connection that those requests are on.
    pub(super) flying_on: ConnectionNumber,
    /// The one in flight is a repetition: nothing goes beside it (rule 3).
    pub(super) retrying: bool,
    pub(super) backoff_until: Time,
    pub(super) line: Line,

    /// Its place in its connection's ready list.
    pub(super) ready_place: Option<u64>,
    /// Counted as one that needs its connection.
    pub(super) is_busy: bool,
    /// The caller has a lingered batch that it would hand in when it could go out.
    pub(super) is_offered: bool,
}

/// What the partition could send now, as far as it knows itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The batch at this place of the queue.
    Take(usize),
    /// A batch that would be handed in now.
    Room,
    /// Nothing, until something happens.
    Nothing,
}

impl<B: Parcel> Partition<B> {
    pub(super) fn new(topic: TopicNumber, index: i32) -> Self {
        Self {
            topic,
            index,
            leader: -1,
            leader_epoch: -1,
            leaders: 0,
            older_answers: 0,
            connection: ConnectionNumber::BOOTSTRAP,
            has_been_led: false,
            trouble: 5,
            expected: 0,
            arriving: BTreeMap::new(),
            queue: VecDeque::new(),
            next_serial: 0,
            in_flight: 0,
            flying_on: ConnectionNumber::BOOTSTRAP,
            retrying: false,
            backoff_until: Time::ZERO,
            line: Line::default(),
            ready_place: None,
            is_busy: false,
            is_offered: false,
        }
    }

    /// The broker error that stands in its way, 0 if none.
    pub(super) fn trouble(&self) -> i16 {
        if self.connection == ConnectionNumber::BOOTSTRAP { self.trouble } else { 0 }
    }

    /// Takes a batch (or a gap) in and queues what is consecutive. False: this number was here before.
    pub(super) fn arrive(&mut self, number: u64, parcel: Option<B>) -> bool {
        if number < self.expected || self.arriving.contains_key(&number) {
            return false;
        }
        if number != self.expected {
            self.arriving.insert(number, parcel);
            return true;
        }
        let mut next = Some(parcel);
        while let Some(parcel) = next {
            self.expected += 1;
            if let Some(parcel) = parcel {
                let batch = self.batch(parcel);
                self.queue.push_back(batch);
            }
            next = self.arriving.remove(&self.expected);
        }
        true
    }

    /// Makes a queue entry.
    pub(super) fn batch(&mut self, parcel: B) -> Batch<B> {
        self.next_serial += 1;
        Batch {
            serial: self.next_serial,
            parcel,
            state: State::Queued,
            stamp: None,
            attempts: 0,
            retries: 0,
            refused: (0, 0),
            open: false,
            last_code: 0,
            doom: None,
        }
    }

    /// The compressed copies that wait here. Where no broker can be reached to take them they are dropped
    /// ([`Action::Unprepare`](super::Action::Unprepare)): they would take memory from what goes to others.
    pub(super) fn copies(&self) -> impl Iterator<Item = B> {
        // What was compressed stands in front.
        let compressed = self.queue.iter().take_while(|batch| batch.attempts > 0 || batch.parcel.codec() != 0);
        let waiting = compressed.filter(|batch| batch.state == State::Queued && batch.parcel.codec() != 0);
        waiting.map(|batch| batch.parcel.clone())
    }

    /// Place of a batch in the queue. What is in flight stands near the front.
    pub(super) fn place(&self, serial: u64) -> Option<usize> {
        self.queue.iter().position(|batch| batch.serial == serial)
    }

    /// The batches that have a sequence, in order.
    pub(super) fn stamped(&self) -> impl Iterator<Item = &Batch<B>> {
        self.queue.iter().take_while(|batch| batch.stamp.is_some())
    }

    pub(super) fn stamped_mut(&mut self) -> impl Iterator<Item = &mut Batch<B>> {
        self.queue.iter_mut().take_while(|batch| batch.stamp.is_some())
    }

    /// Has a batch with a sequence that has no fate yet (stamped ones stand in front).
    pub(super) fn has_stamped(&self) -> bool {
        self.queue.front().is_some_and(|batch| batch.stamp.is_some())
    }

    /// When this batch runs out of time: one clock from its opening, whatever happens to it.
    pub(super) fn deadline(batch: &Batch<B>, delivery_timeout: Duration) -> Time {
        let more = if mutant::is(Mutant::DeadlineRestarts) { batch.retries } else { 0 };
        batch.parcel.opened() + delivery_timeout.saturating_mul(1 + more)
    }

    /// When the oldest batch runs out of time.
    pub(super) fn expiry(&self, delivery_timeout: Duration) -> Time {
        let queued = self.queue.iter().find(|batch| batch.doom.is_none());
        let queued = queued.map(|batch| Self::deadline(batch, delivery_timeout));
        let arriving = self.arriving.values().flatten().next().map(|parcel| parcel.opened() + delivery_timeout);
        queued.into_iter().chain(arriving).min().unwrap_or(Time::NEVER)
    }

    /// What could be sent now if the connection were ready.
    pub(super) fn next(&self, identity: &Identity, idempotent: bool, in_flight_max: usize, now: Time) -> Next {
        if self.connection == ConnectionNumber::BOOTSTRAP || self.line.bump.is_some() || self.backoff_until > now {
            return Next::Nothing;
        }
        // Rule 11: nothing to a new leader while something is out to the old one.
        let is_elsewhere = self.flying_on != self.connection;
        let may_go_there = mutant::is(Mutant::NewLeaderAtOnce);
        if self.in_flight > 0 && ((is_elsewhere && !may_go_there) || self.retrying) {
            return Next::Nothing;
        }
        // Rule 10: one until this leader has accepted one.
        let may_pipeline = mutant::is(Mutant::PipelineBeforeAccepted) || (is_elsewhere && may_go_there);
        let room = if idempotent && !self.line.proven && !may_pipeline { 1 } else { in_flight_max };
        if self.in_flight >= room {
            return Next::Nothing;
        }
        match self.line.inquiry {
            Inquiry::None => {}
            Inquiry::Wanted | Inquiry::Asked(_) => return Next::Nothing,
            Inquiry::Proving(_) if self.in_flight > 0 => return Next::Nothing,
            // Whoever was to prove something has ended otherwise: those before it go on as they are.
            Inquiry::Proving(serial) => {
                if let Some(place) = self.place(serial) {
                    return Next::Take(place);
                }
            }
        }
        let waiting = self.queue.iter().enumerate().find(|(_, batch)| batch.state != State::Flying);
        match waiting {
            // Its halves come first.
            Some((_, Batch { state: State::Splitting { .. }, .. })) => Next::Nothing,
            Some((place, _)) if !idempotent => Next::Take(place),
            // Rule 3: a repetition goes alone.
            Some((place, batch)) if batch.stamp.is_some() => {
                if self.in_flight == 0 {
                    Next::Take(place)
                } else {
                    Next::Nothing
                }
            }
            Some((place, _)) if self.may_stamp(identity) => Next::Take(place),
            None if !idempotent || self.may_stamp(identity) => Next::Room,
            _ => Next::Nothing,
        }
    }

    /// Rule 4: no new sequence without an identity, over an unresolved one, or while the old identity's
    /// have not ended.
    fn may_stamp(&self, identity: &Identity) -> bool {
        let is_current = self.line.generation == identity.generation && self.line.identity.is_some();
        identity.current.is_some()
            && !self.line.unresolved
            && (is_current || (self.in_flight == 0 && !self.has_stamped()))
    }
}
