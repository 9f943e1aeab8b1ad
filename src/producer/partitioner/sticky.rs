//! The partition that keyless records share for a while (KIP-480), and the choice of the next one (KIP-794).

use std::sync::atomic::{AtomicU64, Ordering};

/// Most partitions that one choice looks at.
const CANDIDATES_MAX: i32 = 64;

/// A topic's sticky partition. A choice is a number and guards nothing, so every access is relaxed.
///
/// One word holds both: partition in the upper half (all ones: none chosen yet), bytes sealed there since in the
/// lower. So one compare-exchange moves it and starts the count anew, and nobody counts towards the wrong partition.
#[derive(Debug)]
pub struct Sticky(AtomicU64);

const NONE: u32 = u32::MAX;

impl Default for Sticky {
    fn default() -> Self {
        Self::new()
    }
}

impl Sticky {
    /// None is chosen yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(pack(NONE, 0)))
    }

    /// The partition: one relaxed load, but for the very first time, when `first` chooses it.
    #[inline(always)]
    pub fn current(&self, first: impl FnOnce() -> i32) -> i32 {
        let word = self.0.load(Ordering::Relaxed);
        if partition(word) == NONE { self.chosen_first(word, first) } else { signed(word) }
    }

    #[cold]
    fn chosen_first(&self, word: u64, first: impl FnOnce() -> i32) -> i32 {
        let chosen = pack(first().cast_unsigned(), 0);
        match self.0.compare_exchange(word, chosen, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => signed(chosen),
            Err(winner) => signed(winner),
        }
    }

    /// Called at a batch boundary, by who appended to `from` and found its batch sealed: `bytes` were sealed there.
    /// Once at least `bytes_min` (`batch.size`, or Java's 16 KiB if that is less) went there, `next` chooses a
    /// partition. Returns the partition to go on with; a loser takes the winner's.
    pub fn moved(&self, from: i32, bytes: usize, bytes_min: usize, next: impl FnOnce() -> i32) -> i32 {
        let mut word = self.0.load(Ordering::Relaxed);
        let mut next = Some(next);
        let mut chosen = None;
        while partition(word) == from.cast_unsigned() {
            let sum = (word & 0xffff_ffff).saturating_add(bytes as u64).min(u64::from(u32::MAX));
            let moves = sum >= bytes_min as u64;
            if moves && chosen.is_none() {
                chosen = next.take().map(|next| next());
            }
            let new = match chosen {
                Some(chosen) if moves => pack(chosen.cast_unsigned(), 0),
                _ => word & !0xffff_ffff | sum,
            };
            match self.0.compare_exchange(word, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return signed(new),
                // Another boundary of the same partition was counted meanwhile, or somebody moved.
                Err(now) => word = now,
            }
        }
        signed(word)
    }
}

const fn pack(partition: u32, bytes: u32) -> u64 {
    (partition as u64) << 32 | bytes as u64
}

const fn partition(word: u64) -> u32 {
    (word >> 32) as u32
}

const fn signed(word: u64) -> i32 {
    partition(word).cast_signed()
}

/// The next sticky partition of `count`. `load` tells a partition's queue length, `None` if it has no leader or its
/// broker is stuck. The chance of each is the longest queue + 1 - its own, so all alike while all are equal; of more
/// than 64 partitions a sample is looked at. If none of those is available the first available one counts, and if
/// there is none, any.
pub fn choose(load: impl Fn(i32) -> Option<u32>, count: i32, random: u64) -> i32 {
    let Some(partitions) = u64::try_from(count).ok().filter(|count| *count > 0) else {
        return 0;
    };
    let at = |index: u64| i32::try_from(index).unwrap_or(0);
    let mut weights = [(0_i32, 0_u64); CANDIDATES_MAX as usize];
    let mut found = 0;
    for (index, slot) in (0..partitions).zip(&mut weights) {
        let drawn = || below(mix(random.wrapping_add(index.wrapping_mul(GAMMA))), partitions);
        let candidate = at(if count > CANDIDATES_MAX { drawn() } else { index });
        if let Some(queue) = load(candidate) {
            *slot = (candidate, u64::from(queue) + 1);
            found += 1;
        }
    }
    let draw = mix(random ^ GAMMA);
    if found == 0 {
        let start = at(below(draw, partitions));
        return (start..count).chain(0..start).find(|partition| load(*partition).is_some()).unwrap_or(start);
    }
    // A slot with 0 is a partition that is left out; a queue is stored one longer than it is.
    let longest = weights.iter().map(|(_, queue)| *queue).max().unwrap_or(1);
    let weight = |queue: u64| if queue == 0 { 0 } else { longest + 1 - queue };
    let mut rest = below(draw, weights.iter().map(|(_, queue)| weight(*queue)).sum());
    for (partition, queue) in weights {
        match rest.checked_sub(weight(queue)) {
            Some(less) => rest = less,
            None => return partition,
        }
    }
    0
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// `SplitMix64`'s finalizer: a good 64-bit number out of a plain one.
const fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number below `bound` (0 if that is 0), without division.
pub(super) fn below(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

/// Random numbers for many threads (`SplitMix64`), from a seed.
#[derive(Debug)]
pub struct Random(AtomicU64);

impl Random {
    /// The same seed gives the same numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next.
    pub fn next(&self) -> u64 {
        mix(self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA))
    }
}
