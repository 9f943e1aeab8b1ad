//! What nobody can beat, as drivers with the command line of the others: `replay` sends one request that was encoded
//! beforehand again and again, `socket` writes as many bytes to nobody, `codec` only compresses.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use kurier::protocol::compression::{Codec, Compressor};

use crate::request::{Failure, Leader, encode_records, error_of, leaders, produce, read_frame};

/// Requests under way on each connection.
const IN_FLIGHT: u64 = 5;
/// For a new topic's leaders.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);
/// kurier's `max.request.size` and `batch.size` by default.
const REQUEST_BYTES: usize = 1_000_000;

/// The words of the command line.
struct Words(BTreeMap<String, String>);

impl Words {
    fn text(&self, name: &str) -> Result<&str, Failure> {
        self.0.get(name).map(String::as_str).ok_or_else(|| format!("{name} is missing").into())
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, Failure> {
        self.text(name)?.parse().map_err(|_| format!("{name} is no number").into())
    }

    fn codec(&self) -> Result<Codec, Failure> {
        Codec::from_name(self.text("codec")?).ok_or_else(|| "no such codec".into())
    }
}

/// Runs the driver of that name; prints its line.
pub fn run(name: &str, words: &[&str]) -> Result<(), Failure> {
    let pairs = words.iter().filter_map(|word| word.split_once('='));
    let words = Words(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    let values = std::fs::read(words.text("payload")?)?;
    let (records, time) = match name {
        "replay" => replay(&words, &values)?,
        "socket" => socket(&words, &values)?,
        _ => codec(&words, &values)?,
    };
    println!("records={records} failed=0 seconds={:.6}", time.as_secs_f64());
    Ok(())
}

fn replay(words: &Words, values: &[u8]) -> Result<(u64, Duration), Failure> {
    let topic = words.text("topic")?;
    let leaders = leaders(words.text("bootstrap")?, topic)?;
    let (records, codec) = (words.number::<u64>("records")?, words.codec()?);
    let acks = if words.text("acks")? == "all" { -1 } else { words.number("acks")? };
    let value_bytes = words.number("bytes")?;
    let share = records / leaders.len() as u64;
    let mut ready = Vec::new();
    for Leader { address, partitions } in &leaders {
        let (request, count) = produce(topic, partitions, acks, codec, (values, value_bytes), REQUEST_BYTES)?;
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        until_taken(&mut stream, &request)?;
        ready.push((stream, request, count));
    }
    let begin = Instant::now();
    let sent: Result<Vec<u64>, Failure> = std::thread::scope(|scope| {
        let send = |(stream, request, count): (TcpStream, Vec<u8>, u64)| {
            scope.spawn(move || send_again(stream, &request, count, share))
        };
        let threads: Vec<_> = ready.into_iter().map(send).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).collect()
    });
    Ok((sent?.iter().sum(), begin.elapsed()))
}

fn send_again(mut stream: TcpStream, request: &[u8], count: u64, records: u64) -> Result<u64, Failure> {
    let requests = records.div_ceil(count).max(1);
    let mut answers = 0;
    for sent in 0..requests {
        if sent - answers == IN_FLIGHT {
            receive(&mut stream)?;
            answers += 1;
        }
        stream.write_all(request)?;
    }
    (answers..requests).try_for_each(|_| receive(&mut stream))?;
    Ok(requests * count)
}

/// Sends it until it is taken: a broker names a leader before that one knows that it is.
fn until_taken(stream: &mut TcpStream, request: &[u8]) -> Result<(), Failure> {
    let begin = Instant::now();
    loop {
        stream.write_all(request)?;
        match receive(stream) {
            Err(error) if begin.elapsed() > PATIENCE => return Err(error),
            Err(_) => std::thread::sleep(PAUSE),
            Ok(()) => return Ok(()),
        }
    }
}

fn receive(stream: &mut TcpStream) -> Result<(), Failure> {
    match error_of(&read_frame(stream)?)? {
        None => Ok(()),
        Some(code) => Err(format!("the broker answers with error {code}").into()),
    }
}

/// The bytes of these records, written until the other side has read them all.
fn socket(words: &Words, values: &[u8]) -> Result<(u64, Duration), Failure> {
    let (payload, count) = encode_records(values, words.number("bytes")?, 0, REQUEST_BYTES);
    let times = words.number::<u64>("records")?.div_ceil(u64::from(count)).max(1);
    let mut stream = TcpStream::connect(words.text("bootstrap")?)?;
    let begin = Instant::now();
    for _ in 0..times {
        stream.write_all(&payload)?;
    }
    stream.shutdown(Shutdown::Write)?;
    stream.read_exact(&mut [0])?;
    Ok((times * u64::from(count), begin.elapsed()))
}

/// Compresses as many records, batch by batch, with the library's own settings of the codec.
fn codec(words: &Words, values: &[u8]) -> Result<(u64, Duration), Failure> {
    let codec = words.codec()?;
    let (payload, count) = encode_records(values, words.number("bytes")?, 0, REQUEST_BYTES);
    let times = words.number::<u64>("records")?.div_ceil(u64::from(count)).max(1);
    let (mut compressor, mut out) = (Compressor::new(), Vec::new());
    let begin = Instant::now();
    for _ in 0..times {
        compressor.compress(codec, codec.default_level(), &payload, &mut out)?;
    }
    Ok((times * u64::from(count), begin.elapsed()))
}

/// Reads and forgets, connection after connection; prints its address first. One byte says that all was read.
pub fn discard() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let mut buffer = vec![0; 1 << 18];
    for stream in listener.incoming() {
        let mut stream = stream?;
        while stream.read(&mut buffer)? > 0 {}
        stream.write_all(&[0])?;
    }
    Ok(())
}
