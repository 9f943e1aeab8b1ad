//! Settings of connections: how they are made, how long they stay, what sockets they have.

use std::net::{TcpListener, TcpStream};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use kurier::producer::{Config, Producer};

use crate::world::{NEVER, cluster, config, eventually, producer, producer_at, send_wait};

/// A server that never answers: it counts who comes, and closes or keeps them.
struct Silent {
    address: String,
    came: Arc<AtomicUsize>,
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Silent {
    fn start(keeps: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (came, closing): (Arc<AtomicUsize>, Arc<AtomicBool>) = (Arc::default(), Arc::default());
        let (count, over) = (Arc::clone(&came), Arc::clone(&closing));
        let thread = std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                count.fetch_add(1, Ordering::SeqCst);
                if let Some(stream) = stream.ok().filter(|_| keeps) {
                    kept.push(stream);
                }
            }
        });
        Self { address, came, closing, thread: Some(thread) }
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("no panic");
        }
    }
}

/// Two producers side by side, each before a silent server: how often the other came when the first has come so often.
fn beside(keeps: bool, settings: &[(&str, &str)], other: &[(&str, &str)], count: usize) -> usize {
    let (server, other_server) = (Silent::start(keeps), Silent::start(keeps));
    let producers = [producer_at(&server.address, settings), producer_at(&other_server.address, other)];
    for producer in &producers {
        producer.topic("t").expect("a name");
    }
    eventually("both try", || server.came() > 0 && other_server.came() > 0);
    eventually("one tries often", || server.came() >= count);
    other_server.came()
}

pub(crate) fn reconnect_backoff() {
    let seldom = beside(
        false,
        &[("reconnect.backoff.ms", "1"), ("reconnect.backoff.max.ms", "1")],
        &[("reconnect.backoff.ms", NEVER)],
        40,
    );
    assert_eq!(seldom, 1, "the next attempt is far away");
}

pub(crate) fn reconnect_backoff_max() {
    let settings = |max| [("reconnect.backoff.ms", "2"), ("reconnect.backoff.max.ms", max)];
    let doubling = beside(false, &settings("2"), &settings(NEVER), 100);
    assert!(doubling < 50, "{doubling} attempts although the time between them doubles");
}

const RECONNECT: [(&str, &str); 2] = [("reconnect.backoff.ms", "1"), ("reconnect.backoff.max.ms", "1")];

pub(crate) fn setup_timeout() {
    let settings = |ms| [&RECONNECT[..], &[("socket.connection.setup.timeout.ms", ms)]].concat();
    let hasty = [&settings("20")[..], &[("socket.connection.setup.timeout.max.ms", "20")]].concat();
    assert_eq!(beside(true, &hasty, &settings(NEVER), 10), 1, "it still waits for the first answer");
}

/// KIP-601: it doubles with each failure.
pub(crate) fn setup_timeout_max() {
    let settings = |max| {
        let times = [("socket.connection.setup.timeout.ms", "10"), ("socket.connection.setup.timeout.max.ms", max)];
        [&RECONNECT[..], &times].concat()
    };
    let doubling = beside(true, &settings("10"), &settings(NEVER), 60);
    assert!(doubling < 30, "{doubling} attempts although each may take twice as long as the last");
}

pub(crate) fn connections_max_idle() {
    let (short, long) = (cluster(1, &["create t 1"]), cluster(1, &["create t 1"]));
    let closing = producer(&short, &[("connections.max.idle.ms", "50")]);
    let keeping = producer(&long, &[("connections.max.idle.ms", "-1")]);
    for producer in [&closing, &keeping] {
        assert_eq!(send_wait(producer, "t", 0).code, 0);
    }
    eventually("it closes what nobody needs", || short.connections() == 0);
    assert!(long.connections() >= 1, "the other keeps them");
    assert_eq!(closing.status(), Ok(()), "idleness is no trouble");
    assert_eq!(send_wait(&closing, "t", 0).code, 0, "and connects again when it has to");
}

/// Send and receive buffer of this process's sockets that lead to this address.
fn buffers(address: &str) -> Vec<(usize, usize)> {
    let fds = std::fs::read_dir("/proc/self/fd").expect("a list of descriptors");
    let fds = fds.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    fds.filter_map(|fd| {
        #[allow(unsafe_code, reason = "asks about a descriptor of this process; a closed one is an error")]
        // SAFETY: the number is only used for questions, which fail if it is closed or no socket.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let socket = socket2::SockRef::from(&fd);
        let peer = socket.peer_addr().ok()?.as_socket()?;
        // Servers' sockets of the same connection have that as their own address.
        let found = peer.to_string() == address;
        found.then(|| Some((socket.send_buffer_size().ok()?, socket.recv_buffer_size().ok()?)))?
    })
    .collect()
}

/// The buffers of a producer's first connection.
fn buffers_with(settings: &[(&str, &str)]) -> (usize, usize) {
    let server = Silent::start(true);
    let producer = producer_at(&server.address, settings);
    producer.topic("t").expect("a name");
    let mut found = Vec::new();
    eventually("it is connected", || {
        found = buffers(&server.address);
        server.came() > 0 && !found.is_empty()
    });
    found[0]
}

pub(crate) fn send_buffer() {
    let (system, small, large) = (
        buffers_with(&[("socket.send.buffer.bytes", "0")]),
        buffers_with(&[("send.buffer.bytes", "20000")]),
        buffers_with(&[("socket.send.buffer.bytes", "60000")]),
    );
    assert!((20_000..60_000).contains(&small.0), "{small:?}: the system may double it for its own needs");
    assert!(large.0 >= 60_000 && large.0 <= 120_000, "{large:?}");
    assert_eq!((small.1, large.1), (system.1, system.1), "the other buffer is the system's");
}

pub(crate) fn receive_buffer() {
    let (system, small, large) = (
        buffers_with(&[("socket.receive.buffer.bytes", "0")]),
        buffers_with(&[("receive.buffer.bytes", "20000")]),
        buffers_with(&[("socket.receive.buffer.bytes", "60000")]),
    );
    assert!((20_000..60_000).contains(&small.1), "{small:?}: the system may double it for its own needs");
    assert!(large.1 >= 60_000 && large.1 <= 120_000, "{large:?}");
    assert_eq!((small.0, large.0), (system.0, system.0), "the other buffer is the system's");
}

/// KIP-602. Which names an address has is the system's matter; that of the loopback is in every `hosts`.
pub(crate) fn client_dns_lookup() {
    let refusing =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").to_string();
    let said = |lookup| {
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut config: Config = config(&refusing, &[("client.dns.lookup", lookup), RECONNECT[0], RECONNECT[1]]);
        let log = Arc::clone(&lines);
        config.log_callback = Some(Arc::new(move |_, line| log.lock().expect("no panic").push(line.to_owned())));
        let producer = Producer::new(&config).expect("a producer");
        producer.topic("t").expect("a name");
        eventually("it says where it failed", || lines.lock().expect("no panic").iter().any(|line| line.contains(':')));
        lines.lock().expect("no panic").join("\n")
    };
    let (all, canonical) = (said("use_all_dns_ips"), said("resolve_canonical_bootstrap_servers_only"));
    assert!(!all.contains("localhost"), "{all}");
    assert!(canonical.contains("localhost:"), "{canonical}");
}
