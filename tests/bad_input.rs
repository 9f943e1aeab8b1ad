//! What applications, networks and brokers do wrong: each gives the code and the sentence that was promised, and
//! never a crash, a hang or a lost record. What C programs can do wrong beside this is in `tests/face`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test has a clock and threads, and may stop where it finds something impossible"
)]

#[path = "bad_input/cuts.rs"]
mod cuts;
#[path = "bad_input/hostile.rs"]
mod hostile;
#[path = "bad_input/ledger.rs"]
mod ledger;
#[path = "bad_input/load.rs"]
mod load;
#[path = "bad_input/refusals.rs"]
mod refusals;
#[path = "bad_input/stalls.rs"]
mod stalls;
#[path = "settings_effect/tap.rs"]
#[allow(dead_code, reason = "the tests of settings read the requests")]
mod tap;
#[path = "settings_effect/world.rs"]
#[allow(dead_code, reason = "the tests of settings use the rest")]
mod world;
