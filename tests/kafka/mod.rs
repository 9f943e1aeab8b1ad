//! Real Apache Kafka for tests: jars taken once by Maven, brokers on free ports of 127.0.0.1, and a Java client that
//! reads back what is in the logs. `mod kafka;` in an integration test is all that is needed.
//!
//! ```ignore
//! let Some(kafka) = kafka::start(Setup::brokers(3)) else { return };
//! kafka.create_topic("lines", 6, 3, &[("min.insync.replicas", "2")]);
//! // … produce to kafka.bootstrap() …
//! let records = kafka.read_back("lines", Isolation::Uncommitted);
//! ```
//!
//! Where Java, Maven or the jars are missing, [`start`] says so in one line and answers `None`; with
//! `KURIER_DEMAND_KAFKA=1` (continuous integration sets it) that is a failure.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each integration test uses its own part of this module")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it finds something impossible")]
#![allow(clippy::disallowed_methods, reason = "real brokers have real deadlines")]

mod broker;
pub mod check;
mod cluster;
mod control;
pub mod corpus;
mod directory;
mod jars;
mod ports;
mod processes;
mod wire;

pub use cluster::{Kafka, Setup};
pub use control::ReadRecord;
pub use ports::{Port, free_ports};
pub use processes::Process;

use std::io::Write as _;

/// The versions that the tests know; the first is the default.
pub const VERSIONS: [&str; 2] = ["4.2.0", "3.9.1"];

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// All that are in the log, also those of aborted and open transactions.
    Uncommitted,
    /// Those outside of transactions and of committed ones.
    Committed,
}

/// Starts brokers, or says why it cannot and answers `None` (a panic with `KURIER_DEMAND_KAFKA=1`).
///
/// Panics when Kafka is there and does not start: that is never a reason to skip a test.
pub fn start(setup: Setup) -> Option<Kafka> {
    let jars = jars_or_skip(&setup.version)?;
    Some(Kafka::start(setup, jars))
}

/// What `java -cp` wants for a client of the default version; says why there is none, as [`start`] does.
pub fn class_path() -> Option<String> {
    Some(jars_or_skip(VERSIONS[0])?.class_path())
}

/// Reads a topic of any cluster with the Java consumer, or says why it cannot, as [`start`] does.
pub fn read_from(bootstrap: &str, topic: &str) -> Option<Vec<ReadRecord>> {
    let jars = jars_or_skip(VERSIONS[0])?;
    let directory = directory::Directory::new();
    let mut control = control::Control::start(&jars, bootstrap, directory.path());
    Some(control.read(topic, Isolation::Uncommitted))
}

fn jars_or_skip(version: &str) -> Option<jars::Jars> {
    match jars::jars(version) {
        Ok(jars) => Some(jars),
        Err(why) => {
            let demanded = std::env::var_os("KURIER_DEMAND_KAFKA").is_some_and(|value| value == "1");
            assert!(!demanded, "KURIER_DEMAND_KAFKA=1, but there is no Kafka {version}: {why}");
            let test = std::thread::current().name().unwrap_or("test").to_owned();
            // Not `eprintln!`: the harness would swallow it, and a skipped test would look like a passed one.
            let line = format!("{test}: SKIPPED, no Kafka {version}: {why}\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            None
        }
    }
}
