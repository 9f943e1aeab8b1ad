//! What is to go wrong on purpose, until it is used up or `reset`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An error that the next answers of an API carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Place in `versions::APIS`.
    pub(super) api: usize,
    pub(super) code: i16,
    pub(super) left: u64,
    pub(super) topic: Option<String>,
    pub(super) partition: Option<i32>,
    /// Produce: the batch is appended all the same.
    pub(super) after_append: bool,
    /// Produce: the records of the batch that are bad, by their place (KIP-467).
    pub(super) records: Vec<i32>,
}

impl Failure {
    fn hits(&self, api: usize, topic: &str, partition: Option<i32>) -> bool {
        self.api == api
            && self.left > 0
            && self.topic.as_deref().is_none_or(|named| named == topic)
            && (partition.is_none() || self.partition.is_none() || self.partition == partition)
    }
}

/// A malformed answer, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hostile {
    NegativeLength,
    HugeLength,
    Truncated,
    HugeCount,
    WrongCorrelation,
    Garbage,
    ExtraPartition,
    OmitPartition,
    RepeatPartition,
    NotKafka,
    SlowByte,
}

impl Hostile {
    /// The catalogue.
    pub(super) const ALL: &[(&'static str, Self)] = &[
        ("negative_length", Self::NegativeLength),
        ("huge_length", Self::HugeLength),
        ("truncated", Self::Truncated),
        ("huge_count", Self::HugeCount),
        ("wrong_correlation", Self::WrongCorrelation),
        ("garbage", Self::Garbage),
        ("extra_partition", Self::ExtraPartition),
        ("omit_partition", Self::OmitPartition),
        ("repeat_partition", Self::RepeatPartition),
        ("not_kafka", Self::NotKafka),
        ("slow_byte", Self::SlowByte),
    ];
}

/// What is to become of one request, decided when it arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) delay: Duration,
    pub(super) throttle_ms: i32,
    pub(super) muted: bool,
    /// Close the connection before anything is done.
    pub(super) cut: bool,
    /// Do it, then close the connection without an answer.
    pub(super) drop: bool,
    pub(super) hostile: Option<Hostile>,
}

/// Everything that is to go wrong. APIs are places in `versions::APIS`.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) failures: Vec<Failure>,
    pub(super) delay: Duration,
    pub(super) delays: BTreeMap<usize, Duration>,
    pub(super) drops: u64,
    pub(super) cuts: u64,
    /// How many answers about producers come from one who is behind.
    pub(super) stale_producers: u64,
    /// By API: milliseconds, and how many answers still say so.
    pub(super) throttles: BTreeMap<usize, (i32, u64)>,
    pub(super) muted: BTreeSet<usize>,
    /// By API: what its answers look like, and how many still do.
    pub(super) hostile: BTreeMap<usize, (Hostile, u64)>,
}

/// Counts one of `left` off; `true` if there was one.
fn use_one(left: &mut u64) -> bool {
    let any = *left > 0;
    *left = left.saturating_sub(1);
    any
}

impl Faults {
    /// Decides about a request of an API; what is counted is counted now.
    pub(super) fn plan(&mut self, api: usize, is_produce: bool) -> Plan {
        let throttle = self.throttles.get_mut(&api).filter(|(_, left)| *left > 0);
        let throttle_ms = throttle.map_or(0, |(throttle_ms, left)| {
            *left -= 1;
            *throttle_ms
        });
        let hostile = self.hostile.get_mut(&api).filter(|(_, left)| *left > 0).map(|(kind, left)| {
            *left -= 1;
            *kind
        });
        let cut = is_produce && use_one(&mut self.cuts);
        Plan {
            delay: self.delays.get(&api).copied().unwrap_or(self.delay),
            throttle_ms,
            muted: self.muted.contains(&api),
            cut,
            drop: is_produce && !cut && use_one(&mut self.drops),
            hostile,
        }
    }

    /// Does the next answer about producers come from one who is behind?
    pub(super) fn is_producers_answer_stale(&mut self) -> bool {
        use_one(&mut self.stale_producers)
    }

    /// The error that each target of one answer gets: code, and whether it is appended all the same. A failure
    /// counts once per answer, however many of its targets it hits. `None` as a partition hits those of a
    /// failure that names one, too.
    pub(super) fn fail(&mut self, api: usize, targets: &[(&str, Option<i32>)]) -> Vec<Option<Failure>> {
        if self.failures.is_empty() {
            return vec![None; targets.len()];
        }
        let mut used = BTreeSet::new();
        let hits = targets
            .iter()
            .map(|(topic, partition)| {
                let place = self.failures.iter().position(|failure| failure.hits(api, topic, *partition))?;
                used.insert(place);
                self.failures.get(place).cloned()
            })
            .collect();
        for place in used {
            if let Some(failure) = self.failures.get_mut(place) {
                failure.left -= 1;
            }
        }
        self.failures.retain(|failure| failure.left > 0);
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(left: u64) -> Failure {
        Failure { api: 0, code: 6, left, topic: None, partition: None, after_append: false, records: Vec::new() }
    }

    #[test]
    fn a_failure_counts_answers_and_not_partitions() {
        let mut faults = Faults { failures: vec![failure(2)], ..Faults::default() };
        for _ in 0..2 {
            let hits = faults.fail(0, &[("a", Some(0)), ("b", Some(7))]);
            assert!(hits.iter().all(|hit| hit.as_ref().is_some_and(|hit| hit.code == 6)));
        }
        assert_eq!(faults.fail(0, &[("a", Some(0))]), [None]);
    }

    #[test]
    fn a_failure_hits_what_it_names() {
        let named = Failure { topic: Some("a".into()), partition: Some(1), ..failure(1) };
        let mut faults = Faults { failures: vec![named], ..Faults::default() };
        assert_eq!(faults.fail(1, &[("a", Some(1))]), [None], "another API");
        assert_eq!(faults.fail(0, &[("a", Some(0)), ("b", Some(1))]), [None, None]);
        let hits = faults.fail(0, &[("a", Some(0)), ("a", Some(1))]);
        assert!(hits[0].is_none() && hits[1].is_some());
    }

    #[test]
    fn the_next_requests_are_cut_then_dropped_and_only_produce() {
        let mut faults = Faults { cuts: 1, drops: 1, ..Faults::default() };
        assert_eq!(faults.plan(3, false), Plan::default());
        assert_eq!(faults.plan(0, true), Plan { cut: true, ..Plan::default() });
        assert_eq!(faults.plan(0, true), Plan { drop: true, ..Plan::default() });
        assert_eq!(faults.plan(0, true), Plan::default());
    }
}
