//! **kurier**: a Kafka producer in Rust behind a C ABI.
//!
//! A record is encoded once, in its final wire form, in the open batch of its partition; one blocking
//! network thread per broker sends batches; exactly one delivery comes back.
//!
//! # The rooms
//!
//! A room uses only what its row names. `tests/tidy.rs` reads this table and enforces it.
//!
//! | room          | what lives there                                            | may use                                         | unsafe |
//! |---------------|-------------------------------------------------------------|-------------------------------------------------|--------|
//! | `ffi`         | the C face: pointers in, codes out                          | all below                                       | yes    |
//! | `producer`    | the safe Rust API and only owner: settings, topics, life    | all below                                       | no     |
//! | `testcluster` | the embedded cluster: brokers in a box                      | protocol, sync, thread, time, code              | no     |
//! | `io`          | the world: sockets, names, the clock, one thread per broker | all below                                       | no     |
//! | `delivery`    | fates on their way back to the application                  | accumulator, protocol, sync, time, code, mutant | no     |
//! | `accumulator` | records into batches, and the memory they live in           | protocol, sync, time, code, mutant              | yes    |
//! | `engine`      | the brain, sans-io: cluster, sequences, verdicts            | protocol, time, code, mutant, coverage          | no     |
//! | `protocol`    | bytes to messages and back: pure functions                  | code                                            | no     |
//! | `sync`        | locks and atomics: the real ones, or loom's                 |                                                 | no     |
//! | `thread`      | threads: named, signals blocked, panics caught              |                                                 | yes    |
//! | `time`        | moments as numbers, and who is due at which                 |                                                 | no     |
//! | `code`        | the one error type                                          |                                                 | no     |
//! | `mutant`      | seeded bugs for the simulation's own test; else nothing     |                                                 | no     |
//! | `coverage`    | what the simulation has reached of the engine; else nothing |                                                 | no     |
//!
//! # The way of a record
//!
//! 1. `ffi/send.rs` checks pointers and borrows the record; nothing is copied.
//! 2. `producer/send.rs` finds the topic by its number and asks the partitioner.
//! 3. `accumulator/append.rs` reserves a span in the partition's open batch and encodes the record there.
//! 4. `io/pump.rs`, the loop of the broker's thread, takes closed batches; it seals lingered ones when they can go out.
//! 5. `engine/transmit.rs` gives them sequences and makes one request of batches of many partitions. `io/output.rs`
//!    adds checksums and writes it, and owns its bytes until the last one is out.
//! 6. `engine/answers.rs` judges the response: a fate for each batch, or another attempt.
//! 7. `delivery/mod.rs` queues the batch as one object; where the application reads, it becomes deliveries.
//!
//! # What holds everywhere
//!
//! - A request owns the bytes that it sends until they are written or its connection is dead. A fate frees nothing.
//! - No lock is held across a system call, a compression or a callback, and none is taken per record.
//! - The engine has no clock, thread or socket; whoever calls it passes the time.
//! - Nothing that comes from outside can make it panic, hang or grow without bound.

pub mod accumulator;
pub mod code;
pub mod coverage;
#[cfg(not(loom))]
pub mod delivery;
#[cfg(not(loom))]
pub mod engine;
#[cfg(not(loom))]
pub mod ffi;
#[cfg(not(loom))]
pub mod io;
pub mod mutant;
#[cfg(not(loom))]
pub mod producer;
pub mod protocol;
mod sync;
#[cfg(not(loom))]
pub mod testcluster;
mod thread;
pub mod time;
