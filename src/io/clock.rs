//! The real clocks, and one that goes only when it is told to.

use crate::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use crate::time::Time;
use std::sync::Arc;
use std::time::Instant;

/// The clocks of one producer: a monotonic one, whose [`Time`] counts from its creation, and the calendar's.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Real(Instant),
    Virtual(Arc<VirtualTime>),
}

/// What a virtual clock shows: whoever simulates the world sets it.
#[doc(hidden)]
#[derive(Debug)]
pub struct VirtualTime {
    nanos: AtomicU64,
    wall_ms: AtomicI64,
}

impl VirtualTime {
    /// Both clocks at these moments.
    #[must_use]
    pub fn at(now: Time, wall_ms: i64) -> Arc<Self> {
        Arc::new(Self { nanos: AtomicU64::new(now.0), wall_ms: AtomicI64::new(wall_ms) })
    }

    /// Sets both clocks.
    pub fn set(&self, now: Time, wall_ms: i64) {
        self.nanos.store(now.0, Ordering::Relaxed);
        self.wall_ms.store(wall_ms, Ordering::Relaxed);
    }
}

impl Clock {
    /// Begins at one second, so that moments before the start can be said.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn start() -> Self {
        Self(Source::Real(Instant::now()))
    }

    /// Shows what it is set to.
    #[doc(hidden)]
    #[must_use]
    pub fn showing(time: Arc<VirtualTime>) -> Self {
        Self(Source::Virtual(time))
    }

    /// This moment.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::Real(start) => {
                let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                Time(nanos.saturating_add(1_000_000_000))
            }
            Source::Virtual(time) => Time(time.nanos.load(Ordering::Relaxed)),
        }
    }

    /// Milliseconds since 1970, at most a tick (4 ms) late where the system has a coarse clock: a seventh of the cost.
    #[inline]
    #[must_use]
    pub fn wall_ms(&self) -> i64 {
        match &self.0 {
            Source::Real(_) => real_wall_ms(),
            Source::Virtual(time) => time.wall_ms.load(Ordering::Relaxed),
        }
    }
}

#[cfg(target_os = "linux")]
#[inline]
fn real_wall_ms() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

#[cfg(not(target_os = "linux"))]
#[inline]
#[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
fn real_wall_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
