//! What the controller decides: topics, leaders, who is in sync; and how brokers learn of it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use kurier::time::Time;

use super::Cluster;
use super::partition::{Key, Partition};
use super::replica::{Replica, Role};
use super::timers::{Alarm, Event};

/// A partition as the controller has it.
#[derive(Clone, Debug)]
pub(crate) struct PartitionImage {
    /// -1: none.
    pub(crate) leader: i32,
    pub(crate) epoch: i32,
    /// Counts all changes.
    pub(crate) partition_epoch: u64,
    pub(crate) isr: Vec<i32>,
    pub(crate) replicas: Vec<i32>,
}

/// A topic as the controller has it.
#[derive(Clone, Debug)]
pub(crate) struct TopicImage {
    pub(crate) number: u32,
    pub(crate) id: [u8; 16],
    pub(crate) partitions: Vec<PartitionImage>,
}

/// The cluster's metadata at one moment: what a broker that is up to date knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) version: u64,
    pub(crate) topics: BTreeMap<String, TopicImage>,
    /// Brokers that are registered and heard of.
    pub(crate) alive: BTreeSet<i32>,
}

impl Image {
    /// The topic with that id.
    pub(crate) fn by_id(&self, id: [u8; 16]) -> Option<(&String, &TopicImage)> {
        self.topics.iter().find(|(_, topic)| topic.id == id)
    }

    pub(crate) fn partition(&self, topic: &str, key: Key) -> Option<&PartitionImage> {
        let topic = self.topics.get(topic).filter(|topic| topic.number == key.topic)?;
        topic.partitions.get(usize::try_from(key.index).ok()?)
    }

    fn partition_mut(&mut self, topic: &str, key: Key) -> Option<&mut PartitionImage> {
        let topic = self.topics.get_mut(topic).filter(|topic| topic.number == key.topic)?;
        topic.partitions.get_mut(usize::try_from(key.index).ok()?)
    }
}

/// The one controller. It does not fail; brokers may be cut off from it.
#[derive(Debug, Default)]
pub(crate) struct Controller {
    pub(crate) image: Rc<Image>,
    is_news: bool,
    topics_created: u32,
    /// Ids ever given, with name and incarnation.
    pub(crate) ids: BTreeMap<[u8; 16], (Rc<str>, u32)>,
    /// Topics on their way to be created.
    pub(crate) coming: BTreeSet<String>,
}

impl Cluster {
    /// The first moment: all brokers up, the topics there.
    pub(super) fn open(&mut self) {
        let nodes: Vec<i32> = self.brokers.keys().copied().collect();
        self.decide(|image| image.alive.extend(nodes.iter().copied()));
        let names: Vec<String> =
            self.profile.topics.iter().filter(|topic| topic.exists).map(|topic| topic.name.clone()).collect();
        for name in names {
            self.create_topic(&name);
        }
        let image = Rc::clone(&self.controller.image);
        for node in nodes {
            self.learn(node, &image);
        }
    }

    /// The controller changes the metadata; `publish` tells it.
    pub(super) fn decide<T>(&mut self, change: impl FnOnce(&mut Image) -> T) -> T {
        let image = Rc::make_mut(&mut self.controller.image);
        image.version += 1;
        self.controller.is_news = true;
        change(image)
    }

    /// What was decided goes to the brokers, who learn of it one after the other.
    pub(super) fn publish(&mut self) {
        if std::mem::take(&mut self.controller.is_news) {
            let nodes: Vec<i32> = self.brokers.keys().copied().collect();
            nodes.into_iter().for_each(|node| self.tell(node));
        }
    }

    /// Sends the present metadata to a broker, if it can be told.
    pub(super) fn tell(&mut self, node: i32) {
        let Some(broker) = self.brokers.get(&node) else { return };
        if broker.is_up && self.now >= broker.uninformed_until && self.now >= broker.cut_until {
            let delay = self.random.micros(100..=30_000);
            let image = Rc::clone(&self.controller.image);
            self.at_broker(node, self.now + delay, Event::Learn { node, image });
        }
    }

    /// Creates a topic of the profile, unless it is there.
    pub(super) fn create_topic(&mut self, name: &str) {
        self.controller.coming.remove(name);
        let known = self.profile.topics.iter().find(|topic| topic.name == name);
        let Some((count, append_time)) = known.map(|topic| (topic.partitions, topic.append_time)) else { return };
        if self.controller.image.topics.contains_key(name) {
            return;
        }
        self.controller.topics_created += 1;
        let number = self.controller.topics_created;
        let mut id = [0; 16];
        if self.profile.release.has_topic_ids() {
            id[..8].copy_from_slice(&self.random.next().to_be_bytes());
            id[8..].copy_from_slice(&(u64::from(number) << 8 | 1).to_be_bytes());
        }
        let shared: Rc<str> = Rc::from(name);
        self.controller.ids.insert(id, (Rc::clone(&shared), number));
        let partitions = (0..count).map(|index| self.place(&shared, Key { topic: number, index }, append_time));
        let partitions: Vec<PartitionImage> = partitions.collect();
        self.decide(|image| image.topics.insert(name.to_owned(), TopicImage { number, id, partitions }));
        self.elect_missing();
    }

    /// A new partition on brokers drawn for it. It has no leader yet.
    fn place(&mut self, topic: &Rc<str>, key: Key, append_time: bool) -> PartitionImage {
        let mut nodes: Vec<i32> = self.brokers.keys().copied().collect();
        let count = (self.profile.replication as usize).min(nodes.len());
        let mut replicas = Vec::with_capacity(count);
        for _ in 0..count {
            replicas.push(nodes.swap_remove(self.random.below(nodes.len() as u64) as usize));
        }
        let copies = replicas.iter().map(|node| Replica::new(*node)).collect();
        let partition =
            Partition { topic: Rc::clone(topic), append_time, replicas: copies, truth: Vec::new(), is_lost: false };
        self.partitions.insert(key, partition);
        PartitionImage { leader: -1, epoch: -1, partition_epoch: 0, isr: replicas.clone(), replicas }
    }

    /// Deletes a topic; what was in it is lost.
    pub(super) fn delete_topic(&mut self, name: &str) {
        let Some(topic) = self.decide(|image| image.topics.remove(name)) else { return };
        for (_, partition) in self.partitions.iter_mut().filter(|(key, _)| key.topic == topic.number) {
            partition.is_lost = true;
        }
        self.count("topics deleted");
    }

    /// More partitions for a topic.
    pub(super) fn add_partitions(&mut self, name: &str, count: i32) {
        let Some(topic) = self.controller.image.topics.get(name) else { return };
        let (number, old) = (topic.number, topic.partitions.len() as i32);
        let append_time = self.profile.topics.iter().any(|topic| topic.name == name && topic.append_time);
        let shared: Rc<str> = Rc::from(name);
        let added = (old..old + count).map(|index| self.place(&shared, Key { topic: number, index }, append_time));
        let added: Vec<PartitionImage> = added.collect();
        self.decide(|image| {
            if let Some(topic) = image.topics.get_mut(name) {
                topic.partitions.extend(added);
            }
        });
        // Created again later, it has as many.
        for topic in self.profile.topics.iter_mut().filter(|topic| topic.name == name) {
            topic.partitions += count;
        }
        self.elect_missing();
    }

    /// All partitions that exist, with their topic's name.
    pub(super) fn present(&self) -> Vec<(Rc<str>, Key)> {
        let numbers: BTreeSet<u32> = self.controller.image.topics.values().map(|topic| topic.number).collect();
        let present = self.partitions.iter().filter(|(key, _)| numbers.contains(&key.topic));
        present.map(|(key, partition)| (Rc::clone(&partition.topic), *key)).collect()
    }

    /// A leader for each partition that has none and can have one.
    pub(super) fn elect_missing(&mut self) {
        for (name, key) in self.present() {
            let image = &self.controller.image;
            let Some(partition) = image.partition(&name, key) else { continue };
            if partition.leader < 0 {
                let able = |node: &&i32| image.alive.contains(node) && partition.isr.contains(node);
                if let Some(node) = partition.replicas.iter().find(able).copied() {
                    self.elect(&name, key, node, true);
                }
            }
        }
    }

    /// Makes a replica the leader. `clean`: it is in sync; else the in-sync replicas are it alone.
    pub(super) fn elect(&mut self, name: &str, key: Key, node: i32, clean: bool) {
        self.decide(|image| {
            if let Some(partition) = image.partition_mut(name, key) {
                partition.leader = node;
                partition.epoch += 1;
                partition.partition_epoch += 1;
                if !clean {
                    partition.isr = vec![node];
                }
            }
        });
        let is_loss = self.partitions.get_mut(&key).is_some_and(|partition| partition.elect(node, clean));
        self.count(if clean { "elections" } else { "unclean elections" });
        if is_loss {
            self.count(if clean { "committed records lost by a clean election" } else { "committed records lost" });
        }
    }

    /// A broker is not heard of any more: others lead, and it is in sync only where it is the last.
    pub(super) fn fence(&mut self, node: i32) {
        if !self.controller.image.alive.contains(&node) {
            return;
        }
        self.decide(|image| image.alive.remove(&node));
        for (name, key) in self.present() {
            let Some(partition) = self.controller.image.partition(&name, key) else { continue };
            if !partition.isr.contains(&node) && partition.leader != node {
                continue;
            }
            let others = partition.isr.len() > 1;
            let was_leader = partition.leader == node;
            self.decide(|image| {
                if let Some(partition) = image.partition_mut(&name, key) {
                    partition.partition_epoch += 1;
                    if others {
                        partition.isr.retain(|other| *other != node);
                    }
                    if was_leader {
                        partition.leader = -1;
                        partition.epoch += 1;
                    }
                }
            });
        }
        self.elect_missing();
        self.count("brokers fenced");
    }

    /// A broker is heard of again.
    pub(super) fn unfence(&mut self, node: i32) {
        if !self.controller.image.alive.contains(&node) {
            self.decide(|image| image.alive.insert(node));
            self.elect_missing();
        }
        self.tell(node);
    }

    /// A leader asks for other in-sync replicas (AlterPartition). Only the present leader gets it, if it knows the
    /// partition's present state, and only live brokers get in.
    pub(super) fn alter_isr(&mut self, key: Key, leader: i32, isr: Vec<i32>) -> bool {
        let Some(partition) = self.partitions.get(&key) else { return false };
        let name = Rc::clone(&partition.topic);
        let Some(leadership) = partition.replica(leader).and_then(Replica::leadership) else { return false };
        let known = (leader, leadership.epoch, leadership.partition_epoch);
        let image = &self.controller.image;
        let is_leader = |one: &PartitionImage| {
            (one.leader, one.epoch, one.partition_epoch) == known && isr.iter().all(|node| image.alive.contains(node))
        };
        let is_cut = self.brokers.get(&leader).is_none_or(|broker| self.now < broker.cut_until);
        if is_cut || !image.partition(&name, key).is_some_and(is_leader) {
            return false;
        }
        let partition_epoch = self.decide(|image| {
            image.partition_mut(&name, key).map(|partition| {
                partition.isr.clone_from(&isr);
                partition.partition_epoch += 1;
                partition.partition_epoch
            })
        });
        let replica = self.partitions.get_mut(&key).and_then(|partition| partition.replica_mut(leader));
        if let (Some(leadership), Some(partition_epoch)) = (replica.and_then(Replica::leadership_mut), partition_epoch)
        {
            leadership.isr = isr;
            leadership.partition_epoch = partition_epoch;
        }
        true
    }

    /// Is this node the leader that the controller named, and does it know?
    pub(super) fn is_named_leader(&self, key: Key, node: i32) -> bool {
        let Some(partition) = self.partitions.get(&key) else { return false };
        let Some(epoch) = partition.replica(node).and_then(Replica::leadership).map(|known| known.epoch) else {
            return false;
        };
        let named = self.controller.image.partition(&partition.topic, key);
        named.is_some_and(|named| named.leader == node && named.epoch == epoch)
    }

    /// Sets an event that ends with the broker's life.
    pub(super) fn at_broker(&mut self, node: i32, at: Time, event: Event) -> Option<Alarm> {
        let life = self.brokers.get(&node).map(|broker| (node, broker.generation))?;
        Some(self.timers.set(at, event, Some(life)))
    }

    /// A broker learns what the controller decided; older news are ignored.
    pub(super) fn learn(&mut self, node: i32, image: &Rc<Image>) {
        let Some(broker) = self.brokers.get_mut(&node) else { return };
        if broker.image.version >= image.version && broker.is_informed {
            return;
        }
        broker.is_informed = true;
        let old = std::mem::replace(&mut broker.image, Rc::clone(image));
        for (name, topic) in &old.topics {
            if image.topics.get(name).is_none_or(|present| present.number != topic.number) {
                for index in 0..topic.partitions.len() as i32 {
                    self.drop_replica(Key { topic: topic.number, index }, node);
                }
            }
        }
        for topic in image.topics.values() {
            for (index, partition) in (0..).zip(&topic.partitions) {
                if partition.replicas.contains(&node) {
                    self.take_role(Key { topic: topic.number, index }, node, partition);
                }
            }
        }
    }

    /// The topic is gone: what waits for its replicas is answered with an error.
    fn drop_replica(&mut self, key: Key, node: i32) {
        let replica = self.partitions.get_mut(&key).and_then(|partition| partition.replica_mut(node));
        if let Some(replica) = replica {
            replica.role = Role::Idle;
            self.refuse_waiting(key, node, kurier::protocol::broker_code::UNKNOWN_TOPIC_OR_PARTITION);
        }
    }
}
