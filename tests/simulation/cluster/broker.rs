//! A broker's life: up, down, stopped for a while, cut off; and the roles that it takes.

use std::rc::Rc;
use std::time::Duration;

use kurier::protocol::broker_code as code;
use kurier::time::Time;

use super::Cluster;
use super::controller::{Image, PartitionImage};
use super::lies::Lie;
use super::network::Output;
use super::partition::Key;
use super::profile::Profile;
use super::replica::{Leadership, Progress, Replica, Role};
use super::timers::Event;
use super::versions::Release;

/// Where in a request's way a broker dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    BeforeAppend,
    /// Before any follower has it.
    AfterAppend,
    /// Replicated, as far as it ever will be; the answer is on its way out.
    BeforeAnswer,
}

/// A broker waits for its death.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doom {
    pub(crate) point: Point,
    pub(crate) silent: bool,
    pub(crate) down: Duration,
}

/// One broker.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) node: i32,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) release: &'static Release,
    /// What it will be when it starts again.
    pub(crate) next_release: Option<&'static Release>,
    pub(crate) is_up: bool,
    /// Counts its lives: what was to happen in an earlier one does not.
    pub(crate) generation: u64,
    pub(crate) is_paused: bool,
    pub(crate) resumes_at: Time,
    /// What would have happened while it was paused.
    pub(crate) deferred: Vec<Event>,
    /// What it knows of the cluster.
    pub(crate) image: Rc<Image>,
    pub(crate) is_informed: bool,
    /// Neither does the controller hear of it until then, nor the other way around.
    pub(crate) cut_until: Time,
    /// Nobody fetches from it, nor it from others.
    pub(crate) isolated_until: Time,
    /// It does not hear what the controller decides until then, though it is heard of.
    pub(crate) uninformed_until: Time,
    /// Its fetches take so much longer until then.
    pub(crate) slow_until: Time,
    pub(crate) slowness: Duration,
    /// Its answers take so much longer until then.
    pub(crate) tardy_until: Time,
    pub(crate) tardiness: Duration,
    pub(crate) doom: Option<Doom>,
    pub(crate) lies: Vec<Lie>,
    /// Answers that will ask the client to leave it alone, and for how long.
    pub(crate) throttles: u32,
    pub(crate) throttle_ms: i32,
}

impl Broker {
    pub(crate) fn new(node: i32, profile: &Profile) -> Self {
        Self {
            node,
            host: format!("broker{node}.example"),
            port: 9_000 + node as u16,
            release: profile.release,
            next_release: None,
            is_up: true,
            generation: 0,
            is_paused: false,
            resumes_at: Time::ZERO,
            deferred: Vec::new(),
            image: Rc::default(),
            is_informed: false,
            cut_until: Time::ZERO,
            isolated_until: Time::ZERO,
            uninformed_until: Time::ZERO,
            slow_until: Time::ZERO,
            slowness: Duration::ZERO,
            tardy_until: Time::ZERO,
            tardiness: Duration::ZERO,
            doom: None,
            lies: Vec::new(),
            throttles: 0,
            throttle_ms: 0,
        }
    }
}

impl Cluster {
    /// SIGKILL, or with `silent` the machine's power: not even the connections end. Starts again after `down`.
    pub(super) fn crash(&mut self, node: i32, silent: bool, down: Duration) {
        let timeout = self.profile.session_timeout;
        let Some(broker) = self.brokers.get_mut(&node).filter(|broker| broker.is_up) else { return };
        broker.is_up = false;
        broker.generation += 1;
        broker.is_paused = false;
        broker.deferred.clear();
        broker.doom = None;
        let generation = broker.generation;
        self.end_life(node, silent);
        self.timers.set(self.now + timeout, Event::Fence { node, generation }, None);
        self.timers.set(self.now + down, Event::Start { node, generation }, None);
        self.count("broker crashes");
    }

    /// The machine's power: the last batches had not reached the disk.
    pub(super) fn lose_power(&mut self, node: i32, batches: usize, down: Duration) {
        if !self.brokers.get(&node).is_some_and(|broker| broker.is_up) {
            return;
        }
        self.crash(node, true, down);
        for partition in self.partitions.values_mut() {
            if let Some(replica) = partition.replica_mut(node) {
                let kept = replica.entries.len().saturating_sub(batches);
                let passed = replica.entries.iter().take_while(|entry| entry.end() <= replica.high_watermark).count();
                replica.truncate(kept, true);
                partition.mourn(node, passed);
            }
        }
    }

    /// A clean stop: others lead first. What was asked before is mostly answered.
    pub(super) fn stop(&mut self, node: i32, down: Duration) {
        if self.brokers.get(&node).is_some_and(|broker| broker.is_up) {
            self.fence(node);
            self.crash(node, false, down);
            self.count("clean stops");
        }
    }

    /// Everything that a process holds is gone; what is on its disk is not.
    fn end_life(&mut self, node: i32, silent: bool) {
        let lost: Vec<u64> =
            self.connections.iter().filter(|(_, one)| one.node == node).map(|(number, _)| *number).collect();
        for connection in lost {
            let is_gone = self.connections.remove(&connection).is_some_and(|one| one.is_client_gone);
            self.sniffer.closed(connection);
            if !is_gone && silent {
                self.silenced.insert(connection, node);
            } else if !is_gone {
                self.output.push((connection, Output::Close));
            }
        }
        self.tickets.retain(|_, ticket| ticket.node != node);
        for partition in self.partitions.values_mut() {
            if let Some(replica) = partition.replica_mut(node) {
                replica.role = Role::Idle;
                replica.waiting.clear();
                replica.is_fetching = false;
            }
        }
    }

    /// The process starts again: its logs are there, of each producer's batches it knows the last.
    pub(super) fn start(&mut self, node: i32, generation: u64) {
        let Some(broker) = self.brokers.get_mut(&node) else { return };
        if broker.is_up || broker.generation != generation {
            return;
        }
        broker.is_up = true;
        if let Some(release) = broker.next_release.take() {
            broker.release = release;
        }
        broker.is_informed = false;
        broker.generation += 1;
        let is_cut = self.now < broker.cut_until;
        for partition in self.partitions.values_mut() {
            if let Some(replica) = partition.replica_mut(node) {
                replica.producers.keep_last();
            }
        }
        // A new process registers anew: the controller takes the old one's leaderships away first.
        self.fence(node);
        if !is_cut {
            self.unfence(node);
            let image = Rc::clone(&self.controller.image);
            self.learn(node, &image);
        }
        self.count("broker starts");
    }

    pub(super) fn fence_if_silent(&mut self, node: i32, generation: u64) {
        let Some(broker) = self.brokers.get(&node) else { return };
        let is_silent = !broker.is_up || broker.is_paused || self.now < broker.cut_until;
        if broker.generation == generation && is_silent {
            self.fence(node);
        }
    }

    /// SIGSTOP: nothing happens until it goes on, and then everything at once.
    pub(super) fn pause(&mut self, node: i32, span: Duration) {
        let resumes_at = self.now + span;
        let timeout = self.now + self.profile.session_timeout;
        let Some(broker) = self.brokers.get_mut(&node).filter(|broker| broker.is_up && !broker.is_paused) else {
            return;
        };
        broker.is_paused = true;
        broker.resumes_at = resumes_at;
        let generation = broker.generation;
        self.timers.set(resumes_at, Event::Resume { node, generation }, None);
        self.timers.set(timeout, Event::Fence { node, generation }, None);
        self.count("broker pauses");
    }

    pub(super) fn resume(&mut self, node: i32, generation: u64) {
        let Some(broker) = self.brokers.get_mut(&node) else { return };
        if broker.generation != generation || !broker.is_paused {
            return;
        }
        broker.is_paused = false;
        let is_cut = self.now < broker.cut_until;
        for event in std::mem::take(&mut broker.deferred) {
            // Its threads go on in any order.
            let delay = match &event {
                Event::Process { .. } | Event::Answer { .. } => Duration::ZERO,
                _ => self.random.micros(0..=20_000),
            };
            self.at_broker(node, self.now + delay, event);
        }
        if !is_cut {
            self.unfence(node);
        }
        self.kick(node);
    }

    /// The controller does not hear of the broker any more, nor it of the controller.
    pub(super) fn cut(&mut self, node: i32, span: Duration) {
        let until = self.now + span;
        let Some(broker) = self.brokers.get_mut(&node).filter(|broker| broker.is_up) else { return };
        broker.cut_until = until;
        let generation = broker.generation;
        self.timers.set(self.now + self.profile.session_timeout, Event::Fence { node, generation }, None);
        self.timers.set(until, Event::Rejoin { node, until }, None);
        self.count("brokers cut off");
    }

    /// And no other broker hears of it.
    pub(super) fn isolate(&mut self, node: i32, span: Duration) {
        if let Some(broker) = self.brokers.get_mut(&node) {
            broker.isolated_until = self.now + span;
        }
        self.cut(node, span);
    }

    pub(super) fn rejoin(&mut self, node: i32, until: Time) {
        let Some(broker) = self.brokers.get(&node) else { return };
        if broker.cut_until.max(broker.uninformed_until) != until || !broker.is_up || broker.is_paused {
            return;
        }
        self.unfence(node);
        self.kick(node);
    }

    /// Takes the role that the controller gave to this replica.
    pub(super) fn take_role(&mut self, key: Key, node: i32, told: &PartitionImage) {
        let (now, is_offline, is_forgetful) = (self.now, self.is_offline(key, node), self.profile.forgetful_followers);
        let Some(replica) = self.partitions.get_mut(&key).and_then(|partition| partition.replica_mut(node)) else {
            return;
        };
        if let Role::Leader(known) = &mut replica.role
            && known.epoch == told.epoch
            && told.leader == node
        {
            if told.partition_epoch > known.partition_epoch {
                known.partition_epoch = told.partition_epoch;
                known.isr.clone_from(&told.isr);
                self.raise_watermark(key, node);
                // Whoever is not in sync may be by now: what the leader asked for with an older state was refused.
                for other in told.replicas.iter().filter(|other| !told.isr.contains(other)) {
                    self.plan_fetch(key, *other);
                }
            }
            return;
        }
        if told.leader == node && !is_offline {
            let others = told.replicas.iter().filter(|other| **other != node);
            let progress = others.map(|other| (*other, Progress { end: -1, caught_up: now })).collect();
            if is_forgetful && matches!(replica.role, Role::Follower { .. }) {
                replica.producers.keep_last();
            }
            let (epoch, partition_epoch, isr) = (told.epoch, told.partition_epoch, told.isr.clone());
            replica.role = Role::Leader(Leadership { epoch, partition_epoch, isr, progress, is_watching: false });
            self.raise_watermark(key, node);
            for other in told.replicas.iter().filter(|other| **other != node) {
                self.plan_fetch(key, *other);
            }
            self.plan_watch(key, node);
            return;
        }
        let is_same = matches!(&replica.role, Role::Follower { epoch, leader, .. }
            if (*epoch, *leader) == (told.epoch, told.leader));
        if !is_same {
            replica.role = Role::Follower { leader: told.leader, epoch: told.epoch, aligned: false };
            self.refuse_waiting(key, node, code::NOT_LEADER_OR_FOLLOWER);
            self.plan_fetch(key, node);
        }
    }

    /// Is the replica's log directory offline?
    pub(super) fn is_offline(&self, key: Key, node: i32) -> bool {
        let replica = self.partitions.get(&key).and_then(|partition| partition.replica(node));
        replica.is_some_and(|replica: &Replica| self.now < replica.offline_until)
    }
}
