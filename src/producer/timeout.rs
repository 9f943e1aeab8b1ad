//! How long a call may wait.

use crate::code::Code;
use crate::io::Clock;
use crate::time::Time;
use std::time::Duration;

/// How long a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// As long as the settings say: `max.block.ms` to be accepted and for metadata, `delivery.timeout.ms` in flush and
    /// close, without limit in poll.
    Default,
    /// At most this; zero never waits.
    Of(Duration),
}

impl Timeout {
    /// From the C API's number: -1 is the default, 0 never waits.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` below -1.
    pub fn from_ms(ms: i64) -> Result<Self, Code> {
        match ms {
            -1 => Ok(Self::Default),
            ms => u64::try_from(ms).map(|ms| Self::Of(Duration::from_millis(ms))).map_err(|_| Code::INVALID_ARGUMENT),
        }
    }

    pub(super) fn or(self, default: Duration) -> Duration {
        match self {
            Self::Default => default,
            Self::Of(span) => span,
        }
    }
}

/// When a call stops waiting. Calls that find what they need never read the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// It never waits.
    Now,
    /// So long after it first has to wait.
    After(Duration),
    /// At this moment of the producer's clock.
    At(Time),
}

impl Deadline {
    pub(super) fn after(span: Duration) -> Self {
        if span.is_zero() { Self::Now } else { Self::After(span) }
    }

    /// What is left of it, nothing when it is over. Fixes the moment when it is first asked.
    pub(super) fn left(&mut self, clock: &Clock) -> Duration {
        match *self {
            Self::Now => Duration::ZERO,
            Self::After(span) => {
                *self = Self::At(clock.now() + span);
                span
            }
            Self::At(end) => end.since(clock.now()),
        }
    }
}
