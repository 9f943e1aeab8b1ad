//! The wire codec against other implementations and against hostile input. No network.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod describe_producers;
mod generate;
mod hostile;
mod messages;
mod oracle;
mod records;
mod vectors;
