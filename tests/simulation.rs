//! The model cluster's own tests.

#![allow(clippy::unwrap_used, reason = "a test may stop where it finds something impossible")]

#[path = "simulation/cluster/mod.rs"]
mod cluster;
#[path = "simulation/random.rs"]
mod random;
