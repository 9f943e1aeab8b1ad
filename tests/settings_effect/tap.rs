//! A proxy in front of a broker: what a producer says on the wire, and answers that stop in the middle.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use kurier::protocol::messages::ApiKey;
use kurier::protocol::messages::header::{RequestHeader, decode_response_header, response_frame};
use kurier::protocol::messages::metadata::MetadataResponse;
use kurier::protocol::messages::produce::ProduceRequest;
use kurier::protocol::wire::Reader;
use kurier::testcluster::Cluster;

/// One request as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) api: i16,
    pub(crate) version: i16,
    pub(crate) client_id: String,
    /// Of a produce request.
    pub(crate) acks: i16,
    /// Of a produce request.
    pub(crate) timeout_ms: i32,
    /// The number of partitions of a produce request.
    pub(crate) partitions: usize,
}

/// The next answer of this API ends after so many bytes of its frame, and the connection with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) api: ApiKey,
    pub(crate) after: usize,
}

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    cut: Mutex<Option<Cut>>,
    /// Bytes of the last whole answer of the API that a cut names.
    cuts: AtomicUsize,
    longest: Mutex<Vec<(i16, usize)>>,
    closing: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// Stands before the only broker of a cluster, which is told by its own address.
pub(crate) struct Tap {
    pub(crate) address: String,
    port: u16,
    seen: Arc<Seen>,
    accepting: Option<JoinHandle<()>>,
}

impl Tap {
    /// Before this cluster of one broker.
    pub(crate) fn before(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (seen, upstream) = (Arc::new(Seen::default()), cluster.address());
        let shared = Arc::clone(&seen);
        let accepting = std::thread::spawn(move || accept(&listener, port, &upstream, &shared));
        Self { address: format!("127.0.0.1:{port}"), port, seen, accepting: Some(accepting) }
    }

    /// What was asked until now.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().expect("no panic").clone()
    }

    /// Orders a cut.
    pub(crate) fn cut(&self, cut: Cut) {
        *self.seen.cut.lock().expect("no panic") = Some(cut);
    }

    /// How many answers were cut.
    pub(crate) fn cuts(&self) -> usize {
        self.seen.cuts.load(Ordering::SeqCst)
    }

    /// The length of the longest answer of an API, with its prefix.
    pub(crate) fn longest(&self, api: ApiKey) -> usize {
        let longest = self.seen.longest.lock().expect("no panic");
        longest.iter().filter(|(of, _)| *of == api as i16).map(|(_, bytes)| *bytes).max().unwrap_or(0)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.seen.closing.store(true, Ordering::SeqCst);
        // The one who accepts is woken by a last connection.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        for stream in self.seen.open.lock().expect("no panic").iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(thread) = self.accepting.take() {
            thread.join().expect("no panic");
        }
    }
}

fn accept(listener: &TcpListener, port: u16, upstream: &str, seen: &Arc<Seen>) {
    let mut threads = Vec::new();
    for client in listener.incoming() {
        let Ok(client) = client else { break };
        if seen.closing.load(Ordering::SeqCst) {
            break;
        }
        let Ok(broker) = TcpStream::connect(upstream) else { continue };
        for stream in [&client, &broker] {
            stream.set_nodelay(true).expect("no delay");
            seen.open.lock().expect("no panic").push(stream.try_clone().expect("a second handle"));
        }
        let waiting: Arc<Mutex<VecDeque<(ApiKey, i16)>>> = Arc::default();
        let (shared, queue) = (Arc::clone(seen), Arc::clone(&waiting));
        let (from, to) = (client.try_clone().expect("a handle"), broker.try_clone().expect("a handle"));
        threads.push(std::thread::spawn(move || requests(&from, &to, &queue, &shared)));
        let shared = Arc::clone(seen);
        threads.push(std::thread::spawn(move || answers(&broker, &client, port, &waiting, &shared)));
    }
    for stream in seen.open.lock().expect("no panic").iter() {
        let _ = stream.shutdown(Shutdown::Both);
    }
    for thread in threads {
        thread.join().expect("no panic");
    }
}

/// A frame with its prefix.
fn frame(mut stream: &TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let bytes = usize::try_from(i32::from_be_bytes(length)).ok()?;
    let mut frame = vec![0; 4 + bytes];
    frame[..4].copy_from_slice(&length);
    stream.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

fn requests(client: &TcpStream, mut broker: &TcpStream, waiting: &Mutex<VecDeque<(ApiKey, i16)>>, seen: &Seen) {
    while let Some(frame) = frame(client) {
        let mut reader = Reader::new(&frame[4..]);
        let Ok(header) = RequestHeader::decode(&mut reader) else { break };
        let mut asked = Asked {
            api: header.api_key,
            version: header.api_version,
            client_id: header.client_id.unwrap_or_default().to_owned(),
            acks: -1,
            timeout_ms: 0,
            partitions: 0,
        };
        if header.api_key == ApiKey::Produce as i16 {
            let produce = ProduceRequest::decode(header.api_version, &mut reader).expect("a produce request");
            (asked.acks, asked.timeout_ms) = (produce.acks, produce.timeout_ms);
            asked.partitions = produce.topics.iter().map(|topic| topic.partitions.len()).sum();
        }
        let api = ApiKey::from_number(asked.api).expect("an API of producers");
        if asked.acks != 0 {
            waiting.lock().expect("no panic").push_back((api, asked.version));
        }
        seen.asked.lock().expect("no panic").push(asked);
        if broker.write_all(&frame).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = broker.shutdown(Shutdown::Both);
}

fn answers(
    broker: &TcpStream,
    mut client: &TcpStream,
    port: u16,
    waiting: &Mutex<VecDeque<(ApiKey, i16)>>,
    seen: &Seen,
) {
    while let Some(mut frame) = frame(broker) {
        let Some((api, version)) = waiting.lock().expect("no panic").pop_front() else { break };
        if api == ApiKey::Metadata {
            frame = with_port(&frame, version, port);
        }
        seen.longest.lock().expect("no panic").push((api as i16, frame.len()));
        let cut = seen.cut.lock().expect("no panic").take_if(|cut| cut.api == api);
        let whole = cut.map_or(frame.len(), |cut| cut.after.min(frame.len()));
        let written = client.write_all(&frame[..whole]);
        if cut.is_some() {
            seen.cuts.fetch_add(1, Ordering::SeqCst);
        }
        if written.is_err() || cut.is_some() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = broker.shutdown(Shutdown::Both);
}

/// The same metadata, but the broker is here.
fn with_port(frame: &[u8], version: i16, port: u16) -> Vec<u8> {
    let mut reader = Reader::new(&frame[4..]);
    let id = decode_response_header(ApiKey::Metadata, version, &mut reader).expect("a header");
    let mut response = MetadataResponse::decode(version, &mut reader).expect("metadata");
    for broker in &mut response.brokers {
        broker.port = i32::from(port);
    }
    response_frame(ApiKey::Metadata, version, id, |version, writer| response.encode(version, writer)).expect("a frame")
}
