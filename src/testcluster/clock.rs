//! The clocks of the embedded cluster: the one room besides io that has any, since its brokers are real.

use std::time::{Instant, SystemTime};

/// Now, for deadlines.
#[expect(clippy::disallowed_methods, reason = "the brokers are real: their delays and waits take real time")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The wall clock, as Kafka tells time.
#[expect(clippy::disallowed_methods, reason = "log append time is the broker's wall clock")]
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
