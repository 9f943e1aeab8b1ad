//! How batches end, and what their end means for the sequence of their partition.

use super::connection::Part;
use super::inquiry::Inquiry;
use super::sending::{Batch, Next, State};
use super::{Action, ConnectionNumber, Engine, Fate, Level, Parcel, PartitionNumber};
use crate::code::{Code, Outcome};
use crate::coverage::{Arm, reached};
use crate::mutant::{self, Mutant};
use crate::time::Time;

/// What a batch ends with; the outcome follows from what happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doom {
    pub(super) code: Code,
    pub(super) broker_code: i16,
}

/// Where and when a batch was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) base_offset: i64,
    pub(super) log_append_time_ms: i64,
}

impl Written {
    /// In the log, at an offset that nobody told.
    pub(super) const SOMEWHERE: Self = Self { base_offset: -1, log_append_time_ms: -1 };
}

fn attempts(count: u32) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

impl<B: Parcel> Engine<B> {
    /// Ends a batch without success. One that is being split ends when its halves arrive.
    pub(super) fn fail(&mut self, number: PartitionNumber, place: usize, doom: Doom, record_codes: Vec<(u32, i16)>) {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        let Some(batch) = partition.queue.get_mut(place) else { return };
        if batch.state == (State::Splitting { asked: true }) {
            reached(Arm::EndSplitting);
            batch.doom.get_or_insert(doom);
            return;
        }
        let Some(batch) = partition.queue.remove(place) else { return };
        if partition.line.inquiry == Inquiry::Proving(batch.serial) {
            partition.line.inquiry = Inquiry::None;
        }
        let is_flying = batch.state == State::Flying && !mutant::is(Mutant::ExpiryMeansNotWritten);
        let outcome = if batch.open || is_flying { Outcome::Unknown } else { Outcome::NotWritten };
        reached(match batch.stamp {
            None => Arm::EndUnsequenced,
            Some(_) if batch.open => Arm::EndOpen,
            Some(_) if is_flying => Arm::EndFlying,
            Some(_) => Arm::EndNotWritten,
        });
        if let Some(stamp) = batch.stamp {
            if mutant::is(Mutant::SequencesMoveDown) {
                let records = batch.parcel.records();
                partition
                    .queue
                    .iter_mut()
                    .filter_map(|batch| batch.stamp.as_mut())
                    .for_each(|stamp| stamp.first -= records.cast_signed());
            }
            if mutant::is(Mutant::SequenceReuse) && !partition.has_stamped() {
                partition.line.next = stamp.first;
            }
            match outcome {
                // Rule 8: only when nothing is in flight it can be told what became of its sequence.
                Outcome::Unknown => partition.line.unresolved = true,
                // Rule 14: nobody will ever fill this gap, and everything behind it would be refused.
                _ => partition.line.bump = partition.line.bump.or(Some(doom.broker_code)),
            }
        }
        let fate = Fate {
            code: doom.code,
            broker_code: doom.broker_code,
            outcome,
            base_offset: -1,
            log_append_time_ms: -1,
            attempts: attempts(batch.attempts),
            record_codes,
        };
        self.actions.push_back(Action::Fate(number, batch.parcel, fate));
    }

    /// Ends a batch with success. `None`: nobody answered (`acks=0`), so nothing is known.
    pub(super) fn deliver(&mut self, number: PartitionNumber, place: usize, written: Option<Written>) {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        let Some(batch) = partition.queue.remove(place) else { return };
        // A broker that knows a batch again answers with that batch's largest timestamp as the time of its appending,
        // whatever the topic's timestamp type is (UnifiedLog.append): then the records' own timestamps stand.
        let is_known_again = |time_ms: &i64| batch.attempts > 1 && *time_ms == batch.parcel.max_timestamp_ms();
        let log_append_time_ms = written.map(|written| written.log_append_time_ms);
        let fate = Fate {
            code: Code::OK,
            broker_code: 0,
            outcome: if written.is_some() { Outcome::Written } else { Outcome::Unknown },
            base_offset: written.map_or(-1, |written| written.base_offset),
            log_append_time_ms: log_append_time_ms
                .filter(|time_ms| !is_known_again(time_ms) && !mutant::is(Mutant::AppendTimeDropped))
                .unwrap_or(-1),
            attempts: attempts(batch.attempts),
            record_codes: Vec::new(),
        };
        self.actions.push_back(Action::Fate(number, batch.parcel, fate));
    }

    /// Refuses a batch that never got into the queue.
    pub(super) fn refuse(&mut self, number: PartitionNumber, parcel: B, doom: Doom) {
        let fate = Fate {
            code: doom.code,
            broker_code: doom.broker_code,
            outcome: Outcome::NotWritten,
            base_offset: -1,
            log_append_time_ms: -1,
            attempts: 0,
            record_codes: Vec::new(),
        };
        self.actions.push_back(Action::Fate(number, parcel, fate));
    }

    /// Ends every batch of a partition that `which` names, and everything that has not got into its queue
    /// if `arriving`. How many records.
    pub(super) fn fail_where(
        &mut self,
        number: PartitionNumber,
        arriving: bool,
        doom: Doom,
        which: impl Fn(&Batch<B>) -> bool,
    ) -> usize {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return 0 };
        let mut records = 0;
        let mut early = Vec::new();
        if arriving {
            early.extend(partition.arriving.values_mut().filter_map(Option::take));
        }
        let doomed: Vec<u64> = partition
            .queue
            .iter()
            .filter(|batch| batch.doom.is_none() && which(batch))
            .map(|batch| {
                records += batch.parcel.records() as usize;
                batch.serial
            })
            .collect();
        for serial in doomed {
            let place = self.partitions.get(number.0 as usize).and_then(|partition| partition.place(serial));
            if let Some(place) = place {
                self.fail(number, place, doom, Vec::new());
            }
        }
        for parcel in early {
            records += parcel.records() as usize;
            self.refuse(number, parcel, doom);
        }
        records
    }

    /// Brings a partition's lists, timer and sequence up to date after anything that happened to it.
    pub(super) fn settle(&mut self, number: PartitionNumber, now: Time) {
        if self.fatal.is_none() {
            self.resolve(number);
        }
        self.ask_split(number);
        self.track(number, now);
    }

    /// Decides about a new epoch when nothing of the partition is on the wire any more (rules 7, 8 and 14).
    fn resolve(&mut self, number: PartitionNumber) {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        if partition.in_flight > 0 {
            return;
        }
        partition.retrying = false;
        let is_unresolved = partition.line.unresolved && !partition.has_stamped();
        if is_unresolved && partition.line.bump.is_none() && partition.line.is_complete() {
            reached(Arm::ResolveComplete);
            partition.line.unresolved = false;
        }
        let needs_decision = partition.line.bump.is_some() || (partition.line.unresolved && is_unresolved);
        let is_asking = matches!(partition.line.inquiry, Inquiry::Wanted | Inquiry::Asked(_));
        if !needs_decision || is_asking || self.is_splitting(number) || self.deliver_overtaken(number) {
            return;
        }
        if self.is_worth_asking(number) {
            reached(Arm::ResolveAsk);
            self.want_to_ask(number);
        } else {
            let code = self.partitions.get(number.0 as usize).and_then(|partition| partition.line.bump);
            self.bump(number, code.unwrap_or(0));
        }
    }

    /// Takes the partition to a new epoch: what is unfinished gets new sequences from 0 when it is taken.
    ///
    /// Rewriting is safe for a batch of which every attempt was refused before it was appended. A batch with
    /// an attempt whose end is open may be in the log under its old sequence, where no broker would recognise
    /// it under the new one: it ends here with an unknown outcome, never as a silent second copy. (Java
    /// rewrites and resends it: 2,801 of 310,000 records twice in three broker restarts; librdkafka issue
    /// 4953 reports the same from a leader change.)
    pub(super) fn bump(&mut self, number: PartitionNumber, code: i16) {
        let Some(partition) = self.partitions.get(number.0 as usize) else { return };
        let resends = self.config.resend_unknown || mutant::is(Mutant::BumpBeforeAsking);
        let open = partition.stamped().filter(|batch| batch.open && !resends).map(|batch| batch.serial);
        let open: Vec<u64> = open.collect();
        if !open.is_empty() {
            reached(Arm::BumpOpen);
        } else if resends && partition.stamped().any(|batch| batch.open) {
            reached(Arm::BumpResends);
        }
        for serial in open {
            let place = self.partitions.get(number.0 as usize).and_then(|partition| partition.place(serial));
            if let Some(place) = place {
                self.fail(number, place, Doom { code: Code::REJECTED, broker_code: code }, Vec::new());
            }
        }
        if mutant::is(Mutant::ProducerWideBump) {
            for other in &mut self.partitions {
                other.queue.iter_mut().for_each(|batch| batch.stamp = None);
                other.line.restart();
            }
        }
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        partition.stamped_mut().for_each(|batch| batch.stamp = None);
        // Another partition may have bumped already: its epoch is new to this one too.
        if partition.line.generation == self.identity.generation {
            self.identity.bump();
            reached(if self.identity.current.is_some() { Arm::BumpNext } else { Arm::BumpNewId });
        } else {
            reached(Arm::BumpFollows);
        }
        partition.line.restart();
        let what = match self.identity.current {
            Some(identity) => format!("epoch {}", identity.epoch),
            None => "a new producer id".into(),
        };
        let why = if code == 0 { "an unknown outcome".into() } else { format!("broker error {code}") };
        let line = format!("{} goes on under {what} after {why}", self.name(number));
        self.log(Level::Warn, line);
        if self.identity.current.is_none() {
            self.wake(ConnectionNumber::BOOTSTRAP);
        }
    }

    /// Has the first too large batch split, one of a partition at a time: [`Engine::handle_split`] does not
    /// say which batch it is about. (A half that is too large again stands before a batch that is being split.)
    fn ask_split(&mut self, number: PartitionNumber) {
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        // What was never sent stands behind what was.
        let mut sent = partition.queue.iter().take_while(|batch| batch.attempts > 0);
        if sent.any(|batch| batch.state == (State::Splitting { asked: true })) {
            return;
        }
        let mut sent = partition.queue.iter_mut().take_while(|batch| batch.attempts > 0);
        let waiting = sent.find(|batch| batch.state == (State::Splitting { asked: false }));
        if let Some(batch) = waiting {
            batch.state = State::Splitting { asked: true };
            let parcel = batch.parcel.clone();
            self.actions.push_back(Action::Split(number, parcel));
        }
    }

    /// Timer, ready list and need of a connection.
    pub(super) fn track(&mut self, number: PartitionNumber, now: Time) {
        let (idempotent, in_flight_max) = (self.config.is_idempotent(), self.config.partition_in_flight_max());
        let delivery_timeout = self.config.delivery_timeout;
        let Some(partition) = self.partitions.get_mut(number.0 as usize) else { return };
        let Some(connection) = self.connections.get_mut(partition.connection.0 as usize) else { return };

        let is_waiting = !partition.queue.is_empty() || !partition.arriving.is_empty();
        let mut timer = partition.expiry(delivery_timeout);
        if partition.backoff_until > now && (is_waiting || partition.is_offered) {
            timer = timer.min(partition.backoff_until);
        }
        let mut is_changed = timer < connection.timers.at(number.0);
        connection.timers.set(number.0, timer);

        let is_busy = is_waiting || partition.is_offered;
        if is_busy != partition.is_busy {
            partition.is_busy = is_busy;
            connection.busy = if is_busy { connection.busy + 1 } else { connection.busy.saturating_sub(1) };
            is_changed |= is_busy;
        }

        let next = partition.next(&self.identity, idempotent, in_flight_max, now);
        match (matches!(next, Next::Take(_)), partition.ready_place) {
            (true, None) => {
                self.turn += 1;
                connection.ready.insert(self.turn, number);
                partition.ready_place = Some(self.turn);
                is_changed = true;
            }
            (false, Some(place)) => {
                connection.ready.remove(&place);
                partition.ready_place = None;
            }
            _ => {}
        }
        let asks = partition.line.inquiry == Inquiry::Wanted
            && partition.in_flight == 0
            && partition.backoff_until <= now
            && partition.connection != ConnectionNumber::BOOTSTRAP;
        if asks {
            is_changed |= connection.asking.insert(number);
        } else {
            connection.asking.remove(&number);
        }
        if next == Next::Room && partition.is_offered {
            is_changed |= connection.offered.insert(number);
        } else {
            connection.offered.remove(&number);
        }
        let connection = partition.connection;
        if is_changed {
            self.wake(connection);
        }
    }

    /// A batch of the partition is in the log: the sequence goes on, and this leader knows the producer id.
    /// `place`: where it stands in the queue, if it still does.
    pub(super) fn acknowledge(
        &mut self,
        part: &Part<B>,
        base_offset: i64,
        place: Option<usize>,
        from: ConnectionNumber,
    ) {
        let Some(stamp) = part.stamp else { return };
        if let Some(partition) = self.partitions.get_mut(part.partition.0 as usize) {
            partition.line.acknowledge(stamp, part.records, base_offset, place == Some(0));
            if partition.connection == from
                && partition.line.identity == Some(stamp.identity)
                && !std::mem::replace(&mut partition.line.proven, true)
            {
                let line = format!("{}: its leader accepts", self.name(part.partition));
                self.log(Level::Debug, line);
            }
        }
    }
}
