//! The embedded cluster: brokers in a box, on real TCP ports, for the tests of applications, for ours and for
//! benchmarks.
//!
//! It answers as Apache Kafka does where a producer can notice: leaders and epochs, the memory of the last five
//! batches of each producer, refusals with Kafka's codes. Records are kept in memory, the oldest dropped above a bound.
//! It has no replication, no groups and no transactions, and asks nobody who they are.
//!
//! # Commands
//!
#![doc = include_str!("commands.md")]
#![warn(missing_docs)]

mod answers;
mod apply;
mod broker;
mod check;
mod clock;
mod command;
mod connection;
mod faults;
mod frame;
mod hostile;
mod inspect;
mod link;
mod log;
mod producers;
mod records;
mod state;
mod threads;
mod versions;

use std::sync::Arc;

use parking_lot::Mutex;

use crate::code::{Code, Error, Result};

pub use inspect::StoredRecord;

use broker::Broker;
use state::Shared;

/// The table of all commands, for people.
pub const COMMANDS: &str = include_str!("commands.md");

const BROKERS_MAX: i32 = 9;

/// A cluster of brokers that run until it is dropped.
#[derive(Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
    /// Taken by one command at a time; never by the brokers' own threads.
    brokers: Mutex<Vec<Broker>>,
}

impl Cluster {
    /// Starts 1 to 9 brokers on free ports of 127.0.0.1. Their numbers begin at 1.
    pub fn start(brokers: i32) -> Result<Self> {
        if !(1..=BROKERS_MAX).contains(&brokers) {
            let message = format!("a cluster has 1 to {BROKERS_MAX} brokers, not {brokers}");
            return Err(Error::new(Code::INVALID_ARGUMENT, message));
        }
        let failed = |error| Error::new(Code::INTERNAL, format!("the embedded cluster cannot listen: {error}"));
        let mut all = (1..=brokers).map(Broker::new).collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
        let ports: Vec<_> = all.iter().map(|broker| broker.port).collect();
        let shared = Arc::new(Shared::new(&ports));
        let started = all.iter_mut().try_for_each(|broker| broker.start(&shared));
        let cluster = Self { shared, brokers: Mutex::new(all) };
        started.map_err(failed)?;
        Ok(cluster)
    }

    /// For `bootstrap.servers` of any client: `"127.0.0.1:40001,127.0.0.1:40002"`.
    #[must_use]
    pub fn address(&self) -> String {
        let brokers = self.brokers.lock();
        let addresses: Vec<_> = brokers.iter().map(|broker| format!("127.0.0.1:{}", broker.port)).collect();
        addresses.join(",")
    }

    /// Carries out one command of [`COMMANDS`]. When it returns, it is in force: what is answered from now on
    /// follows it.
    pub fn command(&self, command: &str) -> Result<()> {
        apply::apply(self, command::parse(command)?)
    }
}

impl Drop for Cluster {
    /// Closes every connection and listener and waits for their threads.
    fn drop(&mut self) {
        for broker in self.brokers.lock().iter_mut() {
            broker.stop(&self.shared);
        }
    }
}
