//! What happens because time passes: expiry, request timeouts, backoffs that end, idleness.

use super::connection::{Connection, Link};
use super::fates::Doom;
use super::sending::Partition;
use super::{ConnectionNumber, Engine, Parcel, PartitionNumber};
use crate::code::{Code, Error};
use crate::time::Time;

impl<B: Parcel> Engine<B> {
    /// When this connection's thread has to do something next if nothing else happens.
    #[must_use]
    pub fn poll_timeout(&self, number: ConnectionNumber) -> Time {
        let Some(connection) = self.connections.get(number.0 as usize) else { return Time::NEVER };
        let timer = connection.timers.next();
        timer.min(match connection.link {
            Link::Down => self.wanted(number).max(connection.not_before),
            Link::Connecting => Time::NEVER,
            _ if connection.closing.is_some() => Time::ZERO,
            Link::Handshaking { .. } => {
                let metadata = self.metadata_deadline(number);
                connection.setup_deadline.min(first_deadline(connection)).min(metadata)
            }
            Link::Ready => {
                let mut time = first_deadline(connection).min(self.idle_deadline(number));
                if number == ConnectionNumber::BOOTSTRAP {
                    time = time.min(self.wanted(number).max(connection.muted_until));
                    time = time.min(self.metadata_deadline(number));
                } else if connection.muted_until > Time::ZERO && connection.busy > 0 {
                    time = time.min(connection.muted_until);
                }
                time
            }
        })
    }

    /// Does what is due at `now`. Afterwards [`Engine::poll_close`] may have a reason to close.
    pub fn handle_timeout(&mut self, number: ConnectionNumber, now: Time) {
        self.expire(number, now);
        if self.metadata_deadline(number) <= now {
            self.rebootstrap_if_due(now);
        }
        let idle_deadline = self.idle_deadline(number);
        let Some(connection) = self.connections.get_mut(number.0 as usize) else { return };
        if connection.muted_until <= now {
            connection.muted_until = Time::ZERO;
        }
        let is_handshaking = matches!(connection.link, Link::Handshaking { .. });
        if is_handshaking && connection.setup_deadline <= now {
            connection.close(Error::new(Code::UNREACHABLE, "the broker did not finish the handshake in time"));
        } else if first_deadline(connection) <= now {
            connection.close(Error::new(Code::TIMED_OUT, "the broker did not answer within request.timeout.ms"));
        } else if idle_deadline <= now {
            connection.close(Error::new(Code::OK, "nobody needed the connection"));
        }
    }

    /// Why this connection has to be closed now, if it has. Close it, then call
    /// [`Engine::handle_disconnected`]; only that makes its batches go elsewhere. `OK` is idleness.
    pub fn poll_close(&mut self, number: ConnectionNumber, now: Time) -> Option<Error> {
        self.handle_timeout(number, now);
        self.connections.get(number.0 as usize).and_then(|connection| connection.closing.clone())
    }

    /// Partitions of this connection with something due.
    fn expire(&mut self, number: ConnectionNumber, now: Time) {
        loop {
            let Some(connection) = self.connections.get_mut(number.0 as usize) else { return };
            let Some(partition) = connection.timers.pop(now).map(PartitionNumber) else { return };
            self.expire_partition(partition, now);
            self.settle(partition, now);
        }
    }

    /// Ends the batches whose delivery timeout is over: one clock from the opening, whatever happened since.
    fn expire_partition(&mut self, number: PartitionNumber, now: Time) {
        let timeout = self.config.delivery_timeout;
        loop {
            let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
            let code = partition.trouble();
            let is_over = |parcel: &B| parcel.opened() + timeout <= now;
            let place = partition.queue.iter().position(|batch| batch.doom.is_none());
            let batch = place.and_then(|place| partition.queue.get(place));
            let batch = batch.filter(|batch| Partition::deadline(batch, timeout) <= now);
            if let (Some(place), Some(batch)) = (place, batch) {
                let broker_code = if batch.last_code == 0 { code } else { batch.last_code };
                self.fail(number, place, Doom { code: Code::TIMED_OUT, broker_code }, Vec::new());
                continue;
            }
            let arriving = partition.arriving.values_mut().find(|parcel| parcel.is_some());
            match arriving {
                Some(slot) if slot.as_ref().is_some_and(is_over) => {
                    if let Some(parcel) = slot.take() {
                        self.refuse(number, parcel, Doom { code: Code::TIMED_OUT, broker_code: code });
                    }
                }
                _ => return,
            }
        }
    }

    /// When this connection has waited long enough for metadata.
    fn metadata_deadline(&self, number: ConnectionNumber) -> Time {
        if number != ConnectionNumber::BOOTSTRAP {
            return Time::NEVER;
        }
        self.cluster.route.deadline(self.config.rebootstrap_after)
    }

    /// When a connection that nobody needs is closed.
    fn idle_deadline(&self, number: ConnectionNumber) -> Time {
        let Some(connection) = self.connections.get(number.0 as usize) else { return Time::NEVER };
        match self.config.connection_idle_max {
            Some(idle_max)
                if connection.link == Link::Ready && connection.busy == 0 && connection.in_flight.is_empty() =>
            {
                connection.used + idle_max
            }
            _ => Time::NEVER,
        }
    }
}

/// When the oldest request has waited too long: their deadlines ascend.
fn first_deadline<B>(connection: &Connection<B>) -> Time {
    connection.in_flight.front().map_or(Time::NEVER, |flight| flight.deadline)
}
