//! Connections: frames in, one request at a time, frames out.

use std::collections::VecDeque;
use std::time::Duration;

use kurier::protocol::wire::{Malformed, Reader, Writer};
use kurier::time::Time;

use super::Cluster;
use super::broker::Point;
use super::timers::Event;
use super::versions::{API_VERSIONS, DESCRIBE_PRODUCERS, INIT_PRODUCER_ID, METADATA, PRODUCE};

/// Largest request that a broker takes (`socket.request.max.bytes`).
const FRAME_BYTES_MAX: i32 = 100 << 20;

/// What a broker did to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Bytes(Vec<u8>),
    Close,
}

/// The front of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) api: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
}

impl Header {
    /// Reads it, its tagged fields included where the version has them (KIP-482), and readies the reader for the body.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let header = Self { api: reader.int16()?, version: reader.int16()?, correlation_id: reader.int32()? };
        reader.string_or_null()?;
        reader.set_flexible(header.is_flexible());
        reader.skip_tags()?;
        Ok(header)
    }

    fn is_flexible(&self) -> bool {
        match self.api {
            PRODUCE | METADATA => self.version >= 9,
            API_VERSIONS => self.version >= 3,
            INIT_PRODUCER_ID => self.version >= 2,
            _ => self.api == DESCRIBE_PRODUCERS,
        }
    }

    /// A whole answer, its length in front.
    pub(crate) fn frame(&self, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::with_capacity(128);
        writer.int32(0);
        writer.int32(self.correlation_id);
        writer.set_flexible(self.is_flexible() && self.api != API_VERSIONS);
        writer.no_tags();
        writer.set_flexible(self.is_flexible());
        body(&mut writer);
        let mut frame = writer.finish().unwrap_or_default();
        let length = frame.len().saturating_sub(4) as i32;
        if let Some(prefix) = frame.first_chunk_mut() {
            *prefix = length.to_be_bytes();
        }
        frame
    }
}

/// What became of a request.
pub(crate) enum Outcome {
    Answer(Vec<u8>),
    /// Something else answers.
    Wait,
    /// It has no answer.
    Silence,
    Close,
}

/// A connection as its broker sees it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) node: i32,
    buffer: Vec<u8>,
    frames: VecDeque<Vec<u8>>,
    /// A request is being answered; the next one waits, as Kafka mutes the socket.
    is_busy: bool,
    pub(crate) is_client_gone: bool,
    /// Requests of a client that has gone were put off once.
    is_late: bool,
    /// KIP-219: throttled.
    pub(crate) muted_until: Time,
}

impl Cluster {
    /// A TCP connection was opened to this node. false: refused.
    pub(crate) fn accept(&mut self, node: i32, connection: u64, now: Time) -> bool {
        self.advance(now);
        let Some(release) = self.brokers.get(&node).filter(|broker| broker.is_up).map(|broker| broker.release) else {
            self.count("connections refused");
            return false;
        };
        let fresh = Connection {
            node,
            buffer: Vec::new(),
            frames: VecDeque::new(),
            is_busy: false,
            is_client_gone: false,
            is_late: false,
            muted_until: Time::ZERO,
        };
        self.connections.insert(connection, fresh);
        self.sniffer.opened(connection, node, release);
        self.count("connections");
        true
    }

    /// Bytes of the client arrived, cut anywhere.
    pub(crate) fn receive(&mut self, connection: u64, bytes: &[u8], now: Time) {
        self.advance(now);
        if let Some(node) = self.silenced.get(&connection) {
            // Nobody is there; once the machine is back, it does not know the connection.
            if self.brokers.get(node).is_some_and(|broker| broker.is_up) {
                self.silenced.remove(&connection);
                self.output.push((connection, Output::Close));
            }
            return;
        }
        let Some(one) = self.connections.get_mut(&connection).filter(|one| !one.is_client_gone) else { return };
        one.buffer.extend_from_slice(bytes);
        let mut taken = 0;
        let mut arrived = Vec::new();
        let mut is_broken = false;
        while let Some(prefix) = one.buffer.get(taken..).and_then(|rest| rest.first_chunk::<4>()) {
            let length = i32::from_be_bytes(*prefix);
            if !(0..=FRAME_BYTES_MAX).contains(&length) {
                is_broken = true;
                break;
            }
            let Some(frame) = one.buffer.get(taken + 4..taken + 4 + length as usize) else { break };
            arrived.push(frame.to_vec());
            taken += 4 + length as usize;
        }
        one.buffer.drain(..taken);
        let node = one.node;
        for frame in arrived {
            // Who tells what is sent has told it when it was.
            if let Some(broker) = self.brokers.get(&node).filter(|_| !self.sniffer.is_tapped) {
                self.sniffer.frame(connection, broker.release, &frame, &self.controller);
            }
            if let Some(one) = self.connections.get_mut(&connection) {
                one.frames.push_back(frame);
            }
        }
        if is_broken {
            self.sniffer.violation("a frame with an impossible length".to_owned());
            self.hang_up(connection);
        }
        self.proceed(connection);
    }

    /// The client's side is gone. What had arrived whole may still be worked off.
    pub(crate) fn close(&mut self, connection: u64, now: Time) {
        self.advance(now);
        self.sniffer.closed(connection);
        self.silenced.remove(&connection);
        let kept = self.random.chance(50);
        let Some(one) = self.connections.get_mut(&connection) else { return };
        one.is_client_gone = true;
        one.buffer.clear();
        let kept = if kept { self.random.range(0..=one.frames.len() as u64) } else { 0 };
        one.frames.truncate(kept as usize);
        if !one.is_busy && one.frames.is_empty() {
            self.connections.remove(&connection);
        }
    }

    /// The client writes bytes, whenever they arrive, if they do: what is legal is decided here.
    pub(crate) fn sent(&mut self, connection: u64, bytes: &[u8]) {
        for (release, frame) in self.sniffer.tap(connection, bytes) {
            self.sniffer.frame(connection, release, &frame, &self.controller);
        }
    }

    /// The client has given the connection up, though the network may tell the broker only later with `close`, or
    /// never: the sniffer does not take its requests for unanswered any more.
    pub(crate) fn abandon(&mut self, connection: u64) {
        self.sniffer.closed(connection);
        self.sniffer.untap(connection);
    }

    /// The next request of the connection gets its turn, if none has.
    fn proceed(&mut self, connection: u64) {
        let (low, high) = self.profile.processing_us;
        let Some(one) = self.connections.get_mut(&connection) else { return };
        if one.is_busy {
            return;
        }
        if one.frames.is_empty() {
            if one.is_client_gone {
                self.connections.remove(&connection);
            }
            return;
        }
        one.is_busy = true;
        let (node, from) = (one.node, one.muted_until.max(self.now));
        let delay = self.random.micros(low..=high);
        self.at_broker(node, from + delay, Event::Process { connection });
    }

    pub(super) fn process(&mut self, connection: u64) {
        let late = self.random.chance(20).then(|| self.random.millis(1..=3_000));
        let Some(one) = self.connections.get_mut(&connection) else { return };
        let node = one.node;
        if one.is_client_gone
            && !std::mem::replace(&mut one.is_late, true)
            && let Some(delay) = late
        {
            self.count("requests worked off late, for a client that has gone");
            self.at_broker(node, self.now + delay, Event::Process { connection });
            return;
        }
        let Some(frame) = one.frames.pop_front() else {
            one.is_busy = false;
            return self.proceed(connection);
        };
        match self.handle(connection, node, &frame) {
            Outcome::Answer(bytes) => self.reply(connection, node, bytes, false),
            Outcome::Wait => {}
            Outcome::Silence => {
                self.sniffer.answered(connection);
                if let Some(one) = self.connections.get_mut(&connection) {
                    one.is_busy = false;
                    self.proceed(connection);
                }
            }
            Outcome::Close => self.hang_up(connection),
        }
    }

    fn handle(&mut self, connection: u64, node: i32, frame: &[u8]) -> Outcome {
        let mut reader = Reader::new(frame);
        let Ok(header) = Header::decode(&mut reader) else { return Outcome::Close };
        let Some(release) = self.brokers.get(&node).map(|broker| broker.release) else { return Outcome::Close };
        if !release.range(header.api).is_some_and(|range| range.contains(&header.version)) {
            return if header.api == API_VERSIONS { self.unsupported(release, &header) } else { Outcome::Close };
        }
        match header.api {
            PRODUCE => {
                self.count("Produce requests");
                self.produce(connection, node, &header, &mut reader)
            }
            METADATA => {
                self.count("Metadata requests");
                self.metadata(node, &header, &mut reader)
            }
            API_VERSIONS => {
                self.count("ApiVersions requests");
                self.api_versions(release, &header, &mut reader)
            }
            INIT_PRODUCER_ID => {
                self.count("InitProducerId requests");
                self.init_producer_id(&header, &mut reader)
            }
            _ => {
                self.count("DescribeProducers requests");
                self.describe_producers(node, &header, &mut reader)
            }
        }
    }

    /// An answer is on its way out.
    pub(super) fn reply(&mut self, connection: u64, node: i32, bytes: Vec<u8>, ends: bool) {
        let mut delay = self.random.micros(1..=200);
        if let Some(broker) = self.brokers.get(&node)
            && self.now < broker.tardy_until
        {
            delay += broker.tardiness;
        }
        self.at_broker(node, self.now + delay, Event::Answer { connection, bytes, ends });
    }

    pub(super) fn answer(&mut self, connection: u64, bytes: Vec<u8>, ends: bool) {
        let Some(one) = self.connections.get_mut(&connection) else { return };
        one.is_busy = false;
        if !one.is_client_gone {
            self.sniffer.answered(connection);
            self.output.push((connection, Output::Bytes(bytes)));
        }
        if ends {
            return self.hang_up(connection);
        }
        self.proceed(connection);
    }

    /// The broker closes the connection.
    fn hang_up(&mut self, connection: u64) {
        self.sniffer.closed(connection);
        if self.connections.remove(&connection).is_some_and(|one| !one.is_client_gone) {
            self.output.push((connection, Output::Close));
        }
    }

    /// Is this where the broker dies? Then it is dead.
    pub(super) fn meets_doom(&mut self, node: i32, point: Point) -> bool {
        let doom = self.brokers.get(&node).and_then(|broker| broker.doom).filter(|doom| doom.point == point);
        let Some(doom) = doom else { return false };
        self.crash(node, doom.silent, doom.down);
        self.count(match point {
            Point::BeforeAppend => "crashes before the append",
            Point::AfterAppend => "crashes after the append",
            Point::BeforeAnswer => "crashes before the answer",
        });
        true
    }

    /// How long a connection is muted for an answer that says so; nobody mutes for a month.
    pub(super) fn mute(&mut self, connection: u64, throttle_ms: i32) {
        let span = Duration::from_millis(throttle_ms.clamp(0, 60_000) as u64);
        if let Some(one) = self.connections.get_mut(&connection) {
            one.muted_until = one.muted_until.max(self.now + span);
        }
    }
}
