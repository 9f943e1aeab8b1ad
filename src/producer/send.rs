//! A record's way in: topic, partition, append; and what it waits for on the way.

use super::callback::{self, Kind};
use super::life::Producer;
use super::serializer::{SerializerClass, serialize_own};
use super::timeout::{Deadline, Timeout};
use super::topics::Topic;
use super::{Delivery, Record};
use crate::accumulator::{NewRecord, Partition, QUIET, Stall, WAITER};
use crate::code::{Code, Error, Outcome};
use crate::engine::TopicNumber;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

/// Java's `batch.size`: a sticky partition is kept at least for this much (hot at low rates, where a large batch would
/// take seconds to fill).
const STICKY_BYTES_MIN: usize = 16 << 10;
/// Another thread needs microseconds to open a batch; who may not wait lets it run so often.
const YIELDS_MAX: usize = 1_000;
/// How often a send that waits for metadata says so: well below the least `metadata.max.idle.ms`, which is 5 s.
const TOUCH_AGAIN: Duration = Duration::from_secs(1);
/// Above this a thread's buffer for serialized bytes is given back after use.
const SCRATCH_BYTES_MAX: usize = 64 << 10;

thread_local! {
    /// Buffers for a serialized key and value; taken out while in use, because serializers may send.
    static SCRATCH: RefCell<[Vec<u8>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

impl Producer {
    /// Sends a record: copies it into the open batch of its partition. Any thread, any time.
    ///
    /// # Errors
    /// Nothing was accepted, and there will be no delivery: `QUEUE_FULL`, `TIMED_OUT` (no metadata), `CLOSED`,
    /// `INVALID_ARGUMENT`, `RECORD_TOO_LARGE`, `UNKNOWN_TOPIC`, `UNKNOWN_PARTITION`, `NOT_AUTHORIZED`, `UNREACHABLE`,
    /// `WRONG_THREAD`, `FATAL`.
    #[inline(always)]
    pub fn send(&self, record: &Record<'_>, timeout: Timeout) -> Result<(), Code> {
        self.send_until(record, self.patience(timeout))
    }

    /// How long one call waits.
    #[inline(always)]
    #[must_use]
    pub fn patience(&self, timeout: Timeout) -> Deadline {
        Deadline::after(timeout.or(self.settings.max_block))
    }

    /// The end of a call's waiting: for several [`Self::send_until`].
    #[must_use]
    pub fn deadline(&self, timeout: Timeout) -> Deadline {
        match timeout.or(self.settings.max_block) {
            Duration::ZERO => Deadline::Now,
            span => Deadline::At(self.network.clock.now() + span),
        }
    }

    /// As [`Self::send`], until a moment.
    #[inline(always)]
    pub fn send_until(&self, record: &Record<'_>, deadline: Deadline) -> Result<(), Code> {
        self.accept(record, deadline, record.opaque, if record.quiet { QUIET } else { 0 })
    }

    /// As [`Self::send`], of objects: key and value are serialized first, into memory of this thread.
    ///
    /// # Errors
    /// Also `SERIALIZATION`.
    pub fn send_object(&self, record: &Record<'_>, timeout: Timeout) -> Result<(), Code> {
        callback::check_send(self.id)?;
        self.topics.get(record.topic)?;
        let [mut key_bytes, mut value_bytes] = SCRATCH.with_borrow_mut(std::mem::take);
        let key = self.serialize(true, record.topic, record.key, &mut key_bytes);
        let value = self.serialize(false, record.topic, record.value, &mut value_bytes);
        let sent = match (key, value) {
            (Ok(key), Ok(value)) => self.send(&Record { key, value, ..*record }, timeout),
            (Err(code), _) | (_, Err(code)) => Err(code),
        };
        for buffer in [&mut key_bytes, &mut value_bytes] {
            if buffer.capacity() > SCRATCH_BYTES_MAX {
                *buffer = Vec::new();
            }
        }
        SCRATCH.with_borrow_mut(|scratch| *scratch = [key_bytes, value_bytes]);
        sent
    }

    fn serialize<'a>(
        &self,
        is_key: bool,
        topic: u32,
        object: Option<&'a [u8]>,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>, Code> {
        let (own, class): (_, SerializerClass) = if is_key {
            (&self.key_serializer, self.settings.key_serializer)
        } else {
            (&self.value_serializer, self.settings.value_serializer)
        };
        match own {
            Some(own) => callback::call(self.id, Kind::Other, || {
                serialize_own(own, topic, object, self.settings.max_request_size, buffer)
            }),
            None => class.serialize(object, buffer),
        }
    }

    /// Sends one record and waits for its fate, which comes to this call alone. Its batch is due at once.
    ///
    /// The delivery is filled whatever the result: `NOT_WRITTEN` if it was not accepted; if the time is over after
    /// that, `TIMED_OUT` and `UNKNOWN`, and nothing more comes.
    pub fn send_wait(&self, record: &Record<'_>, timeout: Timeout) -> (Delivery, crate::code::Result<()>) {
        let mut delivery = Delivery {
            opaque: record.opaque,
            offset: -1,
            timestamp_ms: record.timestamp_ms.unwrap_or(-1),
            topic: record.topic,
            partition: record.partition.unwrap_or(-1),
            outcome: Outcome::NotWritten as u8,
            ..Delivery::default()
        };
        let whole = self.settings.max_block + self.settings.delivery_timeout;
        let mut deadline = Deadline::after(timeout.or(whole));
        deadline.left(&self.network.clock);
        let waiter = self.deliveries.wait_for(record.opaque);
        let accepted = callback::check_wait(self.id)
            .and_then(|()| self.accept(record, self.accept_until(timeout, deadline), waiter.number(), WAITER));
        if let Err(code) = accepted {
            delivery.code = code.0;
            return (delivery, Err(self.explain(code, record.topic)));
        }
        loop {
            let left = deadline.left(&self.network.clock);
            if let Some(found) = waiter.wait(left) {
                return (found, self.judge(&found));
            }
            if left.is_zero() {
                delivery.code = Code::TIMED_OUT.0;
                delivery.outcome = Outcome::Unknown as u8;
                let text = "the record was accepted, but its fate was not known in time";
                return (delivery, Err(Error::new(Code::TIMED_OUT, text)));
            }
        }
    }

    /// By default the record has `max.block.ms` to be accepted.
    fn accept_until(&self, timeout: Timeout, deadline: Deadline) -> Deadline {
        match timeout {
            Timeout::Default => self.deadline(Timeout::Default),
            Timeout::Of(_) => deadline,
        }
    }

    fn judge(&self, delivery: &Delivery) -> crate::code::Result<()> {
        let code = Code(delivery.code);
        if code == Code::OK {
            return Ok(());
        }
        let mut error = Error::new(code, code.text().to_string_lossy());
        if delivery.broker_code != 0 {
            error.broker_code = delivery.broker_code;
            let name = crate::protocol::broker_code::name(delivery.broker_code);
            error.message = format!("{} The broker said {}.", error.message, name.to_string_lossy());
        }
        Err(error)
    }

    #[inline(always)]
    fn accept(&self, record: &Record<'_>, mut deadline: Deadline, opaque: u64, flags: u8) -> Result<(), Code> {
        self.check_send(&mut deadline)?;
        let topic = self.topics.get(record.topic)?;
        let timestamp_ms = record.timestamp_ms.unwrap_or_else(|| self.network.clock.wall_ms());
        let new = NewRecord::new(record.body(), timestamp_ms, opaque, flags);
        self.check(record, &new)?;
        if topic.count() == 0 {
            self.wait_for_metadata(topic, &mut deadline)?;
        }
        let (partition, is_sticky) = self.target(topic, record)?;
        let clock = || self.network.clock.now();
        let partition = match self.accumulator.append(partition, &new, is_sticky, &clock) {
            Ok(()) => partition,
            Err(stall) => self.append_late(topic, partition, &new, stall, deadline)?,
        };
        if flags & WAITER != 0 {
            self.accumulator.hurry(partition);
        }
        Ok(())
    }

    /// Whether records are accepted at all, by this thread and now.
    #[inline(always)]
    pub(super) fn check_send(&self, deadline: &mut Deadline) -> Result<(), Code> {
        if callback::check_send(self.id)? {
            *deadline = Deadline::Now;
        }
        if self.network.is_finished() {
            return Err(if self.is_closed() { Code::CLOSED } else { Code::FATAL });
        }
        Ok(())
    }

    /// Whether a record can be accepted.
    #[inline(always)]
    pub(super) fn check(&self, record: &Record<'_>, new: &NewRecord<'_>) -> Result<(), Code> {
        if record.timestamp_ms.is_some_and(i64::is_negative) {
            return Err(Code::INVALID_ARGUMENT);
        }
        if !new.is_at_most(self.record_bytes_max) {
            return Err(if self.is_closed() { Code::CLOSED } else { Code::RECORD_TOO_LARGE });
        }
        Ok(())
    }

    /// A record's partition; true: it is the sticky one.
    #[inline(always)]
    pub(super) fn target<'a>(&self, topic: &'a Topic, record: &Record<'_>) -> Result<(&'a Arc<Partition>, bool), Code> {
        match record.partition {
            Some(index) => Ok((self.explicit(topic, index)?, false)),
            None => self.choose(topic, record.key),
        }
    }

    fn explicit<'a>(&self, topic: &'a Topic, index: i32) -> Result<&'a Arc<Partition>, Code> {
        let index = usize::try_from(index).map_err(|_| Code::INVALID_ARGUMENT)?;
        topic.partitions.get(index).ok_or_else(|| {
            // It may have been added since: ask, so that a later try finds it.
            self.touch(topic);
            Code::UNKNOWN_PARTITION
        })
    }

    /// The partition of a record that names none; true: it is the sticky one.
    #[inline(always)]
    fn choose<'a>(&self, topic: &'a Topic, key: Option<&[u8]>) -> Result<(&'a Arc<Partition>, bool), Code> {
        let load = |index| self.load(topic, index);
        let pick = || topic.partitioner.pick(&self.partitioning, topic.id, key, topic.count(), load);
        let picked = if self.partitioning.own.is_some() { callback::call(self.id, Kind::Other, pick) } else { pick() }?;
        Ok((Self::chosen(topic, picked.partition)?, picked.sticky))
    }

    #[inline(always)]
    fn chosen(topic: &Topic, index: i32) -> Result<&Arc<Partition>, Code> {
        let partition = usize::try_from(index).ok().and_then(|index| topic.partitions.get(index));
        partition.ok_or(Code::UNKNOWN_PARTITION)
    }

    /// What the adaptive partitioner goes by: queued batches, `None` for a partition that cannot be sent to.
    fn load(&self, topic: &Topic, index: i32) -> Option<u32> {
        let partition = usize::try_from(index).ok().and_then(|index| topic.partitions.get(index))?;
        if !partition.has_leader() {
            return None;
        }
        if let Some(limit) = self.settings.partitioner_availability_timeout {
            let inbox = self.accumulator.inbox(partition.leader())?;
            if inbox.stalled_for(self.network.clock.now()) > limit {
                return None;
            }
        }
        Some(if self.settings.partitioner_adaptive { partition.queued() } else { 0 })
    }

    /// Goes on where a batch ended, or waits for what was missing, and tries again. Where it is in then.
    #[cold]
    pub(super) fn append_late<'a>(
        &self,
        topic: &'a Topic,
        mut partition: &'a Arc<Partition>,
        new: &NewRecord<'_>,
        mut stall: Stall,
        mut deadline: Deadline,
    ) -> Result<&'a Arc<Partition>, Code> {
        let clock = || self.network.clock.now();
        if let Stall::Boundary(bytes) = stall {
            partition = self.next_sticky(topic, partition.index, bytes, new)?;
            match self.accumulator.append(partition, new, false, &clock) {
                Ok(()) => return Ok(partition),
                Err(other) => stall = other,
            }
        }
        let mut yields = 0;
        let ended = loop {
            if !matches!(stall, Stall::Busy | Stall::Memory) {
                break Err(self.refusal(stall));
            }
            let left = deadline.left(&self.network.clock);
            if !left.is_zero() {
                self.accumulator.wait(partition, stall, new, left);
            } else if stall == Stall::Busy && yields < YIELDS_MAX {
                yields += 1;
                std::thread::yield_now();
            } else {
                self.accumulator.want_memory(partition, new);
                break Err(Code::QUEUE_FULL);
            }
            match self.accumulator.append(partition, new, false, &clock) {
                Ok(()) => break Ok(partition),
                Err(again) => stall = again,
            }
        };
        self.accumulator.leave_line(partition);
        ended
    }

    /// A batch of `bytes` ended in the sticky partition `from`.
    fn next_sticky<'a>(
        &self,
        topic: &'a Topic,
        from: i32,
        bytes: usize,
        new: &NewRecord<'_>,
    ) -> Result<&'a Arc<Partition>, Code> {
        let bytes_min = self.settings.batch_size.min(STICKY_BYTES_MIN);
        // A record that is a batch of its own leaves no open batch behind whose bytes could be counted.
        let bytes = if self.accumulator.is_shared(new.bytes()) { bytes } else { new.bytes() };
        let load = |index| self.load(topic, index);
        let next = || super::partitioner::choose(load, topic.count(), topic.partitioner.random());
        Self::chosen(topic, topic.partitioner.sticky.moved(from, bytes, bytes_min, next))
    }

    fn refusal(&self, stall: Stall) -> Code {
        match stall {
            _ if self.is_closed() => Code::CLOSED,
            // Shut without `close`: the producer is finished.
            Stall::Closed => Code::FATAL,
            _ => Code::INTERNAL,
        }
    }

    /// Waits for the topic's partitions. What the brokers said for certain is the answer at once; else what they said
    /// last, when the time is over.
    #[cold]
    pub(super) fn wait_for_metadata(&self, topic: &Topic, deadline: &mut Deadline) -> Result<(), Code> {
        // Rights and names change: what was said to an earlier call is asked anew.
        let told = topic.told();
        loop {
            if topic.count() > 0 {
                return Ok(());
            }
            if self.is_closed() {
                return Err(Code::CLOSED);
            }
            if self.network.is_finished() {
                return Err(Code::FATAL);
            }
            if let Some(error) = topic.refusal(told) {
                return Err(error.code);
            }
            // Again and again: a topic of which nobody says that it is in use is not asked for (KIP-526), and no broker
            // may have answered yet.
            self.touch(topic);
            let left = deadline.left(&self.network.clock);
            if left.is_zero() {
                let said = topic.trouble().or_else(|| self.network.visit(|engine| engine.status()));
                self.topics.miss();
                return Err(said.map_or(Code::TIMED_OUT, |error| error.code));
            }
            topic.wait(left.min(TOUCH_AGAIN), told, || self.is_closed() || self.network.is_finished());
        }
    }

    fn touch(&self, topic: &Topic) {
        let now = self.network.clock.now();
        self.network.visit(|engine| engine.touch_topic(TopicNumber(topic.id), now));
    }

    /// The sentence to a code that a send answered.
    pub(super) fn explain(&self, code: Code, topic: u32) -> Error {
        let said = self.topics.get(topic).ok().and_then(Topic::trouble);
        let said = said.or_else(|| self.network.visit(|engine| engine.status()));
        match said {
            Some(error) if error.code == code => error,
            _ => Error::new(code, code.text().to_string_lossy()),
        }
    }
}
