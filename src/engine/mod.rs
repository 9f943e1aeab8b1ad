//! The brain, sans-io and deterministic: no clock, thread, socket, file or environment inside.
//!
//! `handle_*` tells it what happened, `poll_*` asks what to do. Spurious calls are harmless. Batches are
//! handles of type `B` of which it sees counts and sizes, never bytes.

mod answers;
mod backoff;
mod batches;
mod cluster;
mod config;
mod connecting;
mod connection;
mod fates;
mod identity;
mod inquiry;
mod metadata;
mod route;
mod sending;
mod timers;
mod transmit;
mod verdict;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::code::{Code, Error, Outcome};
use crate::time::Time;

pub use config::EngineConfig;

use backoff::Random;
use cluster::Cluster;
use connection::Connection;
use identity::Identity;
use sending::Partition;

/// A batch as the engine sees it. Cloning shares the bytes.
pub trait Parcel: Clone {
    /// Number of records, at least 1.
    fn records(&self) -> u32;
    /// Bytes of the records as they will stand on the wire (compressed if they are to be), without the
    /// 61 bytes of the batch's header.
    fn payload_bytes(&self) -> usize;
    /// False while the records still have to be compressed: see [`Transmit::Prepare`].
    fn is_prepared(&self) -> bool;
    /// The codec's number in the batch attributes (0 to 4) of the prepared payload.
    fn codec(&self) -> i16;
    /// Timestamp of the first record.
    fn base_timestamp_ms(&self) -> i64;
    /// Largest timestamp.
    fn max_timestamp_ms(&self) -> i64;
    /// When it was opened: `delivery.timeout.ms` counts from here, whatever happens to it.
    fn opened(&self) -> Time;
}

/// A topic's number inside the producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicNumber(pub u32);

/// A partition's number inside the producer: dense over all topics, given out by the engine, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionNumber(pub u32);

/// A connection's number. 0 is the bootstrap connection, which asks for metadata and identity and always
/// exists; each other one belongs to one broker and produces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionNumber(pub u32);

impl ConnectionNumber {
    /// The one that asks for metadata and producer ids.
    pub const BOOTSTRAP: Self = Self(0);
}

/// Bytes to write on a connection, or what has to be done before there are any.
#[derive(Debug)]
pub enum Transmit<B> {
    /// These batches would go out next, but are not compressed yet: do it (no lock held), then poll again.
    /// A batch that cannot be compressed now (no memory) may be left out if another one was done.
    Prepare(Vec<B>),
    /// One request.
    Request(Request<B>),
}

/// One request, ready but for checksums.
#[derive(Debug)]
pub struct Request<B> {
    /// Length prefix, headers and everything else that is not a record, in order.
    pub frame: Vec<u8>,
    /// For each batch the place in `frame` where its 61-byte header *ends* (its records go between
    /// `frame[..end]` and `frame[end..]`), ascending. The CRC field of that header is still zero.
    pub batches: Vec<(usize, B)>,
    /// Tells it again in [`Engine::handle_written`].
    pub correlation_id: i32,
}

/// What to do about connecting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connect {
    /// Resolve and try every address of this name, within `timeout` in all.
    To {
        /// Name or address.
        host: String,
        /// TCP port.
        port: u16,
        /// Deadline of resolving, connecting and handshakes.
        timeout: std::time::Duration,
    },
    /// Nothing before this moment (backoff, or nobody needs it: `Time::NEVER`).
    NotBefore(Time),
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// `OK` is written.
    pub code: Code,
    /// The last broker error, 0 if none.
    pub broker_code: i16,
    /// What is known about its bytes.
    pub outcome: Outcome,
    /// Offset of its first record, -1 if no broker told it.
    pub base_offset: i64,
    /// -1: the records' own timestamps stand.
    pub log_append_time_ms: i64,
    /// How often it was sent; 255: or more.
    pub attempts: u8,
    /// Records that were refused one by one (KIP-467), by index: code of each. The others of the batch
    /// have `code`.
    pub record_codes: Vec<(u32, i16)>,
}

/// What the engine wants done that is not bytes.
#[derive(Debug)]
pub enum Action<B> {
    /// A batch has its fate. Exactly one for every batch handed in (or for both halves of a split one).
    Fate(PartitionNumber, B, Fate),
    /// The engine no longer refers to this batch: drop it where no lock is held.
    Released(B),
    /// The copy of this batch that was encoded for the wire takes room and will not be sent soon: drop it. It is made
    /// again when its turn comes ([`Transmit::Prepare`]). This has to be in force before the engine is asked again.
    Unprepare(B),
    /// The broker finds this batch too large: make two of it (first ⌈n/2⌉ records, rest) and call
    /// [`Engine::handle_split`].
    Split(PartitionNumber, B),
    /// A connection that was not there before: give it a thread.
    Start(ConnectionNumber),
    /// This connection's thread has something to do.
    Wake(ConnectionNumber),
    /// The partition is now led over this connection; `BOOTSTRAP`: it has no leader.
    Leader(PartitionNumber, ConnectionNumber),
    /// The topic's partitions, all of them, in order of their index; the first time, and when there are more.
    Partitions(TopicNumber, Vec<PartitionNumber>),
    /// The brokers said this about a topic that has no partitions yet, or that they do not allow it any more.
    TopicError(TopicNumber, crate::code::Error),
    /// Nothing is sent any more, for good; [`Engine::status`] says why.
    Finished,
    /// A line for the log.
    Log(Level, String),
}

/// How bad a log line is; the numbers are those of the C header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// Something was lost or will not work.
    Error = 1,
    /// Something went wrong and is being dealt with.
    Warn = 2,
    /// What an operator wants to know.
    Info = 3,
    /// What a developer wants to know.
    Debug = 4,
}

/// The state machine. One lock around it, taken once per request or response, never per record.
///
/// Every call is cheap: its cost depends on the batches it is about, not on the number of partitions
/// (exceptions: purge, the end of the producer, a new producer id, a metadata request, the end of a connection).
/// Calls about connections or partitions that do not exist do nothing.
#[derive(Debug)]
pub struct Engine<B> {
    config: EngineConfig,
    random: Random,
    cluster: Cluster,
    identity: Identity,
    connections: Vec<Connection<B>>,
    partitions: Vec<Partition<B>>,
    actions: VecDeque<Action<B>>,
    /// Numbers the places in ready lists.
    turn: u64,
    fatal: Option<Error>,
    unreachable: Option<Error>,
}

impl<B: Parcel> Engine<B> {
    /// A producer that knows only its bootstrap addresses. `seed` decides its jitter and nothing else.
    #[must_use]
    pub fn new(config: EngineConfig, seed: u64) -> Self {
        let mut bootstrap = Connection::new(None, String::new(), 0);
        if let Some((host, port)) = config.bootstrap.first() {
            (bootstrap.host, bootstrap.port) = (host.clone(), *port);
        }
        Self {
            config,
            random: Random::new(seed),
            cluster: Cluster::default(),
            identity: Identity::default(),
            connections: vec![bootstrap],
            partitions: Vec::new(),
            actions: VecDeque::new(),
            turn: 0,
            fatal: None,
            unreachable: None,
        }
    }

    /// The next thing to do that is not bytes. Ask until `None` after every call of another verb.
    pub fn poll_action(&mut self) -> Option<Action<B>> {
        self.actions.pop_front()
    }

    /// What stands in the way of the whole producer: fatal for ever, or while it lasts that no broker answers.
    #[must_use]
    pub fn status(&self) -> Option<Error> {
        self.fatal.clone().or_else(|| self.unreachable.clone())
    }

    /// Why a topic has no partitions, or what its last answer complained about.
    #[must_use]
    pub fn topic_status(&self, topic: TopicNumber) -> Option<Error> {
        self.cluster.topics.get(&topic).and_then(|topic| topic.error.clone())
    }

    /// Requests without an answer (with `acks=0`: not completely written).
    #[must_use]
    pub fn in_flight(&self, connection: ConnectionNumber) -> usize {
        self.connections.get(connection.0 as usize).map_or(0, |connection| connection.in_flight.len())
    }

    /// Batches without a fate, for the adaptive partitioner.
    #[must_use]
    pub fn queue_length(&self, partition: PartitionNumber) -> usize {
        let partition = self.partitions.get(partition.0 as usize);
        partition.map_or(0, |partition| partition.queue.len() + partition.arriving.len())
    }

    /// Partitions of a connection with a batch without a fate: nobody needs the connection when it is 0.
    #[must_use]
    pub fn partitions_in_need(&self, connection: ConnectionNumber) -> usize {
        self.connections.get(connection.0 as usize).map_or(0, |connection| connection.busy)
    }

    fn log(&mut self, level: Level, line: String) {
        self.actions.push_back(Action::Log(level, line));
    }

    /// `topic-3`, for log lines.
    fn name(&self, number: PartitionNumber) -> String {
        let Some(partition) = self.partitions.get(number.0 as usize) else { return String::new() };
        let topic = self.cluster.topics.get(&partition.topic).map_or("", |topic| topic.name.as_str());
        format!("{topic}-{}", partition.index)
    }

    /// Wakes a connection's thread, once until it asks again.
    fn wake(&mut self, number: ConnectionNumber) {
        let connection = self.connections.get_mut(number.0 as usize);
        if let Some(connection) = connection.filter(|connection| !connection.is_woken) {
            connection.is_woken = true;
            self.actions.push_back(Action::Wake(number));
        }
    }

    fn all_partitions(&self) -> impl Iterator<Item = PartitionNumber> + use<B> {
        (0..u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)).map(PartitionNumber)
    }

    /// A defect outside the engine: everything that has no fate gets one, and nothing is sent any more.
    pub fn handle_defect(&mut self, what: &str, now: Time) {
        self.end_with(Code::INTERNAL, 0, what.to_owned(), now);
    }

    /// The end of the producer: everything that has no fate gets one.
    fn end(&mut self, broker_code: i16, what: &str, now: Time) {
        self.end_with(Code::FATAL, broker_code, format!("{what} (broker error {broker_code})"), now);
    }

    fn end_with(&mut self, code: Code, broker_code: i16, message: String, now: Time) {
        if self.fatal.is_some() {
            return;
        }
        self.log(Level::Error, message.clone());
        self.fatal = Some(Error { code, broker_code, retriable: false, fatal: true, message });
        self.actions.push_back(Action::Finished);
        for number in self.all_partitions() {
            self.fail_where(number, true, fates::Doom { code, broker_code }, |_| true);
            self.settle(number, now);
        }
    }
}
