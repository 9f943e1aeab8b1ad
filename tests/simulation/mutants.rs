//! Teeth: each seeded bug (`kurier::mutant`) is switched on alone, and seeds are run until one finds it.

use crate::course;
use kurier::mutant::{Mutant, choose};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bug that so many seeds do not find says that the simulation is blind there.
const SEEDS_MAX: u64 = 10_000;
/// As many threads as CI has cores.
const THREADS: usize = 2;

/// The first seed that finds the bug that is switched on, and what it says.
fn hunt() -> Option<(u64, String)> {
    let (next, end) = (AtomicU64::new(0), AtomicU64::new(SEEDS_MAX));
    let found: Mutex<Option<(u64, String)>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end.load(Ordering::Relaxed) {
                        return;
                    }
                    let ended = std::panic::catch_unwind(|| course::run(seed, false).violation);
                    let violation = ended.unwrap_or_else(|_| Some(String::from("a panic")));
                    if let Some(violation) = violation {
                        end.fetch_min(seed, Ordering::Relaxed);
                        let mut found = found.lock().unwrap();
                        if found.as_ref().is_none_or(|(earlier, _)| seed < *earlier) {
                            *found = Some((seed, violation));
                        }
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

/// All of them, or the one that `KURIER_MUTANT` names; prints a line for each.
pub(crate) fn run() {
    let only = std::env::var("KURIER_MUTANT").ok();
    let silent = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let mut survivors = Vec::new();
    let (mut caught, mut tried) = (0, 0);
    println!("| seeded bug | seed that found it | what it found |\n|---|---|---|");
    for mutant in Mutant::ALL {
        let name = format!("{mutant:?}");
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        choose(*mutant);
        tried += 1;
        if let Some((seed, violation)) = hunt() {
            caught += 1;
            let line: String = violation.lines().next().unwrap_or_default().chars().take(120).collect();
            println!("| {name} | {seed} | {line} |");
        } else {
            println!("| {name} | **none** of {SEEDS_MAX} | |");
            survivors.push(name);
        }
    }
    choose(Mutant::None);
    std::panic::set_hook(silent);
    println!("{caught} of {tried} seeded bugs found");
    assert!(tried > 0, "there is no such seeded bug");
    assert!(survivors.is_empty(), "not found within {SEEDS_MAX} seeds: {survivors:?}");
}
