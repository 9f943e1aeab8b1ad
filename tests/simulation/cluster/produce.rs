//! A produce request: looked at as a broker does, appended or refused.

use std::rc::Rc;
use std::time::Duration;

use kurier::protocol::batch_header::{self, ATTRIBUTE_CONTROL, ATTRIBUTE_LOG_APPEND_TIME, LEN};
use kurier::protocol::broker_code as code;
use kurier::protocol::messages::TopicUuid;
use kurier::protocol::messages::produce::{ProducePartitionResponse, ProduceRequest};
use kurier::protocol::wire::Reader;

use super::Cluster;
use super::broker::Point;
use super::network::{Header, Outcome};
use super::partition::Key;
use super::producers::{Check, Identity, sequence_after};
use super::refusals::When;
use super::replica::{Batch, Entry, Replica, Waiting};
use super::tickets::{Slot, Ticket};
use super::timers::Event;

/// What a partition's batch came to: an answer, and the offset to wait for.
type Verdict = (ProducePartitionResponse, Option<(Key, i64)>);

/// A batch on its way into a log.
struct Arrival<'a> {
    node: i32,
    version: i16,
    acks: i16,
    topic: &'a str,
    index: i32,
    records: &'a [u8],
}

fn refuse(error_code: i16) -> Verdict {
    (ProducePartitionResponse { error_code, ..ProducePartitionResponse::default() }, None)
}

impl Cluster {
    pub(super) fn produce(&mut self, connection: u64, node: i32, header: &Header, body: &mut Reader<'_>) -> Outcome {
        if self.meets_doom(node, Point::BeforeAppend) {
            return Outcome::Silence;
        }
        let Ok(request) = ProduceRequest::decode(header.version, body) else { return Outcome::Close };
        self.tickets_drawn += 1;
        let number = self.tickets_drawn;
        let mut ticket =
            Ticket { node, connection, header: *header, topics: Vec::new(), slots: Vec::with_capacity(4), alarm: None };
        let last_words = self.refusals.last_words.take_if(|_| is_wide(&request));
        for topic in &request.topics {
            let name = self.name_of(node, header.version, topic.name, topic.topic_id);
            for (index, records) in &topic.partitions {
                let (records, version, acks) = (records.unwrap_or_default(), header.version, request.acks);
                let told =
                    last_words.map(|fatal| if ticket.slots.is_empty() { code::MESSAGE_TOO_LARGE } else { fatal });
                let (mut response, waits_for) = match (&name, told) {
                    (_, Some(told)) => refuse(told),
                    _ if !matches!(acks, -1..=1) => refuse(code::INVALID_REQUIRED_ACKS),
                    (None, _) => refuse(code::UNKNOWN_TOPIC_ID),
                    (Some(topic), _) => self.arrive(&Arrival { node, version, acks, topic, index: *index, records }),
                };
                response.index = *index;
                let waits_for = waits_for.filter(|_| request.acks == -1);
                if let Some((key, offset)) = waits_for {
                    self.wait(key, node, Waiting { offset, ticket: number, place: ticket.slots.len() });
                }
                ticket.slots.push(Slot { topic: ticket.topics.len(), waits_for, response });
            }
            ticket.topics.push((name.unwrap_or_else(|| topic.name.to_owned()), topic.topic_id));
        }
        self.file(number, ticket, &request)
    }

    /// The request is in the logs as far as it ever will be: answered now, later or never.
    fn file(&mut self, number: u64, mut ticket: Ticket, request: &ProduceRequest<'_>) -> Outcome {
        let node = ticket.node;
        if self.meets_doom(node, Point::AfterAppend) {
            return Outcome::Silence;
        }
        if request.acks == 0 {
            let is_refused = ticket.slots.iter().any(|slot| slot.response.error_code != 0);
            return if is_refused { Outcome::Close } else { Outcome::Silence };
        }
        let waits = ticket.slots.iter().any(|slot| slot.waits_for.is_some());
        if waits {
            let patience = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
            ticket.alarm = self.at_broker(node, self.now + patience, Event::GiveUp { ticket: number });
            self.tickets.insert(number, ticket);
            self.look_again(number);
        } else {
            self.tickets.insert(number, ticket);
            self.finish(number);
        }
        Outcome::Wait
    }

    /// What waits although its offset was passed before it began to wait: a repeat of what all replicas have.
    fn look_again(&mut self, number: u64) {
        let Some(ticket) = self.tickets.get(&number) else { return };
        let node = ticket.node;
        let keys: Vec<Key> = ticket.slots.iter().filter_map(|slot| slot.waits_for.map(|(key, _)| key)).collect();
        for key in keys {
            let Some(partition) = self.partitions.get_mut(&key) else { continue };
            let Some(replica) = partition.replica_mut(node) else { continue };
            let Some(isr) = replica.leadership().map(|leadership| leadership.isr.len()) else { continue };
            let (watermark, mut reached) = (replica.high_watermark, Vec::new());
            replica.waiting.retain(|one| {
                if one.offset <= watermark {
                    reached.push(*one);
                }
                one.offset > watermark
            });
            for one in reached {
                self.decided(one.ticket, one.place, isr >= self.profile.min_isr);
            }
        }
    }

    fn wait(&mut self, key: Key, node: i32, waiting: Waiting) {
        if let Some(replica) = self.partitions.get_mut(&key).and_then(|partition| partition.replica_mut(node)) {
            replica.waiting.push(waiting);
        }
    }

    /// The topic's name, from version 13 by its id as this broker knows it.
    fn name_of(&self, node: i32, version: i16, name: &str, id: TopicUuid) -> Option<String> {
        if version < 13 {
            return Some(name.to_owned());
        }
        self.brokers.get(&node)?.image.by_id(id).map(|(name, _)| name.clone())
    }

    fn arrive(&mut self, arrival: &Arrival<'_>) -> Verdict {
        let Some(broker) = self.brokers.get(&arrival.node) else { return refuse(code::UNKNOWN_SERVER_ERROR) };
        let Some(topic) = broker.image.topics.get(arrival.topic) else {
            return refuse(code::UNKNOWN_TOPIC_OR_PARTITION);
        };
        let key = Key { topic: topic.number, index: arrival.index };
        if usize::try_from(arrival.index).is_ok_and(|index| index >= topic.partitions.len()) || arrival.index < 0 {
            return refuse(code::UNKNOWN_TOPIC_OR_PARTITION);
        }
        if let Some(refusal) = self.refusals.take(arrival.topic, arrival.index, When::Before, |refused| {
            is_possible(self.partitions.get(&key).and_then(|one| one.replica(arrival.node)), refused, arrival.records)
        }) {
            return self.refusals.verdict(refusal, arrival.records, &mut self.random);
        }
        let verdict = self.append(key, arrival);
        // A leader that waits for nobody answers right after its own append: nothing goes wrong in between.
        if verdict.0.error_code == 0
            && arrival.acks == -1
            && let Some(error_code) = self.refusals.take(arrival.topic, arrival.index, When::After, |_| true)
        {
            self.count("refused after the append");
            return refuse(error_code);
        }
        verdict
    }

    fn append(&mut self, key: Key, arrival: &Arrival<'_>) -> Verdict {
        let (now, node) = (self.now, arrival.node);
        let wall_ms = self.wall_ms();
        let refuses_unknown = self.brokers.get(&node).is_some_and(|broker| broker.release.refuses_unknown_producers());
        let Some(partition) = self.partitions.get_mut(&key) else { return refuse(code::UNKNOWN_TOPIC_OR_PARTITION) };
        let append_ms = partition.append_time.then_some(wall_ms);
        let Some(replica) = partition.replica_mut(node) else { return refuse(code::NOT_LEADER_OR_FOLLOWER) };
        if now < replica.offline_until {
            return refuse(code::KAFKA_STORAGE_ERROR);
        }
        let Some(leadership) = replica.leadership() else { return refuse(code::NOT_LEADER_OR_FOLLOWER) };
        if arrival.acks == -1 && leadership.isr.len() < self.profile.min_isr {
            return refuse(code::NOT_ENOUGH_REPLICAS);
        }
        if arrival.records.len() > self.profile.message_bytes_max {
            return refuse(code::MESSAGE_TOO_LARGE);
        }
        let leader_epoch = leadership.epoch;
        let batch = match look(arrival) {
            Ok(batch) => batch,
            Err(error_code) => return refuse(error_code),
        };
        let found = batch.header;
        let (first, last) = (found.base_sequence, sequence_after(found.base_sequence, found.records_count - 1));
        let identity = Identity { producer_id: found.producer_id, epoch: found.producer_epoch, first, last };
        let check = match found.producer_id {
            -1 => Check::Append,
            _ => replica.producers.check(&identity, refuses_unknown),
        };
        let base = ProducePartitionResponse { log_start_offset: replica.log_start, ..Default::default() };
        match check {
            Check::Refuse(error_code) => (ProducePartitionResponse { error_code, ..base }, None),
            Check::Duplicate(old) => {
                // The largest timestamp is what Kafka answers as the append time then, whatever the topic's type.
                let is_committed = old.last_offset < replica.high_watermark;
                self.count("repeats recognized");
                // That it is a repeat is no answer before it is replicated.
                let fits = |refused: i16| is_committed || refused != code::DUPLICATE_SEQUENCE_NUMBER;
                if let Some(refused) = self.refusals.take(arrival.topic, arrival.index, When::Repeated, fits) {
                    return refuse(refused);
                }
                let response = ProducePartitionResponse {
                    base_offset: old.base_offset,
                    log_append_time_ms: old.timestamp_ms,
                    ..base
                };
                (response, Some((key, old.last_offset + 1)))
            }
            Check::Append => {
                let base_offset = replica.end();
                self.batches_appended += 1;
                let stored =
                    Batch { header: found, payload: batch.payload.to_vec(), number: self.batches_appended, append_ms };
                let entry = Entry { base_offset, leader_epoch, appended: now, batch: Rc::new(stored) };
                let end = entry.end();
                grow(replica, entry, now);
                let log_append_time_ms = append_ms.unwrap_or(-1);
                self.appended(key, node);
                (ProducePartitionResponse { base_offset, log_append_time_ms, ..base }, Some((key, end)))
            }
        }
    }

    /// Followers will fetch, and the leader alone may be enough.
    fn appended(&mut self, key: Key, node: i32) {
        self.count("batches appended");
        if !self.is_named_leader(key, node) {
            self.count("batches appended by a leader that is none any more");
        }
        let followers: Vec<i32> =
            self.partitions.get(&key).and_then(|partition| partition.replica(node)).map_or_else(Vec::new, |replica| {
                replica.leadership().map_or_else(Vec::new, |known| known.progress.keys().copied().collect())
            });
        if !followers.is_empty() {
            followers.into_iter().for_each(|follower| self.plan_fetch(key, follower));
            self.plan_watch(key, node);
        }
        self.raise_watermark(key, node);
    }
}

/// Has it batches of several partitions, the first one with several records?
fn is_wide(request: &ProduceRequest<'_>) -> bool {
    let mut all = request.topics.iter().flat_map(|topic| &topic.partitions);
    let first = all.next().and_then(|(_, records)| batch_header::batches((*records)?).next());
    all.next().is_some() && first.is_some_and(|batch| batch.is_ok_and(|batch| batch.header.records_count > 1))
}

/// Followers that were not behind are from now on.
fn grow(replica: &mut Replica, entry: Entry, now: kurier::time::Time) {
    let end = replica.end();
    if let Some(leadership) = replica.leadership_mut() {
        for progress in leadership.progress.values_mut().filter(|progress| progress.end == end) {
            progress.caught_up = now;
        }
    }
    replica.append(entry);
}

/// One batch, whole, with the right checksum and as many records as it says: as `LogValidator` looks.
fn look<'a>(arrival: &Arrival<'a>) -> Result<batch_header::Batch<'a>, i16> {
    let mut batches = batch_header::batches(arrival.records);
    let Some(Ok(batch)) = batches.next() else { return Err(code::CORRUPT_MESSAGE) };
    if batches.next().is_some() {
        return Err(code::INVALID_RECORD);
    }
    if !batch.is_crc_right() {
        return Err(code::CORRUPT_MESSAGE);
    }
    let header = &batch.header;
    if header.codec_bits() == 4 && arrival.version < 7 {
        return Err(code::UNSUPPORTED_COMPRESSION_TYPE);
    }
    let is_counted = header.records_count > 0 && header.last_offset_delta == header.records_count - 1;
    let is_plain = header.attributes & (ATTRIBUTE_CONTROL | ATTRIBUTE_LOG_APPEND_TIME) == 0;
    let is_sequenced = header.producer_id < 0 || (header.base_sequence >= 0 && header.producer_epoch >= 0);
    if is_counted && is_plain && is_sequenced { Ok(batch) } else { Err(code::INVALID_RECORD) }
}

/// May this error stand instead of a look at the batch? Errors that say that the broker does not know the producer
/// make a client write the batch again under another epoch: a broker that has the batch never gives them.
fn is_possible(replica: Option<&Replica>, error_code: i16, records: &[u8]) -> bool {
    if !matches!(error_code, code::INVALID_PRODUCER_EPOCH | code::UNKNOWN_PRODUCER_ID) {
        return true;
    }
    let Some(Ok(batch)) = batch_header::batches(records).next().filter(|_| records.len() >= LEN) else { return false };
    let of = |header: &batch_header::BatchHeader| (header.producer_id, header.producer_epoch, header.base_sequence);
    replica.is_some_and(|replica| {
        replica.leadership().is_some()
            && replica.entries.iter().all(|entry| of(&entry.batch.header) != of(&batch.header))
    })
}
