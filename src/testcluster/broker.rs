//! One broker: its listener, its acceptor and its connections, and how they start and stop.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use socket2::{Domain, SockRef, Socket, Type};

use super::connection;
use super::link::Link;
use super::state::Shared;
use super::threads::spawn;

const BACKLOG: i32 = 1024;
/// More connections than this are closed at once.
const CONNECTIONS_MAX: usize = 10_000;
const WAKE_UP_TIMEOUT: Duration = Duration::from_secs(1);
/// The system has no descriptor left: trying again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A broker, running or not.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) id: i32,
    pub(super) port: u16,
    socket: Reserved,
}

#[derive(Debug)]
enum Reserved {
    Running(Running),
    /// Bound and not listening: connects are refused, and nobody else is given the port.
    Stopped(Socket),
    /// The port could not be kept; starting tries to get it back.
    Lost,
}

#[derive(Debug)]
struct Running {
    listener: Arc<TcpListener>,
    closing: Arc<AtomicBool>,
    acceptor: JoinHandle<()>,
    connections: Arc<Mutex<Connections>>,
}

#[derive(Debug, Default)]
struct Connections {
    next: u64,
    /// The reader owns the link, so that the socket closes with it.
    open: BTreeMap<u64, (Weak<Link>, JoinHandle<()>)>,
}

fn bind(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // On Unix this lets a broker start again while its old connections are still in TIME_WAIT. On Windows it
    // would let two processes share the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    Ok(socket)
}

impl Broker {
    /// A broker with a port of its own, not yet running.
    pub(super) fn new(id: i32) -> io::Result<Self> {
        let socket = bind(0)?;
        let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
        Ok(Self { id, port, socket: Reserved::Stopped(socket) })
    }

    /// Listens and accepts. A broker that runs is left alone.
    pub(super) fn start(&mut self, shared: &Arc<Shared>) -> io::Result<()> {
        if matches!(self.socket, Reserved::Running(_)) {
            return Ok(());
        }
        let socket = match std::mem::replace(&mut self.socket, Reserved::Lost) {
            Reserved::Stopped(socket) => socket,
            _ => bind(self.port)?,
        };
        socket.listen(BACKLOG)?;
        let listener = Arc::new(TcpListener::from(socket));
        let closing = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(Mutex::new(Connections::default()));
        let acceptor = {
            let (id, shared) = (self.id, Arc::clone(shared));
            let (listener, closing, connections) = (listener.clone(), closing.clone(), connections.clone());
            spawn(&format!("broker-{id}"), move || accept(id, &shared, &listener, &closing, &connections), || ())?
        };
        self.socket = Reserved::Running(Running { listener, closing, acceptor, connections });
        Ok(())
    }

    /// Closes the listener and all connections, and waits for their threads.
    pub(super) fn stop(&mut self, shared: &Arc<Shared>) {
        let Reserved::Running(running) = std::mem::replace(&mut self.socket, Reserved::Lost) else { return };
        running.closing.store(true, Ordering::Release);
        // Either of the two ends a blocked accept: the first on Linux, the second wherever a descriptor is left.
        let _ = SockRef::from(&*running.listener).shutdown(std::net::Shutdown::Both);
        let _ = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, self.port).into(), WAKE_UP_TIMEOUT);
        running.acceptor.thread().unpark();
        let _ = running.acceptor.join();
        drop(running.listener);
        if let Ok(socket) = bind(self.port) {
            self.socket = Reserved::Stopped(socket);
        }
        let open = std::mem::take(&mut running.connections.lock().open);
        for link in open.values().filter_map(|(link, _)| link.upgrade()) {
            link.close();
        }
        shared.wake_all();
        for (_, reader) in open.into_values() {
            let _ = reader.join();
        }
    }

    /// How many connections are open.
    pub(super) fn connections(&self) -> usize {
        match &self.socket {
            Reserved::Running(running) => {
                let connections = running.connections.lock();
                connections
                    .open
                    .values()
                    .filter_map(|(link, _)| link.upgrade())
                    .filter(|link| !link.is_closed())
                    .count()
            }
            _ => 0,
        }
    }
}

fn accept(
    broker: i32,
    shared: &Arc<Shared>,
    listener: &TcpListener,
    closing: &AtomicBool,
    connections: &Mutex<Connections>,
) {
    while !closing.load(Ordering::Acquire) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::park_timeout(ACCEPT_PAUSE);
            continue;
        };
        if closing.load(Ordering::Acquire) {
            return;
        }
        let mut connections = connections.lock();
        connections.open.retain(|_, (_, reader)| !reader.is_finished());
        if connections.open.len() >= CONNECTIONS_MAX || stream.set_nodelay(true).is_err() {
            continue;
        }
        let link = Arc::new(Link::new(broker, stream));
        let known = Arc::downgrade(&link);
        let reader = {
            let (shared, failed) = (Arc::clone(shared), Weak::clone(&known));
            let on_panic = move || {
                if let Some(link) = failed.upgrade() {
                    link.close();
                }
            };
            spawn(&format!("{broker}"), move || connection::serve(&shared, &link), on_panic)
        };
        if let Ok(reader) = reader {
            let number = connections.next;
            connections.next += 1;
            connections.open.insert(number, (known, reader));
        }
    }
}
