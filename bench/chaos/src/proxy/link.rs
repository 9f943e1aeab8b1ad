//! One connection through a proxy: two readers that take whole frames, two writers that let them go when it is time.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{PRODUCE, Shared, Way};

/// Kafka's own limit is 100 MiB.
const FRAME_MAX: usize = 128 << 20;
const FRAMES_QUEUED: usize = 1024;
const WRITE_LIMIT: Duration = Duration::from_secs(5);
const WAIT: Duration = Duration::from_millis(20);
/// Size, API key, version, correlation id.
const REQUEST_FRONT: usize = 12;
/// Size, correlation id.
const ANSWER_FRONT: usize = 8;

/// A connection; threads hold it until both ends are closed.
#[derive(Debug)]
pub(super) struct Link {
    client: TcpStream,
    broker: TcpStream,
    ended: AtomicBool,
    silent: AtomicBool,
    /// The API of every request that has no answer yet, by its correlation id.
    asked: Mutex<BTreeMap<[u8; 4], i16>>,
}

struct Frame {
    bytes: Vec<u8>,
    due: Instant,
    /// The connection ends behind it, with FIN or RST.
    ends: Option<bool>,
}

impl Link {
    pub(super) fn new(client: TcpStream, broker: TcpStream) -> Arc<Self> {
        for stream in [&client, &broker] {
            let _slower = stream.set_nodelay(true);
            let _unlimited = stream.set_write_timeout(Some(WRITE_LIMIT));
        }
        let (ended, silent) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { client, broker, ended, silent, asked: Mutex::default() })
    }

    /// Lets bytes pass; the proxy knows the connection by now, so no order about all of them misses it.
    pub(super) fn start(self: &Arc<Self>, shared: &Arc<Shared>) {
        for way in [Way::Requests, Way::Answers] {
            let (sender, receiver) = sync_channel(FRAMES_QUEUED);
            let (reading, writing) = (Arc::clone(self), Arc::clone(self));
            let (shared_read, shared_write) = (Arc::clone(shared), Arc::clone(shared));
            std::thread::spawn(move || reading.read(&shared_read, way, &sender));
            std::thread::spawn(move || writing.write(&shared_write, way, &receiver));
        }
    }

    /// Ends both connections at once; what is queued is lost. Both sides see FIN or RST.
    pub(super) fn end(&self, is_reset: bool) {
        self.ended.store(true, Ordering::Relaxed);
        for stream in [&self.client, &self.broker] {
            let _gone = if is_reset {
                // RST comes when the last of us lets go; nothing is sent before.
                let _ordinary = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
                stream.shutdown(Shutdown::Read)
            } else {
                stream.shutdown(Shutdown::Both)
            };
        }
    }

    pub(super) fn silence(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn read(&self, shared: &Shared, way: Way, sender: &SyncSender<Frame>) {
        let mut from = if way == Way::Requests { &self.client } else { &self.broker };
        while let Some(bytes) = read_frame(&mut from) {
            if self.is_silent() {
                continue;
            }
            let frame = self.treat(shared, way, bytes);
            let ends = frame.ends.is_some();
            if sender.send(frame).is_err() || ends {
                return;
            }
        }
        if self.is_silent() {
            // A broker that is gone, the client is not to hear of; a client that is gone needs no connection.
            if way == Way::Requests {
                self.end(true);
            }
            return;
        }
        // What is under way arrives first.
        let _gone = sender.send(Frame { bytes: Vec::new(), due: Instant::now(), ends: Some(false) });
    }

    /// Does to a frame what the rules say.
    fn treat(&self, shared: &Shared, way: Way, mut bytes: Vec<u8>) -> Frame {
        let api = self.api(way, &bytes);
        let mut rules = shared.rules();
        let delay = if way == Way::Requests { rules.request_delay } else { rules.answer_delay };
        let mut frame = Frame { bytes: Vec::new(), due: Instant::now() + delay, ends: None };
        if way == Way::Answers && api == Some(PRODUCE) && rules.lies > 0 && bytes.len() >= ANSWER_FRONT {
            rules.lies -= 1;
            *rules.counts.entry("answers with a wrong correlation id").or_default() += 1;
            bytes[ANSWER_FRONT - 1] ^= 0x55;
        }
        if let Some(cut) = rules.cut.take_if(|cut| cut.way == way && api == Some(cut.api)) {
            let what = if way == Way::Requests { "cuts inside a request" } else { "cuts inside an answer" };
            *rules.counts.entry(what).or_default() += 1;
            bytes.truncate(bytes.len() * usize::try_from(cut.permille).unwrap_or(0) / 1000);
            frame.ends = Some(cut.is_reset);
        }
        frame.bytes = bytes;
        frame
    }

    fn api(&self, way: Way, bytes: &[u8]) -> Option<i16> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        match way {
            Way::Requests => {
                let front = bytes.first_chunk::<REQUEST_FRONT>()?;
                let api = i16::from_be_bytes([front[4], front[5]]);
                asked.insert([front[8], front[9], front[10], front[11]], api);
                Some(api)
            }
            Way::Answers => {
                let front = bytes.first_chunk::<ANSWER_FRONT>()?;
                asked.remove(&[front[4], front[5], front[6], front[7]])
            }
        }
    }

    fn write(&self, shared: &Shared, way: Way, receiver: &Receiver<Frame>) {
        let mut to = if way == Way::Requests { &self.broker } else { &self.client };
        for frame in receiver {
            self.wait(shared, way, frame.due);
            if self.is_ended() {
                return;
            }
            if self.is_silent() {
                continue;
            }
            let written = to.write_all(&frame.bytes);
            if written.is_err() || frame.ends.is_some() {
                self.end(frame.ends.unwrap_or(false));
                return;
            }
        }
    }

    /// Until the frame is due and answers are not withheld; no longer than the connection lives.
    fn wait(&self, shared: &Shared, way: Way, due: Instant) {
        let mut rules = shared.rules();
        while !self.is_ended() && !self.is_silent() {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() && !(way == Way::Answers && rules.hold) {
                return;
            }
            let wait = if left.is_zero() { WAIT } else { left.min(WAIT) };
            rules =
                shared.changed.wait_timeout(rules, wait).map_or_else(|broken| broken.into_inner().0, |woken| woken.0);
        }
    }
}

/// A whole frame with its size, or `None` at the end.
fn read_frame(from: &mut &TcpStream) -> Option<Vec<u8>> {
    let mut size = [0; 4];
    from.read_exact(&mut size).ok()?;
    let count = usize::try_from(i32::from_be_bytes(size)).ok().filter(|count| *count <= FRAME_MAX)?;
    let mut bytes = vec![0; 4 + count];
    bytes[..4].copy_from_slice(&size);
    from.read_exact(&mut bytes[4..]).ok()?;
    Some(bytes)
}
