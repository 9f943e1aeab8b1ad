//! The only room that touches the world: names, sockets, the clock, threads.
//!
//! One thread per connection, and in each of them one place where it waits. [`Network`] holds what they share; a
//! [`Pump`] is one round of its loop and [`Life`] the loop, step functions without a socket; `connection.rs` gives them
//! one. A [`Host`] starts the threads.

mod clock;
mod connection;
mod host;
mod life;
mod network;
mod output;
mod pump;
mod resolve;
mod wake;

pub use clock::{Clock, VirtualTime};
pub use host::Host;
pub use life::{Life, Turn};
pub use network::{LogCallback, Network, NetworkConfig, TopicBook};
pub use pump::{Pump, Step, Stream};
