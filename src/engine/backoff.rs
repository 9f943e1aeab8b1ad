//! Exponential backoff with jitter (KIP-580), and the seeded generator that the jitter comes from.

use std::time::Duration;

/// splitmix64: small, good enough for jitter, the same on every machine.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

/// The wait after the `failures`-th failure in a row (1 is the first): `base` doubled each time up to `max`,
/// then ±20 %.
pub(super) fn backoff((base, max): (Duration, Duration), failures: u32, random: &mut Random) -> Duration {
    let doublings = failures.saturating_sub(1).min(32);
    let nanos = base.as_nanos().saturating_mul(1 << doublings).min(max.max(base).as_nanos());
    let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
    let percent = 80 + random.next() % 41;
    Duration::from_nanos((nanos / 100).saturating_mul(percent))
}
