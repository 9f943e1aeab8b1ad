//! Runs the entries of a row in turns, repetition after repetition.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use kurier::protocol::record::{RecordBody, record_bytes};

use crate::child::{self, Ended};
use crate::load::Load;
use crate::peers::{Peer, Peers};
use crate::request::Failure;
use crate::rows::{Entry, Row};
use crate::samples::{Metric, Sample, Samples};
use crate::sinks::{Program, Sink};

/// How much is run.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub repetitions: u32,
    /// Of one run, where the row does not fix the records.
    pub seconds: f64,
    /// Of the runs from which the speed of a peer is guessed, one after the other.
    pub guesses: &'static [f64],
    /// What a fixed number of records is divided by.
    pub divisor: u64,
}

impl Pace {
    pub const FULL: Self = Self { repetitions: 5, seconds: 3.0, guesses: &[0.5], divisor: 1 };
    pub const SHORT: Self = Self { repetitions: 2, seconds: 0.7, guesses: &[], divisor: 5 };
}

/// A row and its figures, entry by entry; `None`: the peer is missing.
#[derive(Debug)]
pub struct Measured {
    pub row: Row,
    pub samples: Vec<Option<Samples>>,
}

/// Everything that runs.
#[derive(Debug)]
pub struct Bench {
    pub peers: Peers,
    pub discard: Program,
    pub pace: Pace,
    /// Topics so far: each run has one of its own.
    pub topics: u32,
    /// What the peers say that they are.
    pub versions: BTreeMap<&'static str, String>,
}

/// A first guess at the speed, taken with so many records.
const GUESS: u64 = 100_000;
const RECORDS_MAX: f64 = 200e6;
/// While a producer is idle: when counting begins, and how long before the end it stops.
const SETTLE: Duration = Duration::from_millis(2000);
/// How long before the end of a quiet time memory is looked at.
const BEFORE_END: Duration = Duration::from_millis(1000);
/// After a run: files are deleted, collectors run.
const PAUSE: Duration = Duration::from_millis(300);
const WARM_MAX: usize = 12;
const WARM_GAIN: f64 = 1.03;

impl Bench {
    /// Measures one row.
    pub fn row(&mut self, row: &Row, sink: &mut Sink) -> Result<Measured, Failure> {
        for command in row.commands {
            sink.command(command)?;
        }
        println!("{}: {} ({})", row.name, row.title, row.sink.name());
        let mut loads: Vec<Option<Load>> = row.entries.iter().map(|entry| self.load(entry, sink)).collect();
        let mut samples: Vec<Option<Samples>> =
            row.entries.iter().map(|entry| self.peers.words(entry.peer).map(|_| Samples::default())).collect();
        for _ in 0..self.pace.repetitions {
            for ((entry, load), samples) in row.entries.iter().zip(&mut loads).zip(&mut samples) {
                let (Some(load), Some(samples)) = (load, samples) else { continue };
                for _ in 0..row.times {
                    match self.once(entry.peer, load, sink) {
                        Ok(sample) => samples.runs.push(sample),
                        Err(error) => {
                            println!("  {}: {error}", entry.label);
                            samples.failures += 1;
                        }
                    }
                }
            }
        }
        if !row.commands.is_empty() {
            sink.command("reset")?;
        }
        Ok(Measured { row: row.clone(), samples })
    }

    /// The load with its number of records; `None`: the peer is missing, or cannot do it.
    fn load(&mut self, entry: &Entry, sink: &mut Sink) -> Option<Load> {
        self.peers.words(entry.peer)?;
        let mut load = entry.load.clone();
        if !load.is_open() {
            load.records = (load.records / self.pace.divisor).max(1);
            return Some(load);
        }
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let count = |rate: f64, seconds: f64| (rate * seconds).clamp(1.0, RECORDS_MAX) as u64;
        if load.rate > 0 {
            #[allow(clippy::cast_precision_loss, reason = "a rate is small")]
            let rate = load.rate as f64;
            load.records = count(rate, self.pace.seconds);
            return Some(load);
        }
        load.records = GUESS;
        // The second guess begins where the first one's start is not felt any more.
        for seconds in self.pace.guesses.iter().copied().chain([self.pace.seconds]) {
            match self.once(entry.peer, &load, sink) {
                Ok(sample) => {
                    load.records = count(sample.get(&Metric::Throughput).copied()?, seconds).max(GUESS);
                }
                Err(error) => {
                    println!("  {}: {error}", entry.label);
                    return None;
                }
            }
        }
        Some(load)
    }

    /// Sends the same request again and again until the brokers' code is compiled: no gain in three runs.
    pub fn warm(&mut self, load: &Load, sink: &mut Sink) -> Result<(), Failure> {
        let mut load = Load { records: 2_000_000, ..load.clone() };
        let (mut best, mut without) = (0.0, 0);
        for _ in 0..WARM_MAX {
            let sample = self.once(Peer::Replay, &load, sink)?;
            let rate = sample.get(&Metric::Throughput).copied().unwrap_or_default();
            without = if rate > best * WARM_GAIN { 0 } else { without + 1 };
            best = f64::max(best, rate);
            if without == 3 {
                break;
            }
            load.records = 4_000_000;
        }
        println!("  warm: {} by replay", Metric::Throughput.text(best));
        Ok(())
    }

    /// One run.
    fn once(&mut self, peer: Peer, load: &Load, sink: &mut Sink) -> Result<Sample, Failure> {
        self.topics += 1;
        let topic = format!("{}-{}", peer.name(), self.topics);
        sink.create(&topic, load.partitions)?;
        let requests_before = sink.requests();
        let cpu_before = sink.cpu();
        let ended = self.run(peer, load, sink, &topic);
        let sink_cpu = sink.cpu().saturating_sub(cpu_before);
        let requests = sink.requests().zip(requests_before).map(|(after, before)| after - before);
        sink.delete(&topic)?;
        sleep(PAUSE);
        let ended = ended?;
        if let Some(version) = ended.line.split_once("version=").filter(|_| matches!(peer, Peer::Client(_))) {
            self.versions.insert(peer.name(), version.1.to_owned());
        }
        let mut sample = sample(load, &ended);
        if !sample.contains_key(&Metric::Throughput) || matches!(peer, Peer::Socket | Peer::Codec) {
            return Ok(sample);
        }
        #[allow(clippy::cast_precision_loss, reason = "a count of records")]
        let records = load.records as f64;
        sample.insert(Metric::SinkCpu, sink_cpu.as_secs_f64() * 1e9 / records);
        if let Some(requests) = requests {
            sample.insert(Metric::Requests, requests * 1000.0 / records);
        }
        Ok(sample)
    }

    fn run(&self, peer: Peer, load: &Load, sink: &Sink, topic: &str) -> Result<Ended, Failure> {
        let bootstrap = if peer == Peer::Socket { &self.discard.address } else { sink.bootstrap() };
        let first = self.peers.words(peer).ok_or("it is missing")?;
        let words = [first, &load.words(bootstrap, topic)].concat();
        let mut before = 0.0;
        child::run(&words, log()?, |word, pid| match word {
            "quiet" => {
                sleep(Duration::from_secs(load.quiet_s) / 2);
                before = child::resident_bytes(pid)?;
                Some((Metric::Quiet, before))
            }
            "started" => {
                before = child::resident_bytes(pid)?;
                None
            }
            "held" => {
                #[allow(clippy::cast_precision_loss, reason = "a count of records")]
                let records = load.records as f64;
                let each = (child::resident_bytes(pid)? - before) / records - encoded_bytes(load.bytes);
                // What a client does with records that it holds is to be in the peak.
                sleep(Duration::from_secs(load.idle_s));
                Some((Metric::Memory, each))
            }
            _ if load.quiet_s > 0 => {
                sleep(Duration::from_secs(load.idle_s) - BEFORE_END);
                Some((Metric::Kept, child::resident_bytes(pid)? / before))
            }
            _ => wakeups(pid, Duration::from_secs(load.idle_s)),
        })
    }
}

/// Counted by the kernel, while nobody wants anything of the process.
fn wakeups(pid: u32, idle: Duration) -> Option<(Metric, f64)> {
    let while_counted = idle.saturating_sub(2 * SETTLE);
    sleep(SETTLE);
    let before = child::voluntary_switches(pid)?;
    sleep(while_counted);
    Some((Metric::Wakeups, (child::voluntary_switches(pid)? - before) / while_counted.as_secs_f64()))
}

/// Of a record without a key, in the middle of a batch.
#[allow(clippy::cast_precision_loss, reason = "a record is small")]
fn encoded_bytes(value_bytes: usize) -> f64 {
    let value = vec![0; value_bytes];
    let body = RecordBody { key: None, value: Some(&value), headers: &[] };
    record_bytes(body.fixed_bytes(), 0, 1000) as f64
}

/// Where drivers say what went wrong.
fn log() -> Result<File, Failure> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("peers/drivers.log");
    Ok(File::options().create(true).append(true).open(path)?)
}

/// The figures of one run: of its line, and of the operating system.
#[allow(clippy::cast_precision_loss, reason = "counts of records and bytes")]
fn sample(load: &Load, ended: &Ended) -> Sample {
    let field = |name: &str| -> Option<f64> {
        ended.line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?.parse().ok()
    };
    let mut sample = ended.watched.clone();
    let mut put = |metric, value: Option<f64>| value.map(|value| sample.insert(metric, value));
    put(Metric::Peak, Some(ended.peak_kb as f64 * 1024.0));
    if load.hold || load.idle_s > 0 {
        return sample;
    }
    let records = field("records").unwrap_or(load.records as f64);
    if load.cold {
        put(Metric::First, field("first_us"));
        return sample;
    }
    if load.outstanding || load.rate > 0 {
        for (metric, name) in Metric::LATENCIES.into_iter().zip(["p50_us", "p99_us", "p999_us", "max_us"]) {
            put(metric, field(name));
        }
    }
    put(Metric::Throughput, field("seconds").map(|seconds| records / seconds));
    put(Metric::Cpu, Some(ended.cpu.as_nanos() as f64 / records));
    sample
}
