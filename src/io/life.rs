//! A connection's life as a step function: connect, step, wait, close, until the producer stops.
//!
//! Whoever drives it (a network thread, or the simulation) connects, waits and closes as it is told.

use super::network::Network;
use super::pump::{Pump, Step, Stream};
use crate::code::Error;
use crate::engine::{Connect, ConnectionNumber};
use crate::time::Time;
use std::sync::Arc;
use std::time::Duration;

/// What a connection's driver does next.
#[derive(Debug)]
pub enum Turn {
    /// Connect, with [`Life::meanwhile`] whenever it has to wait; then [`Life::connected`] or [`Life::failed`].
    Connect {
        /// Name or address.
        host: String,
        /// TCP port.
        port: u16,
        /// When it has failed.
        deadline: Time,
    },
    /// Wait, if [`Life::fall_asleep`] allows it; then the next turn.
    Wait {
        /// Until this moment, or until the socket can be read.
        until: Time,
        /// Or written.
        writable: bool,
    },
    /// Drop the stream, then [`Life::disconnected`] with this reason.
    Close(String),
    /// The producer has stopped, and there is no stream any more: nothing is left to do.
    End,
}

/// See the file's first line.
pub struct Life {
    network: Arc<Network>,
    connection: ConnectionNumber,
    pump: Pump,
}

impl Life {
    /// Begins without a stream.
    #[must_use]
    pub fn new(network: Arc<Network>, connection: ConnectionNumber) -> Self {
        let pump = Pump::new(Arc::clone(&network), connection);
        Self { network, connection, pump }
    }

    /// One round, with the stream if there is one.
    pub fn turn(&mut self, stream: Option<&mut dyn Stream>) -> Turn {
        let now = self.network.clock.now();
        let connection = self.connection;
        match stream {
            Some(_) if self.network.is_stopping() => Turn::Close(String::from("the producer was closed")),
            Some(stream) => match self.pump.step(Some(stream), now) {
                Step::Wait { until, writable } => Turn::Wait { until, writable },
                Step::Close(Error { message, .. }) => Turn::Close(message),
            },
            None if self.network.is_stopping() => {
                // A step that ended with a broken connection may have taken batches before.
                self.pump.finish();
                Turn::End
            }
            None => match self.network.visit(|engine| engine.poll_connect(connection, now)) {
                Connect::NotBefore(start) => Turn::Wait { until: self.without_stream(now).min(start), writable: false },
                Connect::To { host, port, timeout } => Turn::Connect { host, port, deadline: now + timeout },
            },
        }
    }

    /// What is due for the partitions while there is no stream. Until when nothing is.
    fn without_stream(&mut self, now: Time) -> Time {
        match self.pump.step(None, now) {
            Step::Wait { until, .. } => until,
            Step::Close(_) => now,
        }
    }

    /// Does what is due while it connects. Until when nothing is, or why connecting ends.
    pub fn meanwhile(&mut self, deadline: Time) -> Result<Time, String> {
        let now = self.network.clock.now();
        if now >= deadline {
            return Err(String::from("no answer in time"));
        }
        if self.network.is_stopping() {
            return Err(String::from("the producer was closed"));
        }
        // A spurious moment in the past must not make who waits spin.
        let until = self.without_stream(now).max(now + Duration::from_micros(100));
        Ok(until.min(deadline))
    }

    /// There is a stream now.
    pub fn connected(&mut self) {
        let (connection, now) = (self.connection, self.network.clock.now());
        self.network.visit(|engine| engine.handle_connected(connection, now));
    }

    /// There will be none.
    pub fn failed(&mut self, message: &str) {
        let (connection, now) = (self.connection, self.network.clock.now());
        self.network.visit(|engine| engine.handle_connect_failed(connection, message, now));
    }

    /// The stream has been dropped: nothing that it had taken goes out any more.
    pub fn disconnected(&mut self, reason: &str) {
        self.pump.disconnect();
        let (connection, now) = (self.connection, self.network.clock.now());
        self.network.visit(|engine| engine.handle_disconnected(connection, reason, now));
    }

    /// Announces a wait until a moment. False: there is something to do. Else [`Self::wake_up`] follows the wait.
    pub fn fall_asleep(&self, until: Time) -> bool {
        let Some(inbox) = self.network.accumulator.inbox(self.connection.0) else { return false };
        if until <= self.network.clock.now() || !inbox.fall_asleep(until) {
            return false;
        }
        if self.network.is_stopping() {
            inbox.stay_awake();
            return false;
        }
        true
    }

    /// The wait is over.
    pub fn wake_up(&self) {
        if let Some(inbox) = self.network.accumulator.inbox(self.connection.0) {
            inbox.stay_awake();
        }
    }
}
