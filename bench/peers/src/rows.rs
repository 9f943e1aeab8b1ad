//! The rows: who sends what to where, and which ratio is to be reached.

use crate::load::{Load, Payload};
use crate::peers::Peer;
use crate::programs::Client;
use crate::samples::Metric;
use crate::sinks::Kind;

/// One scenario; its entries are measured in turns.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: &'static str,
    pub title: &'static str,
    pub sink: Kind,
    pub entries: Vec<Entry>,
    pub targets: Vec<Target>,
    /// What the embedded cluster is told before.
    pub commands: &'static [&'static str],
    /// Runs in each repetition.
    pub times: u32,
}

/// A peer with its load.
#[derive(Clone, Debug)]
pub struct Entry {
    pub label: &'static str,
    pub peer: Peer,
    pub load: Load,
}

/// What is to be reached.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub metric: Metric,
    pub of: &'static str,
    /// The entry that it is compared with; `None`: the bound is the figure itself.
    pub against: Option<&'static str>,
    pub bound: Bound,
}

#[derive(Clone, Copy, Debug)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

use Bound::{AtLeast, AtMost};
use Metric::{Cpu, First, Kept, Memory, P50, P99, Peak, Requests, Throughput, Wakeups};

const KURIER: Peer = Peer::Client(Client::Kurier);
const LIBRDKAFKA: Peer = Peer::Client(Client::Librdkafka);
const JAVA: Peer = Peer::Client(Client::Java);
const FRANZ: Peer = Peer::Client(Client::Franz);

/// An entry under the name of its peer.
fn named(peer: Peer, load: &Load) -> Entry {
    Entry { label: peer.name(), peer, load: load.clone() }
}

fn entries(peers: &[Peer], load: &Load) -> Vec<Entry> {
    peers.iter().map(|peer| named(*peer, load)).collect()
}

/// kurier against another entry.
fn ratio(metric: Metric, against: &'static str, bound: Bound) -> Target {
    Target { metric, of: "kurier", against: Some(against), bound }
}

fn row(name: &'static str, title: &'static str, sink: Kind, entries: Vec<Entry>, targets: &[Target]) -> Row {
    Row { name, title, sink, entries, targets: targets.to_vec(), commands: &[], times: 1 }
}

/// All of them, in the order of the table of targets.
pub fn all() -> Vec<Row> {
    [throughput(), brokers(), threads(), shapes(), memory(), latencies(), codecs()].concat()
}

fn throughput() -> Vec<Row> {
    let plain = Load { idempotent: false, ..Load::PLAIN };
    let four = [KURIER, LIBRDKAFKA, FRANZ, JAVA];
    let cheap = ratio(Cpu, "librdkafka", AtMost(1.0 / 5.0));
    let keyed = Load { keys: 100_000, ..plain.clone() };
    let keyed_64 = Load { partitions: 64, ..keyed.clone() };
    let headers = Load { headers: 2, ..plain.clone() };
    let faster = |times: f64| ratio(Throughput, "librdkafka", AtLeast(times));
    vec![
        row(
            "embedded",
            "100 B, no key, one thread, 4 partitions",
            Kind::Embedded,
            [entries(&four, &plain), entries(&[Peer::Socket], &plain)].concat(),
            &[faster(4.0), ratio(Throughput, "socket", AtLeast(0.8)), cheap],
        ),
        row(
            "keyed-4",
            "100 B, 8-byte keys over 4 partitions",
            Kind::Embedded,
            entries(&four, &keyed),
            &[faster(5.0), cheap],
        ),
        row(
            "keyed-64",
            "100 B, 8-byte keys over 64 partitions",
            Kind::Embedded,
            entries(&four, &keyed_64),
            &[faster(5.0), cheap],
        ),
        row("headers", "100 B, two headers", Kind::Embedded, entries(&four, &headers), &[faster(10.0), cheap]),
    ]
}

fn brokers() -> Vec<Row> {
    let one = Load { partitions: 3, ..Load::PLAIN };
    let three = Load { partitions: 6, ..Load::PLAIN };
    let payments = Load { codec: "lz4", payload: Payload::Payment, ..three.clone() };
    let million = Load { rate: 1_000_000, burst: 1000, ..payments.clone() };
    let all = [KURIER, LIBRDKAFKA, FRANZ, JAVA, Peer::Replay];
    let over = |peer, times| ratio(Throughput, peer, AtLeast(times));
    vec![
        row(
            "one-broker",
            "100 B, 3 partitions, acks=all, idempotent (replay: not idempotent)",
            Kind::OneBroker,
            entries(&all, &one),
            &[
                over("replay", 0.85),
                over("librdkafka", 3.0),
                over("franz-go", 1.8),
                ratio(Cpu, "librdkafka", AtMost(1.0 / 6.0)),
            ],
        ),
        row(
            "three-brokers",
            "100 B, 6 partitions, acks=all, idempotent (replay: not idempotent)",
            Kind::ThreeBrokers,
            entries(&all, &three),
            &[over("replay", 0.9), over("librdkafka", 2.4), over("franz-go", 1.4)],
        ),
        row(
            "three-brokers-lz4",
            "100 B of JSON, lz4, 6 partitions, acks=all, idempotent (replay: not idempotent, compressed beforehand)",
            Kind::ThreeBrokers,
            entries(&all, &payments),
            &[],
        ),
        row(
            "million",
            "a million payments of 100 B per second, lz4, 6 partitions, acks=all, idempotent",
            Kind::ThreeBrokers,
            entries(&[KURIER, LIBRDKAFKA, FRANZ], &million),
            &[
                // A hair below: the last delivery comes after the last record was due.
                Target { metric: Throughput, of: "kurier", against: None, bound: AtLeast(990_000.0) },
                Target { metric: P99, of: "kurier", against: None, bound: AtMost(500_000.0) },
            ],
        ),
    ]
}

fn threads() -> Vec<Row> {
    let plain = Load { idempotent: false, ..Load::PLAIN };
    let several = |load: &Load| {
        [("1 thread", 1), ("2 threads", 2), ("4 threads", 4)]
            .map(|(label, threads)| Entry { label, peer: KURIER, load: Load { threads, ..load.clone() } })
            .to_vec()
    };
    let grows =
        ["2 threads", "4 threads"].map(|of| Target { metric: Cpu, of, against: Some("1 thread"), bound: AtMost(1.5) });
    let own = Load { spread: "own", ..plain.clone() };
    let runs = Load { run: 100, ..plain.clone() };
    let one = Load { spread: "one", threads: 4, partitions: 1, ..plain.clone() };
    vec![
        row("threads", "kurier, no key, several threads", Kind::Embedded, several(&plain), &grows),
        row("threads-own", "kurier, each thread its own partition", Kind::Embedded, several(&own), &grows),
        row("threads-runs", "kurier, runs of 100 records by send_batch", Kind::Embedded, several(&runs), &grows),
        row(
            "threads-one",
            "four threads, one partition",
            Kind::Embedded,
            entries(&[KURIER, LIBRDKAFKA], &one),
            &[ratio(Throughput, "librdkafka", AtLeast(1.0)), ratio(Cpu, "librdkafka", AtMost(1.0))],
        ),
    ]
}

fn shapes() -> Vec<Row> {
    let many = Load { partitions: 1000, spread: "round", rate: 20_000, burst: 20, idempotent: false, ..Load::PLAIN };
    let far = Load { partitions: 1, ..Load::PLAIN };
    let plain_far = Load { idempotent: false, ..far.clone() };
    let idle = Load { records: 1000, idle_s: 10, ..Load::PLAIN };
    let far_entries = vec![
        named(KURIER, &far),
        Entry { label: "kurier, not idempotent", peer: KURIER, load: plain_far.clone() },
        named(LIBRDKAFKA, &far),
        Entry { label: "librdkafka, not idempotent", peer: LIBRDKAFKA, load: plain_far },
        named(FRANZ, &far),
    ];
    let absolute = |metric, bound| Target { metric, of: "kurier", against: None, bound };
    vec![
        row(
            "many-partitions",
            "1000 partitions in turn, 20,000 records per second",
            Kind::Embedded,
            entries(&[KURIER, LIBRDKAFKA, FRANZ], &many),
            &[ratio(Requests, "librdkafka", AtMost(1.0 / 50.0)), ratio(Cpu, "librdkafka", AtMost(1.0 / 10.0))],
        ),
        Row {
            commands: &["delay 50ms"],
            ..row(
                "rtt-50",
                "idempotent, one partition, answers 50 ms later",
                Kind::Embedded,
                far_entries,
                &[
                    ratio(Throughput, "kurier, not idempotent", AtLeast(0.9)),
                    ratio(Throughput, "librdkafka", AtLeast(10.0)),
                ],
            )
        },
        row(
            "idle",
            "a producer that has nothing to do",
            Kind::Embedded,
            entries(&[KURIER, LIBRDKAFKA, FRANZ, JAVA], &idle),
            &[absolute(Wakeups, AtMost(0.0))],
        ),
    ]
}

fn memory() -> Vec<Row> {
    let queued = Load { records: 1_000_000, buffer_mb: 512, hold: true, ..Load::PLAIN };
    let quiet = Load { records: 10_000, partitions: 10_000, spread: "round", ..Load::PLAIN };
    let quiet_held = Load { hold: true, idle_s: 2, ..quiet.clone() };
    // More than fits; who is slow to send sees less of it queued, as the peak tells.
    let burst = Load { records: 6_000_000, buffer_mb: 512, quiet_s: 4, idle_s: 13, ..Load::PLAIN };
    let three = [KURIER, LIBRDKAFKA, FRANZ];
    let absolute = |metric, bound| Target { metric, of: "kurier", against: None, bound };
    let small = [absolute(Peak, AtMost(64e6))];
    vec![
        Row {
            commands: &["delay produce 100s"],
            ..row(
                "memory",
                "memory beyond the encoded bytes, a million queued records of 100 B",
                Kind::Embedded,
                entries(&three, &queued),
                &[absolute(Memory, AtMost(16.0))],
            )
        },
        row(
            "quiet-partitions",
            "10,000 partitions, a record to each",
            Kind::Embedded,
            entries(&[KURIER, LIBRDKAFKA, FRANZ, JAVA], &quiet),
            &small,
        ),
        Row {
            commands: &["delay produce 100s"],
            ..row(
                "quiet-partitions-held",
                "10,000 partitions, a record to each, none acknowledged",
                Kind::Embedded,
                entries(&three, &quiet_held),
                &small,
            )
        },
        Row {
            commands: &["delay produce 50ms"],
            ..row(
                "burst",
                "resident set 12 s after a burst of 6,000,000 records into at most 512 MB, answers 50 ms later",
                Kind::Embedded,
                entries(&three, &burst),
                &[absolute(Kept, AtMost(1.1))],
            )
        },
    ]
}

fn latencies() -> Vec<Row> {
    let all = [KURIER, LIBRDKAFKA, FRANZ, JAVA];
    let one = Load { records: 20_000, outstanding: true, linger_us: 0, ..Load::PLAIN };
    let one_linger = Load { records: 5_000, linger_us: 100, ..one.clone() };
    let rate = Load { rate: 10_000, linger_us: 0, ..Load::PLAIN };
    let rate_linger = Load { linger_us: 100, ..rate.clone() };
    let cold = Load { records: 1, outstanding: true, cold: true, linger_us: 0, ..Load::PLAIN };
    let cold_plain = Entry {
        label: "librdkafka, not idempotent",
        peer: LIBRDKAFKA,
        load: Load { idempotent: false, ..cold.clone() },
    };
    let no_later = [ratio(P50, "librdkafka", AtMost(1.0)), ratio(P99, "librdkafka", AtMost(1.0))];
    let soon = [Target { metric: P50, of: "kurier", against: None, bound: AtMost(300.0) }];
    vec![
        row("latency", "one record outstanding, linger 0", Kind::Embedded, entries(&all, &one), &no_later),
        row(
            "latency-linger",
            "one record outstanding, linger 0.1 ms",
            Kind::Embedded,
            entries(&all, &one_linger),
            &soon,
        ),
        row("latency-10k", "10,000 records per second, linger 0", Kind::Embedded, entries(&all, &rate), &no_later),
        row(
            "latency-10k-linger",
            "10,000 records per second, linger 0.1 ms",
            Kind::Embedded,
            entries(&all, &rate_linger),
            &no_later,
        ),
        row(
            "latency-broker",
            "one record outstanding, linger 0, 3 partitions",
            Kind::OneBroker,
            entries(&all, &Load { partitions: 3, records: 5_000, ..one.clone() }),
            &no_later,
        ),
        row(
            "latency-broker-10k",
            "10,000 records per second, linger 0, 3 partitions",
            Kind::OneBroker,
            entries(&all, &Load { partitions: 3, ..rate.clone() }),
            &no_later,
        ),
        Row {
            times: 5,
            ..row(
                "cold",
                "from making the producer to the first acknowledgement",
                Kind::Embedded,
                [entries(&all, &cold), vec![cold_plain]].concat(),
                // Without idempotence it need not wait for a producer id: the harder of the two comparisons.
                &[
                    ratio(First, "librdkafka", AtMost(1.0 / 5.0)),
                    ratio(First, "librdkafka, not idempotent", AtMost(1.0 / 5.0)),
                ],
            )
        },
    ]
}

fn codecs() -> Vec<Row> {
    let all = [KURIER, LIBRDKAFKA, FRANZ, JAVA, Peer::Codec];
    let targets = [ratio(Throughput, "codec", AtLeast(0.9)), ratio(Throughput, "librdkafka", AtLeast(1.0))];
    let one = |name, title, codec| {
        let load = Load { codec, payload: Payload::Payment, idempotent: false, ..Load::PLAIN };
        row(name, title, Kind::Embedded, entries(&all, &load), &targets)
    };
    vec![
        one("gzip", "100 B of JSON, gzip, one I/O thread", "gzip"),
        one("snappy", "100 B of JSON, snappy, one I/O thread", "snappy"),
        one("lz4", "100 B of JSON, lz4, one I/O thread", "lz4"),
        one("zstd", "100 B of JSON, zstd, one I/O thread", "zstd"),
    ]
}
