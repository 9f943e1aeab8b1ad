//! Reach: seeds are run until each arm of the engine's decisions (`kurier::coverage`) was reached by one of them.

use crate::course;
use crate::swarm::how_to_replay;
use kurier::coverage::{Arm, take_reached};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// An arm that so many seeds do not reach is one that the simulation says nothing about.
const SEEDS_MAX: u64 = 10_000;
/// As many threads as CI has cores.
const THREADS: usize = 2;

/// For each arm the first seed that reaches it. Seeds are begun in order, and what was begun is ended: the same answer
/// each time.
fn explore() -> BTreeMap<Arm, u64> {
    let next = AtomicU64::new(0);
    let first: Mutex<BTreeMap<Arm, u64>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while first.lock().unwrap().len() < Arm::ALL.len() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS_MAX {
                        return;
                    }
                    let violation = course::run(seed, false).violation;
                    assert_eq!(violation, None, "{}", how_to_replay(seed));
                    let mut first = first.lock().unwrap();
                    for arm in take_reached() {
                        let known = first.entry(arm).or_insert(seed);
                        *known = seed.min(*known);
                    }
                }
            });
        }
    });
    first.into_inner().unwrap()
}

/// All of them; prints a line for each.
pub(crate) fn run() {
    let first = explore();
    println!("| arm | seed that reached it |\n|---|---|");
    for arm in Arm::ALL {
        let seed = first.get(arm).map_or_else(|| format!("**none** of {SEEDS_MAX}"), u64::to_string);
        println!("| `{arm:?}` | {seed} |");
    }
    println!("{} of {} arms reached", first.len(), Arm::ALL.len());
    let missing: Vec<&Arm> = Arm::ALL.iter().filter(|arm| !first.contains_key(arm)).collect();
    assert!(missing.is_empty(), "not reached within {SEEDS_MAX} seeds: {missing:?}");
}
