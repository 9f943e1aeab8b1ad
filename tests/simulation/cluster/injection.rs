//! Faults take effect, and in the end all is well again.

use std::rc::Rc;
use std::time::Duration;

use kurier::protocol::broker_code as code;
use kurier::time::Time;

use super::Cluster;
use super::broker::Doom;
use super::faults::Fault;
use super::partition::Key;
use super::refusals::{Few, Refusal, When};
use super::replica::Role;
use super::timers::Event;
use super::versions::Release;

impl Cluster {
    /// Something goes wrong now.
    pub(crate) fn inject(&mut self, fault: &Fault, now: Time) {
        self.advance(now);
        let text = format!("{fault:?}");
        let name = text.split([' ', '{', '(']).next().unwrap_or_default();
        self.count(&format!("fault {name}"));
        self.take_effect(fault);
        self.publish();
    }

    fn take_effect(&mut self, fault: &Fault) {
        match fault {
            Fault::Crash { .. }
            | Fault::CrashAt { .. }
            | Fault::Stop { .. }
            | Fault::AllDown { .. }
            | Fault::Rolling { .. }
            | Fault::PowerLoss { .. }
            | Fault::Pause { .. }
            | Fault::Cut { .. }
            | Fault::Isolate { .. }
            | Fault::Uninformed { .. }
            | Fault::SlowReplica { .. }
            | Fault::SlowAnswers { .. }
            | Fault::Restart { .. }
            | Fault::Succession { .. }
            | Fault::Throttle { .. }
            | Fault::Lie { .. } => self.befall_broker(fault),
            Fault::Elect { .. }
            | Fault::UncleanElect { .. }
            | Fault::Retention { .. }
            | Fault::Forget { .. }
            | Fault::Recreate { .. }
            | Fault::AddPartitions { .. }
            | Fault::Storage { .. } => self.befall_topic(fault),
            Fault::Refuse { topic, partition, code, after, times } => {
                let when = match (*code, *after) {
                    (code::DUPLICATE_SEQUENCE_NUMBER, _) => When::Repeated,
                    (_, true) => When::After,
                    (_, false) => When::Before,
                };
                self.refuse(topic, *partition, *code, when, *times);
            }
            Fault::Series { topic, partition, errors } => {
                errors.iter().for_each(|(code, when)| self.refuse(topic, *partition, *code, *when, 1));
            }
            Fault::LastWords { fatal } => self.refusals.last_words = Some(*fatal),
            Fault::Oddity(oddity) => self.refusals.oddities.push(*oddity),
            Fault::RefuseInit { code, times } => self.refusals.init = Few { code: *code, left: *times },
            Fault::RefuseDescribe { code, times } => self.refusals.describe = Few { code: *code, left: *times },
            Fault::RefuseMetadata { times } => self.refusals.metadata = Few { code: 129, left: *times },
            Fault::RefuseTopic { topic, code, times } => {
                self.refusals.metadata_topics.push((topic.clone(), Few { code: *code, left: *times }));
            }
        }
    }

    fn refuse(&mut self, topic: &str, partition: i32, code: i16, when: When, times: u32) {
        let topic = topic.to_owned();
        self.refusals.produce.push(Refusal { topic, partition, code, when, left: times });
    }

    fn befall_broker(&mut self, fault: &Fault) {
        let now = self.now;
        match *fault {
            Fault::Crash { node, silent, down } => self.crash(node, silent, down),
            Fault::Stop { node, down } => self.stop(node, down),
            Fault::AllDown { clean, down } => {
                for node in self.nodes() {
                    if clean { self.stop(node, down) } else { self.crash(node, false, down) }
                }
            }
            Fault::PowerLoss { node, batches, down } => self.lose_power(node, batches, down),
            Fault::Rolling { clean, down, release } => {
                // The next one goes when the one before has come back.
                let mut later = Duration::ZERO;
                for node in self.nodes() {
                    self.timers.set(now + later, Event::Roll { node, clean, down, release }, None);
                    later += down + Duration::from_millis(200);
                }
            }
            Fault::Pause { node, span } => self.pause(node, span),
            Fault::Cut { node, span } => self.cut(node, span),
            Fault::Isolate { node, after, span } => {
                self.timers.set(now + after, Event::Isolate { node, span }, None);
            }
            Fault::CrashAt { node, point, silent, down } => {
                self.change(node, |broker| broker.doom = Some(Doom { point, silent, down }));
            }
            Fault::Uninformed { node, span } => {
                let until = now + span;
                self.change(node, |broker| broker.uninformed_until = until);
                self.timers.set(until, Event::Rejoin { node, until }, None);
            }
            Fault::SlowReplica { node, span, slowness } => self.change(node, |broker| {
                broker.slow_until = now + span;
                broker.slowness = slowness;
            }),
            Fault::SlowAnswers { node, span, tardiness } => self.change(node, |broker| {
                broker.tardy_until = now + span;
                broker.tardiness = tardiness;
            }),
            Fault::Restart { node, after, clean, down } => {
                self.timers.set(now + after, Event::Roll { node, clean, down, release: None }, None);
            }
            Fault::Succession { node, after, slowness, reign } => {
                let heirs: Vec<i32> = self.nodes().into_iter().filter(|other| *other != node).collect();
                let Some(laggard) = self.random.pick(&heirs).copied() else { return };
                let lost = after + self.profile.session_timeout + reign;
                for heir in heirs.into_iter().filter(|heir| *heir != laggard) {
                    self.timers.set(
                        now + lost,
                        Event::Roll { node: heir, clean: false, down: lost, release: None },
                        None,
                    );
                }
                self.timers.set(now + after, Event::Roll { node, clean: false, down: 2 * lost, release: None }, None);
                self.befall_broker(&Fault::SlowReplica { node: laggard, span: lost, slowness });
            }
            Fault::Throttle { node, throttle_ms, times } => self.change(node, |broker| {
                broker.throttle_ms = throttle_ms;
                broker.throttles = times;
            }),
            Fault::Lie { node, lie } => self.change(node, |broker| broker.lies.push(lie)),
            _ => {}
        }
    }

    fn change(&mut self, node: i32, change: impl FnOnce(&mut super::broker::Broker)) {
        if let Some(broker) = self.brokers.get_mut(&node) {
            change(broker);
        }
    }

    fn nodes(&self) -> Vec<i32> {
        self.brokers.keys().copied().collect()
    }

    fn befall_topic(&mut self, fault: &Fault) {
        match fault {
            Fault::Elect { topic, partition } => self.move_leader(topic, *partition, true),
            Fault::UncleanElect { topic, partition } => self.move_leader(topic, *partition, false),
            Fault::Retention { topic, partition } => self.retain(topic, *partition),
            Fault::Forget { topic, partition } => self.forget(topic, *partition),
            Fault::Recreate { topic, absent } => {
                self.delete_topic(topic);
                self.timers.set(self.now + *absent, Event::CreateTopic { name: topic.clone() }, None);
            }
            Fault::AddPartitions { topic, count } => self.add_partitions(topic, *count),
            Fault::Storage { topic, partition, span } => self.fail_storage(topic, *partition, *span),
            _ => {}
        }
    }

    /// The partition of the topic's present incarnation.
    pub(super) fn key_of(&self, topic: &str, index: i32) -> Option<Key> {
        let found = self.controller.image.topics.get(topic)?;
        (0..found.partitions.len() as i32).contains(&index).then_some(Key { topic: found.number, index })
    }

    /// Another live replica leads: one in sync, or one that is not.
    fn move_leader(&mut self, topic: &str, index: i32, clean: bool) {
        let Some(key) = self.key_of(topic, index) else { return };
        let image = &self.controller.image;
        let Some(partition) = image.partition(topic, key) else { return };
        let able = |node: &&i32| {
            let is_other = **node != partition.leader && image.alive.contains(node);
            is_other && partition.isr.contains(node) == clean
        };
        let able: Vec<i32> = partition.replicas.iter().filter(able).copied().collect();
        if let Some(node) = self.random.pick(&able).copied() {
            self.elect(topic, key, node, clean);
        }
    }

    /// Records older than what a client may still wait for are taken away at the front.
    fn retain(&mut self, topic: &str, index: i32) {
        let (now, forget_after) = (self.now, self.profile.forget_after);
        let refuses_unknown = self.profile.release.refuses_unknown_producers();
        let Some(partition) = self.key_of(topic, index).and_then(|key| self.partitions.get_mut(&key)) else { return };
        let old = |appended: Time| now.since(appended) >= forget_after;
        let end = partition.truth.iter().take_while(|entry| old(entry.appended)).last().map(|entry| entry.end());
        let Some(end) = end else { return };
        for replica in &mut partition.replicas {
            if end <= replica.high_watermark {
                replica.log_start = replica.log_start.max(end);
                if refuses_unknown {
                    replica.producers.forget(now - forget_after);
                }
            }
        }
        self.count("records taken by retention");
    }

    /// Each replica looks for itself who wrote nothing for long.
    fn forget(&mut self, topic: &str, index: i32) {
        let before = self.now - self.profile.forget_after;
        let Some(partition) = self.key_of(topic, index).and_then(|key| self.partitions.get_mut(&key)) else { return };
        let forgotten: usize = partition.replicas.iter_mut().map(|replica| replica.producers.forget(before)).sum();
        if forgotten > 0 {
            self.count("producers forgotten");
        }
    }

    /// The leader's log directory fails: it leads no more, and another one takes over if there is one.
    fn fail_storage(&mut self, topic: &str, index: i32, span: Duration) {
        let Some(key) = self.key_of(topic, index) else { return };
        let until = self.now + span;
        let Some(leader) = self.controller.image.partition(topic, key).map(|partition| partition.leader) else {
            return;
        };
        let replica = self.partitions.get_mut(&key).and_then(|partition| partition.replica_mut(leader));
        let Some(replica) = replica else { return };
        replica.offline_until = until;
        self.refuse_waiting(key, leader, code::KAFKA_STORAGE_ERROR);
        self.timers.set(until, Event::Repair { key, node: leader }, None);
        let delay = self.random.millis(1..=500);
        self.timers.set(self.now + delay, Event::Replace { key, node: leader }, None);
    }

    /// The controller was told that a leader's directory failed.
    pub(super) fn replace(&mut self, key: Key, node: i32) {
        let Some(topic) = self.partitions.get(&key).map(|partition| Rc::clone(&partition.topic)) else { return };
        let is_leader = self.controller.image.partition(&topic, key).is_some_and(|one| one.leader == node);
        if is_leader && self.is_offline(key, node) {
            self.move_leader(&topic, key.index, true);
        }
    }

    /// A log directory works again.
    pub(super) fn repair(&mut self, key: Key, node: i32) {
        let replica = self.partitions.get_mut(&key).and_then(|partition| partition.replica_mut(node));
        let Some(replica) = replica.filter(|replica| self.now >= replica.offline_until) else { return };
        if !matches!(replica.role, Role::Leader(_)) {
            replica.role = Role::Idle;
        }
        let told = self.brokers.get(&node).filter(|broker| broker.is_up).map(|broker| Rc::clone(&broker.image));
        let topic = self.partitions.get(&key).map(|partition| Rc::clone(&partition.topic));
        if let (Some(image), Some(topic)) = (told, topic)
            && let Some(partition) = image.partition(&topic, key)
        {
            self.take_role(key, node, partition);
        }
        self.kick(node);
    }

    /// One step of a rolling restart.
    pub(super) fn roll(&mut self, node: i32, clean: bool, down: Duration, release: Option<&'static Release>) {
        self.change(node, |broker| broker.next_release = release.or(broker.next_release));
        if clean { self.stop(node, down) } else { self.crash(node, false, down) }
    }

    /// Faults stop: brokers come back, every topic is there, every partition gets a leader, errors and lies end.
    pub(crate) fn heal(&mut self, now: Time) {
        self.advance(now);
        self.refusals.clear();
        self.timers.drop_faults();
        for node in self.nodes() {
            self.change(node, |broker| {
                broker.cut_until = Time::ZERO;
                broker.isolated_until = Time::ZERO;
                broker.uninformed_until = Time::ZERO;
                broker.slow_until = Time::ZERO;
                broker.tardy_until = Time::ZERO;
                broker.doom = None;
                broker.lies.clear();
                broker.throttles = 0;
            });
            let generation = self.brokers.get(&node).map_or(0, |broker| broker.generation);
            self.start(node, generation);
            self.resume(node, generation);
            self.unfence(node);
        }
        let missing: Vec<String> =
            self.profile.topics.iter().filter(|topic| topic.exists).map(|topic| topic.name.clone()).collect();
        missing.iter().for_each(|name| self.create_topic(name));
        let failed: Vec<(Key, i32)> = self
            .partitions
            .iter_mut()
            .flat_map(|(key, partition)| {
                let offline = partition.replicas.iter_mut().filter(|replica| replica.offline_until > now);
                offline.map(|replica| {
                    replica.offline_until = now;
                    (*key, replica.node)
                })
            })
            .collect();
        failed.into_iter().for_each(|(key, node)| self.repair(key, node));
        self.elect_missing();
        for connection in self.connections.values_mut() {
            connection.muted_until = Time::ZERO;
        }
        self.nodes().into_iter().for_each(|node| self.kick(node));
        self.publish();
    }
}
