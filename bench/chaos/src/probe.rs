//! What the cluster itself takes after a leader has died: one record, sent as early as anybody can.
//!
//! No client: connections that stand before, a request that is encoded before, and the new leader's number from
//! whoever watches the cluster. What this takes, no client can save.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use kurier::protocol::compression::Codec;

use crate::request::{Failure, error_of, produce, read_frame};
use crate::scenario::now_us;

/// Who the probe is among the clients.
pub const NAME: &str = "probe";
pub const TOPIC: &str = "failover-probe";
/// Each of three brokers leads two. Which of the others comes after it is up to where the cluster put the replicas.
pub const PARTITIONS: i32 = 6;

const VALUE: [u8; 48] = [7; 48];
const AGAIN_AFTER: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(30);

/// One partition's probe, ready to be fired.
#[derive(Debug)]
pub struct Probe {
    partition: u16,
    request: Vec<u8>,
    /// By broker. Of this probe alone: a broker answers the requests of one connection one after the other.
    connections: BTreeMap<i32, TcpStream>,
    leader: Receiver<i32>,
}

/// How it went.
#[derive(Clone, Debug, Default)]
pub struct Passage {
    pub partition: u16,
    pub sent_us: i64,
    /// Errors before success: how many, the last one, and when it came.
    pub refusals: u32,
    pub refused: Option<(i16, i64)>,
    pub answered_us: i64,
}

impl Probe {
    /// Connects to these brokers. Whoever knows the new leader tells it through the second value.
    pub fn new(partition: u16, brokers: &[(i32, u16)]) -> Result<(Self, Sender<i32>), Failure> {
        let values = (&VALUE[..], VALUE.len());
        let (request, _) = produce(TOPIC, &[i32::from(partition)], -1, Codec::None, values, VALUE.len())?;
        let mut connections = BTreeMap::new();
        for (broker, port) in brokers {
            let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, *port)), PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            connections.insert(*broker, stream);
        }
        let (orders, leader) = channel();
        Ok((Self { partition, request, connections, leader }, orders))
    }

    /// Waits for the leader, and sends until it is written.
    pub fn fire(self) -> Result<Passage, Failure> {
        let leader = self.leader.recv_timeout(PATIENCE)?;
        let mut stream = self.connections.get(&leader).ok_or("the new leader is none of those that are left")?;
        let mut passage = Passage { partition: self.partition, sent_us: now_us(), ..Passage::default() };
        let end_us = passage.sent_us + i64::try_from(PATIENCE.as_micros())?;
        while now_us() < end_us {
            stream.write_all(&self.request)?;
            let error = error_of(&read_frame(&mut stream)?)?;
            passage.answered_us = now_us();
            let Some(error) = error else { return Ok(passage) };
            passage.refusals += 1;
            passage.refused = Some((error, passage.answered_us));
            std::thread::sleep(AGAIN_AFTER);
        }
        Err(format!("refused {} times: {:?}", passage.refusals, passage.refused).into())
    }
}
