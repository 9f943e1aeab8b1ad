//! A network thread in the real world: connect, then step and wait, until the producer stops.

use super::network::Network;
use super::pump::{Pump, Step, Stream};
use super::resolve::resolve;
use super::wake::Wake;
use crate::code::Error;
use crate::engine::{Connect, ConnectionNumber};
use crate::time::Time;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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
    connection: ConnectionNumber,
    wake: &'a Wake,
    pump: Pump,
}

/// The body of a network thread.
pub(super) fn run(network: &Arc<Network>, connection: ConnectionNumber, wake: &Wake) {
    let pump = Pump::new(Arc::clone(network), connection);
    let mut worker = Worker { network, connection, wake, pump };
    while !network.is_stopping() {
        let now = network.clock.now();
        match network.visit(|engine| engine.poll_connect(connection, now)) {
            Connect::NotBefore(start) => worker.idle(start),
            Connect::To { host, port, timeout } => match worker.connect(&host, port, now + timeout) {
                Ok(socket) => worker.serve(Connected(socket)),
                Err(message) => {
                    let now = network.clock.now();
                    network.visit(|engine| engine.handle_connect_failed(connection, &message, now));
                }
            },
        }
    }
    // A step that ended with a broken connection may have taken batches before.
    worker.pump.finish();
}

impl Worker<'_> {
    /// No connection, and none wanted before `start`.
    fn idle(&mut self, start: Time) {
        if let Step::Wait { until, .. } = self.pump.step(None, self.network.clock.now()) {
            self.wait(None, false, until.min(start));
        }
    }

    /// A connection's life, from the handshake of versions to its end.
    fn serve(&mut self, mut stream: Connected) {
        let (connection, network) = (self.connection, self.network);
        network.visit(|engine| engine.handle_connected(connection, network.clock.now()));
        let reason = loop {
            if network.is_stopping() {
                break String::from("the producer was closed");
            }
            match self.pump.step(Some(&mut stream), network.clock.now()) {
                Step::Wait { until, writable } => self.wait(Some(&stream.0), writable, until),
                Step::Close(Error { message, .. }) => break message,
            }
        };
        drop(stream);
        self.pump.disconnect();
        network.visit(|engine| engine.handle_disconnected(connection, &reason, network.clock.now()));
    }

    /// The one place where the thread waits.
    fn wait(&self, socket: Option<&Socket>, writable: bool, until: Time) {
        let Some(inbox) = self.network.accumulator.inbox(self.connection.0) else { return };
        let now = self.network.clock.now();
        if until > now && inbox.fall_asleep(until) {
            if !self.network.is_stopping() {
                self.wake.wait(socket, writable, until.finite().map(|until| until.since(now)));
            }
            inbox.stay_awake();
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
        let now = self.network.clock.now();
        if now >= deadline {
            return Err(String::from("no answer in time"));
        }
        if self.network.is_stopping() {
            return Err(String::from("the producer was closed"));
        }
        if let Step::Wait { until, .. } = self.pump.step(None, now) {
            // A spurious moment in the past must not make this loop spin.
            let until = until.max(now + Duration::from_micros(100));
            self.wait(socket, true, until.min(deadline));
        }
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
