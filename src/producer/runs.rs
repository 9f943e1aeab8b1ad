//! The records of one call on their way in: gathered by partition, and each run of them appended together.

use super::Record;
use super::life::Producer;
use super::timeout::Deadline;
use super::topics::Topic;
use crate::accumulator::{NewRecord, Partition, QUIET, Run};
use crate::code::Code;
use std::sync::Arc;

/// Where the records gathered last go to.
#[derive(Clone, Copy)]
struct Target<'p> {
    topic: &'p Topic,
    partition: &'p Arc<Partition>,
    is_sticky: bool,
}

/// Neighbours that go to the same partition are appended together, at the latest by [`Self::append`].
pub struct Runs<'p, 'r> {
    producer: &'p Producer,
    deadline: Deadline,
    now_ms: i64,
    target: Option<Target<'p>>,
    run: Run<'r>,
    accepted: usize,
}

impl Producer {
    /// For records of one call, until a moment: as [`Self::send_until`] each, but faster.
    #[inline(always)]
    #[must_use]
    pub fn runs<'r>(&self, deadline: Deadline) -> Runs<'_, 'r> {
        let now_ms = self.network.clock.wall_ms();
        Runs { producer: self, deadline, now_ms, target: None, run: Run::default(), accepted: 0 }
    }
}

impl<'r> Runs<'_, 'r> {
    /// One record more. It is accepted when [`Self::accepted`] says so.
    ///
    /// # Errors
    /// Those of [`Producer::send`], about the first record that is not accepted yet. [`Self::append`] must follow: what
    /// was gathered before a record that is refused is accepted all the same.
    #[inline(always)]
    pub fn add(&mut self, record: &Record<'r>) -> Result<(), Code> {
        let producer = self.producer;
        if self.run.records().is_empty() {
            producer.check_send(&mut self.deadline)?;
        }
        let topic = match self.target {
            Some(last) if last.topic.id == record.topic => last.topic,
            _ => producer.topics.get(record.topic)?,
        };
        let flags = if record.quiet { QUIET } else { 0 };
        let new = NewRecord::new(record.body(), record.timestamp_ms.unwrap_or(self.now_ms), record.opaque, flags);
        producer.check(record, &new)?;
        if topic.count() == 0 {
            self.append()?;
            producer.wait_for_metadata(topic, &mut self.deadline)?;
        }
        let (partition, is_sticky) = producer.target(topic, record)?;
        let is_same = |last: &Target<'_>| Arc::ptr_eq(last.partition, partition) && last.is_sticky == is_sticky;
        if self.run.is_full() || !self.target.as_ref().is_some_and(is_same) {
            self.append()?;
            self.target = Some(Target { topic, partition, is_sticky });
        }
        self.run.push(new);
        Ok(())
    }

    /// How many records are in.
    #[inline(always)]
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted
    }

    /// Appends what was gathered.
    ///
    /// # Errors
    /// Those of [`Producer::send`], about the first record that is not accepted; those behind it are forgotten.
    #[inline(never)]
    pub fn append(&mut self) -> Result<(), Code> {
        let appended = self.append_run();
        self.run.clear();
        appended
    }

    fn append_run(&mut self) -> Result<(), Code> {
        let producer = self.producer;
        let Some(Target { topic, mut partition, is_sticky }) = self.target else { return Ok(()) };
        let clock = || producer.network.clock.now();
        let mut rest = self.run.records();
        while let Some(first) = rest.first() {
            let appended = match producer.accumulator.append_run(partition, rest, is_sticky, &clock) {
                Ok(appended) => appended,
                Err(stall) => {
                    partition = producer.append_late(topic, partition, first, stall, self.deadline)?;
                    1
                }
            };
            self.accepted += appended;
            rest = rest.get(appended..).unwrap_or_default();
        }
        Ok(())
    }
}
