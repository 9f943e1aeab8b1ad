//! Errors that brokers will answer because a fault says so.

use kurier::protocol::batch_header;
use kurier::protocol::broker_code as code;
use kurier::protocol::messages::produce::ProducePartitionResponse;

use crate::random::Random;

use super::partition::Key;

/// Which batches an error is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Any, and they are not appended.
    Before,
    /// Those that are appended all the same.
    After,
    /// Those that the broker knows again.
    Repeated,
}

/// What is odd about an answer to DescribeProducers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// It leaves the partition out.
    LeftOut,
    /// It has a later epoch than any that was given: somebody else uses the producer id.
    LaterEpoch,
    /// It is true, and right after it the topic is made anew.
    Anew,
}

/// The next `left` batches of a partition get this error.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) code: i16,
    pub(crate) when: When,
    pub(crate) left: u32,
}

/// The next `left` answers of an API get this error.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Few {
    pub(crate) code: i16,
    pub(crate) left: u32,
}

impl Few {
    pub(crate) fn take(&mut self) -> Option<i16> {
        self.left = self.left.checked_sub(1)?;
        Some(self.code)
    }
}

/// Everything that will be refused.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    pub(crate) produce: Vec<Refusal>,
    pub(crate) init: Few,
    /// What all but the first batch of a request are told; the first one is too large.
    pub(crate) last_words: Option<i16>,
    pub(crate) describe: Few,
    pub(crate) oddities: Vec<Oddity>,
    /// REBOOTSTRAP_REQUIRED, where the version has a place for it.
    pub(crate) metadata: Few,
    pub(crate) metadata_topics: Vec<(String, Few)>,
}

impl Refusals {
    /// The next error for a batch of this partition, if `fits` agrees.
    pub(crate) fn take(&mut self, topic: &str, partition: i32, when: When, fits: impl Fn(i16) -> bool) -> Option<i16> {
        if self.produce.is_empty() {
            return None;
        }
        let meant = |one: &&mut Refusal| one.when == when && one.partition == partition && one.topic == topic;
        let mut able = self.produce.iter_mut().filter(meant);
        let found = able.find(|one| one.left > 0 && fits(one.code))?;
        found.left -= 1;
        let error_code = found.code;
        self.produce.retain(|one| one.left > 0);
        Some(error_code)
    }

    /// The answer with that error; some errors name records (KIP-467).
    pub(crate) fn verdict(
        &self,
        error_code: i16,
        records: &[u8],
        random: &mut Random,
    ) -> (ProducePartitionResponse, Option<(Key, i64)>) {
        let mut response = ProducePartitionResponse { error_code, ..ProducePartitionResponse::default() };
        if matches!(error_code, code::INVALID_RECORD | code::INVALID_TIMESTAMP) {
            let count = match batch_header::batches(records).next() {
                Some(Ok(batch)) => batch.header.records_count.max(1) as u64,
                _ => 1,
            };
            let bad = random.range(0..=count.min(3));
            let mut indexes: Vec<i32> = (0..bad).map(|_| random.below(count) as i32).collect();
            indexes.sort_unstable();
            indexes.dedup();
            let message = |index: i32| (index % 2 == 0).then(|| format!("record {index} is not liked"));
            response.record_errors = indexes.into_iter().map(|index| (index, message(index))).collect();
        }
        if random.chance(50) {
            response.error_message = Some("refused by a fault".to_owned());
        }
        (response, None)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
