//! Answers from brokers, and what they decide.

use std::collections::BTreeMap;

use super::connection::{Ask, Flight, Link, Part, fallback};
use super::fates::{Doom, Written};
use super::sending::State;
use super::verdict::{Verdict, may_be_appended, verdict};
use super::{Action, ConnectionNumber, Engine, Level, Parcel, PartitionNumber, TopicNumber};
use crate::code::{Code, Error};
use crate::coverage::{Arm, reached};
use crate::mutant::{self, Mutant};
use crate::protocol::messages::api_versions::ApiVersionsResponse;
use crate::protocol::messages::describe_producers::DescribeProducersResponse;
use crate::protocol::messages::header::{correlation_id, decode_response_header};
use crate::protocol::messages::init_producer_id::InitProducerIdResponse;
use crate::protocol::messages::metadata::MetadataResponse;
use crate::protocol::messages::produce::{NodeEndpoint, ProducePartitionResponse, ProduceResponse};
use crate::protocol::messages::{ApiKey, TopicUuid};
use crate::protocol::wire::{Malformed, Reader};
use crate::time::Time;

/// Largest answers: of a handshake, of a produce request, of metadata.
const HANDSHAKE_BYTES_MAX: usize = 1 << 20;
const PRODUCE_BYTES_MAX: usize = 32 << 20;
const METADATA_BYTES_MAX: usize = 100 << 20;
/// `INVALID_RECORD`.
const INVALID_RECORD: i16 = 87;

/// A decoded answer.
enum Answer {
    Versions(ApiVersionsResponse),
    Metadata(MetadataResponse),
    Identity(InitProducerIdResponse),
    Producers(DescribeProducersResponse),
    Produce(ProduceResponse),
}

impl<B: Parcel> Engine<B> {
    /// How long a frame may be that this connection sends now.
    #[must_use]
    pub fn frame_bytes_max(&self, number: ConnectionNumber) -> usize {
        let link = self.connections.get(number.0 as usize).map_or(Link::Down, |connection| connection.link);
        match link {
            Link::Ready if number == ConnectionNumber::BOOTSTRAP => METADATA_BYTES_MAX,
            Link::Ready => PRODUCE_BYTES_MAX,
            _ => HANDSHAKE_BYTES_MAX,
        }
    }

    /// The last byte of a request has left. With `acks=0` there is no answer: its batches end here.
    pub fn handle_written(&mut self, number: ConnectionNumber, correlation_id: i32, now: Time) {
        let acks = self.config.acks;
        let Some(connection) = self.connections.get_mut(number.0 as usize) else { return };
        connection.used = now;
        let place = connection.in_flight.iter().position(|flight| flight.correlation_id == correlation_id);
        let Some(place) = place else {
            let place = connection.answered.iter().position(|(id, _)| *id == correlation_id);
            let parcels = place.and_then(|place| connection.answered.remove(place)).map(|(_, parcels)| parcels);
            self.actions.extend(parcels.into_iter().flatten().map(Action::Released));
            return;
        };
        let Some(flight) = connection.in_flight.get_mut(place) else { return };
        flight.is_written = true;
        if acks != 0 || !matches!(flight.ask, Ask::Produce { .. }) {
            return;
        }
        connection.is_useful = true;
        if let Some(Flight { ask: Ask::Produce { parts, .. }, .. }) = connection.in_flight.remove(place) {
            for part in parts {
                let place = self.land(&part);
                if let Some(place) = place {
                    self.deliver(part.partition, place, None);
                }
                self.actions.push_back(Action::Released(part.parcel));
                self.settle(part.partition, now);
            }
        }
    }

    /// An answer, without its length. An error: close the connection, then call
    /// [`Engine::handle_disconnected`].
    pub fn handle_frame(&mut self, number: ConnectionNumber, frame: &[u8], now: Time) -> Result<(), Error> {
        let acks = self.config.acks;
        let Some(connection) = self.connections.get_mut(number.0 as usize) else { return Ok(()) };
        if connection.closing.is_some() || matches!(connection.link, Link::Down | Link::Connecting) {
            return Ok(());
        }
        connection.used = now;
        let place =
            connection.in_flight.iter().position(|flight| acks != 0 || !matches!(flight.ask, Ask::Produce { .. }));
        let flight = place.and_then(|place| connection.in_flight.get(place));
        let decoded = match flight {
            Some(flight) => decode(flight, frame),
            None => Err(Error::new(Code::UNREACHABLE, "the broker answered although nothing was asked")),
        };
        let answer = match decoded {
            Ok(answer) => answer,
            Err(error) => {
                connection.close(error.clone());
                return Err(error);
            }
        };
        let Some(flight) = place.and_then(|place| connection.in_flight.remove(place)) else { return Ok(()) };
        self.throttle(number, &flight.ask, &answer, now);
        let result = self.handle_answer(number, flight, answer, now);
        if let (Err(error), Some(connection)) = (&result, self.connections.get_mut(number.0 as usize)) {
            connection.close(error.clone());
        }
        result
    }

    fn handle_answer(
        &mut self,
        number: ConnectionNumber,
        flight: Flight<B>,
        answer: Answer,
        now: Time,
    ) -> Result<(), Error> {
        if let (Some(connection), false) =
            (self.connections.get_mut(number.0 as usize), matches!(flight.ask, Ask::Versions { .. }))
        {
            connection.is_useful = true;
            connection.failures = 0;
        }
        match (flight.ask, answer) {
            (Ask::Versions { version }, Answer::Versions(response)) => self.handle_versions(number, version, response),
            (Ask::Metadata { version, topics }, Answer::Metadata(response)) => {
                self.handle_metadata(version, &topics, &response, now)
            }
            (Ask::Identity { .. }, Answer::Identity(response)) => self.handle_identity(&response, now),
            (Ask::Producers { asked }, Answer::Producers(response)) => {
                self.handle_producers(number, &asked, &response, now)
            }
            (Ask::Produce { version, parts }, Answer::Produce(response)) => {
                if !flight.is_written {
                    // It was answered before all of it had left: its bytes are still being written.
                    let parcels = parts.iter().map(|part| part.parcel.clone()).collect();
                    if let Some(connection) = self.connections.get_mut(number.0 as usize) {
                        connection.answered.push_back((flight.correlation_id, parcels));
                    }
                }
                self.handle_produced(number, version, parts, &response, now)
            }
            _ => Ok(()),
        }
    }

    /// KIP-219: before these versions the broker has already waited itself.
    fn throttle(&mut self, number: ConnectionNumber, ask: &Ask<B>, answer: &Answer, now: Time) {
        let (millis, version, from) = match (ask, answer) {
            (Ask::Versions { version }, Answer::Versions(response)) => (response.throttle_time_ms, *version, 2),
            (Ask::Metadata { version, .. }, Answer::Metadata(response)) => (response.throttle_time_ms, *version, 6),
            (Ask::Identity { version }, Answer::Identity(response)) => (response.throttle_time_ms, *version, 1),
            (Ask::Producers { .. }, Answer::Producers(response)) => (response.throttle_time_ms, 0, 0),
            (Ask::Produce { version, .. }, Answer::Produce(response)) => (response.throttle_time_ms, *version, 6),
            _ => return,
        };
        let Some(millis) = u64::try_from(millis).ok().filter(|millis| *millis > 0 && version >= from) else { return };
        // A hostile 2^31-1 must not stop a producer for 25 days.
        let wait = std::time::Duration::from_millis(millis);
        let wait = if mutant::is(Mutant::ThrottleForever) { wait } else { wait.min(self.config.throttle_max) };
        if let Some(connection) = self.connections.get_mut(number.0 as usize) {
            connection.mute(now + wait, now);
            let line = format!("{}:{} throttles for {millis} ms", connection.host, connection.port);
            self.log(Level::Debug, line);
        }
    }

    fn handle_versions(
        &mut self,
        number: ConnectionNumber,
        version: i16,
        response: ApiVersionsResponse,
    ) -> Result<(), Error> {
        let Some(connection) = self.connections.get_mut(number.0 as usize) else { return Ok(()) };
        if response.error_code != 0 {
            let Some(lower) = fallback(version, response.error_code, &response.api_keys) else {
                let message = format!("the broker refuses to tell its versions (error {})", response.error_code);
                return Err(Error { broker_code: response.error_code, ..Error::new(Code::UNREACHABLE, message) });
            };
            connection.link = Link::Handshaking { version: lower, asked: false };
            return Ok(());
        }
        let ours = |key: i16| ApiKey::from_number(key).is_some();
        connection.versions = response.api_keys.into_iter().filter(|range| ours(range.api_key)).collect();
        connection.versions.sort_by_key(|range| range.api_key);
        connection.versions.dedup_by_key(|range| range.api_key);
        let needed = if number == ConnectionNumber::BOOTSTRAP { ApiKey::Metadata } else { ApiKey::Produce };
        if connection.version(needed).is_none() {
            let message = format!("the broker speaks no version of {needed:?} that we speak");
            return Err(Error { broker_code: 35, ..Error::new(Code::UNSUPPORTED, message) });
        }
        connection.link = Link::Ready;
        connection.setup_deadline = Time::NEVER;
        Ok(())
    }

    fn handle_produced(
        &mut self,
        number: ConnectionNumber,
        version: i16,
        parts: Vec<Part<B>>,
        response: &ProduceResponse,
        now: Time,
    ) -> Result<(), Error> {
        // The ids of the request, not those of newer metadata.
        let ids: BTreeMap<TopicUuid, TopicNumber> = parts.iter().map(|part| (part.topic_id, part.topic)).collect();
        let mut parts: Vec<Option<Part<B>>> = parts.into_iter().map(Some).collect();
        let keys: Vec<(TopicNumber, i32)> = parts.iter().flatten().map(|part| (part.topic, part.index)).collect();
        let mut foreign = 0;
        for topic in &response.topics {
            let found = if version >= 13 { ids.get(&topic.topic_id) } else { self.cluster.names.get(&topic.name) };
            let found = found.copied();
            for answer in &topic.partitions {
                let mut place = found.and_then(|topic| keys.binary_search(&(topic, answer.index)).ok());
                if mutant::is(Mutant::AnswersByPlace) {
                    place = parts.iter().position(Option::is_some);
                }
                match place.and_then(|place| parts.get_mut(place)).and_then(Option::take) {
                    Some(part) => self.handle_part(number, part, answer, &response.node_endpoints, now),
                    None => {
                        reached(Arm::Foreign);
                        foreign += 1;
                    }
                }
            }
        }
        if mutant::is(Mutant::OmittedMeansWritten) {
            for part in parts.into_iter().flatten() {
                let answer = ProducePartitionResponse { index: part.index, base_offset: -1, ..Default::default() };
                self.handle_part(number, part, &answer, &[], now);
            }
            return Ok(());
        }
        let mut omitted = 0;
        for part in parts.into_iter().flatten() {
            reached(Arm::Omitted);
            omitted += 1;
            self.handle_unanswered(number, part, now);
        }
        if foreign + omitted > 0 {
            // Whoever lies about what was asked may lie about which request it answers: nothing more is believed here.
            let message = format!(
                "the broker's answer leaves out {omitted} partitions and has {foreign} that were not asked, or twice"
            );
            return Err(Error::new(Code::UNREACHABLE, message));
        }
        Ok(())
    }

    /// A part of a request has ended: gives its batch's place, if it still has no fate.
    fn land(&mut self, part: &Part<B>) -> Option<usize> {
        let partition = self.partitions.get_mut(part.partition.0 as usize)?;
        partition.in_flight = partition.in_flight.saturating_sub(1);
        partition.place(part.serial)
    }

    /// One batch's answer.
    fn handle_part(
        &mut self,
        from: ConnectionNumber,
        part: Part<B>,
        answer: &ProducePartitionResponse,
        endpoints: &[NodeEndpoint],
        now: Time,
    ) {
        let number = part.partition;
        let place = self.land(&part);
        let verdict = verdict(answer.error_code, part.stamp.is_some());
        let is_proof = self.end_proof(number, part.serial);
        if answer.error_code != 0 {
            self.learn_current_leader(number, answer.current_leader, endpoints, now);
        }
        match (verdict, place) {
            (Verdict::Delivered | Verdict::DeliveredBefore, _) => {
                reached(match (verdict, place) {
                    (Verdict::Delivered, Some(_)) => Arm::Delivered,
                    (Verdict::Delivered, None) => Arm::DeliveredLate,
                    (_, Some(_)) => Arm::DeliveredBefore,
                    (_, None) => Arm::DeliveredBeforeLate,
                });
                let base_offset = if verdict == Verdict::Delivered { answer.base_offset.max(-1) } else { -1 };
                self.acknowledge(&part, base_offset, place, from);
                let written = Written { base_offset, log_append_time_ms: answer.log_append_time_ms.max(-1) };
                if place.is_none() && mutant::is(Mutant::DoubleFate) {
                    self.refuse(number, part.parcel.clone(), Doom { code: Code::TIMED_OUT, broker_code: 0 });
                }
                if let Some(mut place) = place {
                    if is_proof && self.handle_proof(number, place) {
                        place = 0;
                    }
                    self.deliver(number, place, Some(written));
                }
            }
            (_, Some(place)) => self.handle_refused(number, place, verdict, is_proof, answer, from, now),
            // Its fate was decided before; what this error means for its sequence, `settle` finds out.
            (Verdict::Fatal(_), None) => {
                reached(Arm::FatalLate);
                self.end(answer.error_code, "a broker refuses this producer", now);
            }
            (_, None) => reached(Arm::RefusedLate),
        }
        self.actions.push_back(Action::Released(part.parcel));
        self.settle(number, now);
    }

    /// An answer that is an error.
    fn handle_refused(
        &mut self,
        number: PartitionNumber,
        place: usize,
        verdict: Verdict,
        is_proof: bool,
        answer: &ProducePartitionResponse,
        from: ConnectionNumber,
        now: Time,
    ) {
        let code = answer.error_code;
        let (acks, is_idempotent) = (self.config.acks, self.config.is_idempotent());
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        let Some(batch) = partition.queue.get_mut(place) else { return };
        batch.state = State::Queued;
        let may_be_appended = may_be_appended(code, acks) && !mutant::is(Mutant::AppendedMeansRefused);
        reached(if may_be_appended { Arm::MayBeAppended } else { Arm::NotAppended });
        batch.open |= may_be_appended;
        batch.last_code = code;
        let records = batch.parcel.records();
        let is_over = batch.parcel.opened() + self.config.delivery_timeout <= now;
        match verdict {
            Verdict::Retry { refresh } => {
                reached(if refresh { Arm::RetryElsewhere } else { Arm::Retry });
                self.retry(number, place, code, refresh, from, now);
            }
            // An expired batch is not split (Java's SenderTest). Nor is one that may be in the log whole: no broker
            // would recognise its halves.
            Verdict::Split if records > 1 && !is_over && !(is_idempotent && batch.open) => {
                reached(Arm::Split);
                batch.state = State::Splitting { asked: false };
            }
            Verdict::Split => {
                reached(match records {
                    _ if is_over => Arm::SplitTooLate,
                    0..=1 => Arm::SplitSingle,
                    _ => Arm::SplitOpen,
                });
                let code = if is_over { Code::TIMED_OUT } else { Code::RECORD_TOO_LARGE };
                self.fail(number, place, Doom { code, broker_code: 10 }, Vec::new());
            }
            Verdict::OutOfOrder => {
                // Rule 5. Something before it is unfinished: that is why, and it will be right when that has
                // ended. Nothing before it: nobody will ever fill the gap. (The first unfinished batch is
                // Java's "next expected", or the one right after an expired one, rule 8.)
                if partition.line.inquiries > 0 {
                    reached(Arm::OutOfOrderContradicts);
                    partition.line.contradictions += 1;
                }
                reached(match (place, is_proof) {
                    (0, _) => Arm::OutOfOrderFirst,
                    (_, true) => Arm::OutOfOrderProof,
                    (_, false) => Arm::OutOfOrderBehind,
                });
                if place == 0 || is_proof {
                    partition.line.bump = partition.line.bump.or(Some(code));
                }
                self.retry(number, place, code, false, from, now);
            }
            Verdict::Forgotten => {
                // Rule 6. Without a log start offset the broker does not know itself.
                reached(if answer.log_start_offset == -1 { Arm::ForgottenUnsure } else { Arm::Forgotten });
                if answer.log_start_offset != -1 {
                    partition.line.bump = partition.line.bump.or(Some(code));
                }
                self.retry(number, place, code, false, from, now);
            }
            Verdict::Bump => {
                reached(Arm::Bump);
                partition.line.bump = partition.line.bump.or(Some(code));
                self.retry(number, place, code, false, from, now);
            }
            Verdict::Fail(ours) => {
                reached(match (ours, code) {
                    (Code::NOT_AUTHORIZED, _) => Arm::FailNotAuthorized,
                    (_, 45 | 47 | 59) => Arm::FailUnsequenced,
                    _ => Arm::FailRejected,
                });
                let record_codes = record_codes(answer, records);
                self.fail(number, place, Doom { code: ours, broker_code: code }, record_codes);
            }
            Verdict::Fatal(ours) => {
                reached(match ours {
                    Code::NOT_AUTHORIZED => Arm::FatalNotAuthorized,
                    Code::UNSUPPORTED => Arm::FatalUnsupported,
                    Code::FENCED => Arm::FatalFenced,
                    _ => Arm::FatalMapping,
                });
                self.fail(number, place, Doom { code: ours, broker_code: code }, Vec::new());
                self.end(code, "a broker refuses this producer", now);
            }
            // They are no errors: `handle_part` has dealt with them.
            Verdict::Delivered | Verdict::DeliveredBefore => {}
        }
    }
}

/// KIP-467: which records were bad. A single one has the batch's code, several have `INVALID_RECORD` each.
fn record_codes(answer: &ProducePartitionResponse, records: u32) -> Vec<(u32, i16)> {
    let indices = answer.record_errors.iter().filter_map(|(index, _)| u32::try_from(*index).ok());
    let mut indices: Vec<u32> = indices.filter(|index| *index < records).collect();
    indices.sort_unstable();
    indices.dedup();
    match indices.len() {
        0 => {}
        1 => reached(Arm::FailOneRecord),
        _ => reached(Arm::FailSomeRecords),
    }
    let code = if indices.len() == 1 { answer.error_code } else { INVALID_RECORD };
    indices.into_iter().map(|index| (index, code)).collect()
}

/// Reads the answer to `flight`: answers come in the order of the requests.
fn decode<B>(flight: &Flight<B>, frame: &[u8]) -> Result<Answer, Error> {
    let malformed = |reason: Malformed| Error::new(Code::UNREACHABLE, format!("the broker's answer is {reason}"));
    let answered = correlation_id(frame).map_err(malformed)?;
    if answered != flight.correlation_id {
        let message = format!("the broker answered request {answered} where {} was next", flight.correlation_id);
        return Err(Error::new(Code::UNREACHABLE, message));
    }
    let mut reader = Reader::new(frame);
    let (api, version) = flight.ask.api();
    decode_response_header(api, version, &mut reader).map_err(malformed)?;
    match &flight.ask {
        Ask::Versions { .. } => ApiVersionsResponse::decode(version, &mut reader).map(Answer::Versions),
        Ask::Metadata { .. } => MetadataResponse::decode(version, &mut reader).map(Answer::Metadata),
        Ask::Identity { .. } => InitProducerIdResponse::decode(version, &mut reader).map(Answer::Identity),
        Ask::Producers { .. } => DescribeProducersResponse::decode(version, &mut reader).map(Answer::Producers),
        Ask::Produce { .. } => ProduceResponse::decode(version, &mut reader).map(Answer::Produce),
    }
    .map_err(malformed)
}
