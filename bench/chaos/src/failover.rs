//! How long a delivery takes when a leader is killed: every client on the same cluster, through the same kills, and
//! beside them what the cluster itself takes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::histogram::Histogram;
use crate::naming::{Naming, Place, Watch};
use crate::probe::{self, Probe};
use crate::programs::Client;
use crate::scenario::{self, Runner, now_us};
use crate::table::milliseconds;
use crate::world::World;

/// Records per second of each client: few enough that four clients and three brokers leave two cores some room, so that
/// it is seen what the clients do.
const RATE: u64 = 1000;
/// What was sent from so long before a kill until so long after it counts.
const BEFORE_US: i64 = 200_000;
const AFTER_US: i64 = 8_000_000;
/// A delivery comes so soon after the cluster has named the new leader.
const PROMISED_US: i64 = 500_000;
/// Where kurier takes longer than this, it is told what happened meanwhile.
const TOLD_US: i64 = 100_000;
const TOLD_LINES: usize = 60;
const SETTLE: Duration = Duration::from_secs(3);

/// One kill: when, what was named when, and how the probes fared.
#[derive(Debug)]
struct Kill {
    victim: i32,
    at_us: i64,
    named: BTreeMap<Place, Vec<Naming>>,
    probes: Vec<probe::Passage>,
}

impl Kill {
    /// When the first broker named the new leader.
    fn named_us(&self, whose: &'static str, partition: u16) -> Option<i64> {
        Some(self.named.get(&(whose, partition))?.first()?.at_us)
    }

    /// From the naming to the answer, by partition of the probe's topic.
    fn probe_gaps(&self) -> BTreeMap<u16, i64> {
        let gap = |passage: &probe::Passage| {
            Some((passage.partition, passage.answered_us - self.named_us(probe::NAME, passage.partition)?))
        };
        self.probes.iter().filter_map(gap).collect()
    }
}

/// One client through all kills.
#[derive(Debug, Default)]
struct Passage {
    latencies: Histogram,
    /// From the naming of a leader to the first delivery, by kill and partition.
    first_us: BTreeMap<(usize, u16), i64>,
}

/// A record counts as written when the remaining follower has fetched it from the new leader. By default a follower
/// whose leader died waits a second before it fetches again, and takes up a partition whose leader has changed only
/// after the fetch that is under way, which may wait half a second; here it is to be seen what the clients do.
const BROKERS: [(&str, &str); 2] = [("replica.fetch.backoff.ms", "50"), ("replica.fetch.wait.max.ms", "50")];

/// Every client through `times` kills; whether kurier kept its promise and everything was right.
pub fn run(times: u32, wanted: &[Client]) -> bool {
    let Some(world) = World::start(3, false, &BROKERS) else { return false };
    let programs = scenario::programs(&world, wanted);
    world.kafka.create_topic(probe::TOPIC, probe::PARTITIONS, 3, &[]);
    let mut runners = scenario::start(&world, &programs, "failover", RATE, &[("linger.ms", "5")]);
    scenario::flow(&mut runners, 3000, Duration::from_secs(30));
    let kills: Vec<Kill> = (0..times).map(|number| kill(&world, &mut runners, number)).collect();
    let log = runners.iter().find(|runner| runner.client == Client::Kurier).map(|runner| runner.log().to_owned());
    let mut passages: BTreeMap<&'static str, Passage> = BTreeMap::new();
    let verdicts = scenario::finish(&world, runners, |client, moment| {
        let passage = passages.entry(client.name()).or_default();
        let sent_us = moment.timestamp_ms * 1000;
        let delivered_us = sent_us + i64::from(moment.latency_us);
        for (number, kill) in kills.iter().enumerate() {
            if (kill.at_us - BEFORE_US..kill.at_us + AFTER_US).contains(&sent_us) {
                passage.latencies.add(moment.latency_us);
            }
            let named_us = kill.named_us(client.name(), moment.partition);
            if let Some(gap) = named_us.map(|named_us| delivered_us - named_us).filter(|gap| *gap >= 0) {
                let first = passage.first_us.entry((number, moment.partition)).or_insert(gap);
                *first = gap.min(*first);
            }
        }
    });

    if let Some(kurier) = passages.get("kurier") {
        let log = log.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        tell_late(&kills, kurier, &log);
    }
    println!("{times} leaders killed (SIGKILL), {RATE} records/s each, what was sent around the kills:");
    println!("{:12}{:>12}{:>12}{:>12}{:>34}", "", "99 %", "99.9 %", "longest", "first after the naming");
    for (client, passage) in &passages {
        let latencies = &passage.latencies;
        let columns = [latencies.permille(990.0), latencies.permille(999.0), latencies.max()];
        row(client, columns.map(milliseconds), passage.first_us.values());
    }
    let probe_gaps: Vec<i64> = kills.iter().flat_map(|kill| kill.probe_gaps().into_values()).collect();
    row(probe::NAME, [const { String::new() }; 3], probe_gaps.iter());
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

/// A line of the table.
fn row<'a>(name: &str, columns: [String; 3], gaps: impl Iterator<Item = &'a i64>) {
    let mut gaps: Vec<i64> = gaps.copied().collect();
    gaps.sort_unstable();
    let [median, longest] = [gaps.len() / 2, gaps.len().saturating_sub(1)].map(|place| gaps.get(place));
    let first = match (median, longest) {
        (Some(median), Some(longest)) => format!("{}, at most {} ({})", span(*median), span(*longest), gaps.len()),
        _ => "never".into(),
    };
    println!("{name:12}{:>12}{:>12}{:>12}{first:>34}", columns[0], columns[1], columns[2]);
}

fn span(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}", milliseconds(micros.unsigned_abs()))
}

/// Where kurier's first delivery came late: what the probe took on the same kill, who named whom when, and what kurier
/// said meanwhile. All moments count from the naming of that partition's leader.
fn tell_late(kills: &[Kill], kurier: &Passage, log: &str) {
    for ((number, partition), gap) in kurier.first_us.iter().filter(|(_, gap)| **gap > TOLD_US) {
        let kill = &kills[*number];
        let Some(from_us) = kill.named_us("kurier", *partition) else { continue };
        let longest = kill.probe_gaps().into_values().max().map_or("no answer".into(), span);
        let dead = span(from_us - kill.at_us);
        println!(
            "kill {number} (broker {}), partition {partition}: kurier {}, probe {longest}",
            kill.victim,
            span(*gap)
        );
        println!("    named {dead} after the kill:{}", namings(kill, ("kurier", *partition), from_us));
        for passage in &kill.probes {
            let refused = passage.refused.map_or(String::new(), |(code, at_us)| {
                format!(" refused {} times until {} (error {code}),", passage.refusals, span(at_us - from_us))
            });
            let (sent, answered) = (span(passage.sent_us - from_us), span(passage.answered_us - from_us));
            let who = namings(kill, (probe::NAME, passage.partition), from_us);
            println!("    probe {}: sent {sent},{refused} written {answered}; named{who}", passage.partition);
        }
        let mut lines = log.lines().filter_map(|line| {
            let (seconds, text) = line.split_once(' ')?;
            let (seconds, millis) = seconds.split_once('.')?;
            let at_us = (seconds.parse::<i64>().ok()? * 1000 + millis.parse::<i64>().ok()?) * 1000;
            // The log's moments have no finer digits.
            (from_us - TOLD_US..=from_us + gap + 1000).contains(&at_us).then_some((at_us - from_us, text))
        });
        lines.by_ref().take(TOLD_LINES).for_each(|(at_us, text)| println!("    {:>10} {text}", span(at_us)));
        let more = lines.count();
        if more > 0 {
            println!("    and {more} lines more");
        }
    }
}

/// Who named whom when.
fn namings(kill: &Kill, place: Place, from_us: i64) -> String {
    let namings = kill.named.get(&place).map(Vec::as_slice).unwrap_or_default();
    let one =
        |naming: &Naming| format!(" {} by broker {} ({})", naming.leader, naming.by, span(naming.at_us - from_us));
    namings.iter().map(one).collect::<Vec<_>>().join(",")
}

/// Kills a leader while records flow, watches whom the cluster names, and makes everything as it was.
fn kill(world: &World, runners: &mut [Runner], number: u32) -> Kill {
    let topics: Vec<_> = runners.iter().map(|runner| runner.topic.name.as_str()).chain([probe::TOPIC]).collect();
    // An election puts back the leaders that are preferred only where those are in sync again.
    world.wait_whole(&topics);
    for topic in &topics {
        let _refused = world.kafka.command(&["elect", topic]);
    }
    std::thread::sleep(SETTLE);
    world.wait_whole(&topics);
    scenario::flow(runners, 1000, Duration::from_secs(20));
    let victim = world.leader(&runners[0].topic.name, u64::from(number));
    let ports = (1..).zip(world.kafka.ports().iter().copied());
    let others: Vec<(i32, u16)> = ports.filter(|(id, _)| *id != victim).collect();
    let topics = runners.iter().map(|runner| (runner.client.name(), runner.topic.name.clone()));
    let topics = topics.chain([(probe::NAME, probe::TOPIC.to_owned())]).collect();
    let watch = Watch::new(topics, victim, &others.iter().map(|(_, port)| *port).collect::<Vec<_>>());
    let (mut probes, mut orders) = (Vec::new(), BTreeMap::new());
    for partition in watch.led(probe::NAME) {
        let (probe, order) = Probe::new(partition, &others).unwrap();
        probes.push(probe);
        orders.insert((probe::NAME, partition), order);
    }
    let tell = |place: Place, leader: i32| {
        if let Some(order) = orders.get(&place) {
            // One that has given up says so itself.
            let _unheard = order.send(leader);
        }
    };
    let (at_us, probes) = std::thread::scope(|scope| {
        let fired: Vec<_> = probes.into_iter().map(|probe| scope.spawn(move || probe.fire())).collect();
        for (broker, port) in &others {
            let (watch, tell) = (&watch, &tell);
            scope.spawn(move || watch.look(*broker, *port, tell));
        }
        // The watchers are connected before it happens.
        std::thread::sleep(Duration::from_millis(200));
        let at_us = now_us();
        world.kafka.kill(victim);
        watch.wait(others.len());
        let passages = fired.into_iter().filter_map(|fired| match fired.join().unwrap() {
            Ok(passage) => Some(passage),
            Err(why) => {
                println!("kill {number}: a probe failed: {why}");
                None
            }
        });
        (at_us, passages.collect())
    });
    std::thread::sleep(Duration::from_secs(5));
    world.kafka.launch(victim);
    world.kafka.wait_ready();
    Kill { victim, at_us, named: watch.into_namings(), probes }
}
