//! Brokers restarted with a full pipeline unanswered: where bump-and-rewrite writes records twice (rule 15).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::{Figures, Verdict};
use crate::programs::Client;
use crate::scenario::{self, Runner};
use crate::table;
use crate::world::World;

/// How a broker goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Clean,
    Killed,
}

/// Answers come so late that requests pile up.
const WITHHELD: Duration = Duration::from_millis(400);
const RATE: u64 = 10_000;
/// Deliveries of each client between two restarts, or this long: with its small batches Java cannot keep up.
const FLOW: u64 = 15_000;
const FLOW_LIMIT: Duration = Duration::from_secs(6);

/// Every client, `times` restarts of each kind; whether kurier was right.
pub fn run(times: u32, wanted: &[Client]) -> bool {
    let mut sums: BTreeMap<&str, Figures> = BTreeMap::new();
    let mut is_right = true;
    for (name, brokers, end) in [
        ("one broker, stopped cleanly", 1, End::Clean),
        ("one broker, SIGKILL", 1, End::Killed),
        ("three brokers, rolling restart", 3, End::Clean),
        ("three brokers, rolling SIGKILL", 3, End::Killed),
    ] {
        let Some(world) = World::start(brokers, false, &[]) else { return false };
        let verdicts = scenario(&world, times, end, wanted);
        println!("\n{name}, {times} times, answers withheld {WITHHELD:?}");
        show(&verdicts);
        for (client, verdict) in &verdicts {
            sums.entry(client.name()).or_default().merge(&verdict.figures);
            is_right &= *client != Client::Kurier || verdict.failed() == 0;
        }
    }
    let columns: Vec<(&str, &Figures)> = sums.iter().map(|(name, figures)| (*name, figures)).collect();
    println!("\nall together\n{}", table::columns(&columns));
    println!("{} passed, {} failed", u32::from(is_right), u32::from(!is_right));
    is_right
}

fn show(verdicts: &[(Client, Verdict)]) {
    let columns: Vec<(&str, &Figures)> =
        verdicts.iter().map(|(client, verdict)| (client.name(), &verdict.figures)).collect();
    println!("{}", table::columns(&columns));
    for (client, verdict) in verdicts.iter().filter(|(_, verdict)| verdict.failed() > 0) {
        println!("{}:\n{verdict}", client.name());
    }
}

fn scenario(world: &World, times: u32, end: End, wanted: &[Client]) -> Vec<(Client, Verdict)> {
    let programs = scenario::programs(world, wanted);
    world.proxies.iter().for_each(|proxy| proxy.delay(crate::proxy::Way::Answers, WITHHELD));
    let mut runners = scenario::start(world, &programs, "restart", RATE, &[("linger.ms", "5")]);
    for _ in 0..times {
        for broker in 1..=i32::try_from(world.proxies.len()).unwrap() {
            restart(world, broker, end, &mut runners);
        }
    }
    scenario::flow(&mut runners, FLOW, FLOW_LIMIT);
    world.proxies.iter().for_each(crate::proxy::Proxy::repair);
    scenario::finish(world, runners, |_, _| {})
}

/// The pipeline fills, the broker goes, the connections are cut with every answer in them, the broker comes back.
fn restart(world: &World, broker: i32, end: End, runners: &mut [Runner]) {
    scenario::flow(runners, FLOW, FLOW_LIMIT);
    let proxy = &world.proxies[usize::try_from(broker - 1).unwrap()];
    proxy.hold(true);
    std::thread::sleep(WITHHELD);
    match end {
        End::Clean => world.kafka.shut_down(broker),
        End::Killed => world.kafka.kill(broker),
    }
    proxy.cut_all(false);
    proxy.hold(false);
    world.kafka.launch(broker);
    world.kafka.wait_ready();
    if world.proxies.len() > 1 {
        // So that this broker leads something again when its turn comes.
        for runner in runners.iter() {
            let _refused = world.kafka.command(&["elect", &runner.topic.name]);
        }
    }
}
