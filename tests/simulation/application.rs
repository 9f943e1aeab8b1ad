//! The application: threads that send, each a step at a time.

use crate::ledger::{Entry, Ledger, Stage};
use crate::plan::Plan;
use crate::random::Random;
use crate::record::{Content, Sizes};
use kurier::accumulator::{Accumulator, NewRecord, Partition, QUIET, Stall};
use kurier::code::Error;
use kurier::engine::TopicNumber;
use kurier::io::{Clock, Network, TopicBook};
use kurier::time::Time;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Topics as the application sees them.
#[derive(Default)]
pub(crate) struct Book {
    topics: Mutex<Vec<Vec<Arc<Partition>>>>,
}

impl Book {
    pub(crate) fn new(topics: usize) -> Self {
        Self { topics: Mutex::new(vec![Vec::new(); topics]) }
    }

    pub(crate) fn partitions(&self, topic: u32) -> Vec<Arc<Partition>> {
        self.topics.lock().unwrap()[topic as usize].clone()
    }
}

impl TopicBook for Book {
    fn grown(&self, topic: u32, partitions: &[Arc<Partition>]) {
        let mut topics = self.topics.lock().unwrap();
        let known = &mut topics[topic as usize];
        if partitions.len() > known.len() {
            *known = partitions.to_vec();
        }
    }

    fn failed(&self, _topic: u32, _error: Error) {}

    fn ended(&self) {}
}

/// What senders share.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) accumulator: Arc<Accumulator>,
    pub(crate) network: Arc<Network>,
    pub(crate) book: Arc<Book>,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    pub(crate) clock: Clock,
    pub(crate) topics: u32,
    pub(crate) secret: u64,
    pub(crate) sizes: Sizes,
    pub(crate) burst: u64,
    pub(crate) pause_us: u64,
    pub(crate) quiet_percent: u64,
    pub(crate) wild_timestamps: bool,
    pub(crate) max_block: Duration,
}

/// A record that could not be appended yet.
struct Waiting {
    number: u64,
    partition: Arc<Partition>,
    deadline: Time,
    in_line: bool,
}

/// One thread of the application.
pub(crate) struct Sender {
    shop: Shop,
    pub(crate) number: u32,
    left: u64,
    random: Random,
    waiting: Option<Waiting>,
    /// The topic whose partitions it waits for, and until when.
    missing: Option<(u32, Time)>,
    touch_at: Time,
}

impl Shop {
    pub(crate) fn of(
        plan: &Plan,
        accumulator: &Arc<Accumulator>,
        network: &Arc<Network>,
        book: &Arc<Book>,
        topics: u32,
        secret: u64,
    ) -> Self {
        Self {
            accumulator: Arc::clone(accumulator),
            network: Arc::clone(network),
            book: Arc::clone(book),
            ledger: Arc::new(Mutex::new(Ledger::new(plan.senders + 1))),
            clock: network.clock.clone(),
            topics,
            secret,
            sizes: plan.sizes,
            burst: plan.burst,
            pause_us: plan.pause_us,
            quiet_percent: plan.quiet_percent,
            wild_timestamps: plan.wild_timestamps,
            max_block: plan.max_block,
        }
    }

    pub(crate) fn content(&self, number: u64, topic: u32, partition: i32) -> Content {
        Content::make(self.secret, number, topic, partition, self.sizes)
    }

    fn append(&self, number: u64, entry: &Entry, partition: &Partition) -> Result<(), Stall> {
        self.lend(number, entry, |record| self.accumulator.append(partition, record, false, &|| self.clock.now()))
    }

    fn lend<R>(&self, number: u64, entry: &Entry, call: impl FnOnce(&NewRecord<'_>) -> R) -> R {
        let content = self.content(number, entry.topic, entry.partition);
        content.lend(|body| {
            let flags = if entry.quiet { QUIET } else { 0 };
            call(&NewRecord::new(body, entry.timestamp_ms, number, flags))
        })
    }

    /// One try. `Ok(false)`: it may succeed later.
    pub(crate) fn try_append(&self, number: u64, partition: &Partition) -> Result<(), Stall> {
        let entry = self.ledger.lock().unwrap().get(number).cloned().unwrap();
        let tried = self.append(number, &entry, partition);
        if tried.is_ok() {
            let mut ledger = self.ledger.lock().unwrap();
            let entry = ledger.get_mut(number).unwrap();
            entry.stage = Stage::Accepted;
            entry.accepted_at = self.clock.now();
        }
        tried
    }

    fn refuse(&self, number: u64) {
        self.ledger.lock().unwrap().get_mut(number).unwrap().stage = Stage::Refused;
    }

    pub(crate) fn entry(&self, topic: u32, partition: i32, timestamp_ms: i64) -> Entry {
        Entry {
            topic,
            partition,
            timestamp_ms,
            quiet: false,
            stage: Stage::Trying,
            accepted_at: Time::NEVER,
            fate: None,
            is_probe: false,
        }
    }
}

impl Sender {
    pub(crate) fn new(shop: Shop, number: u32, records: u64, random: Random) -> Self {
        Self { shop, number, left: records, random, waiting: None, missing: None, touch_at: Time::ZERO }
    }

    /// Does what this thread does next. After how long it goes on; `None`: it is done.
    pub(crate) fn act(&mut self) -> Option<Duration> {
        if let Some(waiting) = self.waiting.take() {
            return self.go_on(waiting);
        }
        for _ in 0..self.shop.burst {
            if self.left == 0 {
                return None;
            }
            let topic = match self.missing {
                Some((topic, _)) => topic,
                None => self.random.below(u64::from(self.shop.topics)) as u32,
            };
            let partitions = self.shop.book.partitions(topic);
            if partitions.is_empty() {
                return self.miss(topic);
            }
            self.missing = None;
            self.left -= 1;
            // The first ones more often: batches of one record have no order.
            let place = self.random.below(partitions.len() as u64).min(self.random.below(partitions.len() as u64));
            let partition = Arc::clone(&partitions[place as usize]);
            let timestamp_ms = self.timestamp_ms();
            let mut entry = self.shop.entry(topic, partition.index, timestamp_ms);
            entry.quiet = self.random.chance(self.shop.quiet_percent);
            let number = self.shop.ledger.lock().unwrap().begin(self.number, entry);
            let deadline = self.shop.clock.now() + self.shop.max_block;
            let next = self.go_on(Waiting { number, partition, deadline, in_line: false });
            if self.waiting.is_some() || next.is_none() {
                return next;
            }
        }
        Some(self.pause())
    }

    fn pause(&mut self) -> Duration {
        Duration::from_micros(1 + self.random.below(2 * self.shop.pause_us + 1))
    }

    fn timestamp_ms(&mut self) -> i64 {
        if self.shop.wild_timestamps {
            let bits = self.random.pick(&[3, 10, 41]).copied().unwrap_or(0);
            return self.random.below(1 << bits) as i64;
        }
        self.shop.clock.wall_ms()
    }

    /// Nobody has told of the topic's partitions: as a send does, it asks for them, again after a while, and goes away
    /// when `max.block.ms` is over.
    fn miss(&mut self, topic: u32) -> Option<Duration> {
        if self.shop.network.is_finished() {
            return None;
        }
        let now = self.shop.clock.now();
        let (_, until) = *self.missing.get_or_insert((topic, now + self.shop.max_block));
        if now >= self.touch_at {
            self.touch_at = now + Duration::from_secs(1);
            self.shop.network.visit(|engine| engine.touch_topic(TopicNumber(topic), now));
        }
        if now >= until {
            self.missing = None;
        }
        Some(Duration::from_millis(1 + self.random.below(20)))
    }

    /// Tries, or tries again, as a send does that waits for memory.
    fn go_on(&mut self, mut waiting: Waiting) -> Option<Duration> {
        let shop = &self.shop;
        let tried = shop.try_append(waiting.number, &waiting.partition);
        let next = match tried {
            Ok(()) => Some(self.random.range(1..=5)),
            Err(stall @ (Stall::Busy | Stall::Memory)) => {
                if waiting.deadline > shop.clock.now() {
                    let entry = shop.ledger.lock().unwrap().get(waiting.number).cloned().unwrap();
                    shop.lend(waiting.number, &entry, |record| {
                        shop.accumulator.wait(&waiting.partition, stall, record, Duration::ZERO);
                    });
                    waiting.in_line = true;
                    self.waiting = Some(waiting);
                    return Some(Duration::from_micros(self.random.range(20..=2_000)));
                }
                let entry = shop.ledger.lock().unwrap().get(waiting.number).cloned().unwrap();
                shop.lend(waiting.number, &entry, |record| {
                    shop.accumulator.want_memory(&waiting.partition, record);
                });
                shop.refuse(waiting.number);
                Some(self.random.range(100..=5_000))
            }
            Err(Stall::Closed) => {
                shop.refuse(waiting.number);
                None
            }
            Err(Stall::Boundary(_) | Stall::Impossible) => {
                shop.refuse(waiting.number);
                Some(1)
            }
        };
        if waiting.in_line {
            shop.accumulator.leave_line(&waiting.partition);
        }
        next.map(Duration::from_micros)
    }
}
