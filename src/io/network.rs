//! What the network threads share: the engine under its one lock, and everything its decisions touch.

use super::clock::Clock;
use super::host::{Host, Threads};
use crate::accumulator::{Accumulator, Batch, Collected, GivenUp, Inbox, Partition};
use crate::code::{Code, Error, Outcome};
use crate::delivery::{Completed, Deliveries};
use crate::engine::{
    Action, ConnectionNumber, Engine, EngineConfig, Fate, Level, Parcel, PartitionNumber, TopicNumber,
};
use crate::mutant::{self, Mutant};
use crate::protocol::compression::{Codec, Compressor};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::time::Time;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

impl Parcel for Batch {
    fn records(&self) -> u32 {
        Self::records(self)
    }
    fn payload_bytes(&self) -> usize {
        self.wire_form().1
    }
    fn is_prepared(&self) -> bool {
        Self::is_prepared(self)
    }
    fn codec(&self) -> i16 {
        self.wire_form().0
    }
    fn base_timestamp_ms(&self) -> i64 {
        Self::base_timestamp_ms(self)
    }
    fn max_timestamp_ms(&self) -> i64 {
        Self::max_timestamp_ms(self)
    }
    fn opened(&self) -> Time {
        Self::opened(self)
    }
}

/// A line of the log, from any thread, without a lock held.
pub type LogCallback = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// Topics as application threads see them.
pub trait TopicBook: Send + Sync {
    /// All partitions of a topic, in order of their index. There are never fewer than before.
    fn grown(&self, topic: u32, partitions: &[Arc<Partition>]);
    /// Why a topic has no partitions.
    fn failed(&self, topic: u32, error: Error);
    /// There will be no more metadata.
    fn ended(&self);
}

/// What the network has to know beside the engine's settings.
pub struct NetworkConfig {
    /// The engine's settings.
    pub engine: EngineConfig,
    /// Decides the engine's jitter.
    pub seed: u64,
    /// How batches are compressed.
    pub codec: Codec,
    /// The codec's level.
    pub level: i32,
    /// `client.dns.lookup`: the canonical names of its addresses take the place of a bootstrap name.
    pub canonical_bootstrap: bool,
    /// `send.buffer.bytes`; `None`: the system's.
    pub send_buffer_bytes: Option<usize>,
    /// `receive.buffer.bytes`; `None`: the system's.
    pub receive_buffer_bytes: Option<usize>,
    /// Where log lines go.
    pub log: Option<LogCallback>,
    /// The least bad line that is logged.
    pub log_level: Level,
}

/// A thread needs microseconds to copy a record; one that takes this long is not running.
const WRITER_PATIENCE: Duration = Duration::from_secs(1);

/// See the file's first line.
pub struct Network {
    engine: Mutex<Engine<Batch>>,
    /// Where batches come from.
    pub accumulator: Arc<Accumulator>,
    /// Where their fates go.
    pub deliveries: Arc<Deliveries>,
    topics: Arc<dyn TopicBook>,
    /// The producer's clock.
    pub clock: Clock,
    pub(super) config: NetworkConfig,
    stopping: AtomicBool,
    /// Nothing is sent any more: a fatal error, or a defect.
    finished: AtomicBool,
    host: Box<dyn Host>,
}

impl Network {
    /// Starts the bootstrap thread; the others follow when a broker is needed.
    pub fn start(
        config: NetworkConfig,
        accumulator: Arc<Accumulator>,
        deliveries: Arc<Deliveries>,
        topics: Arc<dyn TopicBook>,
        clock: Clock,
    ) -> crate::code::Result<Arc<Self>> {
        Self::start_on(Box::new(Threads::default()), config, accumulator, deliveries, topics, clock)
    }

    /// As [`Self::start`], but connections live elsewhere.
    #[doc(hidden)]
    pub fn start_on(
        host: Box<dyn Host>,
        config: NetworkConfig,
        accumulator: Arc<Accumulator>,
        deliveries: Arc<Deliveries>,
        topics: Arc<dyn TopicBook>,
        clock: Clock,
    ) -> crate::code::Result<Arc<Self>> {
        let engine = Engine::new(config.engine.clone(), config.seed);
        let network = Arc::new(Self {
            engine: Mutex::new(engine),
            accumulator,
            deliveries,
            topics,
            clock,
            config,
            stopping: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            host,
        });
        network.add_inbox();
        network
            .start_thread(ConnectionNumber::BOOTSTRAP)
            .map_err(|error| Error::new(Code::INTERNAL, format!("the network thread could not be started: {error}")))?;
        Ok(network)
    }

    fn start_thread(self: &Arc<Self>, connection: ConnectionNumber) -> std::io::Result<()> {
        self.host.start(self, connection)
    }

    /// The list of the next connection's thread, which need not run yet: it looks there before it first sleeps.
    fn add_inbox(&self) {
        self.accumulator.add_inbox(Arc::new(Inbox::new(self.host.waker())));
    }

    /// Calls the engine, then does what it wants done, with no lock held.
    pub fn visit<R>(self: &Arc<Self>, call: impl FnOnce(&mut Engine<Batch>) -> R) -> R {
        let (mut actions, mut copies) = (Vec::new(), Vec::new());
        let mut engine = self.engine.lock();
        let answer = call(&mut engine);
        while let Some(action) = engine.poll_action() {
            // What decides who looks at a partition is in force before another thread can ask the engine.
            match &action {
                Action::Leader(partition, connection) => self.lead(*partition, *connection),
                Action::Partitions(topic, numbers) => self.add_partitions(*topic, numbers),
                // In the engine's order, and there before a partition is led to it: else two threads that learn of
                // two brokers at once would exchange their lists, and what is listed meanwhile would be lost.
                Action::Start(_) => self.add_inbox(),
                // Later, a request could have been built around its size already.
                Action::Unprepare(batch) => copies.extend(batch.undecide()),
                _ => {}
            }
            actions.push(action);
        }
        drop(engine);
        drop(copies);
        for action in actions {
            self.perform(action);
        }
        answer
    }

    fn lead(&self, partition: PartitionNumber, connection: ConnectionNumber) {
        if let Some(partition) = self.accumulator.partition(partition.0) {
            partition.set_leader(connection.0);
        }
    }

    fn add_partitions(&self, topic: TopicNumber, numbers: &[PartitionNumber]) {
        for (index, number) in (0..).zip(numbers) {
            if self.accumulator.partition(number.0).is_none() {
                let added = self.accumulator.add_partition(topic.0, index);
                debug_assert_eq!(added.map(|partition| partition.number), Some(number.0), "numbered densely");
            }
        }
    }

    fn perform(self: &Arc<Self>, action: Action<Batch>) {
        match action {
            Action::Fate(_, batch, fate) => self.complete(batch, fate),
            Action::Released(batch) | Action::Unprepare(batch) => drop(batch),
            Action::Split(partition, batch) => self.split(partition, &batch),
            Action::Start(connection) => {
                if let Err(error) = self.start_thread(connection) {
                    self.fail(&format!("a network thread could not be started: {error}"));
                }
            }
            Action::Wake(connection) => {
                if let Some(inbox) = self.accumulator.inbox(connection.0) {
                    inbox.nudge();
                }
            }
            Action::Leader(partition, _) => {
                if let Some(partition) = self.accumulator.partition(partition.0) {
                    self.accumulator.list(partition, Time::ZERO);
                }
            }
            Action::Partitions(topic, numbers) => {
                let partitions = numbers.iter().filter_map(|number| self.accumulator.partition(number.0).cloned());
                self.topics.grown(topic.0, &partitions.collect::<Vec<_>>());
            }
            Action::TopicError(topic, error) => self.topics.failed(topic.0, error),
            Action::Finished => self.finish(),
            Action::Log(level, line) => self.log(level, &line),
        }
    }

    /// Whether the producer came to an end by itself; its status says why.
    #[inline]
    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    /// Nothing is accepted any more, and whoever waits to be accepted hears of it now.
    fn finish(&self) {
        self.finished.store(true, Ordering::SeqCst);
        self.accumulator.shut();
        self.topics.ended();
        self.accumulator.unfated.wake();
    }

    fn complete(&self, mut batch: Batch, fate: Fate) {
        if matches!(fate.code, Code::FATAL | Code::INTERNAL) {
            self.finished.store(true, Ordering::Relaxed);
        }
        let Some(partition) = self.accumulator.partition(batch.partition) else { return };
        #[cfg(feature = "simulation")]
        if fate.code != Code::OK && mutant::is(Mutant::ReuseOnExpiry) {
            batch.scribble();
        }
        batch.forget_copy();
        self.deliveries.complete(Completed {
            topic: partition.topic,
            partition: partition.index,
            code: fate.code,
            broker_code: fate.broker_code,
            outcome: fate.outcome,
            base_offset: fate.base_offset,
            log_append_time_ms: fate.log_append_time_ms,
            attempts: fate.attempts,
            record_codes: fate.record_codes,
            batch,
        });
    }

    /// A batch that ended before the engine had it.
    fn give_up(&self, batch: Batch, why: GivenUp) {
        let code = match why {
            GivenUp::TimedOut => Code::TIMED_OUT,
            GivenUp::Purged => Code::PURGED,
        };
        let fate = Fate {
            code,
            broker_code: 0,
            outcome: Outcome::NotWritten,
            base_offset: -1,
            log_append_time_ms: -1,
            attempts: 0,
            record_codes: Vec::new(),
        };
        self.complete(batch, fate);
    }

    /// Hands what was taken out of a partition to the engine.
    pub(super) fn hand_over(engine: &mut Engine<Batch>, partition: u32, collected: &mut Collected, now: Time) {
        if mutant::is(Mutant::GapNotTold) {
            collected.gaps.clear();
        }
        for gap in collected.gaps.drain(..) {
            engine.handle_gap(PartitionNumber(partition), gap, now);
        }
        for batch in collected.batches.drain(..) {
            engine.handle_batch(PartitionNumber(partition), batch.number, batch, now);
        }
    }

    /// Fates of what was given up in the accumulator.
    pub(super) fn end_given_up(&self, collected: &mut Collected) -> usize {
        let mut records = 0;
        for (batch, why) in collected.given_up.drain(..) {
            records += batch.records() as usize;
            self.give_up(batch, why);
        }
        records
    }

    fn split(self: &Arc<Self>, partition: PartitionNumber, batch: &Batch) {
        let now = self.clock.now();
        match self.accumulator.split(batch) {
            Some((first, second)) => self.visit(|engine| engine.handle_split(partition, first, second, now)),
            None => self.visit(|engine| engine.handle_split_failed(partition, now)),
        }
    }

    /// Encodes what goes out next. At least one of them is prepared afterwards, or there was no memory.
    pub(super) fn prepare(&self, batches: &[Batch], compressor: &mut Compressor) -> bool {
        let mut any = false;
        for batch in batches {
            any |= self.accumulator.encode(batch, self.config.codec, self.config.level, compressor);
        }
        any
    }

    /// A line for the application's log, if it wants such lines.
    pub fn log(&self, level: Level, line: &str) {
        if let Some(log) = self.config.log.as_ref().filter(|_| level <= self.config.log_level) {
            log(level, line);
        }
    }

    /// Gives up records that nobody has sent (`queued`) or answered (`in_flight`). How many.
    pub fn purge(self: &Arc<Self>, queued: bool, in_flight: bool) -> usize {
        let now = self.clock.now();
        let mut records = 0;
        if queued {
            for partition in self.accumulator.partitions() {
                let mut collected = partition.purge(&self.accumulator);
                records += self.end_given_up(&mut collected);
                if !collected.gaps.is_empty() {
                    self.visit(|engine| Self::hand_over(engine, partition.number, &mut collected, now));
                    // The engine has forgotten what it was offered; there may be a new batch to offer by now.
                    self.accumulator.list(partition, Time::ZERO);
                }
            }
        }
        records + self.visit(|engine| engine.purge(queued, in_flight, now))
    }

    /// A defect: every record gets its fate, and nobody waits any more.
    pub(crate) fn fail(self: &Arc<Self>, what: &str) {
        let now = self.clock.now();
        self.finish();
        self.visit(|engine| engine.handle_defect(what, now));
        for partition in self.accumulator.partitions() {
            let mut collected = partition.collect(&self.accumulator, now);
            self.end_given_up(&mut collected);
            self.visit(|engine| Self::hand_over(engine, partition.number, &mut collected, now));
        }
        self.accumulator.unfated.wake();
    }

    /// Are the threads to end?
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Ends all threads and gives up whatever has no fate yet: so many records. Waits for no network; for running
    /// callbacks, yes.
    pub fn stop(self: &Arc<Self>) -> usize {
        self.begin_stop();
        self.host.join();
        let patience = self.clock.now() + WRITER_PATIENCE;
        self.end_stop(|| {
            std::thread::yield_now();
            self.clock.now() < patience
        })
    }

    /// From now on no thread does anything but end.
    #[doc(hidden)]
    pub fn begin_stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// All threads have ended: gives up whatever has no fate yet. So many records. `waits`: for a writer that is still
    /// inside a batch that was given up; false: no longer.
    #[doc(hidden)]
    pub fn end_stop(self: &Arc<Self>, waits: impl Fn() -> bool) -> usize {
        let mut records = self.purge(true, true);
        for partition in self.accumulator.partitions() {
            // A send that had its place when the batch was given up is accepted: it gets its delivery too. It only has
            // to copy its bytes, and no thread is left that would look later. One that is stopped in there (by a
            // debugger, say) keeps its batch, and nobody waits for it.
            while let Some(mut collected) = partition.collect_abandoned(&self.accumulator) {
                records += self.end_given_up(&mut collected);
                if !waits() {
                    break;
                }
            }
        }
        records
    }
}
