//! The only room that touches the world: names, sockets, the clock, threads.
//!
//! One thread per connection, and in each of them one place where it waits. [`Network`] holds what they share; a
//! [`Pump`] is one thread's loop as a step function, without clock or socket of its own; `connection.rs` gives it both.

mod clock;
mod connection;
mod network;
mod output;
mod pump;
mod resolve;
mod schedule;
mod wake;

pub use clock::Clock;
pub use network::{LogCallback, Network, NetworkConfig, TopicBook};
pub use pump::{Pump, Step, Stream};
