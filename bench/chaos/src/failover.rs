//! How long a delivery takes when a leader is killed: every client on the same cluster, through the same kills.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::histogram::Histogram;
use crate::metadata::Asker;
use crate::programs::Client;
use crate::scenario::{self, Runner};
use crate::table::milliseconds;
use crate::world::World;

const RATE: u64 = 3000;
/// What was sent from so long before a kill until so long after it counts.
const BEFORE_US: i64 = 200_000;
const AFTER_US: i64 = 8_000_000;
/// A delivery comes so soon after the cluster has named the new leader.
const PROMISED_US: i64 = 500_000;
const ASK_EVERY: Duration = Duration::from_millis(2);
const NAMED_LIMIT: Duration = Duration::from_secs(30);
const SETTLE: Duration = Duration::from_secs(3);

/// One kill: when, and when which partition of which client's topic had a new leader by the cluster's word.
#[derive(Clone, Debug, Default)]
struct Kill {
    at_us: i64,
    named_us: BTreeMap<(&'static str, u16), i64>,
}

/// One client through all kills.
#[derive(Debug, Default)]
struct Passage {
    latencies: Histogram,
    /// From the naming of a leader to the first delivery, by kill and partition.
    first_us: BTreeMap<(usize, u16), i64>,
}

/// A record counts as written when the remaining follower has fetched it from the new leader. By default a follower
/// whose leader died waits a second before it fetches again; here it is to be seen what the clients do.
const BROKERS: [(&str, &str); 1] = [("replica.fetch.backoff.ms", "50")];

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

/// Every client through `times` kills; whether kurier kept its promise and everything was right.
pub fn run(times: u32, wanted: &[Client]) -> bool {
    let Some(world) = World::start(3, false, &BROKERS) else { return false };
    let programs = scenario::programs(&world, wanted);
    let mut runners = scenario::start(&world, &programs, "failover", RATE, &[("linger.ms", "5")]);
    scenario::flow(&mut runners, 10_000, Duration::from_secs(30));
    let kills: Vec<Kill> = (0..times).map(|number| kill(&world, &mut runners, number)).collect();
    let mut passages: BTreeMap<&'static str, Passage> = BTreeMap::new();
    let verdicts = scenario::finish(&world, runners, |client, moment| {
        let passage = passages.entry(client.name()).or_default();
        let sent_us = moment.timestamp_ms * 1000;
        let delivered_us = sent_us + i64::from(moment.latency_us);
        for (number, kill) in kills.iter().enumerate() {
            if (kill.at_us - BEFORE_US..kill.at_us + AFTER_US).contains(&sent_us) {
                passage.latencies.add(moment.latency_us);
            }
            let named_us = kill.named_us.get(&(client.name(), moment.partition));
            if let Some(gap) = named_us.map(|named_us| delivered_us - named_us).filter(|gap| *gap >= 0) {
                let first = passage.first_us.entry((number, moment.partition)).or_insert(gap);
                *first = gap.min(*first);
            }
        }
    });

    println!("{times} leaders killed (SIGKILL), {RATE} records/s each, what was sent around the kills:");
    println!("{:12}{:>12}{:>12}{:>12}{:>28}", "", "99 %", "99.9 %", "longest", "first after the naming");
    for (client, passage) in &passages {
        let longest = passage.first_us.values().max().copied().unwrap_or(0);
        println!(
            "{client:12}{:>12}{:>12}{:>12}{:>28}",
            milliseconds(passage.latencies.permille(990.0)),
            milliseconds(passage.latencies.permille(999.0)),
            milliseconds(passage.latencies.max()),
            format!("at most {} ({})", milliseconds(longest.unsigned_abs()), passage.first_us.len()),
        );
    }
    let mut failed = 0;
    for (client, verdict) in &verdicts {
        println!("{}: {}", client.name(), crate::table::line(&verdict.figures));
        if verdict.failed() > 0 {
            println!("{verdict}");
        }
        failed += u32::from(*client == Client::Kurier && verdict.failed() > 0);
    }
    let longest = |name: &str| passages.get(name).map(|passage| passage.latencies.max());
    let kept = passages.get("kurier").is_some_and(|kurier| kurier.first_us.values().all(|gap| *gap <= PROMISED_US));
    let is_best = ["librdkafka", "java"].iter().all(|other| longest("kurier") <= longest(other).or(Some(u64::MAX)));
    failed += u32::from(!kept) + u32::from(!is_best);
    println!(
        "first delivery within {} of the naming: {kept}; no client is faster at its worst: {is_best}",
        milliseconds(PROMISED_US.unsigned_abs())
    );
    println!("{} passed, {failed} failed", 3 - failed);
    failed == 0
}

/// Kills a leader while records flow, watches whom the cluster names, and makes everything as it was.
fn kill(world: &World, runners: &mut [Runner], number: u32) -> Kill {
    for runner in runners.iter() {
        let _refused = world.kafka.command(&["elect", &runner.topic.name]);
    }
    std::thread::sleep(SETTLE);
    scenario::flow(runners, 3000, Duration::from_secs(20));
    let victim = world.leader(&runners[0].topic.name, u64::from(number));
    let ports = world.kafka.ports();
    let others: Vec<u16> = (1..).zip(ports).filter(|(id, _)| *id != victim).map(|(_, port)| *port).collect();
    let (ended, named) = (AtomicBool::new(false), Mutex::new(BTreeMap::new()));
    let topics: Vec<(&'static str, String)> =
        runners.iter().map(|runner| (runner.client.name(), runner.topic.name.clone())).collect();
    let at_us = std::thread::scope(|scope| {
        for port in &others {
            let (topics, named, ended) = (&topics, &named, &ended);
            scope.spawn(move || watch(*port, victim, topics, named, ended));
        }
        // The watchers are connected before it happens.
        std::thread::sleep(Duration::from_millis(200));
        let at_us = now_us();
        world.kafka.kill(victim);
        let begin = Instant::now();
        while named.lock().unwrap().len() < topics.len() && begin.elapsed() < NAMED_LIMIT {
            std::thread::sleep(ASK_EVERY);
        }
        ended.store(true, Ordering::Relaxed);
        at_us
    });
    std::thread::sleep(Duration::from_secs(5));
    world.kafka.launch(victim);
    world.kafka.wait_ready();
    Kill { at_us, named_us: named.into_inner().unwrap() }
}

/// Asks one broker for the leaders until it names another for what the victim led.
fn watch(
    port: u16,
    victim: i32,
    topics: &[(&'static str, String)],
    named: &Mutex<BTreeMap<(&'static str, u16), i64>>,
    ended: &AtomicBool,
) {
    let Some(mut asker) = Asker::connect(port) else { return };
    let mut led: BTreeMap<(&'static str, u16), ()> = BTreeMap::new();
    while !ended.load(Ordering::Relaxed) {
        for (client, topic) in topics {
            let Some(leaders) = asker.leaders(topic) else { return };
            let at_us = now_us();
            for (partition, leader) in (0_u16..).zip(leaders) {
                let place = (*client, partition);
                if leader == victim {
                    led.insert(place, ());
                } else if leader > 0 && led.remove(&place).is_some() {
                    let mut named = named.lock().unwrap();
                    let first = named.entry(place).or_insert(at_us);
                    *first = at_us.min(*first);
                }
            }
        }
        std::thread::sleep(ASK_EVERY);
    }
}
