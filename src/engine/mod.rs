//! The brain, sans-io and deterministic: no clock, thread, socket, file or environment inside.
//!
//! `handle_*` tells it what happened, `poll_*` asks what to do. Spurious calls are harmless. Batches are
//! handles of type `B` of which it sees counts and sizes, never bytes.

use crate::code::{Code, Outcome};
use crate::time::Time;

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
    /// The brokers said this about a topic that has no partitions yet (or again `OK` is not sent here).
    TopicError(TopicNumber, crate::code::Error),
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
