//! One network thread's loop as a step function: no clock, no thread, no socket of its own.
//!
//! A step takes what is listed, hands closed batches to the engine, seals the lingered ones that would go out now,
//! reads what came, writes what goes. Then it says until when there is nothing to do.

use super::network::Network;
use super::output::Output;
use crate::accumulator::{Batch, Collected, Partition};
use crate::code::{Code, Error};
use crate::engine::{ConnectionNumber, Engine, PartitionNumber, Request, Transmit};
use crate::mutant::{self, Mutant};
use crate::protocol::compression::Compressor;
use crate::time::{Schedule, Time};
use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

/// A connected socket that never blocks.
pub trait Stream {
    /// As [`io::Read::read`].
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;
    /// As [`io::Write::write_vectored`].
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

/// What a step ended in.
#[derive(Debug)]
pub enum Step {
    /// Nothing to do before this moment, unless the socket or the list says so.
    Wait {
        /// The moment.
        until: Time,
        /// A request is partly written: wait until the socket takes more.
        writable: bool,
    },
    /// The connection has to be closed.
    Close(Error),
}

/// Requests written in one step before the socket is read again.
const REQUESTS_PER_STEP: usize = 16;
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// A larger buffer is given back when it was read empty.
const INPUT_BYTES_KEPT: usize = 1 << 20;
/// Unused memory goes back to the system after this much time without traffic.
const TRIM_AFTER: Duration = Duration::from_secs(10);
/// How soon a split or a compression that lacked memory of the reserve is tried again.
const RESERVE_RETRY: Duration = Duration::from_millis(10);

/// See the file's first line.
pub struct Pump {
    network: Arc<Network>,
    connection: ConnectionNumber,
    listed: Vec<u32>,
    schedule: Schedule,
    /// Partitions whose open batch is due.
    due: Vec<Arc<Partition>>,
    taken: Vec<(u32, Collected)>,
    output: Option<Output>,
    /// What was read and not yet handed on: the first `filled` bytes. It grows only by what really came.
    input: Vec<u8>,
    filled: usize,
    compressor: Compressor,
    trim: Option<(Time, u64)>,
    /// There was no room for a compressed copy; who makes room need not be a request of this connection.
    lacks_reserve: bool,
    /// When a request or a response last moved, while batches waited for one.
    moved: Option<Time>,
}

impl Pump {
    /// The loop of this connection.
    #[must_use]
    pub fn new(network: Arc<Network>, connection: ConnectionNumber) -> Self {
        Self {
            network,
            connection,
            listed: Vec::new(),
            schedule: Schedule::default(),
            due: Vec::new(),
            taken: Vec::new(),
            output: None,
            input: Vec::new(),
            filled: 0,
            compressor: Compressor::new(),
            trim: None,
            lacks_reserve: false,
            moved: None,
        }
    }

    /// The connection is dead: nothing of its requests will be sent any more. Only then they let go of their bytes.
    pub fn disconnect(&mut self) {
        if !mutant::is(Mutant::OutputKept) {
            self.output = None;
        }
        if !mutant::is(Mutant::InputKept) {
            self.input = Vec::new();
            self.filled = 0;
        }
    }

    /// The thread ends: what it took and has not handed over yet is the engine's to give up.
    pub fn finish(&mut self) {
        self.hand_over(self.network.clock.now(), |_| ());
    }

    /// Hands over what was taken, and asks the engine something more in the same visit.
    fn hand_over<R>(&mut self, now: Time, ask: impl FnOnce(&mut Engine<Batch>) -> R) -> R {
        let taken = &mut self.taken;
        let answer = self.network.visit(|engine| {
            for (partition, collected) in taken.iter_mut() {
                Network::hand_over(engine, *partition, collected, now);
            }
            ask(engine)
        });
        self.taken.clear();
        answer
    }

    /// One round. Without a stream only what does not need one.
    pub fn step(&mut self, mut stream: Option<&mut dyn Stream>, now: Time) -> Step {
        if stream.is_some() || !mutant::is(Mutant::WakeWasEmpty) {
            self.look(now);
        }
        let reads = self.output.is_none() || !mutant::is(Mutant::WriteDoesNotRead);
        let read = stream.as_deref_mut().filter(|_| reads).map_or(Ok(()), |stream| self.read(stream, now));
        // Also when the connection is lost: what was taken out of its partition belongs to the engine, and this thread
        // may end before its next step.
        self.take_due(now);
        if let Err(error) = read {
            return Step::Close(error);
        }
        let closing = self.network.visit(|engine| engine.poll_close(self.connection, now));
        if let Some(reason) = closing {
            return Step::Close(reason);
        }
        let mut again = false;
        if let Some(stream) = stream {
            match self.write(stream, now) {
                Ok(more) => again = more,
                Err(error) => return Step::Close(error),
            }
        }
        let until = if again { now } else { self.next(now) };
        Step::Wait { until, writable: self.output.is_some() }
    }

    /// Partitions that are listed, or whose moment has come.
    fn look(&mut self, now: Time) {
        let mut listed = std::mem::take(&mut self.listed);
        if let Some(inbox) = self.network.accumulator.inbox(self.connection.0) {
            inbox.take(&mut listed);
        }
        for number in listed.drain(..) {
            if let Some(partition) = self.network.accumulator.partition(number).cloned() {
                // Cleared before the look: what comes later lists it again.
                partition.unlist();
                self.look_at(partition, now);
            }
        }
        self.listed = listed;
        while let Some(number) = self.schedule.pop(now) {
            if let Some(partition) = self.network.accumulator.partition(number).cloned() {
                self.look_at(partition, now);
            }
        }
        if self.network.accumulator.is_short() {
            // Somebody waits for memory: what is open counts as lingered.
            let open: Vec<u32> = self.schedule.numbers().collect();
            self.due.extend(open.into_iter().filter_map(|number| self.network.accumulator.partition(number).cloned()));
        }
    }

    fn look_at(&mut self, partition: Arc<Partition>, now: Time) {
        if partition.leader() != self.connection.0 {
            self.schedule.set(partition.number, Time::NEVER);
            return self.network.accumulator.list(&partition, Time::ZERO);
        }
        let mut collected = partition.collect(&self.network.accumulator, now);
        if collected.expires <= now {
            // Its time is over before anybody could take it: the engine says what became of it.
            partition.seal(&self.network.accumulator);
            let rest = partition.collect(&self.network.accumulator, now);
            collected.batches.extend(rest.batches);
            collected.gaps.extend(rest.gaps);
            collected.given_up.extend(rest.given_up);
            (collected.due, collected.expires, collected.deadline) = (rest.due, rest.expires, rest.deadline);
        }
        let is_due = collected.due <= now;
        let open = if is_due { collected.expires } else { collected.due };
        self.schedule.set(partition.number, open.min(collected.deadline));
        if is_due {
            self.due.push(Arc::clone(&partition));
        }
        self.keep(partition.number, collected);
    }

    fn keep(&mut self, number: u32, mut collected: Collected) {
        self.network.end_given_up(&mut collected);
        if !collected.batches.is_empty() || !collected.gaps.is_empty() {
            self.taken.push((number, collected));
        }
    }

    /// Hands over what was taken; seals what is due and would go out now, and takes that too.
    ///
    /// Where a batch has lingered, the others of the broker go with it, as the Java producer's do: one request carries
    /// them all, where each would else make one of its own when its time comes.
    fn take_due(&mut self, now: Time) {
        let connection = self.connection;
        let mut due = std::mem::take(&mut self.due);
        let traffic = !self.taken.is_empty();
        let open: Vec<u32> = if due.is_empty() { Vec::new() } else { self.schedule.numbers().collect() };
        let others = self.hand_over(now, |engine| {
            due.retain(|partition| engine.may_take(PartitionNumber(partition.number), now));
            let lingered: BTreeSet<u32> = due.iter().map(|partition| partition.number).collect();
            let mut others = open;
            others.retain(|number| {
                !lingered.is_empty() && !lingered.contains(number) && engine.would_take(PartitionNumber(*number), now)
            });
            others.extend(std::iter::from_fn(|| engine.poll_offered(connection, now)).map(|number| number.0));
            others
        });
        due.extend(others.into_iter().filter_map(|number| self.network.accumulator.partition(number).cloned()));
        if traffic || !due.is_empty() {
            self.plan_trim(now);
        }
        if due.is_empty() {
            return;
        }
        for partition in &due {
            partition.seal(&self.network.accumulator);
            let collected = partition.collect(&self.network.accumulator, now);
            self.schedule.set(partition.number, collected.due.min(collected.deadline));
            self.keep(partition.number, collected);
        }
        due.clear();
        self.due = due;
        self.hand_over(now, |_| ());
    }

    /// Reads what is there and hands whole responses to the engine.
    fn read(&mut self, stream: &mut dyn Stream, now: Time) -> Result<(), Error> {
        loop {
            if self.input.len() < self.filled + READ_BYTES {
                self.input.resize(self.filled + READ_BYTES, 0);
            }
            let outcome = stream.read(self.input.get_mut(self.filled..).unwrap_or(&mut []));
            match outcome {
                Ok(0) => return Err(Error::new(Code::UNREACHABLE, "the broker closed the connection")),
                Ok(count) => {
                    self.moved = None;
                    self.filled = (self.filled + count).min(self.input.len());
                    let room = self.input.len() > self.filled;
                    self.answer(now)?;
                    if room {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::new(Code::UNREACHABLE, format!("reading failed: {error}"))),
            }
        }
    }

    fn answer(&mut self, now: Time) -> Result<(), Error> {
        let mut start = 0;
        while let Some(prefix) = self.input.get(start..self.filled).and_then(|rest| rest.first_chunk::<4>()) {
            let length = usize::try_from(i32::from_be_bytes(*prefix)).ok();
            let connection = self.connection;
            let limit = self.network.visit(|engine| engine.frame_bytes_max(connection));
            let Some(length) = length.filter(|length| *length <= limit) else {
                let text = format!("the server sent a length of {}: not a Kafka broker", i32::from_be_bytes(*prefix));
                return Err(Error::new(Code::UNREACHABLE, text));
            };
            let end = start + 4 + length;
            let Some(frame) = self.input.get(start + 4..end).filter(|_| end <= self.filled) else { break };
            self.network.visit(|engine| engine.handle_frame(connection, frame, now))?;
            start = end;
        }
        if start > 0 {
            self.input.copy_within(start..self.filled, 0);
            self.filled -= start;
        }
        if self.filled == 0 && self.input.len() > INPUT_BYTES_KEPT {
            self.input = Vec::new();
        }
        Ok(())
    }

    /// Writes requests until there is none, or the socket takes no more. True: there may be more at once.
    fn write(&mut self, stream: &mut dyn Stream, now: Time) -> Result<bool, Error> {
        for _ in 0..REQUESTS_PER_STEP {
            if self.output.is_none() {
                self.output = self.transmit(now).map(Output::new);
            }
            let Some(output) = &mut self.output else { return Ok(false) };
            let failed = |error: io::Error| Error::new(Code::UNREACHABLE, format!("writing failed: {error}"));
            if !output.write(&mut |slices| stream.write(slices)).map_err(failed)? {
                return Ok(false);
            }
            let (connection, correlation_id) = (self.connection, output.correlation_id);
            self.output = None;
            self.moved = None;
            self.network.visit(|engine| engine.handle_written(connection, correlation_id, now));
        }
        Ok(true)
    }

    fn transmit(&mut self, now: Time) -> Option<Request<Batch>> {
        let connection = self.connection;
        let mut has_failed = false;
        loop {
            match self.network.visit(|engine| engine.poll_transmit(connection, now))? {
                Transmit::Request(request) => return Some(request),
                Transmit::Prepare(batches) => {
                    let is_done = self.network.prepare(&batches, &mut self.compressor);
                    // Others may be compressed already and go without these: it is asked once more.
                    if !is_done && has_failed {
                        self.lacks_reserve = true;
                        return None;
                    }
                    has_failed = !is_done;
                }
            }
        }
    }

    fn plan_trim(&mut self, now: Time) {
        self.trim = Some((now + TRIM_AFTER, self.network.accumulator.traffic().0));
    }

    /// Until when there is nothing to do.
    fn next(&mut self, now: Time) -> Time {
        if let Some((at, takes)) = self.trim.filter(|(at, _)| *at <= now) {
            let (takes_now, idle_bytes) = self.network.accumulator.traffic();
            let held = self.network.accumulator.memory_used().0;
            self.trim = (takes_now != takes || held > 0).then_some((at + TRIM_AFTER, takes_now));
            if takes_now == takes && idle_bytes > 0 {
                self.network.accumulator.trim();
            }
        }
        let reserve = if std::mem::take(&mut self.lacks_reserve) { now + RESERVE_RETRY } else { Time::NEVER };
        let trim = self.trim.map_or(Time::NEVER, |(at, _)| at);
        let connection = self.connection;
        let (engine, waiting) =
            self.network.visit(|engine| (engine.poll_timeout(connection), engine.partitions_in_need(connection)));
        self.moved = if waiting > 0 { self.moved.or(Some(now)) } else { None };
        if let Some(inbox) = self.network.accumulator.inbox(connection.0) {
            inbox.set_stalled(self.moved);
        }
        engine.min(self.schedule.next()).min(trim).min(reserve)
    }
}
