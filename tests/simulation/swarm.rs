//! Many seeds, on two threads.

use crate::course;
use crate::plan::Kind;
use crate::report::Report;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// As many threads as CI has cores.
const THREADS: usize = 2;
/// Violations that are told of one run.
const TOLD_MAX: usize = 20;

/// A number of the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

pub(crate) fn how_to_replay(seed: u64) -> String {
    format!("KURIER_SEED={seed} cargo test --test simulation replay -- --nocapture")
}

/// Runs all of them; fails with the first violations if there are any.
pub(crate) fn run(seeds: Vec<u64>) -> Report {
    let next = AtomicUsize::new(0);
    let (total, violations) = (Mutex::new(Report::default()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                    let ended = std::panic::catch_unwind(|| course::run(seed, false));
                    match ended {
                        Ok(ended) => {
                            total.lock().unwrap().add(&ended.report);
                            if let Some(violation) = ended.violation {
                                violations.lock().unwrap().push((seed, violation, ended.hash));
                            }
                        }
                        Err(_) => violations.lock().unwrap().push((seed, String::from("a panic"), 0)),
                    }
                    if violations.lock().unwrap().len() >= TOLD_MAX {
                        break;
                    }
                }
            });
        }
    });
    let mut violations = violations.into_inner().unwrap();
    violations.sort();
    let report = total.into_inner().unwrap();
    for (seed, violation, hash) in &violations {
        println!("seed {seed}: {violation}\n    hash {hash:016x}; {}", how_to_replay(*seed));
    }
    assert!(violations.is_empty(), "{} of {} seeds failed\n{}", violations.len(), report.seeds, report.show());
    report
}

/// A swarm that harms nobody proves nothing.
pub(crate) fn check_bite(report: &Report) {
    for kind in Kind::ALL {
        let name = format!("fault {}", kind.name());
        assert!(report.get(&name) > 0, "{name} never happened");
    }
    for what in ["records written", "records not written", "records unknown", "records refused", "purged"] {
        assert!(report.get(what) > 0, "{what}: none");
    }
}
