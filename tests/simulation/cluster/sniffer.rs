//! The wire re-read: are versions, sizes, epochs and sequences legal (I14, I15)?
//!
//! It sees requests whole, in the order in which they are sent if it is told of that ([`Sniffer::tap`]), else in that
//! of their arrival. What was sent first then arrives first, unless it never arrives: it is sent again, or its epoch
//! has ended.

use std::collections::{BTreeMap, VecDeque};

use kurier::protocol::broker_code as code;
use kurier::protocol::messages::produce::ProduceRequest;
use kurier::protocol::wire::Reader;

use super::controller::Controller;
use super::network::Header;
use super::versions::{API_VERSIONS, PRODUCE, Release};

mod batch;
mod lane;

use lane::{Flying, Lane};

/// More sentences than anybody reads.
const VIOLATIONS_MAX: usize = 100;

type LaneKey = (String, i32);

/// A connection and what is unanswered on it.
#[derive(Debug)]
struct Line {
    node: i32,
    requests: VecDeque<Vec<(LaneKey, Flying)>>,
    /// Error codes of the answer that is on its way out.
    codes: Vec<(LaneKey, i16)>,
}

/// Everything seen so far.
#[derive(Debug)]
pub(crate) struct Sniffer {
    request_bytes_max: Option<usize>,
    pub(crate) violations: Vec<String>,
    lanes: BTreeMap<LaneKey, Lane>,
    lines: BTreeMap<u64, Line>,
    /// It is told of what is sent.
    pub(crate) is_tapped: bool,
    /// By connection: what its broker was when it was opened, and the beginning of a request.
    taps: BTreeMap<u64, (&'static Release, Vec<u8>)>,
    /// Connections that have ended.
    ends: u64,
}

impl Sniffer {
    pub(crate) fn new(request_bytes_max: Option<usize>) -> Self {
        Self {
            request_bytes_max,
            violations: Vec::new(),
            lanes: BTreeMap::new(),
            lines: BTreeMap::new(),
            is_tapped: false,
            taps: BTreeMap::new(),
            ends: 0,
        }
    }

    pub(crate) fn violation(&mut self, sentence: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(sentence);
        }
    }

    pub(crate) fn opened(&mut self, connection: u64, node: i32, release: &'static Release) {
        self.taps.insert(connection, (release, Vec::new()));
        self.lines.insert(connection, Line { node, requests: VecDeque::new(), codes: Vec::new() });
    }

    /// The client sends bytes: the requests that are whole now, and what the broker was that they go to.
    pub(crate) fn tap(&mut self, connection: u64, bytes: &[u8]) -> Vec<(&'static Release, Vec<u8>)> {
        self.is_tapped = true;
        let Some((release, buffer)) = self.taps.get_mut(&connection) else { return Vec::new() };
        buffer.extend_from_slice(bytes);
        let mut frames = Vec::new();
        while let Some(length) = buffer.first_chunk::<4>().map(|prefix| u32::from_be_bytes(*prefix) as usize) {
            if buffer.len() < 4 + length {
                break;
            }
            let rest = buffer.split_off(4 + length);
            let mut frame = std::mem::replace(buffer, rest);
            frame.drain(..4);
            frames.push((*release, frame));
        }
        frames
    }

    /// The client sends nothing more on this connection.
    pub(crate) fn untap(&mut self, connection: u64) {
        self.taps.remove(&connection);
    }

    /// Nothing on this connection will be answered any more, or nobody listens.
    pub(crate) fn closed(&mut self, connection: u64) {
        if let Some(line) = self.lines.remove(&connection) {
            self.ends += 1;
            for (key, flying) in line.requests.into_iter().flatten() {
                if let Some(lane) = self.lanes.get_mut(&key) {
                    lane.land(&flying);
                }
            }
        }
    }

    /// What the next answer on this connection will say, if it is true.
    pub(crate) fn will_answer(&mut self, connection: u64, codes: Vec<(LaneKey, i16)>) {
        if let Some(line) = self.lines.get_mut(&connection) {
            line.codes = codes;
        }
    }

    /// The oldest request on this connection was answered, or needs no answer.
    pub(crate) fn answered(&mut self, connection: u64) {
        let Some(line) = self.lines.get_mut(&connection) else { return };
        let codes = std::mem::take(&mut line.codes);
        for (key, flying) in line.requests.pop_front().into_iter().flatten() {
            let answer = codes.iter().find(|(of, _)| *of == key).map(|(_, error_code)| *error_code);
            if let Some(lane) = self.lanes.get_mut(&key) {
                lane.land(&flying);
                match answer {
                    Some(0 | code::DUPLICATE_SEQUENCE_NUMBER) => lane.prove(flying.node),
                    Some(code::MESSAGE_TOO_LARGE) => lane.may_split(&flying),
                    _ => {}
                }
            }
        }
    }

    /// A request arrived whole.
    pub(crate) fn frame(&mut self, connection: u64, release: &Release, frame: &[u8], controller: &Controller) {
        let mut reader = Reader::new(frame);
        let Ok(header) = Header::decode(&mut reader) else {
            return self.violation("a request whose header cannot be read".to_owned());
        };
        let mut flying = Vec::new();
        let offered = release.range(header.api);
        if offered.is_none_or(|range| !range.contains(&header.version)) {
            if header.api != API_VERSIONS {
                let number = release.number;
                self.violation(format!("API {} in version {} to a {number} broker", header.api, header.version));
            }
        } else if header.api == PRODUCE {
            flying = self.produce(connection, &header, &mut reader, controller);
        }
        if let Some(line) = self.lines.get_mut(&connection) {
            line.requests.push_back(flying);
        }
    }

    fn produce(
        &mut self,
        connection: u64,
        header: &Header,
        reader: &mut Reader<'_>,
        controller: &Controller,
    ) -> Vec<(LaneKey, Flying)> {
        let request = match ProduceRequest::decode(header.version, reader) {
            Ok(request) => request,
            Err(error) => {
                self.violation(format!("a produce request that cannot be read: {error}"));
                return Vec::new();
            }
        };
        if request.transactional_id.is_some() || !matches!(request.acks, -1..=1) || request.timeout_ms < 0 {
            let what = (request.transactional_id, request.acks, request.timeout_ms);
            self.violation(format!("a produce request with transactional id, acks and timeout {what:?}"));
        }
        let bytes: usize =
            request.topics.iter().flat_map(|topic| &topic.partitions).map(|(_, one)| one.map_or(0, <[u8]>::len)).sum();
        if let Some(bytes_max) = self.request_bytes_max.filter(|bytes_max| bytes > *bytes_max) {
            self.violation(format!("a request of {bytes} bytes of batches, {bytes_max} are the limit"));
        }
        let mut flying: Vec<(LaneKey, Flying)> = Vec::new();
        let mut keys: Vec<LaneKey> = Vec::new();
        for topic in &request.topics {
            let named = controller.ids.get(&topic.topic_id).map(|(name, number)| (name.to_string(), *number));
            let (name, incarnation) = match named {
                Some(named) if header.version >= 13 => named,
                None if header.version >= 13 => {
                    self.violation(format!("topic id {:02x?} was never given", topic.topic_id));
                    continue;
                }
                _ => {
                    let present = controller.image.topics.get(topic.name).map_or(0, |present| present.number);
                    (topic.name.to_owned(), present)
                }
            };
            if topic.partitions.is_empty() {
                self.violation(format!("{name} without a partition in a produce request"));
            }
            for (index, records) in &topic.partitions {
                let key = (name.clone(), *index);
                if keys.contains(&key) {
                    self.violation(format!("{name}-{index} twice in a produce request"));
                    continue;
                }
                keys.push(key.clone());
                let records = records.unwrap_or_default();
                flying.extend(self.batch(connection, key, incarnation, header.version, records));
            }
        }
        flying
    }

    fn batch(
        &mut self,
        connection: u64,
        key: LaneKey,
        incarnation: u32,
        version: i16,
        records: &[u8],
    ) -> Option<(LaneKey, Flying)> {
        let seen = match batch::read(version, records) {
            Ok(seen) => seen,
            Err(fault) => {
                self.violation(format!("{}-{}: {fault}", key.0, key.1));
                return None;
            }
        };
        if seen.producer_id < 0 {
            return None;
        }
        let node = self.lines.get(&connection).map(|line| line.node);
        let lane = self.lanes.entry(key.clone()).or_default();
        let mut faults = Vec::new();
        // Who sees what is sent sees everything, in its order.
        let (ends, is_late) = if self.is_tapped { (0, false) } else { (self.ends, node.is_none()) };
        let is_new = lane.pass(&seen, incarnation, ends, is_late, &mut faults);
        if is_new && let Err(fault) = batch::look_inside(records) {
            faults.push(fault);
        }
        let flying = node.map(|node| Flying { connection, node, batch: seen.identity() });
        if let Some(flying) = &flying {
            lane.fly(flying, &mut faults);
        }
        for fault in faults {
            self.violation(format!("{}-{}: {fault}", key.0, key.1));
        }
        flying.map(|flying| (key, flying))
    }
}
