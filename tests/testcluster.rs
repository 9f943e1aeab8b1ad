//! The embedded cluster as its clients see it: over TCP, in the bytes of the protocol.

#[path = "testcluster/answers.rs"]
mod answers;
#[path = "testcluster/brokers.rs"]
mod brokers;
#[path = "testcluster/client.rs"]
mod client;
#[path = "testcluster/describe_producers.rs"]
mod describe_producers;
#[path = "testcluster/faults.rs"]
mod faults;
#[path = "testcluster/hostile.rs"]
mod hostile;
#[path = "testcluster/idempotence.rs"]
mod idempotence;
#[path = "testcluster/produce.rs"]
mod produce;
#[path = "testcluster/read.rs"]
mod read;
