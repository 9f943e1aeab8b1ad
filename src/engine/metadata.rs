//! Metadata and producer ids: asking for them, and what their answers change.

use std::collections::BTreeMap;

use super::backoff::backoff;
use super::cluster::{self, Address};
use super::connection::Link;
use super::identity::ProducerIdentity;
use super::inquiry::Inquiry;
use super::sending::Partition;
use super::verdict::is_identity_retriable;
use super::{Action, ConnectionNumber, Engine, Level, Parcel, PartitionNumber, TopicNumber};
use crate::code::{Code, Error};
use crate::coverage::{Arm, reached};
use crate::protocol::messages::init_producer_id::InitProducerIdResponse;
use crate::protocol::messages::metadata::{MetadataPartition, MetadataResponse, MetadataTopic};
use crate::protocol::messages::produce::NodeEndpoint;
use crate::time::Time;

/// Partitions of all topics together.
const PARTITIONS_MAX: usize = 1_000_000;
/// A topic's answer may leave out this many partitions in a row; what comes behind a larger hole is ignored.
const HOLE_MAX: usize = 1_024;
/// While batches wait for a leader that is none or cannot be reached, its topic is asked for so many times without a
/// growing backoff: a failover may take seconds, and its end is to be noticed in less than one.
const FAILOVER_ASKS: u32 = 200;
/// So many answers in a row are not all from brokers that have not heard yet.
const OLDER_ANSWERS_MAX: u32 = 5;
/// `REBOOTSTRAP_REQUIRED` (KIP-1102).
const REBOOTSTRAP_REQUIRED: i16 = 129;

impl<B: Parcel> Engine<B> {
    /// An answer about the topics that were asked for. An error: the connection has to be closed.
    pub(super) fn handle_metadata(
        &mut self,
        version: i16,
        asked: &[TopicNumber],
        response: &MetadataResponse,
        now: Time,
    ) -> Result<(), Error> {
        if response.error_code == REBOOTSTRAP_REQUIRED {
            return self.handle_rebootstrap_required(asked, now);
        }
        self.unreachable = None;
        self.cluster.is_asking = false;
        if self.cluster.learn_brokers(&response.brokers) {
            let start = usize::try_from(self.random.next() >> 1).unwrap_or(0);
            self.cluster.route.handle_answer(start);
        }
        let mut answers: BTreeMap<TopicNumber, &MetadataTopic> = BTreeMap::new();
        for topic in &response.topics {
            let number = topic.name.as_deref().and_then(|name| self.cluster.names.get(name));
            if let Some(number) = number {
                answers.entry(*number).or_insert(topic);
            }
        }
        for number in asked {
            let answer = answers.get(number).copied();
            self.learn_topic(version, *number, answer, now);
        }
        self.wake(ConnectionNumber::BOOTSTRAP);
        Ok(())
    }

    /// Error 129 (KIP-1102). An error: the connection has to be closed.
    fn handle_rebootstrap_required(&mut self, asked: &[TopicNumber], now: Time) -> Result<(), Error> {
        let number = ConnectionNumber::BOOTSTRAP;
        if self.config.rebootstrap_after.is_none() {
            // As in Java: an answer with nothing in it, and these brokers are asked again.
            let topics = asked.iter().filter_map(|number| self.cluster.topics.get(number));
            let failures = topics.map(|topic| topic.failures).max().unwrap_or(0).saturating_add(1);
            for number in asked {
                if let Some(topic) = self.cluster.topics.get_mut(number) {
                    topic.failures = failures;
                }
            }
            let due = now + backoff(self.config.retry_backoff, failures, &mut self.random);
            self.cluster.unask(asked, due);
            self.wake(number);
            return Ok(());
        }
        self.cluster.unask(asked, now);
        self.cluster.brokers.clear();
        if let Some(connection) = self.connections.get_mut(number.0 as usize) {
            // The backoff law holds for brokers that say nothing else, too.
            connection.is_useful = false;
            connection.failures = self.cluster.route.rebootstraps;
        }
        self.rebootstrap("a broker asks for it");
        Err(Error::new(Code::UNREACHABLE, "the broker asks to begin at the bootstrap addresses again"))
    }

    /// One topic's answer; `None`: it was left out, which is treated as an unknown topic.
    fn learn_topic(&mut self, version: i16, number: TopicNumber, answer: Option<&MetadataTopic>, now: Time) {
        let code = answer.map_or(3, |answer| answer.error_code);
        let is_incomplete = match answer {
            Some(answer) if code == 0 => self.learn_partitions(version, number, answer, now),
            _ => true,
        };
        let Some(topic) = self.cluster.topics.get_mut(&number) else { return };
        let error = (code != 0).then(|| cluster::topic_error(&topic.name, code));
        // Topics without ids: one that was unknown in between may be another one now, with epochs from 0.
        let is_gone = code == 3 && topic.id == [0; 16];
        // A refusal is told each time: who asks after it was told to others waits for what is said now.
        let is_news = error != topic.error || error.as_ref().is_some_and(|error| !error.retriable);
        topic.error.clone_from(&error);
        topic.is_asked = false;
        topic.answered = Some(now);
        topic.failures = if is_incomplete { topic.failures.saturating_add(1) } else { 0 };
        let (failures, is_stale, has_none) = (topic.failures, topic.is_stale, topic.partitions.is_empty());
        topic.is_stale = false;
        let partitions = topic.partitions.clone();
        if is_gone {
            for partition in &partitions {
                if let Some(partition) = self.partitions.get_mut(partition.0 as usize) {
                    partition.leader_epoch = -1;
                }
            }
        }
        // What lasts is told after every answer: who waits now has not heard the one before.
        let tells = |error: &Error| if error.retriable { is_news && has_none } else { is_news || has_none };
        if let Some(error) = error.filter(tells) {
            self.actions.push_back(Action::TopicError(number, error));
        }
        let waits = if has_none || failures > FAILOVER_ASKS { failures } else { failures.min(1) };
        let soon = backoff(self.config.retry_backoff, waits, &mut self.random);
        if is_incomplete || is_stale {
            self.cluster.schedule(number, now + soon, true);
        } else {
            self.cluster.schedule(number, now + self.config.metadata_age_max, false);
        }
    }

    /// The partitions of a topic. True: something is missing that somebody waits for.
    fn learn_partitions(&mut self, version: i16, number: TopicNumber, answer: &MetadataTopic, now: Time) -> bool {
        let mut by_index: BTreeMap<usize, &MetadataPartition> = BTreeMap::new();
        for partition in &answer.partitions {
            if let Ok(index) = usize::try_from(partition.partition_index) {
                by_index.entry(index).or_insert(partition);
            }
        }
        let mut count = 0;
        for index in by_index.keys() {
            if *index - count > HOLE_MAX {
                self.log(Level::Error, "a topic's partitions have holes: those behind them are ignored".into());
                break;
            }
            count = index + 1;
        }
        self.grow(number, count);
        let Some(topic) = self.cluster.topics.get_mut(&number) else { return true };
        let is_recreated = topic.id != [0; 16] && answer.topic_id != [0; 16] && topic.id != answer.topic_id;
        if answer.topic_id != [0; 16] {
            topic.id = answer.topic_id;
        }
        let partitions = topic.partitions.clone();
        let mut is_incomplete = partitions.is_empty();
        for (index, number) in partitions.iter().enumerate() {
            let (leader, epoch, code) = match by_index.get(&index) {
                // Epochs are only to be trusted from version 9 (KAFKA-9261: older brokers mix them up).
                Some(found) => (found.leader_id, if version >= 9 { found.leader_epoch } else { -1 }, found.error_code),
                None => (-1, -1, 3),
            };
            let Some(partition) = self.partitions.get_mut(number.0 as usize) else { continue };
            if is_recreated {
                reached(Arm::TopicAnew);
                partition.leader_epoch = -1;
                partition.line.proven = false;
                partition.line.is_torn = true;
            }
            self.learn_leader(*number, leader, epoch, code, now);
            is_incomplete |= self.partitions.get(number.0 as usize).is_some_and(|partition| {
                let has_none = partition.connection == ConnectionNumber::BOOTSTRAP;
                let leader = self.connections.get(partition.connection.0 as usize);
                // The cluster may name a dead leader for seconds, and another one at any moment.
                let is_missed = leader.is_some_and(|leader| leader.failures > 0 && leader.link != Link::Ready);
                has_none && !partition.has_been_led || (has_none || is_missed) && partition.is_busy
            });
        }
        is_incomplete
    }

    /// Gives the topic `count` partitions; there are never fewer than before.
    fn grow(&mut self, number: TopicNumber, count: usize) {
        let Some(topic) = self.cluster.topics.get_mut(&number) else { return };
        if count <= topic.partitions.len() {
            return;
        }
        if self.partitions.len() + (count - topic.partitions.len()) > PARTITIONS_MAX {
            let line = format!("topic {}: more than {PARTITIONS_MAX} partitions in all", topic.name);
            topic.error = Some(Error::new(Code::UNSUPPORTED, line.clone()));
            return self.log(Level::Error, line);
        }
        for index in topic.partitions.len()..count {
            let partition = PartitionNumber(u32::try_from(self.partitions.len()).unwrap_or(u32::MAX));
            self.partitions.push(Partition::new(number, i32::try_from(index).unwrap_or(i32::MAX)));
            topic.partitions.push(partition);
        }
        let partitions = topic.partitions.clone();
        self.actions.push_back(Action::Partitions(number, partitions));
    }

    /// A leader and its epoch from metadata. Older than what is known: ignored, unless it is all that is heard any
    /// more: then the topic was made anew, by brokers that give topics no ids, and its epochs begin at 0 again.
    fn learn_leader(&mut self, number: PartitionNumber, leader: i32, epoch: i32, code: i16, now: Time) {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        let has_id = self.cluster.topics.get(&partition.topic).is_some_and(|topic| topic.id != [0; 16]);
        if epoch >= 0 && epoch < partition.leader_epoch && (has_id || partition.older_answers < OLDER_ANSWERS_MAX) {
            reached(Arm::LeaderOlder);
            partition.older_answers = partition.older_answers.saturating_add(1);
            return;
        }
        if epoch >= 0 && epoch < partition.leader_epoch {
            reached(Arm::LeaderOlderBelieved);
        }
        partition.older_answers = 0;
        partition.trouble = if code == 0 { 5 } else { code };
        let leader = if leader >= 0 && self.cluster.brokers.contains_key(&leader) { leader } else { -1 };
        self.lead(number, leader, epoch, now);
    }

    /// KIP-951: a produce answer told who leads now. Only a newer epoch counts.
    pub(super) fn learn_current_leader(
        &mut self,
        number: PartitionNumber,
        (leader, epoch): (i32, i32),
        endpoints: &[NodeEndpoint],
        now: Time,
    ) {
        let known = self.partitions.get(number.0 as usize).map_or(i32::MAX, |partition| partition.leader_epoch);
        if leader < 0 || epoch < 0 || epoch <= known {
            return;
        }
        let endpoint = endpoints.iter().find(|endpoint| endpoint.node_id == leader);
        if let Some(address) = endpoint.and_then(|endpoint| Address::checked(&endpoint.host, endpoint.port)) {
            self.cluster.brokers.insert(leader, address);
        }
        if self.cluster.brokers.contains_key(&leader) {
            reached(Arm::LeaderTold);
            self.lead(number, leader, epoch, now);
        }
    }

    /// Puts a partition under a leader (-1: none).
    fn lead(&mut self, number: PartitionNumber, leader: i32, epoch: i32, now: Time) {
        let connection = self.connection_of(leader);
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        let is_same = partition.leader == leader && partition.connection == connection;
        let is_reelected = epoch > partition.leader_epoch;
        partition.leader_epoch = epoch;
        if !is_same || is_reelected {
            partition.leaders = partition.leaders.wrapping_add(1);
            // What the old leader told, or was asked, says nothing about this one.
            partition.line.inquiry = match partition.line.inquiry {
                Inquiry::Asked(_) => Inquiry::Wanted,
                Inquiry::Proving(_) if partition.in_flight == 0 => Inquiry::None,
                inquiry => inquiry,
            };
        }
        if is_same {
            if is_reelected {
                reached(Arm::LeaderAgain);
                partition.line.proven = false;
                partition.backoff_until = Time::ZERO;
                self.settle(number, now);
            }
            return;
        }
        let is_missed = partition.is_busy && partition.has_been_led;
        partition.leader = leader;
        partition.has_been_led |= leader >= 0;
        partition.line.proven = false;
        partition.backoff_until = Time::ZERO;
        if partition.connection != connection {
            if let Some(old) = self.connections.get_mut(partition.connection.0 as usize) {
                if let Some(place) = partition.ready_place.take() {
                    old.ready.remove(&place);
                }
                old.timers.set(number.0, Time::NEVER);
                old.offered.remove(&number);
                old.asking.remove(&number);
                if partition.is_busy {
                    old.busy = old.busy.saturating_sub(1);
                }
            }
            partition.is_busy = false;
            partition.connection = connection;
            self.actions.push_back(Action::Leader(number, connection));
            if connection == ConnectionNumber::BOOTSTRAP {
                self.actions.extend(partition.copies().map(Action::Unprepare));
            }
        }
        if is_missed {
            let line = format!("{} is led by broker {leader} (epoch {epoch})", self.name(number));
            self.log(Level::Debug, line);
        }
        self.settle(number, now);
    }

    /// The answer to `InitProducerId`.
    pub(super) fn handle_identity(&mut self, response: &InitProducerIdResponse, now: Time) -> Result<(), Error> {
        self.identity.asking = false;
        let code = response.error_code;
        if code != 0 && is_identity_retriable(code) {
            reached(Arm::IdentityRetry);
            self.identity.failures = self.identity.failures.saturating_add(1);
            let wait = backoff(self.config.retry_backoff, self.identity.failures, &mut self.random);
            self.identity.not_before = now + wait;
            return Ok(());
        }
        if code != 0 {
            reached(Arm::IdentityRefused);
            self.end(code, "the brokers give no producer id, which idempotence needs", now);
            return Ok(());
        }
        if response.producer_id < 0 || response.producer_epoch < 0 {
            reached(Arm::IdentityInvalid);
            return Err(Error::new(Code::UNREACHABLE, "the broker sent a producer id that is none"));
        }
        let identity = ProducerIdentity { id: response.producer_id, epoch: response.producer_epoch };
        reached(Arm::IdentityGiven);
        self.identity.adopt(identity, self.config.first_sequence.max(0));
        for number in self.all_partitions() {
            if self.partitions.get(number.0 as usize).is_some_and(|partition| partition.is_busy) {
                self.settle(number, now);
            }
        }
        Ok(())
    }
}
