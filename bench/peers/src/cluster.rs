//! The embedded cluster as a process of its own: examples-c/cluster.c, and it counts requests besides.

use std::io::BufRead as _;

use kurier::protocol::messages::ApiKey;
use kurier::testcluster::Cluster;

use crate::request::Failure;

/// Prints its address, then carries out the lines of standard input until their end; `requests` and `batches` answer
/// with how many there were.
pub fn run() -> Result<(), Failure> {
    let cluster = Cluster::start(1)?;
    println!("{}", cluster.address());
    for line in std::io::stdin().lock().lines() {
        match line?.as_str() {
            "requests" => println!("{}", cluster.requests(ApiKey::Produce)),
            "batches" => println!("{}", cluster.produce_batches()),
            command => match cluster.command(command) {
                Ok(()) => println!("OK"),
                Err(error) => println!("{error}"),
            },
        }
    }
    Ok(())
}
