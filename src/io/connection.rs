//! A network thread in the real world: connect, then step and wait, until the producer stops.

use super::life::{Life, Turn};
use super::network::Network;
use super::pump::Stream;
use super::resolve::resolve;
use super::wake::Wake;
use crate::engine::ConnectionNumber;
use crate::time::Time;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

struct Connected(Socket);

impl Stream for Connected {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(into)
    }
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.0).write_vectored(slices)
    }
}

struct Worker<'a> {
    network: &'a Arc<Network>,
    wake: &'a Wake,
    life: Life,
}

/// The body of a network thread.
pub(super) fn run(network: &Arc<Network>, connection: ConnectionNumber, wake: &Wake) {
    let mut worker = Worker { network, wake, life: Life::new(Arc::clone(network), connection) };
    let mut stream: Option<Connected> = None;
    loop {
        match worker.life.turn(stream.as_mut().map(|stream| stream as &mut dyn Stream)) {
            Turn::Wait { until, writable } => worker.wait(stream.as_ref().map(|stream| &stream.0), writable, until),
            Turn::Connect { host, port, deadline } => match worker.connect(&host, port, deadline) {
                Ok(socket) => {
                    stream = Some(Connected(socket));
                    worker.life.connected();
                }
                Err(message) => worker.life.failed(&message),
            },
            Turn::Close(reason) => {
                stream = None;
                worker.life.disconnected(&reason);
            }
            Turn::End => break,
        }
    }
}

impl Worker<'_> {
    /// The one place where the thread waits.
    fn wait(&self, socket: Option<&Socket>, writable: bool, until: Time) {
        if self.life.fall_asleep(until) {
            let now = self.network.clock.now();
            self.wake.wait(socket, writable, until.finite().map(|until| until.since(now)));
            self.life.wake_up();
        }
    }

    /// Every address of the name in turn, until the deadline. Meanwhile partitions are looked after.
    fn connect(&mut self, host: &str, port: u16, deadline: Time) -> Result<Socket, String> {
        let wake = self.wake.clone();
        let is_bootstrap = self.network.config.engine.bootstrap.iter().any(|one| one.0 == host && one.1 == port);
        let canonical = is_bootstrap && self.network.config.canonical_bootstrap;
        let answer = resolve(host, port, canonical, move || wake.set());
        let addresses = loop {
            if let Some(answer) = answer.lock().take() {
                break answer?;
            }
            self.meanwhile(None, deadline).map_err(|why| format!("{host} was not resolved: {why}"))?;
        };
        let mut failure = format!("{host} has no address");
        let count = addresses.len();
        for (place, (name, address)) in addresses.into_iter().enumerate() {
            // An address that does not answer must not use up the others' time.
            let now = self.network.clock.now();
            let share = deadline.since(now) / u32::try_from(count - place).unwrap_or(1);
            match self.connect_to(address, now + share) {
                Ok(socket) => return Ok(socket),
                Err(error) => failure = format!("{name}:{port} ({address}): {error}"),
            }
            if self.network.is_stopping() {
                break;
            }
        }
        Err(failure)
    }

    fn connect_to(&mut self, address: SocketAddr, deadline: Time) -> Result<Socket, String> {
        let socket = self.open(address).map_err(|error| error.to_string())?;
        match socket.connect(&address.into()) {
            Ok(()) => return Ok(socket),
            Err(error) if is_under_way(&error) => {}
            Err(error) => return Err(error.to_string()),
        }
        loop {
            self.meanwhile(Some(&socket), deadline)?;
            if let Some(error) = socket.take_error().map_err(|error| error.to_string())? {
                return Err(error.to_string());
            }
            if socket.peer_addr().is_ok() {
                return Ok(socket);
            }
        }
    }

    fn open(&self, address: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(bytes) = self.network.config.send_buffer_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.network.config.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        Ok(socket)
    }

    /// Waits for the socket to be connected, or for anything else; does what is due for the partitions.
    fn meanwhile(&mut self, socket: Option<&Socket>, deadline: Time) -> Result<(), String> {
        let until = self.life.meanwhile(deadline)?;
        self.wait(socket, true, until);
        Ok(())
    }
}

#[cfg(unix)]
fn is_under_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS) || error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(not(unix))]
fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
