//! What the brokers of the embedded cluster share: topics, leaders, producer ids, faults.
//!
//! Lock order: the state, then a partition. No lock is held while bytes are read, written or checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI16, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::faults::Faults;
use super::log::Log;
use super::producers::Producers;
use super::versions::{APIS, Ranges};
use crate::protocol::broker_code::INVALID_TOPIC_EXCEPTION;
use crate::protocol::messages::TopicUuid;

/// How many partitions a topic gets that is created on first use.
pub(super) const PARTITIONS_ON_FIRST_USE: i32 = 4;
/// Bounds on what a client or a command can make the cluster hold.
const TOPICS_MAX: usize = 20_000;
pub(super) const PARTITIONS_MAX: i32 = 100_000;
/// Kafka's `message.max.bytes`.
const MAX_MESSAGE_BYTES: usize = 1_048_588;
const RETAIN_BYTES: usize = 64 << 20;
const PRODUCER_ID_FIRST: i64 = 1000;

/// A partition: its leader, its log, its producers.
#[derive(Debug)]
pub(super) struct Partition {
    /// -1: none.
    pub(super) leader: i32,
    pub(super) leader_epoch: i32,
    /// A command took the leader away; a broker that starts does not take it.
    pub(super) leader_removed: bool,
    /// Its topic was deleted while a request was on its way here.
    pub(super) deleted: bool,
    pub(super) log: Log,
    pub(super) producers: Producers,
}

impl Partition {
    fn new(leader: i32) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            leader,
            leader_epoch: 0,
            leader_removed: false,
            deleted: false,
            log: Log::new(),
            producers: Producers::default(),
        }))
    }

    /// Another leader, under the next epoch.
    pub(super) fn move_leader(&mut self, broker: i32) {
        self.leader = broker;
        self.leader_epoch += 1;
    }
}

/// A topic.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: TopicUuid,
    pub(super) log_append_time: bool,
    /// `None`: the cluster's.
    pub(super) max_message_bytes: Option<usize>,
    pub(super) partitions: Vec<Arc<Mutex<Partition>>>,
}

/// A broker as the others see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) id: i32,
    pub(super) port: u16,
    pub(super) live: bool,
}

/// Topics, brokers and settings.
#[derive(Debug)]
pub(super) struct State {
    pub(super) nodes: Vec<Node>,
    pub(super) topics: BTreeMap<String, Topic>,
    pub(super) names: BTreeMap<TopicUuid, String>,
    topics_created: u64,
    pub(super) ranges: Ranges,
    pub(super) faults: Faults,
    pub(super) max_message_bytes: usize,
    pub(super) retain_bytes: usize,
    producer_id_next: i64,
    /// Transactional ids with the producer id and epoch that they have.
    pub(super) transactional: BTreeMap<String, (i64, i16)>,
}

impl State {
    pub(super) fn new(ports: &[u16]) -> Self {
        let nodes = (1..).zip(ports).map(|(id, port)| Node { id, port: *port, live: true }).collect();
        Self {
            nodes,
            topics: BTreeMap::new(),
            names: BTreeMap::new(),
            topics_created: 0,
            ranges: Ranges::default(),
            faults: Faults::default(),
            max_message_bytes: MAX_MESSAGE_BYTES,
            retain_bytes: RETAIN_BYTES,
            producer_id_next: PRODUCER_ID_FIRST,
            transactional: BTreeMap::new(),
        }
    }

    pub(super) fn node(&self, broker: i32) -> Option<Node> {
        self.nodes.iter().find(|node| node.id == broker).copied()
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.live)
    }

    /// The broker whose turn it is; -1 if none lives.
    pub(super) fn live_by_turn(&self, turn: usize) -> i32 {
        let live = self.live().count();
        turn.checked_rem(live).and_then(|nth| self.live().nth(nth)).map_or(-1, |node| node.id)
    }

    /// A topic with leaders by turns. The error is Kafka's INVALID_TOPIC_EXCEPTION.
    pub(super) fn create(
        &mut self,
        name: &str,
        partitions: i32,
        log_append_time: bool,
        max_message_bytes: Option<usize>,
    ) -> Result<&Topic, i16> {
        if !is_legal(name) || self.topics.len() >= TOPICS_MAX || self.topics.contains_key(name) {
            return Err(INVALID_TOPIC_EXCEPTION);
        }
        self.topics_created += 1;
        let id = topic_id(self.topics_created);
        let turn = self.topics.len();
        let count = usize::try_from(partitions).unwrap_or(0);
        let partitions = (0..count).map(|nth| Partition::new(self.live_by_turn(turn + nth))).collect();
        self.names.insert(id, name.to_owned());
        let topic = Topic { id, log_append_time, max_message_bytes, partitions };
        Ok(self.topics.entry(name.to_owned()).or_insert(topic))
    }

    /// `false` if there is none.
    pub(super) fn delete(&mut self, name: &str) -> bool {
        let Some(topic) = self.topics.remove(name) else { return false };
        self.names.remove(&topic.id);
        for partition in topic.partitions {
            partition.lock().deleted = true;
        }
        true
    }

    /// More partitions; `false` if the topic is not there or would not grow.
    pub(super) fn grow(&mut self, name: &str, partitions: usize) -> bool {
        let Some(count) = self.topics.get(name).map(|topic| topic.partitions.len()) else { return false };
        if partitions < count {
            return false;
        }
        let more: Vec<_> = (count..partitions).map(|nth| Partition::new(self.live_by_turn(nth))).collect();
        if let Some(topic) = self.topics.get_mut(name) {
            topic.partitions.extend(more);
        }
        true
    }

    /// Every partition.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &Arc<Mutex<Partition>>> {
        self.topics.values().flat_map(|topic| &topic.partitions)
    }

    /// The partitions of a broker that stopped go to live ones, by turns; to none if there is none.
    pub(super) fn leave(&mut self, broker: i32) {
        self.set_live(broker, false);
        let led: Vec<_> = self.partitions().filter(|partition| partition.lock().leader == broker).cloned().collect();
        for (turn, partition) in led.iter().enumerate() {
            partition.lock().move_leader(self.live_by_turn(turn));
        }
    }

    /// A broker that started takes the partitions that have no leader, but for those that a command freed. It was down
    /// as all others were, and its snapshot of producers has the last batch of each.
    pub(super) fn join(&mut self, broker: i32) {
        self.set_live(broker, true);
        for partition in self.partitions() {
            let mut partition = partition.lock();
            if partition.leader == -1 && !partition.leader_removed {
                partition.move_leader(broker);
                partition.producers.forget_but_last();
            }
        }
    }

    /// Every partition without a leader gets one.
    pub(super) fn elect(&mut self) {
        for (turn, partition) in self.partitions().enumerate() {
            let mut partition = partition.lock();
            partition.leader_removed = false;
            let leader = self.live_by_turn(turn);
            if partition.leader == -1 && leader != -1 {
                partition.move_leader(leader);
            }
        }
    }

    fn set_live(&mut self, broker: i32, live: bool) {
        for node in self.nodes.iter_mut().filter(|node| node.id == broker) {
            node.live = live;
        }
    }

    /// A producer id that no other has.
    pub(super) fn new_producer_id(&mut self) -> i64 {
        self.producer_id_next += 1;
        self.producer_id_next - 1
    }

    /// Those handed out, in order.
    pub(super) fn producer_ids(&self) -> std::ops::Range<i64> {
        PRODUCER_ID_FIRST..self.producer_id_next
    }
}

/// Kafka's rule for names of topics.
fn is_legal(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=249).contains(&name.len()) && name != "." && name != ".." && name.bytes().all(legal)
}

/// Ids look like UUIDs and are unique within the cluster: an odd factor maps different numbers to different ids.
fn topic_id(number: u64) -> TopicUuid {
    let mut id = *b"kurier\x4b\x7a\0\0\0\0\0\0\0\0";
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    for (byte, digit) in id.iter_mut().skip(8).zip(number) {
        *byte = digit;
    }
    id
}

/// How often each API was asked, and in which version last.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) requests: [AtomicU64; APIS.len()],
    pub(super) versions: [AtomicI16; APIS.len()],
    pub(super) produce_batches: AtomicU64,
}

/// All that connections, brokers and commands share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) counters: Counters,
    /// By broker, from 1 at place 0.
    paused: Vec<AtomicBool>,
    turn: Mutex<()>,
    resumed: Condvar,
    /// Counts everything that a waiting fetch may be waiting for.
    arrivals: Mutex<u64>,
    arrived: Condvar,
}

impl Shared {
    pub(super) fn new(ports: &[u16]) -> Self {
        Self {
            state: Mutex::new(State::new(ports)),
            counters: Counters {
                requests: std::array::from_fn(|_| AtomicU64::new(0)),
                versions: std::array::from_fn(|_| AtomicI16::new(-1)),
                produce_batches: AtomicU64::new(0),
            },
            paused: ports.iter().map(|_| AtomicBool::new(false)).collect(),
            turn: Mutex::new(()),
            resumed: Condvar::new(),
            arrivals: Mutex::new(0),
            arrived: Condvar::new(),
        }
    }

    fn paused(&self, broker: i32) -> Option<&AtomicBool> {
        self.paused.get(usize::try_from(broker - 1).ok()?)
    }

    /// Pauses a broker or lets it go on.
    pub(super) fn set_paused(&self, broker: i32, paused: bool) {
        let _turn = self.turn.lock();
        if let Some(flag) = self.paused(broker) {
            flag.store(paused, Ordering::Release);
        }
        self.resumed.notify_all();
    }

    /// Waits while the broker is paused, unless `closed` comes first.
    pub(super) fn wait_while_paused(&self, broker: i32, closed: &AtomicBool) {
        let Some(paused) = self.paused(broker) else { return };
        if !paused.load(Ordering::Acquire) {
            return;
        }
        let mut turn = self.turn.lock();
        while paused.load(Ordering::Acquire) && !closed.load(Ordering::Acquire) {
            self.resumed.wait(&mut turn);
        }
    }

    /// Wakes all who wait here, to look at their `closed` again.
    pub(super) fn wake_all(&self) {
        drop(self.turn.lock());
        self.resumed.notify_all();
        self.note_arrival();
    }

    /// Something was appended or moved.
    pub(super) fn note_arrival(&self) {
        *self.arrivals.lock() += 1;
        self.arrived.notify_all();
    }

    /// To be read before looking, and given to [`Self::wait_for_arrival`] when there was nothing.
    pub(super) fn arrivals(&self) -> u64 {
        *self.arrivals.lock()
    }

    /// Waits for an arrival after those already seen; `false` at the deadline or when `closed`.
    pub(super) fn wait_for_arrival(&self, seen: u64, deadline: Instant, closed: &AtomicBool) -> bool {
        let mut arrivals = self.arrivals.lock();
        while *arrivals == seen && !closed.load(Ordering::Acquire) {
            if self.arrived.wait_until(&mut arrivals, deadline).timed_out() {
                return false;
            }
        }
        !closed.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaders(state: &State, topic: &str) -> Vec<i32> {
        state.topics[topic].partitions.iter().map(|partition| partition.lock().leader).collect()
    }

    #[test]
    fn leaders_go_round_and_move_away_from_a_stopped_broker() {
        let mut state = State::new(&[1, 2, 3]);
        state.create("a", 4, false, None).expect("a");
        state.create("b", 2, false, None).expect("b");
        assert_eq!((leaders(&state, "a"), leaders(&state, "b")), (vec![1, 2, 3, 1], vec![2, 3]));
        state.leave(1);
        assert_eq!(leaders(&state, "a"), [2, 2, 3, 3]);
        assert_eq!(state.topics["a"].partitions[0].lock().leader_epoch, 1);
        assert_eq!(state.topics["a"].partitions[1].lock().leader_epoch, 0, "it did not move");
        state.leave(2);
        state.leave(3);
        assert_eq!(leaders(&state, "a"), [-1; 4]);
        state.topics["a"].partitions[3].lock().leader_removed = true;
        state.join(3);
        assert_eq!(leaders(&state, "a"), [3, 3, 3, -1]);
        state.elect();
        assert_eq!(leaders(&state, "a"), [3; 4]);
    }

    #[test]
    fn topics_are_named_as_kafka_allows_and_have_ids_of_their_own() {
        let mut state = State::new(&[1]);
        for name in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
            assert_eq!(state.create(name, 1, false, None).err(), Some(17), "{name:?}");
        }
        let first = state.create("a-b_c.D9", 1, false, None).expect("legal").id;
        assert!(state.delete("a-b_c.D9"));
        assert!(!state.delete("a-b_c.D9"));
        let second = state.create("a-b_c.D9", 1, false, None).expect("legal").id;
        assert_ne!(first, second);
        assert_ne!(first, [0; 16]);
        assert_eq!(state.names.len(), 1);
    }

    #[test]
    fn topics_grow_and_do_not_shrink() {
        let mut state = State::new(&[1, 2]);
        state.create("a", 2, false, None).expect("a");
        assert!(state.grow("a", 5) && !state.grow("a", 4) && !state.grow("b", 5));
        assert_eq!(leaders(&state, "a"), [1, 2, 1, 2, 1]);
    }
}
