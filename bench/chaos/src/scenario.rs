//! Several clients at once under the same faults, each on a topic of its own.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::check::{Checker, Life, Topic, Verdict};
use crate::driver::{Driver, Plan};
use crate::journal::{Journal, Moment};
use crate::payload::Shape;
use crate::programs::{self, Client, Program};
use crate::readback;
use crate::world::World;

const VALUE_SIZE: usize = 48;
const THREADS: usize = 2;
pub const PARTITIONS: i32 = 3;
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(120);

/// The drivers of as many of `wanted` (all, if empty) as can be built here; says which cannot.
pub fn programs(world: &World, wanted: &[Client]) -> Vec<Program> {
    let wanted = if wanted.is_empty() { &Client::ALL[..] } else { wanted };
    let build = |client: &Client| match programs::build(*client, &world.kafka.class_path(), &crate::JAVA) {
        Ok(program) => Some(program),
        Err(why) => {
            println!("{} is left out: {why}", client.name());
            None
        }
    };
    wanted.iter().filter_map(build).collect()
}

/// One of the clients, sending.
#[derive(Debug)]
pub struct Runner {
    pub client: Client,
    pub topic: Topic,
    driver: Driver,
    base_ms: i64,
}

impl Runner {
    /// What its client said.
    pub fn log(&self) -> &Path {
        self.driver.log()
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    now_us() / 1000
}

/// Microseconds since 1970.
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

/// Starts them all; their topics begin with `name`.
pub fn start(world: &World, programs: &[Program], name: &str, rate: u64, settings: &[(&str, &str)]) -> Vec<Runner> {
    let replicas = i16::try_from(world.proxies.len()).unwrap();
    let start = |(run, program): (u32, &Program)| {
        let topic = format!("{name}-{}", program.client.name());
        world.kafka.create_topic(&topic, PARTITIONS, replicas, &[("retention.ms", "-1")]);
        let base_ms = now_ms();
        // Where its time goes is to be seen.
        let own: &[(&str, &str)] = if program.client == Client::Kurier { &[("log.level", "debug")] } else { &[] };
        let plan = Plan {
            servers: world.kafka.bootstrap().to_owned(),
            threads: THREADS,
            records: 0,
            rate,
            value_size: VALUE_SIZE,
            epoch_ms: 0,
            topics: vec![format!("{topic}:{PARTITIONS}")],
            settings: settings.iter().chain(own).map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        };
        let driver = Driver::start(program, &plan, run, world.scratch());
        let topic = Topic { name: topic, partitions: PARTITIONS, is_recreated: false, threads: vec![0, 1] };
        Runner { client: program.client, topic, driver, base_ms }
    };
    (1..).zip(programs).map(start).collect()
}

/// Waits until each has had so many more deliveries (roughly), or for `limit`: one that is stuck is not waited for.
pub fn flow(runners: &mut [Runner], deliveries: u64, limit: Duration) {
    let begin = std::time::Instant::now();
    let goals: Vec<u64> = runners.iter().map(|runner| runner.driver.progress() + deliveries * 32).collect();
    while begin.elapsed() < limit && runners.iter().zip(&goals).any(|(runner, goal)| runner.driver.progress() < *goal) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ends them, reads back and compares; `look` gets every delivery.
pub fn finish(
    world: &World,
    mut runners: Vec<Runner>,
    mut look: impl FnMut(Client, &Moment),
) -> Vec<(Client, Verdict)> {
    // All at the same moment, so that all had the same time.
    runners.iter_mut().for_each(|runner| runner.driver.stop());
    let finish = |runner: &mut Runner| {
        let has_ended = runner.driver.wait(DELIVERY_TIMEOUT + Duration::from_secs(60));
        if !has_ended {
            println!("{} did not end by itself", runner.client.name());
        }
        let each = |moment: &Moment| look(runner.client, moment);
        let journal = Journal::read(runner.driver.journal(), runner.driver.run, runner.base_ms, each).unwrap();
        let shape = Shape { value_size: VALUE_SIZE, epoch_ms: 0 };
        let mut checker = Checker::new(vec![Life::new(journal, !has_ended)], shape);
        let topic = &runner.topic;
        let read = readback::read(&world.kafka, &topic.name, |record| checker.look(topic, record));
        read.unwrap_or_else(|why| panic!("reading {}: {why}", topic.name));
        let verdict = checker.finish(std::slice::from_ref(topic), DELIVERY_TIMEOUT, None);
        (runner.client, verdict)
    };
    let verdicts = runners.iter_mut().map(finish).collect();
    for runner in &runners {
        world.kafka.delete_topic(&runner.topic.name);
    }
    verdicts
}
