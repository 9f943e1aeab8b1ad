//! A broker whose answers carry wrong correlation ids: every lie ends a connection, and none a record.

use std::time::Duration;

use crate::programs::Client;
use crate::scenario;
use crate::world::World;

const RATE: u64 = 10_000;
const LIES: u64 = 25;
const WRONG: &str = "answers with a wrong correlation id";
const LIMIT: Duration = Duration::from_secs(20);

/// How many checks passed and failed; `None`: there is no Kafka.
pub fn run() -> Option<(usize, usize)> {
    let world = World::start(1, false, &[])?;
    let programs = scenario::programs(&world, &[Client::Kurier]);
    let mut runners = scenario::start(&world, &programs, "lie", RATE, &[("request.timeout.ms", "5000")]);
    for number in 0..LIES {
        scenario::flow(&mut runners, 1000, LIMIT);
        world.proxies[0].lie(1 + u32::try_from(number % 3).unwrap_or(0));
    }
    scenario::flow(&mut runners, 1000, LIMIT);
    let lies = world.counts().get(WRONG).copied().unwrap_or(0);
    let verdicts = scenario::finish(&world, runners, |_, _| {});
    let failed = verdicts.iter().map(|(_, verdict)| verdict.failed()).sum::<usize>() + usize::from(lies < LIES);
    println!("{lies} {WRONG}");
    for (_, verdict) in &verdicts {
        print!("{verdict}");
        println!("  {}", crate::table::line(&verdict.figures));
    }
    let count = verdicts.len() * crate::check::NAMES.len() + 1;
    Some((count - failed, failed))
}
