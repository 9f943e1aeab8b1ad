//! One run: a client, a schedule, some minutes; then everything is read back and compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::check::{Checker, Life, Topic, Verdict};
use crate::driver::{Driver, Plan};
use crate::faults::{self, CLIENT_ID, Director, Targets};
use crate::journal::Journal;
use crate::payload::Shape;
use crate::programs::{Client, Program};
use crate::random::Random;
use crate::readback;
use crate::scenario::now_ms;
use crate::schedule::{BrokerSchedule, Means, NetworkSchedule};
use crate::world::World;

/// What a run is.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub seed: u64,
    pub time: Duration,
    pub rate: u64,
    /// Only settings that every client has, so that all get the same.
    pub is_compared: bool,
    pub kills_producers: bool,
}

/// What came out.
#[derive(Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    pub settings: String,
    pub injected: BTreeMap<&'static str, u64>,
    /// Times that no record got through for [`STALLED`] although everything ran.
    pub stalls: u64,
}

const VALUE_SIZE: usize = 48;
const MAIN_PARTITIONS: i32 = 6;
const GROWN_PARTITIONS: i32 = 2;
const RECREATED_PARTITIONS: i32 = 3;
const THREADS: usize = 4;
/// Between two faults at least so many bytes of journal are written: about a thousand deliveries.
const FLOW: u64 = 32_768;
const STALLED: Duration = Duration::from_secs(60);
const MEMORY_BYTES: i64 = 33_554_432;

/// Runs of one process have different numbers, so that no record of one passes for one of another.
static RUNS: AtomicU32 = AtomicU32::new(1);

struct Settings {
    pairs: Vec<(String, String)>,
    delivery_timeout: Duration,
}

/// The seed chooses: what is common, and what is rare.
fn settings(round: &Round) -> Settings {
    let mut random = Random::new(round.seed ^ 0x5e77_1265);
    let timeout_ms = random.choose(&[15_000_u64, 30_000, 120_000]);
    let request_ms = random.choose(&[2000_u64, 4000, 8000]);
    let codecs: &[&str] =
        if round.is_compared { &["none", "lz4"] } else { &["none", "none", "lz4", "zstd", "gzip", "snappy"] };
    let choices = [
        ("client.id", CLIENT_ID.to_owned()),
        ("delivery.timeout.ms", timeout_ms.to_string()),
        ("request.timeout.ms", request_ms.to_string()),
        ("linger.ms", random.choose(&["0", "1", "5", "20"]).to_owned()),
        ("batch.size", random.choose(&["4000", "16384", "1000000"]).to_owned()),
        ("compression.type", random.choose(codecs).to_owned()),
    ];
    let pairs = choices.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Settings { pairs, delivery_timeout: Duration::from_millis(timeout_ms) }
}

/// The lives of the producers of a run: one, and another after each SIGKILL.
struct Lives<'a> {
    program: &'a Program,
    plan: Plan,
    world: &'a World,
    now: Driver,
    killed: Vec<(u32, PathBuf)>,
}

impl Lives<'_> {
    fn renew(&mut self) {
        let next = start(self.program, &self.plan, self.world);
        self.killed.push(std::mem::replace(&mut self.now, next).kill());
    }
}

fn start(program: &Program, plan: &Plan, world: &World) -> Driver {
    Driver::start(program, plan, RUNS.fetch_add(1, Ordering::Relaxed), world.scratch())
}

/// Runs it.
pub fn run(world: &World, program: &Program, round: &Round) -> Outcome {
    let before = world.counts();
    let settings = settings(round);
    let topics = create_topics(world, round.seed);
    let epoch_ms = now_ms();
    let plan = Plan {
        servers: world.kafka.bootstrap().to_owned(),
        threads: THREADS,
        records: 0,
        rate: round.rate,
        value_size: VALUE_SIZE,
        epoch_ms,
        topics: (0..THREADS).map(|thread| topic_of(&topics, thread)).collect(),
        settings: settings.pairs.clone(),
    };
    let now = start(program, &plan, world);
    let lives = Mutex::new(Lives { program, plan, world, now, killed: Vec::new() });
    let stalls = act(world, round, &topics, &lives);

    let mut lives = lives.into_inner().unwrap();
    lives.now.stop();
    let has_ended = lives.now.wait(settings.delivery_timeout + Duration::from_secs(60));
    let last = (lives.now.run, lives.now.journal().to_path_buf());
    drop(lives.now);
    let read = |(run, path): &(u32, PathBuf), is_killed| {
        let journal = Journal::read(path, *run, epoch_ms, |_| {}).unwrap();
        if std::env::var_os("KURIER_KEEP_KAFKA").is_none() {
            let _gone = std::fs::remove_file(path);
        }
        Life::new(journal, is_killed)
    };
    let mut all: Vec<Life> = lives.killed.iter().map(|life| read(life, true)).collect();
    all.push(read(&last, false));
    if !has_ended {
        eprintln!("the driver did not end by itself");
    }
    let shape = Shape { value_size: VALUE_SIZE, epoch_ms };
    let verdict = check(world, program.client, all, &topics, shape, settings.delivery_timeout);
    for topic in &topics {
        world.kafka.delete_topic(&topic.name);
    }
    let mut injected = world.counts();
    injected.iter_mut().for_each(|(what, count)| *count -= before.get(what).copied().unwrap_or(0));
    injected.retain(|_, count| *count > 0);
    Outcome { verdict, settings: describe(&settings.pairs), injected, stalls }
}

fn describe(pairs: &[(String, String)]) -> String {
    pairs.iter().skip(1).fold(String::new(), |mut text, (name, value)| {
        write!(text, "{name}={value} ").unwrap();
        text
    })
}

fn create_topics(world: &World, seed: u64) -> Vec<Topic> {
    let run = RUNS.load(Ordering::Relaxed);
    let make = |name: &str, partitions: i32, threads: &[u32]| {
        let name = format!("{name}-{seed}-{run}");
        world.kafka.create_topic(&name, partitions, 3, &[("retention.ms", "-1")]);
        let is_recreated = name.starts_with("recreated");
        Topic { name, partitions, is_recreated, threads: threads.to_vec() }
    };
    vec![
        make("main", MAIN_PARTITIONS, &[0, 1]),
        make("grown", GROWN_PARTITIONS, &[2]),
        make("recreated", RECREATED_PARTITIONS, &[3]),
    ]
}

fn topic_of(topics: &[Topic], thread: usize) -> String {
    let is_of = |topic: &&Topic| topic.threads.contains(&u32::try_from(thread).unwrap());
    let topic = topics.iter().find(is_of).unwrap();
    format!("{}:{}", topic.name, topic.partitions)
}

/// Faults as long as the run lasts; answers how often nothing moved.
fn act(world: &World, round: &Round, topics: &[Topic], lives: &Mutex<Lives<'_>>) -> u64 {
    let ended = AtomicBool::new(false);
    let targets = Targets {
        main: topics[0].name.clone(),
        grown: topics[1].name.clone(),
        recreated: topics[2].name.clone(),
        grown_partitions: GROWN_PARTITIONS,
        recreated_partitions: RECREATED_PARTITIONS,
    };
    let fills_disks = world.disk.as_ref().is_some_and(crate::disk::Disk::is_mounted);
    let means = Means { kills_producers: round.kills_producers, fills_disks };
    let (begin, mut stalls) = (Instant::now(), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| faults::disturb(world, NetworkSchedule::new(round.seed), &ended));
        let mut director = Director { world, targets, ended: &ended };
        let flow = || {
            let from = lives.lock().unwrap().now.progress();
            let waited = Instant::now();
            while lives.lock().unwrap().now.progress() < from + FLOW {
                if begin.elapsed() > round.time {
                    break;
                }
                if waited.elapsed() > STALLED {
                    stalls += 1;
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            if begin.elapsed() > round.time {
                ended.store(true, Ordering::Relaxed);
            }
        };
        director.direct(BrokerSchedule::new(round.seed, means), flow, || lives.lock().unwrap().renew());
    });
    stalls
}

fn check(
    world: &World,
    client: Client,
    lives: Vec<Life>,
    topics: &[Topic],
    shape: Shape,
    delivery_timeout: Duration,
) -> Verdict {
    let mut checker = Checker::new(lives, shape);
    for topic in topics {
        let read = readback::read(&world.kafka, &topic.name, |record| checker.look(topic, record));
        read.unwrap_or_else(|why| panic!("reading {}: {why}", topic.name));
    }
    let memory_kb = (client == Client::Kurier).then_some(MEMORY_BYTES >> 10);
    checker.finish(topics, delivery_timeout, memory_kb)
}
