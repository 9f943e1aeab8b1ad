//! A connection's sending side: answers leave in order, some of them later, none of them blocking another's wait.

use std::collections::VecDeque;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::clock::now;
use super::state::Shared;
use super::threads::spawn;

/// More answers or bytes than this do not wait side by side: the next request is read later.
const WAITING_MAX: usize = 10_000;
const WAITING_BYTES_MAX: usize = 256 << 20;
const SLOW_BYTE_PAUSE: Duration = Duration::from_millis(10);

/// An answer on its way out.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// `None`: now.
    pub(super) due: Option<Instant>,
    /// One byte at a time.
    pub(super) slow: bool,
}

#[derive(Debug, Default)]
struct Outbox {
    waiting: VecDeque<Answer>,
    /// Of those that wait.
    bytes: usize,
    /// The writer has one in hand.
    writing: bool,
    writer: Option<JoinHandle<()>>,
}

/// A connection that its own threads and its broker know.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) broker: i32,
    pub(super) closed: AtomicBool,
    stream: TcpStream,
    outbox: Mutex<Outbox>,
    changed: Condvar,
}

impl Link {
    pub(super) fn new(broker: i32, stream: TcpStream) -> Self {
        Self {
            broker,
            closed: AtomicBool::new(false),
            stream,
            outbox: Mutex::new(Outbox::default()),
            changed: Condvar::new(),
        }
    }

    /// The socket, for its reader.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends the connection: whoever reads, writes or waits for it comes back. The rest of [`Shared`]'s waiters
    /// are woken by who closes.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // It fails if the client was faster.
        let _ = self.stream.shutdown(Shutdown::Both);
        drop(self.outbox.lock());
        self.changed.notify_all();
    }

    /// Sends an answer after all those before it; `false` if the connection is over. Only the connection's reader
    /// calls this. Most answers are written right here; the writer thread exists only where an answer had to wait.
    pub(super) fn send(self: &Arc<Self>, shared: &Arc<Shared>, answer: Answer) -> bool {
        let mut outbox = self.outbox.lock();
        if answer.due.is_none() && !answer.slow && outbox.waiting.is_empty() && !outbox.writing {
            drop(outbox);
            shared.wait_while_paused(self.broker, &self.closed);
            return self.write(&answer.bytes);
        }
        let is_full = |outbox: &Outbox| outbox.waiting.len() >= WAITING_MAX || outbox.bytes >= WAITING_BYTES_MAX;
        while is_full(&outbox) && !self.is_closed() {
            self.changed.wait(&mut outbox);
        }
        if self.is_closed() {
            return false;
        }
        outbox.bytes += answer.bytes.len();
        outbox.waiting.push_back(answer);
        if outbox.writer.is_none() {
            let (link, failed, shared) = (Arc::clone(self), Arc::clone(self), Arc::clone(shared));
            let name = format!("writer-{}", self.broker);
            match spawn(&name, move || link.write_all(&shared), move || failed.close()) {
                Ok(writer) => outbox.writer = Some(writer),
                Err(_) => return false,
            }
        }
        self.changed.notify_all();
        true
    }

    /// Closes, and waits for the writer if there is one. The reader's last deed.
    pub(super) fn finish(&self) {
        self.close();
        let writer = self.outbox.lock().writer.take();
        if let Some(writer) = writer {
            // A writer that panicked has nothing left to say.
            let _ = writer.join();
        }
    }

    fn write_all(&self, shared: &Shared) {
        while let Some(answer) = self.next_due() {
            shared.wait_while_paused(self.broker, &self.closed);
            let written = if answer.slow { self.write_slowly(&answer.bytes) } else { self.write(&answer.bytes) };
            self.outbox.lock().writing = false;
            self.changed.notify_all();
            if !written {
                self.close();
                return;
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> bool {
        !self.is_closed() && (&self.stream).write_all(bytes).is_ok()
    }

    fn write_slowly(&self, bytes: &[u8]) -> bool {
        for byte in bytes {
            if !self.write(std::slice::from_ref(byte)) {
                return false;
            }
            let deadline = now() + SLOW_BYTE_PAUSE;
            let mut outbox = self.outbox.lock();
            while !self.is_closed() && !self.changed.wait_until(&mut outbox, deadline).timed_out() {}
        }
        true
    }

    /// The oldest answer when its time has come; `None` when the connection is closed.
    fn next_due(&self) -> Option<Answer> {
        let mut outbox = self.outbox.lock();
        loop {
            if self.is_closed() {
                return None;
            }
            match outbox.waiting.front().map(|answer| answer.due) {
                None => self.changed.wait(&mut outbox),
                Some(Some(due)) if due > now() => {
                    self.changed.wait_until(&mut outbox, due);
                }
                Some(_) => {
                    outbox.writing = true;
                    let answer = outbox.waiting.pop_front();
                    outbox.bytes -= answer.as_ref().map_or(0, |answer| answer.bytes.len());
                    return answer;
                }
            }
        }
    }
}
