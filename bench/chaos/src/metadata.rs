//! Whom the cluster names: a Metadata request to one broker, past every proxy.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use kurier::protocol::messages::metadata::{MetadataPartition, MetadataTopic};

use crate::request;

const PATIENCE: Duration = Duration::from_millis(500);

/// A connection that asks again and again.
#[derive(Debug)]
pub struct Asker {
    stream: TcpStream,
}

impl Asker {
    pub fn connect(port: u16) -> Option<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        Some(Self { stream })
    }

    /// The leader of each partition, -1 for none; `None` if the broker does not answer.
    pub fn leaders(&mut self, topic: &str) -> Option<Vec<i32>> {
        self.leaders_of(&[topic])?.remove(topic)
    }

    /// The same of several topics at one moment.
    pub fn leaders_of(&mut self, topics: &[&str]) -> Option<BTreeMap<String, Vec<i32>>> {
        let answer = request::metadata(&mut self.stream, topics).ok()?;
        let named = |topic: MetadataTopic| Some((topic.name?, leaders_by_index(&topic.partitions)));
        Some(answer.topics.into_iter().filter_map(named).collect())
    }

    /// Is every replica of these topics in sync? `None` if the broker does not answer.
    pub fn is_whole(&mut self, topics: &[&str]) -> Option<bool> {
        let answer = request::metadata(&mut self.stream, topics).ok()?;
        let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        Some(partitions.all(|partition| partition.isr_nodes.len() == partition.replica_nodes.len()))
    }
}

/// -1 for partitions that the broker does not tell of.
fn leaders_by_index(partitions: &[MetadataPartition]) -> Vec<i32> {
    let mut leaders = Vec::new();
    for partition in partitions {
        let Ok(index) = u16::try_from(partition.partition_index).map(usize::from) else { continue };
        if leaders.len() <= index {
            leaders.resize(index + 1, -1);
        }
        leaders[index] = partition.leader_id;
    }
    leaders
}

/// The leaders of `topic`, from the first of these brokers that answers with some.
pub fn leaders(ports: &[u16], topic: &str) -> Option<Vec<i32>> {
    let ask = |port: &u16| Asker::connect(*port)?.leaders(topic).filter(|leaders| !leaders.is_empty());
    ports.iter().find_map(ask)
}
