//! Bytes to messages and back: pure functions, no state, no clock.
//!
//! Nothing here trusts a byte: each length and count is checked against the bytes that are there before anything is
//! allocated, so a message of n bytes never costs more than a small multiple of n. Nothing here panics.

#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)
)]
#![warn(missing_docs)]

pub mod batch_header;
pub mod broker_code;
pub mod checksum;
pub mod messages;
pub mod record;
pub mod varint;
pub mod wire;
