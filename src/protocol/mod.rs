//! Bytes to messages and back: pure functions, no state, no clock.

pub mod broker_code;
pub mod messages;
