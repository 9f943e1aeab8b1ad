//! What the application's side tells: topics, batches, splits, purge.

use super::fates::Doom;
use super::sending::{Next, State};
use super::{Action, ConnectionNumber, Engine, Level, Parcel, PartitionNumber, TopicNumber};
use crate::code::Code;
use crate::coverage::{Arm, reached};
use crate::mutant::{self, Mutant};
use crate::time::Time;

impl<B: Parcel> Engine<B> {
    /// A topic is wanted: the brokers are asked at once (KIP-526: only for topics in use).
    pub fn add_topic(&mut self, topic: TopicNumber, name: &str, now: Time) {
        self.cluster.add(topic, name, now);
        self.wake(ConnectionNumber::BOOTSTRAP);
    }

    /// Somebody waits for the topic's partitions: keeps it in use, and asks again if it had fallen asleep.
    pub fn touch_topic(&mut self, topic: TopicNumber, now: Time) {
        let due = self.cluster.due();
        self.cluster.touch(topic, now);
        if self.cluster.due() < due {
            self.wake(ConnectionNumber::BOOTSTRAP);
        }
    }

    /// A closed batch. Those of a partition are numbered 0, 1, 2 …; they may come out of order, and a batch
    /// waits for the batches or gaps before it.
    pub fn handle_batch(&mut self, number: PartitionNumber, batch: u64, parcel: B, now: Time) {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else {
            return self.refuse(number, parcel, Doom { code: Code::INTERNAL, broker_code: 0 });
        };
        if batch < partition.expected || partition.arriving.contains_key(&batch) {
            let line = format!("{}: batch {batch} was handed in twice", self.name(number));
            self.log(Level::Error, line);
            return self.refuse(number, parcel, Doom { code: Code::INTERNAL, broker_code: 0 });
        }
        if let Some(fatal) = &self.fatal {
            let doom = Doom { code: fatal.code, broker_code: fatal.broker_code };
            partition.arrive(batch, None);
            return self.refuse(number, parcel, doom);
        }
        partition.arrive(batch, Some(parcel));
        partition.is_offered = false;
        let (topic, is_leaderless) = (partition.topic, partition.connection == ConnectionNumber::BOOTSTRAP);
        self.touch_topic(topic, now);
        if is_leaderless {
            self.refresh(topic, now);
        }
        self.settle(number, now);
    }

    /// This number never comes.
    pub fn handle_gap(&mut self, number: PartitionNumber, batch: u64, now: Time) {
        if let Some(partition) = self.partitions.get_mut(number.0 as usize) {
            partition.arrive(batch, None);
            // What was offered may be gone with it. Who still has a batch to offer asks again.
            partition.is_offered = false;
            self.settle(number, now);
        }
    }

    /// Would a batch handed in now go out at once? If not, the lingered batch may go on filling: the engine
    /// remembers the offer, connects if need be, and names the partition in [`Engine::poll_offered`] when the
    /// answer has become yes. (The batch still has to be handed in before its delivery timeout.)
    pub fn may_take(&mut self, number: PartitionNumber, now: Time) -> bool {
        let goes = self.would_take(number, now);
        let Some(partition) = self.partitions.get_mut(number.0 as usize).filter(|_| self.fatal.is_none()) else {
            return true;
        };
        let topic = partition.topic;
        partition.is_offered = !goes;
        let (is_offered, is_leaderless) = (partition.is_offered, partition.connection == ConnectionNumber::BOOTSTRAP);
        self.touch_topic(topic, now);
        if is_leaderless {
            self.refresh(topic, now);
        }
        self.track(number, now);
        !is_offered
    }

    /// The same answer, and nothing is remembered: for a batch that need not go yet.
    #[must_use]
    pub fn would_take(&self, number: PartitionNumber, now: Time) -> bool {
        let Some(partition) = self.partitions.get(number.0 as usize).filter(|_| self.fatal.is_none()) else {
            return true;
        };
        let connection = self.connections.get(partition.connection.0 as usize);
        let is_open = connection.is_some_and(|connection| {
            connection.is_open(now) && connection.in_flight.len() < self.config.in_flight_max.max(1)
        });
        let (idempotent, in_flight_max) = (self.config.is_idempotent(), self.config.partition_in_flight_max());
        is_open
            && partition.arriving.is_empty()
            && partition.next(&self.identity, idempotent, in_flight_max, now) == Next::Room
    }

    /// A partition of this connection whose offered batch would go out now; ask until `None`.
    pub fn poll_offered(&mut self, connection: ConnectionNumber, now: Time) -> Option<PartitionNumber> {
        let connection = self.connections.get_mut(connection.0 as usize)?;
        if !connection.is_open(now) || connection.in_flight.len() >= self.config.in_flight_max.max(1) {
            return None;
        }
        if mutant::is(Mutant::OfferForgotten) {
            connection.offered.clear();
        }
        let number = connection.offered.pop_first()?;
        if let Some(partition) = self.partitions.get_mut(number.0 as usize) {
            partition.is_offered = false;
        }
        self.track(number, now);
        Some(number)
    }

    /// The two halves of the batch that [`Action::Split`] named: they inherit its sequences, its place and
    /// what is known about it (rule 13).
    pub fn handle_split(&mut self, number: PartitionNumber, first: B, second: B, now: Time) {
        let Some(place) = self.splitting(number) else {
            self.actions.push_back(Action::Released(first));
            return self.actions.push_back(Action::Released(second));
        };
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        let (mut head, mut tail) = (partition.batch(first), partition.batch(second));
        let Some(parent) = partition.queue.remove(place) else { return };
        for half in [&mut head, &mut tail] {
            half.attempts = parent.attempts;
            half.retries = parent.retries;
            half.refused = parent.refused;
            half.open = parent.open;
            half.last_code = parent.last_code;
            half.stamp = parent.stamp;
        }
        if let Some(stamp) = &mut tail.stamp {
            stamp.first = super::identity::sequence_add(stamp.first, head.parcel.records());
        }
        if mutant::is(Mutant::SplitSwaps) {
            std::mem::swap(&mut head, &mut tail);
        }
        if !mutant::is(Mutant::SplitLosesTail) {
            partition.queue.insert(place, tail);
        }
        partition.queue.insert(place, head);
        self.actions.push_back(Action::Released(parent.parcel));
        reached(if parent.doom.is_some() { Arm::HalvesDoomed } else { Arm::Halves });
        if let Some(doom) = parent.doom {
            self.fail(number, place, doom, Vec::new());
            self.fail(number, place, doom, Vec::new());
        }
        self.settle(number, now);
    }

    /// The batch that [`Action::Split`] named cannot be split: it fails.
    pub fn handle_split_failed(&mut self, number: PartitionNumber, now: Time) {
        let Some(place) = self.splitting(number) else { return };
        let batch = self.partitions.get_mut(number.0 as usize).and_then(|partition| partition.queue.get_mut(place));
        if let Some(batch) = batch {
            reached(if batch.doom.is_some() { Arm::HalvesFailedDoomed } else { Arm::HalvesFailed });
            batch.state = State::Queued;
            let doom = batch.doom.unwrap_or(Doom { code: Code::RECORD_TOO_LARGE, broker_code: 10 });
            self.fail(number, place, doom, Vec::new());
        }
        self.settle(number, now);
    }

    /// Place of the batch that is being split.
    fn splitting(&self, number: PartitionNumber) -> Option<usize> {
        let partition = self.partitions.get(number.0 as usize)?;
        partition.queue.iter().position(|batch| batch.state == (State::Splitting { asked: true }))
    }

    /// Gives up what waits (`queued`) or what a request holds (`in_flight`). How many records.
    /// The fate of a batch that is just being split follows when its halves arrive.
    pub fn purge(&mut self, queued: bool, in_flight: bool, now: Time) -> usize {
        let mut records = 0;
        for number in self.all_partitions() {
            let Some(partition) = self.partitions.get(number.0 as usize) else { continue };
            if partition.queue.is_empty() && partition.arriving.is_empty() {
                continue;
            }
            let doom = Doom { code: Code::PURGED, broker_code: 0 };
            records +=
                self.fail_where(
                    number,
                    queued,
                    doom,
                    |batch| {
                        if batch.state == State::Flying { in_flight } else { queued }
                    },
                );
            self.settle(number, now);
        }
        records
    }
}
