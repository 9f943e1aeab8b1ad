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

/// Arms that a sound program cannot reach, and why they are there all the same. Reached, they are found, too.
const UNREACHABLE: &[(Arm, &str)] = &[
    (Arm::HalvesFailed, "the records of a batch are our own: that they cannot be walked would be a defect of memory"),
    (Arm::HalvesFailedDoomed, "the same"),
    (Arm::SequenceOfOldEpoch, "a partition takes a new epoch when nothing of it is on its way; tests call it directly"),
];

fn is_demanded(arm: Arm) -> bool {
    UNREACHABLE.iter().all(|(other, _)| *other != arm)
}

/// For each arm the first seed that reaches it. Seeds are begun in order, and what was begun is ended: the same answer
/// each time.
fn explore() -> BTreeMap<Arm, u64> {
    let next = AtomicU64::new(0);
    let first: Mutex<BTreeMap<Arm, u64>> = Mutex::default();
    let is_over = || {
        let first = first.lock().unwrap();
        Arm::ALL.iter().all(|arm| first.contains_key(arm) || !is_demanded(*arm))
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !is_over() {
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
    println!("| arm | first seed that reached it |\n|---|---|");
    for arm in Arm::ALL {
        let why = UNREACHABLE.iter().find(|(other, _)| other == arm).map(|(_, why)| format!("none: {why}"));
        let seed = first.get(arm).map(u64::to_string).or(why);
        println!("| `{arm:?}` | {} |", seed.unwrap_or_else(|| format!("**none** of {SEEDS_MAX}")));
    }
    let (demanded, others): (Vec<Arm>, Vec<Arm>) = Arm::ALL.iter().partition(|arm| is_demanded(**arm));
    let missing: Vec<&Arm> = demanded.iter().filter(|arm| !first.contains_key(arm)).collect();
    println!("{} of {} arms reached", demanded.len() - missing.len(), demanded.len());
    assert!(missing.is_empty(), "not reached within {SEEDS_MAX} seeds: {missing:?}");
    let impossible: Vec<&Arm> = others.iter().filter(|arm| first.contains_key(arm)).collect();
    assert!(impossible.is_empty(), "reached, and thought to be out of reach: {impossible:?}");
}
