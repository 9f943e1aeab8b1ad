//! The real clocks.

use crate::time::Time;
use std::time::Instant;

/// The monotonic clock of one producer: [`Time`] counts from its creation.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Begins at one second, so that moments before the start can be said.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// This moment.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Time {
        let nanos = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Time(nanos.saturating_add(1_000_000_000))
    }

    /// Milliseconds since 1970, at most a tick (4 ms) late where the system has a coarse clock: a seventh of the cost.
    #[inline]
    #[must_use]
    pub fn wall_ms(&self) -> i64 {
        #[cfg(target_os = "linux")]
        {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
            time.tv_sec * 1000 + time.tv_nsec / 1_000_000
        }
        #[cfg(not(target_os = "linux"))]
        #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
        {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        }
    }
}
