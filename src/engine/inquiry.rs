//! Asking the leader what it has of a partition's batches (`DescribeProducers`), before anything is sent twice.
//!
//! A broker finds a repeated batch among the last five of its producer, after a restart only the last one: then
//! the others get `OUT_OF_ORDER_SEQUENCE_NUMBER` although they are in the log. Who bumps the epoch and sends them
//! again, as the Java producer does, writes them twice. So the leader is asked for the last sequence that it has:
//!
//! | it has                                      | then                                                         |
//! |---------------------------------------------|--------------------------------------------------------------|
//! | the last sequence of one of our batches     | that batch is sent again, which *proves* it and those before |
//! | the sequence before our first batch         | nothing was written: sent again as it was                    |
//! | something lower, and all after it was refused | nothing of it can be written any more: a new epoch          |
//! | anything else                               | unknown outcome for what is open, and a new epoch            |
//!
//! Its word alone is no proof: a leader that has lost its office and does not know it, or whose replicas lag,
//! tells sequences that may still vanish. The repeated last batch is found in its memory whatever happened, and
//! the answer waits for the replicas as every answer with `acks=all` does; what stands before it in the log is
//! as safe as it is.

use super::backoff::backoff;
use super::connection::{Ask, Inquired};
use super::fates::Written;
use super::identity::{sequence_after, sequence_is_later};
use super::sending::State;
use super::verdict::{Verdict, verdict};
use super::{ConnectionNumber, Engine, Level, Parcel, PartitionNumber, Transmit};
use crate::code::{Code, Error};
use crate::coverage::{Arm, reached};
use crate::mutant::{self, Mutant};
use crate::protocol::messages::ApiKey;
use crate::protocol::messages::describe_producers::{
    DescribeProducersPartitionResponse, DescribeProducersRequest, DescribeProducersResponse, DescribeProducersTopic,
};
use crate::time::Time;

/// Partitions in one question: a busy one can have thousands of producers, all of which are answered.
const PARTITIONS_MAX: usize = 100;

/// A log that seems to have lost acknowledged records is asked for so often before that is believed.
const INQUIRIES_MIN: u32 = 3;

/// A leader that tells one thing and does another so often is not asked any more.
const CONTRADICTIONS_MAX: u32 = 3;

/// How far a partition is with its question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Inquiry {
    /// There is none.
    #[default]
    None,
    /// The leader is to be asked.
    Wanted,
    /// It was asked over this connection.
    Asked(ConnectionNumber),
    /// The batch with this serial is the last one that the leader has. It is sent again: its success is the
    /// proof that it and all before it are replicated.
    Proving(u64),
}

/// What a leader has of a line of sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// This sequence is the last one; `None`: nothing under this epoch.
    Last(Option<i32>),
    /// Somebody uses our producer id under a later epoch.
    Foreign,
}

impl<B: Parcel> Engine<B> {
    /// Is there something to learn from the leader that decides what may be done about the partition?
    pub(super) fn is_worth_asking(&self, number: PartitionNumber) -> bool {
        let Some(partition) = self.partitions.get(number.0 as usize) else { return false };
        let line = &partition.line;
        if line.is_torn {
            reached(Arm::ResolveTorn);
            return false;
        }
        if line.contradictions >= CONTRADICTIONS_MAX {
            reached(Arm::ResolveContradicted);
            return false;
        }
        if !line.unresolved && !partition.stamped().any(|batch| batch.open) {
            reached(Arm::ResolveNothingOpen);
            return false;
        }
        line.identity.is_some() && !mutant::is(Mutant::BumpBeforeAsking)
    }

    /// Batches with an open end that were overtaken: one behind them is acknowledged. A broker appends in order only,
    /// so they are in the log, and as safe as that one. True: there were some, and the first that is left goes next.
    pub(super) fn deliver_overtaken(&mut self, number: PartitionNumber) -> bool {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return false };
        let Some(acked) = partition.line.acked.filter(|_| !partition.line.is_torn) else { return false };
        let overtaken = |last: i32| last == acked || sequence_is_later(acked, last);
        let stamped =
            partition.stamped().take_while(|batch| batch.open && batch.last_sequence().is_some_and(overtaken));
        let count = stamped.count();
        if count > 0 {
            reached(Arm::ResolveOvertaken);
            partition.line.bump = None;
            partition.backoff_until = Time::ZERO;
            (0..count).for_each(|_| self.deliver(number, 0, Some(Written::SOMEWHERE)));
        }
        count > 0
    }

    /// Nothing of the partition is on the wire: the next thing is the question.
    pub(super) fn want_to_ask(&mut self, number: PartitionNumber) {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        partition.line.inquiry = Inquiry::Wanted;
        if partition.line.inquiries == 0 {
            // The backoff was meant for sending the batch again. A second question waits as any repetition does.
            partition.backoff_until = Time::ZERO;
        }
    }

    /// The question about the partitions of this connection that have one.
    pub(super) fn ask_producers(&mut self, number: ConnectionNumber, now: Time) -> Option<Transmit<B>> {
        let connection = self.connections.get(number.0 as usize)?;
        let asking: Vec<PartitionNumber> = connection.asking.iter().copied().take(PARTITIONS_MAX).collect();
        if asking.is_empty() {
            return None;
        }
        if connection.version(ApiKey::DescribeProducers).is_none() {
            // Before Kafka 2.8 nobody answers that.
            for partition in asking {
                reached(Arm::AskUnsupported);
                self.give_up_asking(partition, 35, now);
            }
            return None;
        }
        let mut asked: Vec<Inquired> = asking.iter().filter_map(|number| self.inquired(*number)).collect();
        asked.sort_unstable_by_key(|one| (one.topic, one.index));
        let topics = asked.chunk_by(|one, other| one.topic == other.topic).filter_map(|group| {
            let topic = self.cluster.topics.get(&group.first()?.topic)?;
            let partition_indexes = group.iter().map(|one| one.index).collect();
            Some(DescribeProducersTopic { name: topic.name.clone(), partition_indexes })
        });
        let body = DescribeProducersRequest { topics: topics.collect() };
        for partition in &asking {
            if let Some(partition) = self.partitions.get_mut(partition.0 as usize) {
                partition.line.inquiry = Inquiry::Asked(number);
                partition.line.inquiries = partition.line.inquiries.saturating_add(1);
            }
            self.track(*partition, now);
        }
        let ask = Ask::Producers { asked };
        let deadline = now + self.config.request_timeout;
        self.request(number, ask, deadline, now, |version, writer| body.encode(version, writer))
    }

    fn inquired(&self, number: PartitionNumber) -> Option<Inquired> {
        let partition = self.partitions.get(number.0 as usize)?;
        let identity = partition.line.identity?;
        Some(Inquired { partition: number, topic: partition.topic, index: partition.index, identity })
    }

    /// The leader's answer, partition by partition.
    pub(super) fn handle_producers(
        &mut self,
        from: ConnectionNumber,
        asked: &[Inquired],
        response: &DescribeProducersResponse,
        now: Time,
    ) -> Result<(), Error> {
        let mut omitted = 0;
        for one in asked {
            let name = self.cluster.topics.get(&one.topic).map(|topic| topic.name.as_str());
            let topic = response.topics.iter().find(|topic| Some(topic.name.as_str()) == name);
            let answer = topic
                .into_iter()
                .flat_map(|topic| &topic.partitions)
                .find(|partition| partition.partition_index == one.index);
            if self.is_asked(one, from) {
                match answer {
                    Some(answer) if answer.error_code == 0 => self.decide(one, answer, now),
                    Some(answer) => self.handle_not_told(one.partition, answer.error_code, now),
                    None => {
                        reached(Arm::AskOmitted);
                        omitted += 1;
                        self.ask_again(one.partition, now);
                    }
                }
            } else {
                reached(Arm::AskStale);
            }
        }
        if omitted > 0 {
            let message = format!("the broker's answer about producers leaves out {omitted} partitions");
            return Err(Error::new(Code::UNREACHABLE, message));
        }
        Ok(())
    }

    /// The connection is gone before the answer came.
    pub(super) fn handle_not_answered(&mut self, from: ConnectionNumber, asked: &[Inquired], now: Time) {
        for one in asked {
            if self.is_asked(one, from) {
                reached(Arm::AskUnanswered);
                self.ask_again(one.partition, now);
            }
        }
    }

    /// Is the question still open? Its partition may have moved, or have got another epoch.
    fn is_asked(&self, one: &Inquired, from: ConnectionNumber) -> bool {
        self.partitions.get(one.partition.0 as usize).is_some_and(|partition| {
            partition.line.inquiry == Inquiry::Asked(from)
                && partition.connection == from
                && partition.line.identity == Some(one.identity)
        })
    }

    /// The leader did not tell.
    fn handle_not_told(&mut self, number: PartitionNumber, code: i16, now: Time) {
        match verdict(code, true) {
            Verdict::Retry { .. } => {
                reached(Arm::AskRefusedOnce);
                self.ask_again(number, now);
            }
            // 29: reading is not allowed (DescribeProducers needs READ); the others make as little sense.
            _ => {
                reached(Arm::AskRefused);
                self.give_up_asking(number, code, now);
            }
        }
    }

    /// Asks again after a while, if somebody's outcome depends on it; else a new epoch is as good.
    fn ask_again(&mut self, number: PartitionNumber, now: Time) {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        if !partition.stamped().any(|batch| batch.open) {
            reached(Arm::AskNoMore);
            return self.give_up_asking(number, 0, now);
        }
        reached(Arm::AskAgain);
        partition.line.inquiry = Inquiry::Wanted;
        let wait = backoff(self.config.retry_backoff, partition.line.inquiries, &mut self.random);
        partition.backoff_until = partition.backoff_until.max(now + wait);
        let topic = partition.topic;
        self.refresh(topic, now);
        self.settle(number, now);
    }

    /// Nobody tells: what is open stays unknown, and the partition goes on under a new epoch.
    fn give_up_asking(&mut self, number: PartitionNumber, code: i16, now: Time) {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        partition.line.inquiry = Inquiry::None;
        let reason = partition.line.bump.filter(|reason| *reason != 0).unwrap_or(code);
        self.bump(number, reason);
        self.settle(number, now);
    }

    /// What the leader has decides; see the table at the top.
    fn decide(&mut self, one: &Inquired, answer: &DescribeProducersPartitionResponse, now: Time) {
        let number = one.partition;
        let ours = answer.active_producers.iter().find(|producer| producer.producer_id == one.identity.id);
        let position = match ours {
            None => Position::Last(None),
            Some(found) if found.producer_epoch > i32::from(one.identity.epoch) => Position::Foreign,
            Some(found) if found.producer_epoch < i32::from(one.identity.epoch) => Position::Last(None),
            Some(found) => Position::Last((found.last_sequence >= 0).then_some(found.last_sequence)),
        };
        reached(match (position, ours) {
            (Position::Foreign, _) => Arm::HasLaterEpoch,
            (Position::Last(Some(_)), _) => Arm::HasLast,
            (_, Some(_)) => Arm::HasOlderEpoch,
            (_, None) => Arm::HasNone,
        });
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        partition.line.inquiry = Inquiry::None;
        let Position::Last(last) = position else {
            self.identity.abandon();
            let reason = partition.line.bump.unwrap_or(0);
            self.bump(number, reason);
            return self.settle(number, now);
        };
        let next = sequence_after(last);
        if partition.line.lost(last).is_some() && partition.line.inquiries < INQUIRIES_MIN {
            reached(Arm::HasLostPerhaps);
            // More likely this broker is a follower by now, and lags: it answers all the same.
            return self.ask_again(number, now);
        }
        let proof = partition.stamped().position(|batch| batch.last_sequence().is_some_and(|end| Some(end) == last));
        let first = partition.stamped().next().and_then(|batch| batch.stamp).map(|stamp| stamp.first);
        if let Some(place) = proof {
            reached(Arm::HasOurs);
            self.prove(number, place);
        } else if first == Some(next) {
            reached(Arm::HasNoneOfOurs);
            // Not written when it was asked. Under the same sequence a copy that is still on its way does no harm.
            partition.line.bump = None;
        } else if first.is_none() && next == partition.line.next {
            reached(Arm::HasAll);
            partition.line.acked = last;
            partition.line.unresolved = false;
            partition.line.bump = None;
        } else {
            self.go_on_after_gap(number, last);
        }
        if let Some(partition) = self.partitions.get_mut(number.0 as usize) {
            // It is known now what is to be done; no reason to wait for it.
            partition.backoff_until = partition.backoff_until.min(now);
        }
        self.settle(number, now);
    }

    /// The batch at `place` is the last one in the log.
    fn prove(&mut self, number: PartitionNumber, place: usize) {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        if mutant::is(Mutant::ResendAfterWritten) {
            partition.queue.iter_mut().for_each(|batch| batch.open = false);
            return self.bump(number, 45);
        }
        if mutant::is(Mutant::WrittenWithoutProof) {
            partition.line.bump = None;
            partition.line.acked = partition.queue.get(place).and_then(super::sending::Batch::last_sequence);
            return (0..=place).for_each(|_| self.deliver(number, 0, Some(Written::SOMEWHERE)));
        }
        if let Some(batch) = partition.queue.get(place) {
            partition.line.bump = None;
            partition.line.inquiry = Inquiry::Proving(batch.serial);
        }
    }

    /// A request with this batch has ended. True: it was the one that was to prove something, and that is over now.
    pub(super) fn end_proof(&mut self, number: PartitionNumber, serial: u64) -> bool {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return false };
        let is_proof = partition.line.inquiry == Inquiry::Proving(serial);
        if is_proof {
            partition.line.inquiry = Inquiry::None;
        }
        is_proof
    }

    /// The proof came: everything before this place is in the log, too, and has its fate now. False: its offset says
    /// that they cannot be there.
    pub(super) fn handle_proof(&mut self, number: PartitionNumber, place: usize) -> bool {
        let Some(partition) = self.partitions.get(number.0 as usize) else { return false };
        if partition.line.is_torn {
            reached(Arm::ProofTorn);
            return false;
        }
        reached(Arm::Proof);
        (0..place).for_each(|_| self.deliver(number, 0, Some(Written::SOMEWHERE)));
        true
    }

    /// What the leader has ends before our first batch.
    fn go_on_after_gap(&mut self, number: PartitionNumber, last: Option<i32>) {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        let line = &partition.line;
        let reason = line.bump.unwrap_or(0);
        let first = partition.stamped().next().and_then(|batch| batch.stamp).map_or(line.next, |stamp| stamp.first);
        let is_behind = last.is_none_or(|last| sequence_is_later(first, last));
        if line.acked == last && is_behind && !line.unresolved {
            reached(Arm::HasGapRefused);
            // All between was refused for good, so that nobody fills the gap, and a copy that is still on its way
            // is refused, too: what is open is not written.
            partition.stamped_mut().for_each(|batch| batch.open = false);
        } else if let Some(acked) = line.lost(last) {
            reached(Arm::HasLost);
            let last = last.map_or_else(|| "none".into(), |last| last.to_string());
            let name = self.name(number);
            let line = format!("{name}: the log lost acknowledged records: its last sequence is {last}, not {acked}");
            self.log(Level::Error, line);
        } else {
            reached(Arm::HasGap);
        }
        self.bump(number, reason);
    }

    /// Is one of its batches being split? Its halves come first.
    pub(super) fn is_splitting(&self, number: PartitionNumber) -> bool {
        let partition = self.partitions.get(number.0 as usize);
        partition
            .is_some_and(|partition| partition.stamped().any(|batch| matches!(batch.state, State::Splitting { .. })))
    }
}
