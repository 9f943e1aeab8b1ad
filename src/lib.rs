//! **kurier**: a Kafka producer in Rust behind a C ABI.
//!
//! A record is encoded once, in its final wire form, in the open batch of its partition; one blocking
//! network thread per broker sends batches; exactly one delivery comes back.
//!
//! # The rooms
//!
//! A room uses only what its row names. `tests/tidy.rs` reads this table and enforces it.
//!
//! | room          | what lives there                                               | may use                                             | unsafe |
//! |---------------|----------------------------------------------------------------|-----------------------------------------------------|--------|
//! | `ffi`         | the C face: pointers in, codes out                             | producer, testcluster, delivery, accumulator, time, code | yes |
//! | `producer`    | the safe Rust API and only owner: settings, topics, partitioners, life | io, testcluster, accumulator, engine, delivery, protocol, sync, thread, time, code | no |
//! | `io`          | the only room that touches the world: sockets, clock, threads  | accumulator, engine, delivery, protocol, sync, thread, time, code | no |
//! | `testcluster` | the embedded cluster: brokers in a box on real TCP ports       | protocol, sync, thread, time, code                  | no     |
//! | `accumulator` | records into batches, and the memory they live in              | protocol, sync, time, code                          | yes    |
//! | `engine`      | the brain, sans-io: cluster, connections, sequences, verdicts  | protocol, time, code                                | no     |
//! | `delivery`    | fates on their way back to the application                     | accumulator, sync, time, code                       | no     |
//! | `protocol`    | bytes to messages and back: pure functions                     | code                                                | no     |
//! | `sync`        | locks and atomics: the real ones, or loom's                    |                                                     | no     |
//! | `thread`      | threads of the library: named, signals blocked, panics caught  |                                                     | yes    |
//! | `time`        | a moment as a number, so that a test can make any moment       |                                                     | no     |
//! | `code`        | the one error type                                             |                                                     | no     |

pub mod accumulator;
pub mod code;
#[cfg(not(loom))]
pub mod delivery;
#[cfg(not(loom))]
pub mod engine;
#[cfg(not(loom))]
pub mod ffi;
#[cfg(not(loom))]
pub mod io;
#[cfg(not(loom))]
pub mod producer;
pub mod protocol;
mod sync;
#[cfg(not(loom))]
pub mod testcluster;
mod thread;
pub mod time;
