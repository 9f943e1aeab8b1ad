//! Moments as plain numbers, and who is due at which. Nothing here reads a clock: whoever has one passes a [`Time`] in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment of a monotonic clock, in nanoseconds since a start that only its clock knows.
///
/// Arithmetic saturates: [`Time::NEVER`] plus anything is still never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The first moment.
    pub const ZERO: Self = Self(0);
    /// Later than every moment that comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The time from `earlier` to `self`, zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// `None` for [`Time::NEVER`].
    #[must_use]
    pub fn finite(self) -> Option<Self> {
        (self != Self::NEVER).then_some(self)
    }
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }
}

/// When each of many, known by small numbers, is due: one moment each.
///
/// A moment that is replaced stays in the heap until it comes to the top or there are too many such, so that changing
/// one costs little, however many there are.
#[derive(Debug, Default)]
pub struct Schedule {
    /// By number; [`Time::NEVER`]: none.
    moments: Vec<Time>,
    /// How many have one.
    len: usize,
    /// What stands here counts where `moments` says the same. The top one does.
    heap: BinaryHeap<Reverse<(Time, u32)>>,
}

impl Schedule {
    /// The moment of `number`, in place of the one it had; [`Time::NEVER`]: none any more.
    pub fn set(&mut self, number: u32, at: Time) {
        let before = self.at(number);
        if before == at {
            return;
        }
        let place = number as usize;
        if place >= self.moments.len() {
            self.moments.resize(place + 1, Time::NEVER);
        }
        self.moments[place] = at;
        self.len = self.len + usize::from(at != Time::NEVER) - usize::from(before != Time::NEVER);
        if at != Time::NEVER {
            self.heap.push(Reverse((at, number)));
        }
        self.tidy();
    }

    /// The moment of `number`.
    #[must_use]
    pub fn at(&self, number: u32) -> Time {
        self.moments.get(number as usize).copied().unwrap_or(Time::NEVER)
    }

    /// The first moment of all.
    #[must_use]
    pub fn next(&self) -> Time {
        self.heap.peek().map_or(Time::NEVER, |Reverse((at, _))| *at)
    }

    /// Takes out the first one whose moment has come.
    pub fn pop(&mut self, now: Time) -> Option<u32> {
        let Reverse((_, number)) = *self.heap.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.set(number, Time::NEVER);
        Some(number)
    }

    /// All who have a moment, in no order, perhaps one of them twice.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.heap.iter().filter(|Reverse((at, number))| self.at(*number) == *at).map(|Reverse((_, number))| *number)
    }

    /// How many have a moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn tidy(&mut self) {
        let moments = &self.moments;
        let counts = |Reverse((at, number)): &Reverse<(Time, u32)>| moments.get(*number as usize) == Some(at);
        if self.heap.len() > 2 * self.len + 64 {
            self.heap.retain(counts);
        }
        while self.heap.peek().is_some_and(|top| !counts(top)) {
            self.heap.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Schedule, Time};
    use std::collections::BTreeMap;

    #[test]
    fn it_says_what_a_sorted_map_says() {
        let (mut schedule, mut map) = (Schedule::default(), BTreeMap::new());
        let mut random: u64 = 7;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (number, at, what) = ((random >> 60) as u32, Time(random >> 40 & 31), random >> 33 & 3);
            match what {
                0 => {
                    schedule.set(number, Time::NEVER);
                    map.remove(&number);
                }
                1 => {
                    let due = map.values().min().copied().filter(|first| *first <= at);
                    let popped = schedule.pop(at);
                    assert_eq!(popped.and_then(|number| map.remove(&number)), due);
                }
                _ => {
                    schedule.set(number, at);
                    map.insert(number, at);
                }
            }
            let mut numbers: Vec<u32> = schedule.numbers().collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert!(numbers.into_iter().eq(map.keys().copied()));
            assert_eq!(schedule.len(), map.len());
            assert_eq!(schedule.next(), map.values().min().copied().unwrap_or(Time::NEVER));
            assert!(schedule.heap.len() <= 2 * map.len() + 64, "what was replaced does not pile up");
        }
    }
}
