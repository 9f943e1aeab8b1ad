//! Building requests: what goes out next on a connection.

use super::connection::{Ask, Link, Part};
use super::fates::Doom;
use super::sending::{Next, State};
use super::{ConnectionNumber, Engine, Level, Parcel, PartitionNumber, Request, Transmit};
use crate::code::{Code, Error};
use crate::protocol::batch_header::BatchHeader;
use crate::protocol::messages::ApiKey;
use crate::protocol::messages::api_versions::ApiVersionsRequest;
use crate::protocol::messages::header::request_frame;
use crate::protocol::messages::init_producer_id::InitProducerIdRequest;
use crate::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use crate::protocol::messages::produce_writer::{self, ProduceWriter};
use crate::protocol::wire::{Unwritable, Writer};
use crate::time::Time;

/// The codec that needs `Produce` 7.
const ZSTD: i16 = 4;

impl<B: Parcel> Engine<B> {
    /// What to write next on this connection; ask until `None`. The request timeout counts from here: what
    /// is handed out has to be written at once.
    pub fn poll_transmit(&mut self, number: ConnectionNumber, now: Time) -> Option<Transmit<B>> {
        let connection = self.connections.get_mut(number.0 as usize)?;
        connection.is_woken = false;
        if connection.closing.is_some() {
            return None;
        }
        match connection.link {
            Link::Handshaking { version, asked: false } => self.ask_versions(number, version, now),
            Link::Ready if connection.is_open(now) && self.fatal.is_none() => {
                if number == ConnectionNumber::BOOTSTRAP {
                    self.ask_identity(now).or_else(|| self.ask_metadata(now))
                } else {
                    self.ask_producers(number, now).or_else(|| self.produce(number, now))
                }
            }
            _ => None,
        }
    }

    /// Registers a request and writes its frame; `encode` writes the body.
    pub(super) fn request(
        &mut self,
        number: ConnectionNumber,
        ask: Ask<B>,
        deadline: Time,
        now: Time,
        encode: impl FnOnce(i16, &mut Writer),
    ) -> Option<Transmit<B>> {
        let connection = self.connections.get_mut(number.0 as usize)?;
        let (api, version) = ask.api();
        let client_id = Some(self.config.client_id.as_str());
        match request_frame(api, version, connection.correlation_id(), client_id, encode) {
            Ok(frame) => {
                let correlation_id = connection.send(ask, deadline, now);
                Some(Transmit::Request(Request { frame, batches: Vec::new(), correlation_id }))
            }
            Err(reason) => {
                connection.close(Error::new(Code::INTERNAL, reason.to_string()));
                None
            }
        }
    }

    fn ask_versions(&mut self, number: ConnectionNumber, version: i16, now: Time) -> Option<Transmit<B>> {
        let connection = self.connections.get_mut(number.0 as usize)?;
        connection.link = Link::Handshaking { version, asked: true };
        let deadline = connection.setup_deadline;
        let body = ApiVersionsRequest {
            client_software_name: self.config.software_name.clone(),
            client_software_version: self.config.software_version.clone(),
        };
        let ask = Ask::Versions { version };
        self.request(number, ask, deadline, now, |version, writer| body.encode(version, writer))
    }

    fn ask_identity(&mut self, now: Time) -> Option<Transmit<B>> {
        if self.identity_due() > now {
            return None;
        }
        let number = ConnectionNumber::BOOTSTRAP;
        let connection = self.connections.get(number.0 as usize)?;
        let Some(version) = connection.version(ApiKey::InitProducerId) else {
            self.end(35, "the brokers give no producer ids: enable.idempotence has to be false for them", now);
            return None;
        };
        let body = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            producer_id: -1,
            producer_epoch: -1,
        };
        let (ask, deadline) = (Ask::Identity { version }, now + self.config.request_timeout);
        let transmit = self.request(number, ask, deadline, now, |version, writer| body.encode(version, writer));
        self.identity.asking = transmit.is_some();
        transmit
    }

    fn ask_metadata(&mut self, now: Time) -> Option<Transmit<B>> {
        let number = ConnectionNumber::BOOTSTRAP;
        let version = self.connections.get(number.0 as usize)?.version(ApiKey::Metadata)?;
        if self.cluster.due() <= now {
            // What waits for a leader keeps its topic in use, however long that takes.
            for partition in self.partitions.iter().filter(|partition| partition.is_busy) {
                self.cluster.touch(partition.topic, now);
            }
        }
        let topics = self.cluster.ask(self.config.metadata_age_max, self.config.metadata_idle_max, now);
        if topics.is_empty() {
            return None;
        }
        if let Some(connection) = self.connections.get(number.0 as usize) {
            let line = format!("{}:{} is asked for {} topics", connection.host, connection.port, topics.len());
            self.log(Level::Debug, line);
        }
        let names = topics.iter().filter_map(|topic| self.cluster.topics.get(topic));
        let named = names.map(|topic| MetadataRequestTopic { topic_id: [0; 16], name: Some(topic.name.clone()) });
        let body = MetadataRequest {
            topics: Some(named.collect()),
            allow_auto_topic_creation: self.config.topic_auto_creation,
        };
        let asked = topics.clone();
        let ask = Ask::Metadata { version, topics };
        let deadline = now + self.patience();
        let transmit = self.request(number, ask, deadline, now, |version, writer| body.encode(version, writer));
        if transmit.is_none() {
            self.cluster.unask(&asked, now);
        }
        transmit
    }

    /// A produce request with a batch of each partition whose turn it is, as many as fit.
    fn produce(&mut self, number: ConnectionNumber, now: Time) -> Option<Transmit<B>> {
        let connection = self.connections.get(number.0 as usize)?;
        let version = connection.version(ApiKey::Produce)?;
        if connection.in_flight.len() >= self.config.in_flight_max.max(1) {
            return None;
        }
        let candidates = self.candidates(number, now);
        if candidates.is_empty() {
            return None;
        }
        let mut raw = Vec::new();
        let mut prepared = Vec::new();
        for (partition, place) in candidates {
            let Some(batch) = self.partitions.get(partition.0 as usize).and_then(|found| found.queue.get(place)) else {
                continue;
            };
            if !batch.parcel.is_prepared() {
                raw.push(batch.parcel.clone());
            } else if batch.parcel.codec() == ZSTD && version < 7 {
                self.fail(partition, place, Doom { code: Code::UNSUPPORTED, broker_code: 76 }, Vec::new());
                self.settle(partition, now);
            } else {
                prepared.push((partition, place));
            }
        }
        let connection = self.connections.get_mut(number.0 as usize)?;
        // Compressed, they leave room for more, which are compressed too as long as the connection has something to do
        // meanwhile and as it helps; what could not be compressed stays out of this request.
        let is_idle = connection.in_flight.is_empty();
        let helps = connection.prepared.is_none_or(|before| prepared.len() > before && !is_idle);
        if !raw.is_empty() && (prepared.is_empty() || helps) {
            connection.prepared = Some(prepared.len());
            return Some(Transmit::Prepare(raw));
        }
        connection.prepared = None;
        // By topic, as they stand in the request.
        prepared.sort_unstable_by_key(|(partition, _)| {
            self.partitions.get(partition.0 as usize).map(|partition| (partition.topic, partition.index))
        });
        let parts: Vec<Part<B>> =
            prepared.into_iter().filter_map(|(partition, place)| self.take(number, partition, place, now)).collect();
        if parts.is_empty() {
            return None;
        }
        let has_ids = parts.iter().all(|part| part.topic_id != [0; 16]);
        let version = if has_ids { version } else { version.min(12) };
        match self.write(number, version, &parts) {
            Ok((frame, ends)) => {
                let batches = ends.into_iter().zip(parts.iter().map(|part| part.parcel.clone())).collect();
                let deadline = now + self.config.request_timeout;
                let connection = self.connections.get_mut(number.0 as usize)?;
                let correlation_id = connection.send(Ask::Produce { version, parts }, deadline, now);
                Some(Transmit::Request(Request { frame, batches, correlation_id }))
            }
            Err(reason) => {
                self.log(Level::Error, format!("a produce request cannot be written: {reason}"));
                self.untake(parts, now);
                None
            }
        }
    }

    /// The batches whose turn it is, up to the size of a request; behind them one that may fit once it is compressed,
    /// if the connection has something to do meanwhile.
    fn candidates(&mut self, number: ConnectionNumber, now: Time) -> Vec<(PartitionNumber, usize)> {
        let (idempotent, in_flight_max) = (self.config.is_idempotent(), self.config.partition_in_flight_max());
        let Some(connection) = self.connections.get(number.0 as usize) else { return Vec::new() };
        let mut bytes = produce_writer::request_bytes(12, &self.config.client_id, None, u16::MAX.into());
        let mut candidates = Vec::new();
        let mut stale = Vec::new();
        for partition in connection.ready.values() {
            let Some(found) = self.partitions.get(partition.0 as usize) else { continue };
            let Next::Take(place) = found.next(&self.identity, idempotent, in_flight_max, now) else {
                stale.push(*partition);
                continue;
            };
            let Some(batch) = found.queue.get(place) else { continue };
            let payload_bytes = batch.parcel.payload_bytes();
            let name = self.cluster.topics.get(&found.topic).map_or("", |topic| topic.name.as_str());
            bytes += produce_writer::topic_bytes(12, name, usize::from(u16::MAX)).max(20);
            bytes += produce_writer::partition_bytes(8, payload_bytes);
            let fits = bytes <= self.config.request_bytes_max || candidates.is_empty();
            if fits || (!batch.parcel.is_prepared() && !connection.in_flight.is_empty()) {
                candidates.push((*partition, place));
            }
            if !fits {
                break;
            }
        }
        for partition in stale {
            self.track(partition, now);
        }
        candidates
    }

    /// Takes a batch for sending: from here on it has its sequences (rule 1).
    fn take(&mut self, number: ConnectionNumber, at: PartitionNumber, place: usize, now: Time) -> Option<Part<B>> {
        let partition = self.partitions.get_mut(at.0 as usize)?;
        let batch = partition.queue.get_mut(place)?;
        let records = batch.parcel.records();
        if self.config.is_idempotent() {
            partition.retrying = batch.stamp.is_some();
            if batch.stamp.is_none() {
                let is_current = partition.line.generation == self.identity.generation;
                if !is_current || partition.line.identity.is_none() {
                    partition.line.begin(&self.identity);
                }
                batch.stamp = Some(partition.line.stamp(records)?);
            }
        }
        batch.state = State::Flying;
        batch.attempts = batch.attempts.saturating_add(1);
        let attempts = batch.attempts;
        partition.in_flight += 1;
        partition.flying_on = number;
        let part = Part {
            partition: at,
            topic: partition.topic,
            topic_id: self.cluster.topics.get(&partition.topic).map_or([0; 16], |topic| topic.id),
            index: partition.index,
            serial: batch.serial,
            stamp: batch.stamp,
            records,
            parcel: batch.parcel.clone(),
        };
        // To the end of the list: every partition has its turn.
        if let (Some(turn), Some(connection)) =
            (partition.ready_place.take(), self.connections.get_mut(number.0 as usize))
        {
            connection.ready.remove(&turn);
        }
        if part.stamp.is_some() && !partition.line.proven {
            let leader = partition.leader;
            let line = format!("{} goes to broker {leader}, attempt {attempts}", self.name(at));
            self.log(Level::Debug, line);
        }
        self.track(at, now);
        Some(part)
    }

    /// The frame of a produce request, and where each batch's header ends in it.
    fn write(
        &self,
        number: ConnectionNumber,
        version: i16,
        parts: &[Part<B>],
    ) -> Result<(Vec<u8>, Vec<usize>), Unwritable> {
        let correlation_id =
            self.connections.get(number.0 as usize).map_or(0, |connection| connection.correlation_id());
        let timeout_ms = i32::try_from(self.config.request_timeout.as_millis()).unwrap_or(i32::MAX);
        let topics = parts.chunk_by(|one, other| one.topic == other.topic);
        let (client_id, acks) = (self.config.client_id.as_str(), self.config.acks);
        let count = topics.clone().count();
        let mut writer = ProduceWriter::new(version, correlation_id, client_id, None, acks, timeout_ms, count);
        for group in topics {
            let Some(first) = group.first() else { continue };
            let name = self.cluster.topics.get(&first.topic).map_or("", |topic| topic.name.as_str());
            writer.topic(name, first.topic_id, group.len());
            for part in group {
                let identity = part.stamp.map(|stamp| stamp.identity);
                let records_count = i32::try_from(part.records).unwrap_or(i32::MAX);
                let header = BatchHeader {
                    attributes: part.parcel.codec(),
                    last_offset_delta: records_count - 1,
                    base_timestamp_ms: part.parcel.base_timestamp_ms(),
                    max_timestamp_ms: part.parcel.max_timestamp_ms(),
                    producer_id: identity.map_or(-1, |identity| identity.id),
                    producer_epoch: identity.map_or(-1, |identity| identity.epoch),
                    base_sequence: part.stamp.map_or(-1, |stamp| stamp.first),
                    records_count,
                    ..BatchHeader::default()
                };
                writer.partition(part.index, &header, part.parcel.payload_bytes());
            }
            writer.end_topic();
        }
        writer.finish()
    }

    /// The request could not be written (a defect or an absurd size): its batches fail, nothing was sent.
    fn untake(&mut self, parts: Vec<Part<B>>, now: Time) {
        for part in parts {
            let number = part.partition;
            if let Some(partition) = self.partitions.get_mut(number.0 as usize) {
                partition.in_flight = partition.in_flight.saturating_sub(1);
                if let Some(place) = partition.place(part.serial) {
                    if let Some(batch) = partition.queue.get_mut(place) {
                        batch.state = State::Queued;
                    }
                    self.fail(number, place, Doom { code: Code::INTERNAL, broker_code: 0 }, Vec::new());
                }
            }
            self.settle(number, now);
        }
    }
}
