//! Deterministic simulation: the engine, the accumulator, the deliveries and the loop that ship, over virtual time, a
//! faulty network and a model cluster, from one seed.
//!
//! A seed that fails is replayed, with everything that happened printed, by
//! `KURIER_SEED=123 cargo test --test simulation replay -- --nocapture`.
//! `cargo test --release --features simulation --test simulation seeded_bugs -- --ignored --nocapture` shows for every
//! seeded bug the seed that finds it.
//! `cargo test --release --features simulation --test simulation every_arm -- --nocapture` shows for every arm of the
//! engine's decisions the first seed that reaches it.
//! `KURIER_SEEDS=20000` runs so many seeds, from `KURIER_FIRST_SEED`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop where it finds something impossible")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a summary is what a run of many seeds leaves")]

#[path = "simulation/actor.rs"]
mod actor;
#[path = "simulation/application.rs"]
mod application;
#[path = "simulation/checks.rs"]
mod checks;
#[path = "simulation/cluster/mod.rs"]
mod cluster;
#[path = "simulation/course.rs"]
mod course;
#[cfg(feature = "simulation")]
#[path = "simulation/coverage.rs"]
mod coverage;
#[path = "simulation/ledger.rs"]
mod ledger;
#[path = "simulation/moods.rs"]
mod moods;
#[cfg(feature = "simulation")]
#[path = "simulation/mutants.rs"]
mod mutants;
#[path = "simulation/plan.rs"]
mod plan;
#[path = "simulation/random.rs"]
mod random;
#[path = "simulation/record.rs"]
mod record;
#[path = "simulation/report.rs"]
mod report;
#[path = "simulation/swarm.rs"]
mod swarm;
#[path = "simulation/threads.rs"]
mod threads;
#[path = "simulation/trace.rs"]
mod trace;
#[path = "simulation/trouble.rs"]
mod trouble;
#[path = "simulation/turns.rs"]
mod turns;
#[path = "simulation/wire.rs"]
mod wire;
#[path = "simulation/world.rs"]
mod world;

/// The seeds of the gate, beside those that once failed.
const SEEDS: u64 = 2_000;

#[test]
fn swarm() {
    let first = swarm::number("KURIER_FIRST_SEED").unwrap_or(0);
    let count = swarm::number("KURIER_SEEDS").unwrap_or(SEEDS);
    let report = swarm::run((first..first + count).collect());
    println!("{}", report.show());
    if count >= SEEDS {
        swarm::check_bite(&report);
    }
}

/// Seeds that once found something: what they found stands beside each in the file.
#[test]
fn seeds_that_failed_once() {
    let text = include_str!("simulation/seeds.txt");
    let seeds = text.lines().filter_map(|line| line.split('#').next()?.trim().parse().ok()).collect();
    swarm::run(seeds);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..30 {
        let (first, second) = (course::run(seed, false), course::run(seed, false));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_ne!(first.hash, course::run(seed + 1_000, false).hash, "seed {seed}");
    }
}

/// Prints everything that happens with the seed in `KURIER_SEED`.
#[test]
fn replay() {
    let Some(seed) = swarm::number("KURIER_SEED") else { return };
    let ended = course::run(seed, true);
    println!("{}\nseed {seed}, hash {:016x}", ended.report.show(), ended.hash);
    assert_eq!(ended.violation, None, "{}", swarm::how_to_replay(seed));
}

/// What no seed ever asks the engine to decide, no seed has shown to be decided rightly.
#[cfg(feature = "simulation")]
#[test]
fn every_arm_of_every_verdict_is_reached() {
    coverage::run();
}

/// Switches bugs on for the whole process, so it runs alone: see the top of this file.
#[cfg(feature = "simulation")]
#[test]
#[ignore = "takes minutes, and needs the process for itself"]
fn seeded_bugs_are_found() {
    mutants::run();
}
