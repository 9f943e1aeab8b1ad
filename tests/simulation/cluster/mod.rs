//! The model cluster: brokers as a producer meets them, in virtual time, from one seed.
//!
//! Written from what Apache Kafka does (its sources and protocol), not from what the engine expects; the truth is in
//! the logs here, whatever the answers say. Nothing here has a clock or an order that the seed does not give.

mod broker;
mod controller;
mod describe;
mod faults;
mod injection;
mod lies;
mod metadata;
mod network;
mod partition;
mod produce;
mod producers;
mod profile;
mod refusals;
mod replica;
mod replication;
mod sniffer;
mod stored;
mod tests;
mod tickets;
mod timers;
mod versions;

use std::collections::BTreeMap;

use kurier::time::Time;

use crate::random::Random;

pub(crate) use faults::{FATAL, Fault, Kind};
pub(crate) use network::Output;
pub(crate) use profile::{NEAR_THE_WRAP, Profile};
pub(crate) use stored::Stored;
pub(crate) use versions::RELEASES;

use broker::Broker;
use controller::Controller;
use network::Connection;
use partition::{Key, Partition};
use refusals::Refusals;
use sniffer::Sniffer;
use tickets::Ticket;
use timers::{Event, Timers};

/// All brokers, their logs, and what is on its way between them.
pub(crate) struct Cluster {
    profile: Profile,
    random: Random,
    now: Time,
    timers: Timers,
    brokers: BTreeMap<i32, Broker>,
    controller: Controller,
    partitions: BTreeMap<Key, Partition>,
    connections: BTreeMap<u64, Connection>,
    /// Connections that a broker lost without a word.
    silenced: BTreeMap<u64, i32>,
    output: Vec<(u64, Output)>,
    tickets: BTreeMap<u64, Ticket>,
    tickets_drawn: u64,
    batches_appended: u64,
    next_producer_id: i64,
    refusals: Refusals,
    sniffer: Sniffer,
    counts: BTreeMap<String, u64>,
}

impl Cluster {
    pub(crate) fn new(profile: Profile, mut random: Random) -> Self {
        let brokers = (1..=profile.brokers as i32).map(|node| (node, Broker::new(node, &profile))).collect();
        let mut cluster = Self {
            sniffer: Sniffer::new(profile.request_bytes_max),
            next_producer_id: 1_000 * random.range(0..=50) as i64,
            profile,
            random,
            now: Time::ZERO,
            timers: Timers::default(),
            brokers,
            controller: Controller::default(),
            partitions: BTreeMap::new(),
            connections: BTreeMap::new(),
            silenced: BTreeMap::new(),
            output: Vec::new(),
            tickets: BTreeMap::new(),
            tickets_drawn: 0,
            batches_appended: 0,
            refusals: Refusals::default(),
            counts: BTreeMap::new(),
        };
        cluster.open();
        cluster
    }

    /// The topics of the profile with their partitions at present; also those that do not exist just now.
    pub(crate) fn topics(&self) -> Vec<(String, i32)> {
        let partitions = |name: &str| self.controller.image.topics.get(name).map(|topic| topic.partitions.len() as i32);
        let topics = self.profile.topics.iter();
        topics.map(|topic| (topic.name.clone(), partitions(&topic.name).unwrap_or(topic.partitions))).collect()
    }

    /// Node, host, port.
    pub(crate) fn addresses(&self) -> Vec<(i32, String, u16)> {
        self.brokers.values().map(|broker| (broker.node, broker.host.clone(), broker.port)).collect()
    }

    pub(crate) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The next moment at which something happens inside.
    pub(crate) fn next(&self) -> Time {
        self.timers.next()
    }

    /// Lets everything happen that is due.
    pub(crate) fn advance(&mut self, now: Time) {
        while let Some((at, event, node)) = self.timers.pop(now) {
            self.now = self.now.max(at);
            if let Some((node, generation)) = node {
                let Some(broker) = self.brokers.get_mut(&node) else { continue };
                if broker.generation != generation || !broker.is_up {
                    continue;
                }
                if broker.is_paused {
                    broker.deferred.push(event);
                    continue;
                }
            }
            self.happen(event);
            self.publish();
        }
        self.now = self.now.max(now);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Process { connection } => self.process(connection),
            Event::Answer { connection, bytes, ends } => self.answer(connection, bytes, ends),
            Event::GiveUp { ticket } => self.give_up(ticket),
            Event::Fetch { key, node } => self.fetch(key, node),
            Event::Watch { key, node, epoch } => self.watch(key, node, epoch),
            Event::Learn { node, image } => self.learn(node, &image),
            Event::Fence { node, generation } => self.fence_if_silent(node, generation),
            Event::Start { node, generation } => self.start(node, generation),
            Event::Resume { node, generation } => self.resume(node, generation),
            Event::Rejoin { node, until } => self.rejoin(node, until),
            Event::Isolate { node, span } => self.isolate(node, span),
            Event::Roll { node, clean, down, release } => self.roll(node, clean, down, release),
            Event::Replace { key, node } => self.replace(key, node),
            Event::Repair { key, node } => self.repair(key, node),
            Event::CreateTopic { name } => self.create_topic(&name),
        }
    }

    /// What brokers sent since the last call, or that they closed the connection.
    pub(crate) fn take_output(&mut self) -> Vec<(u64, Output)> {
        std::mem::take(&mut self.output)
    }

    /// Everything illegal that was seen on the wire, each a sentence (I14, I15).
    pub(crate) fn violations(&self) -> &[String] {
        &self.sniffer.violations
    }

    /// Requests by API, errors answered by code, faults by kind, and what the cluster did.
    pub(crate) fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    fn count(&mut self, name: &str) {
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
        } else {
            self.counts.insert(name.to_owned(), 1);
        }
    }

    fn wall_ms(&self) -> i64 {
        self.profile.wall_ms + (self.now.0 / 1_000_000) as i64
    }
}
