//! Produce requests on their way to an answer: some wait for replicas.

use kurier::protocol::broker_code as code;
use kurier::protocol::messages::TopicUuid;
use kurier::protocol::messages::produce::{
    NodeEndpoint, ProducePartitionResponse, ProduceResponse, ProduceTopicResponse,
};

use super::Cluster;
use super::broker::Point;
use super::network::Header;
use super::partition::Key;
use super::timers::Alarm;

/// A partition of a request.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// Which of the request's topics.
    pub(crate) topic: usize,
    /// The offset that the high watermark must reach before there is an answer, and whose.
    pub(crate) waits_for: Option<(Key, i64)>,
    pub(crate) response: ProducePartitionResponse,
}

/// A request and what is known of its answer.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) node: i32,
    pub(crate) connection: u64,
    pub(crate) header: Header,
    pub(crate) topics: Vec<(String, TopicUuid)>,
    pub(crate) slots: Vec<Slot>,
    /// When it is answered though something still waits.
    pub(crate) alarm: Option<Alarm>,
}

impl Cluster {
    /// The high watermark reached what this partition of a request waited for.
    pub(super) fn decided(&mut self, ticket: u64, place: usize, enough: bool) {
        self.settle(ticket, place, if enough { 0 } else { code::NOT_ENOUGH_REPLICAS_AFTER_APPEND });
    }

    /// What waits at this replica is answered with an error, though it may stand in its log.
    pub(super) fn refuse_waiting(&mut self, key: Key, node: i32, error_code: i16) {
        let replica = self.partitions.get_mut(&key).and_then(|partition| partition.replica_mut(node));
        let Some(replica) = replica else { return };
        for one in std::mem::take(&mut replica.waiting) {
            self.settle(one.ticket, one.place, error_code);
        }
    }

    fn settle(&mut self, number: u64, place: usize, error_code: i16) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        let Some(slot) = ticket.slots.get_mut(place).filter(|slot| slot.waits_for.is_some()) else { return };
        slot.waits_for = None;
        slot.response.error_code = error_code;
        if ticket.slots.iter().all(|slot| slot.waits_for.is_none()) {
            self.finish(number);
        }
    }

    /// The request's own timeout is over: what still waits gets REQUEST_TIMED_OUT, though it stands in the log.
    pub(super) fn give_up(&mut self, number: u64) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        let waiting = ticket.slots.iter_mut().filter(|slot| slot.waits_for.is_some());
        let mut left = Vec::new();
        for slot in waiting {
            left.extend(slot.waits_for.take());
            slot.response.error_code = code::REQUEST_TIMED_OUT;
        }
        let node = ticket.node;
        for (key, _) in left {
            if let Some(replica) = self.partitions.get_mut(&key).and_then(|partition| partition.replica_mut(node)) {
                replica.waiting.retain(|one| one.ticket != number);
            }
        }
        self.finish(number);
    }

    /// Everything is decided: the answer goes out.
    pub(super) fn finish(&mut self, number: u64) {
        let Some(mut ticket) = self.tickets.remove(&number) else { return };
        if let Some(alarm) = ticket.alarm {
            self.timers.cancel(alarm);
        }
        if self.meets_doom(ticket.node, Point::BeforeAnswer) {
            return;
        }
        for slot in &ticket.slots {
            if slot.response.error_code != 0 {
                self.count(&format!("answered {}", slot.response.error_code));
            }
        }
        if self.random.chance(20) {
            ticket.slots.reverse();
        }
        let mut response = ProduceResponse::default();
        for slot in &mut ticket.slots {
            if ticket.header.version >= 10 && slot.response.error_code == code::NOT_LEADER_OR_FOLLOWER {
                let (name, _) = &ticket.topics[slot.topic];
                self.name_leader(ticket.node, name, &mut slot.response, &mut response.node_endpoints);
            }
        }
        for (at, (name, topic_id)) in ticket.topics.iter().enumerate() {
            let of_it = ticket.slots.iter().filter(|slot| slot.topic == at);
            let partitions = of_it.map(|slot| slot.response.clone()).collect();
            response.topics.push(ProduceTopicResponse { name: name.clone(), topic_id: *topic_id, partitions });
        }
        let code_of =
            |slot: &Slot| ((ticket.topics[slot.topic].0.clone(), slot.response.index), slot.response.error_code);
        let codes = ticket.slots.iter().map(code_of).collect();
        self.send_produce(&ticket, response, codes);
    }

    /// KIP-951: who leads, as far as this broker knows, and where that is.
    fn name_leader(
        &self,
        node: i32,
        name: &str,
        response: &mut ProducePartitionResponse,
        endpoints: &mut Vec<NodeEndpoint>,
    ) {
        let Some(image) = self.brokers.get(&node).map(|broker| &broker.image) else { return };
        let partition = image.topics.get(name).and_then(|topic| topic.partitions.get(response.index as usize));
        let Some(partition) = partition.filter(|partition| image.alive.contains(&partition.leader)) else { return };
        response.current_leader = (partition.leader, partition.epoch);
        if let Some(leader) = self.brokers.get(&partition.leader)
            && endpoints.iter().all(|endpoint| endpoint.node_id != leader.node)
        {
            let (host, port) = (leader.host.clone(), i32::from(leader.port));
            endpoints.push(NodeEndpoint { node_id: leader.node, host, port, rack: None });
        }
    }
}
