//! Which partition a record gets: the classes of `partitioner.class` and the application's own.

mod hash;
mod sticky;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

pub use hash::{crc32, fnv1a, murmur2};
pub use sticky::{Random, Sticky, choose};

use crate::code::Code;

/// An application's partitioner: topic, key, partition count. Returns 0 to count - 1; -1: as without it; else the
/// record is refused.
pub type Partitioner = Arc<dyn Fn(u32, Option<&[u8]>, i32) -> i32 + Send + Sync>;

/// `partitioner.class`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionerClass {
    /// Java's since KIP-794: the key's hash, sticky for a null key.
    Default,
    /// librdkafka's: murmur2 of the key, a null key as an empty one.
    Murmur2,
    /// librdkafka's name for Java's: murmur2 of the key, sticky for a null key.
    Murmur2Random,
    /// librdkafka's: CRC-32 of the key, a null key as an empty one.
    Consistent,
    /// librdkafka's default: CRC-32 of the key, sticky for a null or empty key.
    ConsistentRandom,
    /// librdkafka's (and Sarama's): FNV-1a of the key, a null key as an empty one.
    Fnv1a,
    /// FNV-1a of the key, sticky for a null key.
    Fnv1aRandom,
    /// Java's `RoundRobinPartitioner`: one after the other, whatever the key.
    RoundRobin,
    /// librdkafka's: any, whatever the key; sticky for a null key.
    Random,
}

/// How a class deals with one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The key decides, for ever.
    Partition(i32),
    /// The topic's sticky partition.
    Sticky,
    /// The topic's next partition.
    Next,
    /// Any partition.
    Any,
}

impl PartitionerClass {
    /// The one of this name in the settings table; the default for any other.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "murmur2" => Self::Murmur2,
            "murmur2_random" => Self::Murmur2Random,
            "consistent" => Self::Consistent,
            "consistent_random" => Self::ConsistentRandom,
            "fnv1a" => Self::Fnv1a,
            "fnv1a_random" => Self::Fnv1aRandom,
            "round_robin" => Self::RoundRobin,
            "random" => Self::Random,
            _ => Self::Default,
        }
    }

    /// Whether it ever leaves the choice to the sticky partition.
    #[must_use]
    pub fn is_sticky(self) -> bool {
        matches!(self, Self::Default | Self::Murmur2Random | Self::ConsistentRandom | Self::Fnv1aRandom | Self::Random)
    }

    /// What it does with this key. Every partition counts for a hash, also one without leader. `count` is at least 1.
    #[must_use]
    #[inline]
    pub fn choice(self, key: Option<&[u8]>, count: i32) -> Choice {
        let bytes = key.unwrap_or_default();
        match (self, key) {
            (Self::RoundRobin, _) => Choice::Next,
            (Self::Random, Some(_)) => Choice::Any,
            (Self::Default | Self::Murmur2Random | Self::Fnv1aRandom | Self::Random, None) => Choice::Sticky,
            (Self::ConsistentRandom, _) if bytes.is_empty() => Choice::Sticky,
            (Self::Default | Self::Murmur2 | Self::Murmur2Random, _) => {
                Choice::Partition(modulo(murmur2(bytes) & 0x7fff_ffff, count))
            }
            (Self::Consistent | Self::ConsistentRandom, _) => Choice::Partition(modulo(crc32(bytes), count)),
            (Self::Fnv1a | Self::Fnv1aRandom, _) => Choice::Partition(modulo(fnv1a(bytes), count)),
        }
    }
}

/// What a producer's settings and callback make of records: shared by its topics.
#[derive(Clone)]
pub struct Partitioning {
    /// `partitioner.class`.
    pub class: PartitionerClass,
    /// `partitioner.ignore.keys`: only of the default class.
    pub ignore_keys: bool,
    /// The application's, asked first.
    pub own: Option<Partitioner>,
}

/// A record's partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picked {
    /// 0 to count - 1.
    pub partition: i32,
    /// The sticky choice: who appends it and finds a batch's end tells [`Sticky::moved`].
    pub sticky: bool,
}

/// What a topic remembers for choosing.
#[derive(Debug)]
pub struct TopicPartitioner {
    /// The partition of records whose key does not decide.
    pub sticky: Sticky,
    next: AtomicU32,
    random: Random,
}

impl TopicPartitioner {
    /// Nothing is chosen yet; the seed makes the choices.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { sticky: Sticky::new(), next: AtomicU32::new(0), random: Random::new(seed) }
    }

    /// The next random number of this topic: for [`Sticky::moved`].
    pub fn random(&self) -> u64 {
        self.random.next()
    }

    /// The partition for a record of topic `topic` with `count` partitions. `load` tells a partition's queue length,
    /// `None` if it has no leader or its broker is stuck; only choices that no key makes ask for it.
    ///
    /// # Errors
    /// `UNKNOWN_PARTITION` if there is none, or if the application's partitioner answers one that there is not.
    #[inline(always)]
    pub fn pick(
        &self,
        rules: &Partitioning,
        topic: u32,
        key: Option<&[u8]>,
        count: i32,
        load: impl Fn(i32) -> Option<u32>,
    ) -> Result<Picked, Code> {
        if count < 1 {
            return Err(Code::UNKNOWN_PARTITION);
        }
        let fixed = |partition| Ok(Picked { partition, sticky: false });
        if let Some(own) = &rules.own {
            match own(topic, key, count) {
                -1 => {}
                partition if (0..count).contains(&partition) => return fixed(partition),
                _ => return Err(Code::UNKNOWN_PARTITION),
            }
        }
        let key = if rules.ignore_keys && rules.class == PartitionerClass::Default { None } else { key };
        match rules.class.choice(key, count) {
            Choice::Partition(partition) => fixed(partition),
            Choice::Sticky => {
                let partition = self.sticky.current(|| choose(load, count, self.random.next()));
                Ok(Picked { partition, sticky: true })
            }
            Choice::Next => fixed(self.next_available(count, |partition| load(partition).is_some())),
            Choice::Any => {
                // librdkafka draws a second time, and only once, if the first has no leader.
                let first = any(self.random.next(), count);
                let partition = if load(first).is_some() { first } else { any(self.random.next(), count) };
                fixed(partition)
            }
        }
    }

    /// One after the other; the turns of those without leader are spread over the others one by one, so that every
    /// available partition gets the same, as from Java's count through a list of them, without a list per record.
    fn next_available(&self, count: i32, available: impl Fn(i32) -> bool) -> i32 {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let partition = modulo(turn, count);
        if available(partition) {
            return partition;
        }
        let others = (0..count).filter(|partition| available(*partition)).count();
        let round = usize::try_from(turn / count.unsigned_abs().max(1)).unwrap_or(0);
        let place = round.checked_rem(others).unwrap_or(0);
        (0..count).filter(|partition| available(*partition)).nth(place).unwrap_or(partition)
    }
}

fn any(random: u64, count: i32) -> i32 {
    i32::try_from(sticky::below(random, u64::try_from(count).unwrap_or(1))).unwrap_or(0)
}

/// The remainder of an unsigned hash: what Java's and C's operators give for the hashes used here.
fn modulo(hash: u32, count: i32) -> i32 {
    u32::try_from(count)
        .ok()
        .and_then(|count| hash.checked_rem(count))
        .and_then(|rest| i32::try_from(rest).ok())
        .unwrap_or(0)
}
