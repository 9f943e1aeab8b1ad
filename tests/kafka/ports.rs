//! Ports of 127.0.0.1 that stay ours: also while a broker is down between two lives, and also against other test
//! processes that look for ports at the same moment.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};

/// Below the range from which systems take the ports of outgoing connections (Linux 32768, others 49152): with port 0
/// a client's own connection could take the port of a broker that is being restarted.
const FIRST: u16 = 15_000;
const LAST: u16 = 32_000;

/// A port, and the lock that keeps it ours as long as this lives.
#[derive(Debug)]
pub struct Port {
    /// Its number.
    pub number: u16,
    _lock: File,
}

/// `count` free ports.
pub fn free_ports(count: usize) -> Vec<Port> {
    let directory = std::env::temp_dir().join("kurier-test-ports");
    fs::create_dir_all(&directory).unwrap();
    // Runs that start at different places rarely meet; where they do, the lock decides.
    let span = LAST - FIRST;
    let start = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(span)).unwrap();
    let candidates = (0..span).map(|step| FIRST + (start + step) % span);
    let ports: Vec<Port> = candidates.filter_map(|number| claim(&directory, number)).take(count).collect();
    assert_eq!(ports.len(), count, "not enough free ports between {FIRST} and {LAST}");
    ports
}

fn claim(directory: &std::path::Path, number: u16) -> Option<Port> {
    let lock = File::create(directory.join(number.to_string())).ok()?;
    lock.try_lock().ok()?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
    Some(Port { number, _lock: lock })
}
