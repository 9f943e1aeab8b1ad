//! The network between the producer and the brokers: bytes on their way, and what can happen to them there.

use crate::random::Random;
use kurier::io::Stream;
use kurier::time::Time;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::ops::RangeInclusive;
use std::time::Duration;

/// How fast a machine hears of what it was not told in the stream's order: a reset, a refusal.
const SOON: Duration = Duration::from_micros(50);
/// What a socket's buffer takes, if it is none of those that are too small.
pub(crate) const BUFFER_BYTES: usize = 200_000;

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    End,
}

/// One direction of a connection.
#[derive(Debug)]
pub(crate) struct Pipe {
    queue: VecDeque<(Time, Piece)>,
    queued_bytes: usize,
    /// When the line has taken what was put on it.
    free_at: Time,
    last: Time,
    /// Nothing arrives before this moment.
    pub(crate) held_until: Time,
    /// Nothing arrives any more, and nobody is told.
    pub(crate) vanishes: bool,
    /// After so many more bytes the connection is dead.
    pub(crate) cut_after: Option<usize>,
}

impl Pipe {
    fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            queued_bytes: 0,
            free_at: Time::ZERO,
            last: Time::ZERO,
            held_until: Time::ZERO,
            vanishes: false,
            cut_after: None,
        }
    }

    fn put(&mut self, piece: Piece, now: Time, distance: u64, bytes_per_s: u64) {
        let bytes = if let Piece::Bytes(bytes) = &piece { bytes.len() } else { 0 };
        // 0: as fast as one likes.
        let took = (bytes as u64 * 1_000_000_000).checked_div(bytes_per_s).unwrap_or(0);
        self.free_at = self.free_at.max(now) + Duration::from_nanos(took);
        self.last = self.last.max(self.free_at.max(now) + Duration::from_nanos(distance));
        self.queued_bytes += bytes;
        self.queue.push_back((self.last, piece));
    }

    fn next(&self) -> Time {
        match self.queue.front() {
            Some((at, _)) if !self.vanishes => (*at).max(self.held_until),
            _ => Time::NEVER,
        }
    }

    fn take(&mut self, now: Time) -> Option<Piece> {
        if self.next() > now {
            return None;
        }
        let (_, piece) = self.queue.pop_front()?;
        if let Piece::Bytes(bytes) = &piece {
            self.queued_bytes -= bytes.len();
        }
        Some(piece)
    }

    fn empty(&mut self) {
        self.queue.clear();
        self.queued_bytes = 0;
    }
}

/// How a connection came about, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Not answered yet.
    Pending,
    /// It is there.
    Open,
    /// Refused.
    Refused,
}

/// One TCP connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) node: i32,
    pub(crate) opening: Opening,
    /// When the broker hears of it.
    asked_at: Time,
    /// When the client hears of the answer.
    answered_at: Time,
    answer: Opening,
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
    received: VecDeque<u8>,
    ended: bool,
    /// The client sees an error from this moment on.
    reset_at: Time,
    was_reset: bool,
    client_gone: bool,
    broker_gone: bool,
    distance: RangeInclusive<u64>,
    bytes_per_s: u64,
    buffer_bytes: usize,
    crumbs: bool,
    /// Bytes that went up and down.
    pub(crate) moved: (u64, u64),
}

impl Link {
    /// Can the client's next call say something else than "later"?
    pub(crate) fn is_ready(&self, writable: bool) -> bool {
        let answered = self.opening != Opening::Pending;
        let readable = !self.received.is_empty() || self.ended || self.was_reset;
        answered && (readable || (writable && self.up.queued_bytes < self.buffer_bytes))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.opening == Opening::Open && !self.client_gone && !self.broker_gone
    }

    fn next(&self) -> Time {
        if self.opening == Opening::Pending {
            return self.asked_at.min(self.answered_at);
        }
        let reset = if self.was_reset || self.client_gone { Time::NEVER } else { self.reset_at };
        self.up.next().min(self.down.next()).min(reset)
    }

    fn is_over(&self) -> bool {
        self.client_gone && self.up.next() == Time::NEVER && self.down.next() == Time::NEVER
    }

    /// Both sides lose it; the client hears of it soon.
    pub(crate) fn reset(&mut self, now: Time) {
        self.reset_at = self.reset_at.min(now + SOON);
        self.up.empty();
        self.down.empty();
    }
}

/// What the brokers hear, or an observer who stands beside the client.
pub(crate) enum Heard {
    /// The client has written this, and let go of a connection: it arrives later, if it does.
    Written(u64, Vec<u8>),
    GivenUp(u64),
    /// A connection was opened to this node: say whether it is accepted.
    Opened(u64, i32),
    Bytes(u64, Vec<u8>),
    Closed(u64),
}

/// All connections.
pub(crate) struct Wire {
    pub(crate) links: BTreeMap<u64, Link>,
    next_link: u64,
    distance: RangeInclusive<u64>,
    bytes_per_s: u64,
    buffer_bytes: usize,
    crumbs: bool,
    random: Random,
}

impl Wire {
    pub(crate) fn new(
        distance: RangeInclusive<u64>,
        bytes_per_s: u64,
        buffer_bytes: usize,
        crumbs: bool,
        random: Random,
    ) -> Self {
        Self { links: BTreeMap::new(), next_link: 1, distance, bytes_per_s, buffer_bytes, crumbs, random }
    }

    /// Begins to connect. Before `heard_from` nobody is there to say yes or no; then the next try comes through.
    pub(crate) fn connect(&mut self, node: i32, heard_from: Time, refused: bool, now: Time) -> u64 {
        let id = self.next_link;
        self.next_link += 1;
        let way = Duration::from_nanos(self.random.range(self.distance.clone()));
        let again = if heard_from > now { Duration::from_nanos(self.random.below(1_000_000_000)) } else { way };
        let asked_at = if refused { Time::NEVER } else { heard_from.max(now) + again };
        let link = Link {
            node,
            opening: Opening::Pending,
            asked_at,
            answered_at: if refused { now + SOON } else { Time::NEVER },
            answer: Opening::Refused,
            up: Pipe::new(),
            down: Pipe::new(),
            received: VecDeque::new(),
            ended: false,
            reset_at: Time::NEVER,
            was_reset: false,
            client_gone: false,
            broker_gone: false,
            distance: self.distance.clone(),
            bytes_per_s: self.bytes_per_s,
            buffer_bytes: self.buffer_bytes,
            crumbs: self.crumbs,
            moved: (0, 0),
        };
        self.links.insert(id, link);
        id
    }

    /// The broker's answer to [`Heard::Opened`].
    pub(crate) fn answer(&mut self, id: u64, accepted: bool, now: Time) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.answer = if accepted { Opening::Open } else { Opening::Refused };
        link.answered_at = now + Duration::from_nanos(self.random.range(link.distance.clone()));
        link.broker_gone = !accepted;
    }

    pub(crate) fn next(&self) -> Time {
        self.links.values().map(Link::next).min().unwrap_or(Time::NEVER)
    }

    /// Moves what has come to its end of the line; what the brokers hear of it.
    pub(crate) fn advance(&mut self, now: Time) -> Vec<Heard> {
        let mut heard = Vec::new();
        for (id, link) in &mut self.links {
            if link.next() > now {
                continue;
            }
            if link.opening == Opening::Pending {
                if link.asked_at <= now {
                    link.asked_at = Time::NEVER;
                    heard.push(Heard::Opened(*id, link.node));
                }
                if link.answered_at <= now {
                    link.opening = link.answer;
                }
                continue;
            }
            Self::rise(*id, link, now, &mut heard);
            Self::fall(*id, link, now, &mut heard);
            if link.reset_at <= now && !link.client_gone {
                link.was_reset = true;
            }
        }
        self.links.retain(|_, link| !link.is_over());
        heard
    }

    fn rise(id: u64, link: &mut Link, now: Time, heard: &mut Vec<Heard>) {
        while let Some(piece) = link.up.take(now) {
            let Piece::Bytes(mut bytes) = piece else {
                if !link.broker_gone {
                    link.broker_gone = true;
                    heard.push(Heard::Closed(id));
                }
                continue;
            };
            if link.broker_gone {
                continue;
            }
            let cut = link.up.cut_after.filter(|left| *left <= bytes.len());
            bytes.truncate(cut.unwrap_or(bytes.len()));
            link.up.cut_after = link.up.cut_after.map(|left| left - bytes.len());
            if !bytes.is_empty() {
                link.moved.0 += bytes.len() as u64;
                heard.push(Heard::Bytes(id, bytes));
            }
            if cut.is_some() {
                link.broker_gone = true;
                heard.push(Heard::Closed(id));
                link.reset(now);
            }
        }
    }

    fn fall(id: u64, link: &mut Link, now: Time, heard: &mut Vec<Heard>) {
        while let Some(piece) = link.down.take(now) {
            let Piece::Bytes(mut bytes) = piece else {
                link.ended = true;
                continue;
            };
            if link.client_gone || link.was_reset {
                continue;
            }
            let cut = link.down.cut_after.filter(|left| *left <= bytes.len());
            bytes.truncate(cut.unwrap_or(bytes.len()));
            link.down.cut_after = link.down.cut_after.map(|left| left - bytes.len());
            link.moved.1 += bytes.len() as u64;
            link.received.extend(bytes);
            if cut.is_some() {
                link.reset(now);
                if !link.broker_gone {
                    link.broker_gone = true;
                    heard.push(Heard::Closed(id));
                }
            }
        }
    }

    /// A broker sends bytes.
    pub(crate) fn send(&mut self, id: u64, bytes: Vec<u8>, now: Time) {
        let Some(link) = self.links.get_mut(&id).filter(|link| !link.broker_gone) else { return };
        let way = self.random.range(link.distance.clone());
        link.down.put(Piece::Bytes(bytes), now, way, link.bytes_per_s);
    }

    /// A broker closes a connection.
    pub(crate) fn end(&mut self, id: u64, now: Time) {
        let Some(link) = self.links.get_mut(&id).filter(|link| !link.broker_gone) else { return };
        link.broker_gone = true;
        let way = self.random.range(link.distance.clone());
        link.down.put(Piece::End, now, way, 0);
        if self.random.chance(30) {
            link.reset(now);
        }
    }

    /// The client lets go of a connection. What it has sent may still arrive, long after.
    pub(crate) fn drop_by_client(&mut self, id: u64, now: Time) -> Option<Heard> {
        let link = self.links.get_mut(&id)?;
        if link.opening != Opening::Open || link.was_reset || link.broker_gone {
            let was_accepted = link.answer == Opening::Open && !link.broker_gone;
            self.links.remove(&id);
            return was_accepted.then_some(Heard::Closed(id));
        }
        link.client_gone = true;
        link.down.empty();
        if self.random.chance(20) {
            link.up.empty();
        }
        let way = self.random.range(link.distance.clone());
        link.up.put(Piece::End, now, way, 0);
        None
    }

    /// One connection resets, of which both sides hear.
    pub(crate) fn reset(&mut self, id: u64, now: Time) -> Option<Heard> {
        let link = self.links.get_mut(&id)?;
        link.reset(now);
        let was_there = !link.broker_gone && link.answer == Opening::Open;
        link.broker_gone = true;
        was_there.then_some(Heard::Closed(id))
    }

    /// What was held back may go on, through buffers as large as they should be; what vanished has vanished.
    pub(crate) fn heal(&mut self, now: Time) {
        self.buffer_bytes = self.buffer_bytes.max(BUFFER_BYTES);
        for link in self.links.values_mut() {
            if link.asked_at != Time::NEVER {
                link.asked_at = link.asked_at.min(now + Duration::from_secs(1));
            }
            link.buffer_bytes = self.buffer_bytes;
            for pipe in [&mut link.up, &mut link.down] {
                pipe.held_until = pipe.held_until.min(now);
                pipe.cut_after = None;
            }
        }
    }

    /// The client's end of a connection, for a step.
    pub(crate) fn socket(&mut self, id: u64, now: Time) -> Option<Socket<'_>> {
        let link = self.links.get_mut(&id)?;
        Some(Socket { link, random: &mut self.random, now, read: 0, written: Vec::new() })
    }
}

/// See [`Wire::socket`].
pub(crate) struct Socket<'a> {
    link: &'a mut Link,
    random: &'a mut Random,
    now: Time,
    pub(crate) read: u64,
    pub(crate) written: Vec<u8>,
}

impl Socket<'_> {
    /// Is there something to read?
    pub(crate) fn has_bytes(&self) -> bool {
        !self.link.received.is_empty()
    }
}

impl Stream for Socket<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let link = &mut *self.link;
        if link.received.is_empty() {
            return match (link.was_reset, link.ended) {
                (true, _) => Err(io::ErrorKind::ConnectionReset.into()),
                (_, true) => Ok(0),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        let mut count = into.len().min(link.received.len());
        if link.crumbs && self.random.chance(50) {
            count = self.random.range(1..=count as u64) as usize;
        }
        for (place, byte) in into.iter_mut().zip(link.received.drain(..count)) {
            *place = byte;
        }
        self.read += count as u64;
        Ok(count)
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let link = &mut *self.link;
        if link.was_reset {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let whole: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut count = whole.min(link.buffer_bytes.saturating_sub(link.up.queued_bytes));
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if link.crumbs && self.random.chance(50) {
            count = self.random.range(1..=count as u64) as usize;
        }
        let mut bytes = Vec::with_capacity(count);
        for slice in slices {
            let left = count - bytes.len();
            bytes.extend_from_slice(&slice[..slice.len().min(left)]);
        }
        self.written.extend_from_slice(&bytes);
        if link.broker_gone {
            // The broker's system answers with a reset.
            link.reset(self.now);
            return Ok(count);
        }
        let way = self.random.range(link.distance.clone());
        link.up.put(Piece::Bytes(bytes), self.now, way, link.bytes_per_s);
        Ok(count)
    }
}
