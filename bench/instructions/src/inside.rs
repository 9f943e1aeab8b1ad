//! Everything below the calls, counted: one thread, a clock that is set, a broker in memory.

use crate::broker::{Broker, HOST, PORT, TOPIC};
use kurier::accumulator::{Accumulator, Limits, NewRecord, Partition};
use kurier::code::Error;
use kurier::delivery::{Deliveries, Delivery, Polled};
use kurier::engine::{ConnectionNumber, EngineConfig, Level, TopicNumber};
use kurier::io::{Clock, Host, Life, Network, NetworkConfig, TopicBook, Turn, VirtualTime};
use kurier::protocol::compression::Codec;
use kurier::protocol::record::RecordBody;
use kurier::time::Time;
use std::hint::black_box;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const START: Time = Time(1_000_000_000);
/// 2026-11-22.
const WALL_MS: i64 = 1_795_305_600_000;
const VALUE: &[u8] = &[b'v'; 100];
/// Beyond every count: nothing ends by its time.
const LONG: Duration = Duration::from_secs(1_200);

/// What is counted of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Append,
    Seal,
    Request,
    Response,
}

/// A path: what is counted, in rounds of which shape, and how much of what one round holds.
struct Course {
    phase: Phase,
    partitions: usize,
    /// Of each partition.
    records: usize,
    rounds: usize,
    /// Of each round.
    units: usize,
}

impl Course {
    fn named(path: &str) -> Option<Self> {
        let (many, one) = (100, 1);
        // A batch of 1,000,000 bytes has room for them, and ends only by being sealed.
        let full = 8_000;
        let course = |phase, partitions, records, rounds, units| Self { phase, partitions, records, rounds, units };
        Some(match path {
            "open" => course(Phase::Append, many, 1, 20, many),
            "seal" => course(Phase::Seal, many, 1, 20, many),
            "request_of_one_batch" => course(Phase::Request, one, 1, 20, one),
            "request_of_100_batches" => course(Phase::Request, many, 1, 20, many),
            "request_of_8000_records" => course(Phase::Request, one, full, 3, full),
            "response_to_one_batch" => course(Phase::Response, one, 1, 20, one),
            "response_to_100_batches" => course(Phase::Response, many, 1, 20, many),
            _ => return None,
        })
    }
}

/// Callgrind is told to collect while it is inside this function.
#[unsafe(no_mangle)]
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    black_box(());
}

/// Carries a path out. How many units were counted; `None` if there is no such path.
pub fn run(path: &str) -> Option<usize> {
    let course = Course::named(path)?;
    let mut house = House::new(course.partitions);
    house.settle();
    for _ in 0..4 {
        house.round(course.records, None);
    }
    for _ in 0..course.rounds {
        house.round(course.records, Some(course.phase));
    }
    Some(course.rounds * course.units)
}

#[derive(Default)]
struct Book(Mutex<Vec<Arc<Partition>>>);

impl TopicBook for Book {
    fn grown(&self, _topic: u32, partitions: &[Arc<Partition>]) {
        *self.0.lock().unwrap() = partitions.to_vec();
    }

    fn failed(&self, _topic: u32, error: Error) {
        panic!("{}", error.message);
    }

    fn ended(&self) {}
}

/// Connections that were started. They have no threads, and never sleep: nobody has to wake them.
#[derive(Clone, Default)]
struct Stage(Arc<Mutex<Vec<ConnectionNumber>>>);

impl Host for Stage {
    fn waker(&self) -> Box<dyn Fn() + Send + Sync> {
        Box::new(|| panic!("nobody sleeps"))
    }

    fn start(&self, _network: &Arc<Network>, connection: ConnectionNumber) -> io::Result<()> {
        self.0.lock().unwrap().push(connection);
        Ok(())
    }

    fn join(&self) {}
}

/// A connection.
struct Line {
    life: Life,
    broker: Option<Broker>,
    /// That its broker leads.
    partitions: usize,
}

impl Line {
    /// What its thread does from one wait to the next.
    fn step(&mut self) {
        let turn = match &mut self.broker {
            Some(broker) => self.life.turn(Some(broker)),
            None => self.life.turn(None),
        };
        match turn {
            Turn::Wait { .. } => {}
            Turn::Connect { .. } => {
                self.broker = Some(Broker::new(self.partitions));
                self.life.connected();
            }
            Turn::Close(_) | Turn::End => panic!("a connection ended: {turn:?}"),
        }
    }
}

/// Everything below the producer, as it ships.
struct House {
    now: Time,
    time: Arc<VirtualTime>,
    network: Arc<Network>,
    accumulator: Arc<Accumulator>,
    deliveries: Arc<Deliveries>,
    book: Arc<Book>,
    stage: Stage,
    lines: Vec<Line>,
    partitions: usize,
    room: Vec<Delivery>,
}

impl House {
    fn new(partitions: usize) -> Self {
        let limits = Limits {
            memory_bytes: 256 << 20,
            reserve_bytes: 32 << 20,
            batch_bytes: 1_000_000,
            linger: LONG / 2,
            delivery_timeout: LONG,
            compresses: false,
        };
        let engine = EngineConfig {
            bootstrap: vec![(HOST.into(), PORT)],
            client_id: "kurier".into(),
            delivery_timeout: LONG,
            ..EngineConfig::default()
        };
        let config = NetworkConfig {
            engine,
            seed: 1,
            codec: Codec::None,
            level: Codec::None.default_level(),
            canonical_bootstrap: false,
            send_buffer_bytes: None,
            receive_buffer_bytes: None,
            log: None,
            log_level: Level::Error,
        };
        let time = VirtualTime::at(START, WALL_MS);
        let (stage, book) = (Stage::default(), Arc::new(Book::default()));
        let accumulator = Arc::new(Accumulator::new(&limits, Box::new(|| ())));
        let deliveries = Arc::new(Deliveries::new(Arc::clone(&accumulator), None, false));
        let network = Network::start_on(
            Box::new(stage.clone()),
            config,
            Arc::clone(&accumulator),
            Arc::clone(&deliveries),
            Arc::clone(&book) as Arc<dyn TopicBook>,
            Clock::showing(Arc::clone(&time)),
        );
        let network = network.expect("nothing is started that could fail");
        network.visit(|engine| engine.add_topic(TopicNumber(0), TOPIC, START));
        let room = vec![Delivery::default(); 1_000];
        let lines = Vec::new();
        Self { now: START, time, network, accumulator, deliveries, book, stage, lines, partitions, room }
    }

    fn tick(&mut self) {
        self.now = self.now + Duration::from_millis(1);
        self.time.set(self.now, WALL_MS);
    }

    /// Connects and learns what there is to learn; a first record of every partition has whatever waits for one done.
    fn settle(&mut self) {
        self.live();
        self.append(1);
        self.accumulator.seal_all();
        self.live();
        assert_eq!(self.read(), self.partitions, "every partition is known, and can be sent to");
        assert_eq!(self.lines.len(), 2, "one connection asks, one produces");
    }

    /// Some requests one after the other, each within a second.
    fn live(&mut self) {
        for _ in 0..1_000 {
            self.tick();
            for connection in std::mem::take(&mut *self.stage.0.lock().unwrap()) {
                let life = Life::new(Arc::clone(&self.network), connection);
                self.lines.push(Line { life, broker: None, partitions: self.partitions });
            }
            for line in &mut self.lines {
                if let Some(broker) = &mut line.broker {
                    broker.answer();
                }
                line.step();
            }
        }
    }

    fn append(&self, records: usize) {
        for partition in self.book.0.lock().unwrap().iter() {
            for _ in 0..records {
                // Of a size that the compiler does not know.
                let body = RecordBody { key: None, value: Some(black_box(VALUE)), headers: &[] };
                let new = NewRecord::new(body, WALL_MS, 1, 0);
                self.accumulator.append(partition, &new, false, &|| self.now).expect("there is memory");
            }
        }
    }

    /// Deliveries that are there. All of them say that the record is written.
    fn read(&mut self) -> usize {
        let (mut read, now) = (0, self.now);
        while let Polled::Count(count @ 1..) =
            self.deliveries.poll(&mut self.room, Time::ZERO, &|| now, &mut Vec::new())
        {
            assert!(self.room.iter().take(count).all(|delivery| delivery.code == 0), "written");
            read += count;
        }
        read
    }

    /// So many records to each partition, on their way and back. Counted, it is one request; else what it takes until
    /// batches have the size that the records need.
    fn round(&mut self, records: usize, phase: Option<Phase>) {
        self.tick();
        measure(phase == Some(Phase::Append), || self.append(records));
        measure(phase == Some(Phase::Seal), || self.accumulator.seal_all());
        let mut left = self.partitions * records;
        while left > 0 {
            let line = self.lines.last_mut().expect("there are two");
            measure(phase == Some(Phase::Request), || line.step());
            let broker = line.broker.as_mut().expect("connected");
            let batches = broker.batches();
            assert!(!batches.is_empty(), "something goes out");
            assert!(phase.is_none() || batches == [self.partitions], "one request: {batches:?}");
            broker.answer();
            measure(phase == Some(Phase::Response), || line.step());
            left -= self.read();
        }
    }
}

fn measure(is_counted: bool, mut work: impl FnMut()) {
    if is_counted { counted(&mut work) } else { work() }
}
