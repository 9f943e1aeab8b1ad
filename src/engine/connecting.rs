//! Connections that come and go: where to connect, when to try again, what a lost connection means.

use super::backoff::backoff;
use super::connection::{Ask, Connection, Link, Part};
use super::fates::Doom;
use super::sending::{Partition, State};
use super::{Action, Connect, ConnectionNumber, Engine, Level, Parcel, PartitionNumber};
use crate::code::{Code, Error};
use crate::coverage::{Arm, reached};
use crate::mutant::{self, Mutant};
use crate::protocol::messages::ApiKey;
use crate::time::Time;
use std::time::Duration;

/// More connections than this are not made; partitions led by further brokers wait.
const CONNECTIONS_MAX: usize = 1_000;
/// After so many known brokers that do not answer (or all of them), the producer says that none does.
const BROKERS_TRIED: usize = 3;
/// A broker is often named as the new leader before it knows of that itself, for hundreds of milliseconds where it is
/// busy: one that has accepted nothing yet is tried again so many times without a growing backoff.
const UNAWARE_REFUSALS: u32 = 20;

impl<B: Parcel> Engine<B> {
    /// Should this connection be made now, and to where? After `To` exactly one of
    /// [`Engine::handle_connected`] and [`Engine::handle_connect_failed`] has to follow.
    pub fn poll_connect(&mut self, number: ConnectionNumber, now: Time) -> Connect {
        let wanted = self.wanted(number);
        let setup_timeout = self.config.setup_timeout;
        let Some(connection) = self.connections.get_mut(number.0 as usize) else {
            return Connect::NotBefore(Time::NEVER);
        };
        connection.is_woken = false;
        if connection.link != Link::Down {
            return Connect::NotBefore(Time::NEVER);
        }
        let start = wanted.max(connection.not_before);
        if start > now {
            return Connect::NotBefore(start);
        }
        if number == ConnectionNumber::BOOTSTRAP {
            if self.cluster.due() <= now {
                self.cluster.route.want(now);
            }
            self.rebootstrap_if_due(now);
        }
        let address = self.address(number);
        let Some(connection) = self.connections.get_mut(number.0 as usize) else {
            return Connect::NotBefore(Time::NEVER);
        };
        let Some((host, port)) = address else { return Connect::NotBefore(Time::NEVER) };
        let timeout = backoff(setup_timeout, connection.failures.saturating_add(1), &mut self.random);
        connection.link = Link::Connecting;
        connection.setup_deadline = now + timeout;
        (connection.host, connection.port) = (host.clone(), port);
        Connect::To { host, port, timeout }
    }

    /// The connection stands (with TLS, if any): the handshake of versions begins.
    pub fn handle_connected(&mut self, number: ConnectionNumber, now: Time) {
        let patience = now + self.patience();
        let Some(connection) = self.connections.get_mut(number.0 as usize) else { return };
        if connection.link == Link::Connecting {
            if number == ConnectionNumber::BOOTSTRAP {
                connection.setup_deadline = connection.setup_deadline.min(patience);
            }
            connection.link = Link::Handshaking { version: *ApiKey::ApiVersions.client_range().end(), asked: false };
            connection.used = now;
        }
    }

    /// How long a broker is waited for that any other one could stand in for: one that was stopped accepts connections
    /// and answers nothing. Twice as long after each failure, up to `request.timeout.ms`: perhaps all are slow.
    pub(super) fn patience(&self) -> Duration {
        let failures = self.connections.first().map_or(0, |connection| connection.failures.min(16));
        self.config.patience_min.saturating_mul(1 << failures).min(self.config.request_timeout)
    }

    /// No address of the name could be reached in time.
    pub fn handle_connect_failed(&mut self, number: ConnectionNumber, message: &str, now: Time) {
        if self.connections.get(number.0 as usize).is_some_and(|connection| connection.link == Link::Connecting) {
            self.down(number, &Error::new(Code::UNREACHABLE, message), now);
        }
    }

    /// The connection is gone, whoever closed it. Only now its requests are dead: no byte of them will be
    /// sent any more, and their batches may go elsewhere.
    pub fn handle_disconnected(&mut self, number: ConnectionNumber, reason: &str, now: Time) {
        let Some(connection) = self.connections.get_mut(number.0 as usize) else { return };
        if connection.link == Link::Down {
            return;
        }
        let reason = connection.closing.take().unwrap_or_else(|| Error::new(Code::UNREACHABLE, reason));
        let flights = std::mem::take(&mut connection.in_flight);
        let answered = std::mem::take(&mut connection.answered);
        self.down(number, &reason, now);
        for parcel in answered.into_iter().flat_map(|(_, parcels)| parcels) {
            self.actions.push_back(Action::Released(parcel));
        }
        for flight in flights {
            match flight.ask {
                Ask::Versions { .. } => {}
                Ask::Metadata { topics, .. } => self.cluster.unask(&topics, now),
                Ask::Identity { .. } => self.identity.asking = false,
                Ask::Producers { asked } => self.handle_not_answered(number, &asked, now),
                Ask::Produce { parts, .. } => {
                    for part in parts {
                        self.handle_unanswered(number, part, now);
                    }
                }
            }
        }
    }

    /// A batch was sent and no answer will come: it may be in the log.
    pub(super) fn handle_unanswered(&mut self, from: ConnectionNumber, part: Part<B>, now: Time) {
        let number = part.partition;
        self.end_proof(number, part.serial);
        if let Some(partition) = self.partitions.get_mut(number.0 as usize) {
            partition.in_flight = partition.in_flight.saturating_sub(1);
            if let Some(place) = partition.place(part.serial) {
                reached(Arm::Unanswered);
                if let Some(batch) = partition.queue.get_mut(place) {
                    batch.open = true;
                }
                self.retry(number, place, 0, true, from, now);
            } else {
                reached(Arm::UnansweredLate);
            }
        }
        self.actions.push_back(Action::Released(part.parcel));
        self.settle(number, now);
    }

    /// Queues a batch to be sent again, unless its time or its retries are over.
    pub(super) fn retry(
        &mut self,
        number: PartitionNumber,
        place: usize,
        code: i16,
        refresh: bool,
        from: ConnectionNumber,
        now: Time,
    ) {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        let (topic, is_moved) = (partition.topic, partition.connection != from);
        let is_leaderless = partition.connection == ConnectionNumber::BOOTSTRAP;
        let Some(batch) = partition.queue.get_mut(place) else { return };
        batch.state = State::Queued;
        batch.retries = batch.retries.saturating_add(1);
        if code != 0 {
            batch.last_code = code;
        }
        let broker_code = batch.last_code;
        let is_over = Partition::deadline(batch, self.config.delivery_timeout) <= now;
        if mutant::is(Mutant::RetryReorders) {
            batch.stamp = None;
            return partition.queue.rotate_left(place + 1);
        }
        if is_over {
            reached(Arm::RetryTooLate);
            self.fail(number, place, Doom { code: Code::TIMED_OUT, broker_code }, Vec::new());
        } else if batch.retries > self.config.retries {
            reached(if broker_code == 0 { Arm::RetriesOverUnanswered } else { Arm::RetriesOver });
            let code = if broker_code == 0 { Code::UNREACHABLE } else { Code::REJECTED };
            self.fail(number, place, Doom { code, broker_code }, Vec::new());
        } else if is_moved {
            // A leader that changed meanwhile is not made to wait (KIP-951).
            reached(Arm::RetryMoved);
        } else {
            let (leader, refusals) = batch.refused;
            let refusals = if leader == partition.leaders { refusals.saturating_add(1) } else { 1 };
            batch.refused = (partition.leaders, refusals);
            let is_new = partition.leaders > 1 && !partition.line.proven;
            let is_unaware = code != 0 && refresh && is_new && refusals <= UNAWARE_REFUSALS;
            reached(if is_unaware { Arm::RetryUnaware } else { Arm::RetryWaits });
            let waits = if is_unaware { 1 } else { refusals };
            let wait = backoff(self.config.retry_backoff, waits, &mut self.random);
            partition.backoff_until = partition.backoff_until.max(now + wait);
            let why = if code == 0 { "no answer".into() } else { format!("broker error {code}") };
            let line = format!("{}: {why}, again after {} ms", self.name(number), wait.as_millis());
            self.log(Level::Debug, line);
        }
        if is_leaderless && let Some(partition) = self.partitions.get(number.0 as usize) {
            self.actions.extend(partition.copies().map(Action::Unprepare));
        }
        if refresh {
            self.refresh(topic, now);
        }
    }

    /// Notes that a connection is down, and when it may be tried again.
    fn down(&mut self, number: ConnectionNumber, reason: &Error, now: Time) {
        let is_bootstrap = number == ConnectionNumber::BOOTSTRAP;
        // Each bootstrap address is tried once without waiting; after that the law holds for every attempt.
        let at_once =
            if is_bootstrap && self.cluster.route.is_bootstrapping() { self.config.bootstrap.len() } else { 1 };
        let at_once = u32::try_from(at_once.saturating_sub(1)).unwrap_or(u32::MAX);
        let Some(connection) = self.connections.get_mut(number.0 as usize) else { return };
        if connection.link == Link::Ready {
            // It may have died and come back with less than it had: one goes first, as to any new leader (rule 10).
            for partition in self.partitions.iter_mut().filter(|partition| partition.connection == number) {
                partition.line.proven = false;
            }
        }
        connection.link = Link::Down;
        connection.closing = None;
        connection.muted_until = Time::ZERO;
        connection.prepared = None;
        connection.setup_deadline = Time::NEVER;
        let is_idle = reason.code == Code::OK;
        connection.failures = match (connection.is_useful, is_idle) {
            (_, true) => 0,
            (true, false) => 1,
            (false, false) => connection.failures.saturating_add(1),
        };
        let was_useful = std::mem::take(&mut connection.is_useful);
        let failures = connection.failures;
        let (host, port) = (connection.host.clone(), connection.port);
        if is_idle {
            return;
        }
        let law = self.config.reconnect_backoff;
        connection.not_before = match failures.saturating_sub(at_once) {
            0 => now,
            waits => now + backoff(law, waits, &mut self.random),
        };
        // 97 lines in five seconds help nobody: the 1st, 2nd, 4th, 8th … failure in a row is told.
        if failures.is_power_of_two() {
            self.log(Level::Warn, format!("{host}:{port}: {} (failure {failures} in a row)", reason.message));
        }
        if !is_bootstrap {
            if !was_useful {
                self.forget_copies(number);
            }
            return self.doubt_leaders(number, now);
        }
        let (bootstrap, known) = (self.config.bootstrap.len(), self.cluster.brokers.len());
        let all = if self.cluster.route.is_bootstrapping() { bootstrap } else { known.min(BROKERS_TRIED) };
        if failures as usize >= all {
            let message = format!("no broker answers; the last was {host}:{port}: {}", reason.message);
            self.unreachable =
                Some(Error { broker_code: reason.broker_code, ..Error::new(Code::UNREACHABLE, message) });
        }
        let may_rebootstrap = self.config.rebootstrap_after.is_some();
        if self.cluster.route.handle_failure(bootstrap, known, may_rebootstrap, now) {
            self.tell_rebootstrap("no known broker can be reached");
        }
    }

    /// Begins at the bootstrap addresses again if metadata that somebody waits for has not come for too long.
    pub(super) fn rebootstrap_if_due(&mut self, now: Time) {
        if self.cluster.route.deadline(self.config.rebootstrap_after) > now {
            return;
        }
        if !self.cluster.is_asking && self.cluster.due() > now {
            return self.cluster.route.rest();
        }
        self.rebootstrap("no metadata came for metadata.recovery.rebootstrap.trigger.ms");
        let connection = self.connections.get_mut(ConnectionNumber::BOOTSTRAP.0 as usize);
        if let Some(connection) = connection.filter(|connection| connection.link != Link::Connecting) {
            connection.close(Error::new(Code::UNREACHABLE, "no metadata came in time"));
        }
    }

    /// The bootstrap addresses take over.
    pub(super) fn rebootstrap(&mut self, why: &str) {
        self.cluster.route.rebootstrap();
        self.tell_rebootstrap(why);
    }

    /// The 1st, 2nd, 4th, 8th … time in a row is told.
    fn tell_rebootstrap(&mut self, why: &str) {
        let times = self.cluster.route.rebootstraps;
        if times.is_power_of_two() {
            self.log(Level::Info, format!("{why}: the bootstrap addresses are asked again ({times} in a row)"));
        }
    }

    /// The broker cannot be reached: see [`Partition::copies`].
    fn forget_copies(&mut self, number: ConnectionNumber) {
        let Some(connection) = self.connections.get(number.0 as usize) else { return };
        let partitions = connection.timers.numbers().filter_map(|number| self.partitions.get(number as usize));
        self.actions.extend(partitions.flat_map(Partition::copies).map(Action::Unprepare));
    }

    /// Asks for the topics whose batches wait for this connection: they may be led by another broker by now.
    fn doubt_leaders(&mut self, number: ConnectionNumber, now: Time) {
        let Some(connection) = self.connections.get(number.0 as usize) else { return };
        // Who has a batch that is not handed in yet (it would not go out now) has no timer here.
        let waiting = connection.timers.numbers().chain(connection.offered.iter().map(|partition| partition.0));
        let mut topics: Vec<_> = waiting
            .filter_map(|partition| self.partitions.get(partition as usize).map(|partition| partition.topic))
            .collect();
        topics.sort_unstable();
        topics.dedup();
        for topic in topics {
            self.refresh(topic, now);
        }
    }

    /// Asks for a topic again soon.
    pub(super) fn refresh(&mut self, topic: super::TopicNumber, now: Time) {
        let due = self.cluster.due();
        self.cluster.refresh(topic, self.config.retry_backoff.0, now);
        if self.cluster.due() < due {
            self.wake(ConnectionNumber::BOOTSTRAP);
        }
    }

    /// From when on somebody needs this connection.
    pub(super) fn wanted(&self, number: ConnectionNumber) -> Time {
        if self.fatal.is_some() {
            return Time::NEVER;
        }
        if number == ConnectionNumber::BOOTSTRAP {
            return self.cluster.due().min(self.identity_due());
        }
        let is_needed = self.connections.get(number.0 as usize).is_some_and(|connection| connection.busy > 0);
        if is_needed { Time::ZERO } else { Time::NEVER }
    }

    /// When to ask for a producer id.
    pub(super) fn identity_due(&self) -> Time {
        let identity = &self.identity;
        let is_needed = self.config.is_idempotent() && identity.current.is_none() && !self.cluster.topics.is_empty();
        if is_needed && !identity.asking { identity.not_before } else { Time::NEVER }
    }

    /// Where a connection leads: its broker, or whoever is to be asked for metadata now.
    fn address(&mut self, number: ConnectionNumber) -> Option<(String, u16)> {
        let connection = self.connections.get(number.0 as usize)?;
        if let Some(node) = connection.node {
            let known = self.cluster.brokers.get(&node).map(|address| (address.host.clone(), address.port));
            return Some(known.unwrap_or_else(|| (connection.host.clone(), connection.port)));
        }
        self.cluster.route.next(&self.config.bootstrap, &self.cluster.brokers)
    }

    /// The connection of a broker, made if there is none; `BOOTSTRAP` if it is not known or there are too many.
    pub(super) fn connection_of(&mut self, node: i32) -> ConnectionNumber {
        let Some(address) = self.cluster.brokers.get(&node) else { return ConnectionNumber::BOOTSTRAP };
        if let Some(number) = self.cluster.connections.get(&node) {
            return *number;
        }
        if self.connections.len() > CONNECTIONS_MAX {
            self.log(Level::Error, format!("more than {CONNECTIONS_MAX} brokers: broker {node} gets no connection"));
            return ConnectionNumber::BOOTSTRAP;
        }
        let number = ConnectionNumber(u32::try_from(self.connections.len()).unwrap_or(0));
        self.connections.push(Connection::new(Some(node), address.host.clone(), address.port));
        self.cluster.connections.insert(node, number);
        self.actions.push_back(Action::Start(number));
        number
    }
}
