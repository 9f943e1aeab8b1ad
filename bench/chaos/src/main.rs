//! Real Kafka under real faults: what producers report against what is in the log. See README.md.

#![allow(dead_code, reason = "the modules of tests/kafka are used in part")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test programme; it runs by the wall clock")]

mod check;
mod disk;
mod driver;
mod failover;
mod faults;
mod histogram;
mod journal;
#[path = "../../../tests/kafka/mod.rs"]
mod kafka;
mod lie;
mod metadata;
mod naming;
mod payload;
mod probe;
#[path = "../../programs.rs"]
mod programs;
mod proxy;
mod random;
mod readback;
#[path = "../../request.rs"]
mod request;
mod restart;
mod round;
mod scenario;
mod schedule;
mod table;
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use check::Figures;
use programs::Client;
use round::{Outcome, Round};
use world::World;

const USAGE: &str = "\
chaos ci
chaos soak HOURSh|MINUTESm [SEED]
chaos compare SEED MINUTES
chaos restart [TIMES [CLIENT ...]]
chaos failover [TIMES [CLIENT ...]]
chaos lie
chaos round SECONDS SEED CLIENT
clients: kurier librdkafka java franz-go";
/// For the driver in Java.
const JAVA: [&str; 2] = ["-XX:+UseSerialGC", "-Xmx512m"];
const RESTARTS: u32 = 10;
const KILLS: u32 = 8;
const CI_SEED: u64 = 4;
/// Of faults; reading back comes on top.
const CI_TIME: Duration = Duration::from_secs(600);
const CI_KILLS: u64 = 30;
/// Slower machines get this long, all in all, for the same kills.
const CI_LIMIT: Duration = Duration::from_secs(840);
const ROUND: Duration = Duration::from_secs(200);
/// What is added where a leader too few was killed.
const ROUND_MIN: Duration = Duration::from_secs(45);
/// Records in a second, unless told otherwise.
const SOAK_RATE: u64 = 30_000;
const SOAK_ROUND: Duration = Duration::from_secs(240);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().ok();
    let passed = match words[..] {
        ["ci"] => ci(),
        ["soak", time] => duration(time).map(|time| soak(time, 1, SOAK_RATE)),
        ["soak", time, seed] => duration(time).zip(number(seed)).map(|(time, seed)| soak(time, seed, SOAK_RATE)),
        ["soak", time, seed, rate] => {
            let numbers = number(seed).zip(number(rate));
            duration(time).zip(numbers).map(|(time, (seed, rate))| soak(time, seed, rate))
        }
        ["compare", seed, minutes] => number(seed).zip(number(minutes)).map(|(seed, minutes)| compare(seed, minutes)),
        ["round", seconds, seed, name] => {
            let numbers = number(seconds).zip(number(seed));
            numbers.zip(Client::named(name)).map(|((seconds, seed), client)| one(seconds, seed, client))
        }
        ["lie"] => lie::run().map(|(passed, failed)| {
            println!("{passed} passed, {failed} failed");
            failed == 0
        }),
        ["restart"] => Some(restart::run(RESTARTS, &[])),
        ["restart", times, ref names @ ..] => many(times, names).map(|(times, names)| restart::run(times, &names)),
        ["failover"] => Some(failover::run(KILLS, &[])),
        ["failover", times, ref names @ ..] => many(times, names).map(|(times, names)| failover::run(times, &names)),
        _ => None,
    };
    match passed {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// How often, and whose producers.
fn many(times: &str, names: &[&str]) -> Option<(u32, Vec<Client>)> {
    let names = names.iter().map(|name| Client::named(name)).collect::<Option<_>>()?;
    Some((times.parse().ok()?, names))
}

/// `2h`, `90m`.
fn duration(text: &str) -> Option<Duration> {
    let seconds = match text.strip_suffix('h') {
        Some(hours) => hours.parse::<u64>().ok()? * 3600,
        None => text.strip_suffix('m')?.parse::<u64>().ok()? * 60,
    };
    Some(Duration::from_secs(seconds))
}

/// Sums of several runs.
#[derive(Debug, Default)]
struct Total {
    figures: Figures,
    injected: std::collections::BTreeMap<&'static str, u64>,
    passed: usize,
    failed: usize,
}

impl Total {
    fn add(&mut self, name: &str, outcome: &Outcome) {
        self.figures.merge(&outcome.verdict.figures);
        outcome.injected.iter().for_each(|(what, count)| *self.injected.entry(what).or_default() += count);
        let failed = outcome.verdict.failed() + usize::from(outcome.stalls > 0);
        self.failed += failed;
        self.passed += check::NAMES.len() + 1 - failed;
        println!("{name}: {}", outcome.settings);
        print!("{}", outcome.verdict);
        if outcome.stalls > 0 {
            println!("  FAILED  records flow: {} times none came through for a minute", outcome.stalls);
        }
        println!("  {}", table::line(&outcome.verdict.figures));
    }

    fn leader_kills(&self) -> u64 {
        let kinds = ["leader killed", "leader killed, its answers withheld"];
        kinds.iter().filter_map(|kind| self.injected.get(kind)).sum()
    }

    fn print(&self, name: &str) -> bool {
        println!("\n{}", table::columns(&[(name, &self.figures)]));
        println!("{}", table::faults(&self.injected));
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0
    }
}

fn begin(client: Client) -> Option<(World, programs::Program)> {
    let world = World::start(3, true, &[])?;
    if !world.disk.as_ref().is_some_and(disk::Disk::is_mounted) {
        println!("No file system can be mounted here: no disk is filled.");
    }
    match programs::build(client, &world.kafka.class_path(), &JAVA) {
        Ok(program) => Some((world, program)),
        Err(why) => {
            eprintln!("{why}");
            None
        }
    }
}

/// At least ten minutes and thirty leaders killed.
fn ci() -> Option<bool> {
    let Some((passed, failed)) = lie::run() else { return Some(false) };
    let Some((world, program)) = begin(Client::Kurier) else { return Some(false) };
    let (begin, mut total) = (Instant::now(), Total { passed, failed, ..Total::default() });
    let mut time = Duration::ZERO;
    for seed in CI_SEED.. {
        let left = CI_TIME.saturating_sub(time);
        let is_enough = left.is_zero() && total.leader_kills() >= CI_KILLS;
        if is_enough || begin.elapsed() > CI_LIMIT {
            break;
        }
        let round = ROUND.min(left.max(ROUND_MIN));
        let round = Round { seed, time: round, rate: 12_000, is_compared: false, kills_producers: true };
        total.add(&format!("seed {seed}"), &round::run(&world, &program, &round));
        time += round.time;
    }
    let has_kills = total.leader_kills() >= CI_KILLS;
    if has_kills {
        total.passed += 1;
    } else {
        total.failed += 1;
        println!("FAILED: only {} leaders killed", total.leader_kills());
    }
    Some(total.print("kurier"))
}

fn soak(time: Duration, first_seed: u64, rate: u64) -> bool {
    let Some((world, program)) = begin(Client::Kurier) else { return false };
    let (begin, mut total) = (Instant::now(), Total::default());
    for seed in first_seed.. {
        if begin.elapsed() >= time {
            break;
        }
        let round = Round { seed, time: SOAK_ROUND, rate, is_compared: false, kills_producers: true };
        total.add(&format!("seed {seed}"), &round::run(&world, &program, &round));
        println!("  {} records so far, {} min", total.figures.accepted, begin.elapsed().as_secs() / 60);
    }
    total.print("kurier")
}

/// The same for both clients, beside each other.
fn compare(seed: u64, minutes: u64) -> bool {
    let mut all = Vec::new();
    for client in [Client::Kurier, Client::Librdkafka] {
        let Some((world, program)) = begin(client) else { return false };
        let time = Duration::from_secs(minutes * 60);
        let round = Round { seed, time, rate: 12_000, is_compared: true, kills_producers: true };
        let mut total = Total::default();
        total.add(client.name(), &round::run(&world, &program, &round));
        all.push((client, total));
    }
    let columns: Vec<(&str, &Figures)> = all.iter().map(|(client, total)| (client.name(), &total.figures)).collect();
    println!("\n{}", table::columns(&columns));
    for (client, total) in &all {
        println!("{}: {}", client.name(), table::faults(&total.injected));
        println!("{}: {} passed, {} failed", client.name(), total.passed, total.failed);
    }
    all[0].1.failed == 0
}

/// One run of any length, for those who develop this.
fn one(seconds: u64, seed: u64, client: Client) -> bool {
    let Some((world, program)) = begin(client) else { return false };
    let time = Duration::from_secs(seconds);
    let is_compared = client != Client::Kurier;
    let round = Round { seed, time, rate: 12_000, is_compared, kills_producers: true };
    let mut total = Total::default();
    total.add(&format!("seed {seed}"), &round::run(&world, &program, &round));
    total.print(client.name())
}
