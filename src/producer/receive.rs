//! The way back: polling, the delivery thread, and waiting for everything at once.

use super::callback::{self, Kind};
use super::config::DeliveryCallback;
use super::life::Producer;
use super::timeout::{Deadline, Timeout};
use crate::code::{Code, Error, Result};
use crate::delivery::{Deliveries, Delivery, Polled};
use crate::io::Clock;
use crate::time::Time;
use std::time::Duration;

/// Deliveries that the callback gets at once.
const CALLBACK_DELIVERIES: usize = 1024;

/// A producer that is finished gives every batch its fate at once; what has none after this gets none.
const FINISHED_PATIENCE: Duration = Duration::from_secs(1);

impl Producer {
    /// Fills `deliveries` with what is there, at least one; waits for the first. 0: the time is over, or somebody
    /// called [`Producer::wake`]. Several threads may poll; each delivery goes to one.
    ///
    /// # Errors
    /// `CLOSED` when the producer is closed and everything was read; `WRONG_STATE` with a delivery callback;
    /// `WRONG_THREAD` inside a callback; `INVALID_ARGUMENT` for no room at all.
    pub fn poll(&self, deliveries: &mut [Delivery], timeout: Timeout) -> std::result::Result<usize, Code> {
        callback::check_wait(self.id)?;
        if self.by_callback {
            return Err(Code::WRONG_STATE);
        }
        if deliveries.is_empty() {
            return Err(Code::INVALID_ARGUMENT);
        }
        let clock = || self.network.clock.now();
        let deadline = match timeout {
            Timeout::Default => Time::NEVER,
            Timeout::Of(span) if span.is_zero() => Time::ZERO,
            Timeout::Of(span) => clock() + span,
        };
        match self.deliveries.poll(deliveries, deadline, &clock, &mut Vec::new()) {
            Polled::Count(count) => Ok(count),
            Polled::Ended => Err(Code::CLOSED),
        }
    }

    /// A waiting poll, else the next one, returns 0. Works everywhere.
    ///
    /// # Errors
    /// `WRONG_STATE` with a delivery callback.
    pub fn wake(&self) -> std::result::Result<(), Code> {
        if self.by_callback {
            return Err(Code::WRONG_STATE);
        }
        self.deliveries.wake();
        Ok(())
    }

    /// Records accepted and not yet delivered to the application. Works everywhere.
    #[must_use]
    pub fn pending(&self) -> usize {
        usize::try_from(self.deliveries.pending()).unwrap_or(usize::MAX)
    }

    /// Waits until everything that was accepted before has its fate, good or bad, and its callback has returned. It
    /// does not linger, and needs no poll. Records that are sent meanwhile do not prolong it.
    ///
    /// # Errors
    /// `TIMED_OUT`, `CLOSED`, `WRONG_THREAD`.
    pub fn flush(&self, timeout: Timeout) -> Result<()> {
        if callback::check_wait(self.id).is_err() {
            return Err(Error::new(Code::WRONG_THREAD, "flush waits, so it does not work inside a callback"));
        }
        let closed = || Error::new(Code::CLOSED, "the producer is closed");
        if self.is_closed() {
            return Err(closed());
        }
        let mut deadline = Deadline::after(timeout.or(self.settings.delivery_timeout));
        let mut finished = false;
        let unfated = &self.accumulator.unfated;
        let epoch = unfated.raise();
        self.accumulator.seal_all();
        loop {
            let left = deadline.left(&self.network.clock);
            if unfated.wait(epoch, left) {
                return if self.is_closed() { Err(closed()) } else { Ok(()) };
            }
            if self.is_closed() {
                return Err(closed());
            }
            if left.is_zero() && finished {
                return Err(Error::new(Code::FATAL, "the producer is finished; its status says why"));
            }
            if self.network.is_finished() && !finished {
                finished = true;
                deadline = Deadline::After(FINISHED_PATIENCE.min(left));
                continue;
            }
            if left.is_zero() {
                let batches = unfated.count(epoch);
                return Err(Error::new(Code::TIMED_OUT, format!("{batches} batches have no fate yet")));
            }
        }
    }

    /// Gives up records: `queued` ones were never sent and never will be; of those `in_flight` it is not known. Says
    /// how many; their deliveries come as always.
    ///
    /// # Errors
    /// `CLOSED`, `WRONG_THREAD`.
    pub fn purge(&self, queued: bool, in_flight: bool) -> std::result::Result<usize, Code> {
        callback::check_act(self.id)?;
        if self.is_closed() {
            return Err(Code::CLOSED);
        }
        Ok(self.network.purge(queued, in_flight))
    }
}

/// The body of the delivery thread.
pub(super) fn deliver(id: u64, deliveries: &Deliveries, clock: &Clock, callback: &DeliveryCallback) {
    let mut buffer = vec![Delivery::default(); CALLBACK_DELIVERIES];
    let clock = || clock.now();
    loop {
        let mut told = Told { deliveries, count: 0, epochs: Vec::new() };
        let Polled::Count(count) = deliveries.poll(&mut buffer, Time::NEVER, &clock, &mut told.epochs) else { break };
        told.count = count as u64;
        if let Some(batch) = buffer.get(..count).filter(|batch| !batch.is_empty()) {
            callback::call(id, Kind::Delivery, || callback(batch));
        }
    }
}

/// Counts deliveries and batches as ended when the callback is left, by return or by panic.
struct Told<'a> {
    deliveries: &'a Deliveries,
    count: u64,
    epochs: Vec<u64>,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.deliveries.finish(self.count);
        for epoch in self.epochs.drain(..) {
            self.deliveries.end_batch(epoch);
        }
    }
}
