//! What one seed is about: the producer's settings, the application's habits, and which kinds of faults there are.

use crate::random::Random;
use crate::record::Sizes;
use kurier::accumulator::Limits;
use kurier::engine::EngineConfig;
use kurier::protocol::compression::{Codec, max_compressed_len};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Kinds of faults of the network and of the process; the cluster has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Bytes take long, each connection another time.
    Delay,
    /// A connection ends after so many more bytes, in either direction.
    Cut,
    /// Bytes vanish without an error, in one direction or both.
    HalfOpen,
    /// A connection is reset.
    Reset,
    /// Nobody listens.
    Refuse,
    /// Nobody answers a connect.
    Hang,
    /// The broker stops reading for a while, and its answers go on.
    Deaf,
    /// Answers are held back, many of them beyond the request timeout.
    LateAnswer,
    /// What was sent stays on the way for long, even when the sender has given up the connection.
    LateRequest,
    /// Small socket buffers, and reads and writes of single bytes.
    Crumbs,
    /// The whole process stands still for a while.
    Pause,
    /// One network thread gets no processor for a while.
    Starve,
    /// The calendar's clock jumps.
    Calendar,
    /// A broker that its cluster does not hear any more, and that the client loses, too, and finds again before
    /// another one leads.
    Isolate,
    /// Answers are held back until requests have piled up, and then they are lost with the broker, which is started
    /// again.
    Restart,
    /// A leader is lost with its answers, and soon the next one, before the third replica has all that this one has.
    Succession,
    /// Brokers and what they say.
    Cluster,
}

impl Kind {
    pub(crate) const ALL: [Self; 17] = [
        Self::Delay,
        Self::Cut,
        Self::HalfOpen,
        Self::Reset,
        Self::Refuse,
        Self::Hang,
        Self::Deaf,
        Self::LateAnswer,
        Self::LateRequest,
        Self::Crumbs,
        Self::Pause,
        Self::Starve,
        Self::Calendar,
        Self::Isolate,
        Self::Restart,
        Self::Succession,
        Self::Cluster,
    ];

    pub(crate) fn name(self) -> String {
        format!("{self:?}")
    }
}

/// When the application reads its deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// When there are some.
    AtOnce,
    /// Now and then.
    Late,
    /// Only when it has closed the producer.
    Never,
}

/// See the file's first line.
pub(crate) struct Plan {
    pub(crate) engine: EngineConfig,
    pub(crate) limits: Limits,
    pub(crate) codec: Codec,
    pub(crate) reading: Reading,
    /// Deliveries are read as the callback thread reads them.
    pub(crate) by_callback: bool,
    pub(crate) senders: u32,
    pub(crate) records: u64,
    /// Between two bursts of a sender, in microseconds.
    pub(crate) pause_us: u64,
    pub(crate) burst: u64,
    pub(crate) quiet_percent: u64,
    pub(crate) sizes: Sizes,
    /// How long a sender waits for memory; zero: it goes away at once.
    pub(crate) max_block: Duration,
    /// Records have timestamps from all over the calendar.
    pub(crate) wild_timestamps: bool,
    pub(crate) flushes: u64,
    pub(crate) purges: u64,
    /// Close while it goes wrong, with this much time for it.
    pub(crate) early_close: Option<Duration>,
    /// For how long things go wrong.
    pub(crate) trouble: Duration,
    pub(crate) faults: Vec<Kind>,
    /// How many in the time of trouble.
    pub(crate) fault_count: u64,
    /// Nanoseconds from being woken to running.
    pub(crate) latency: RangeInclusive<u64>,
    /// Nanoseconds of a way from machine to machine.
    pub(crate) distance: RangeInclusive<u64>,
    pub(crate) bytes_per_s: u64,
    pub(crate) socket_bytes: usize,
    /// Percent of the steps of a sender at which it stands still for a while (only with the feature `simulation`).
    #[cfg_attr(not(feature = "simulation"), expect(dead_code, reason = "nothing stops there"))]
    pub(crate) stop_percent: u64,
}

fn one_of<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[random.below(choices.len() as u64) as usize]
}

fn millis(random: &mut Random, choices: &[u64]) -> Duration {
    Duration::from_millis(one_of(random, choices))
}

impl Plan {
    pub(crate) fn draw(random: &mut Random, is_cluster_faulty: bool) -> Self {
        let faults = draw_faults(random, is_cluster_faulty);
        let mut engine = draw_engine(random);
        // A leader that is isolated is found again, before another one leads, when some of what it has was given up and
        // some was not: times have to fit for that.
        let is_brief = faults.contains(&Kind::Isolate) && random.chance(40);
        if is_brief {
            engine.request_timeout = Duration::from_secs(1);
            engine.delivery_timeout = Duration::from_secs(2);
            engine.reconnect_backoff = (Duration::from_millis(10), Duration::from_millis(100));
        }
        let codec = if random.chance(60) { Codec::None } else { one_of(random, Codec::ALL) };
        // Many small batches one behind the other: what is out when something ends is a pipeline.
        let is_dense = random.chance(25);
        let batches: &[usize] = if is_dense { &[200, 1_000] } else { &[200, 1_000, 4_096, 16_384, 16_384, 100_000] };
        let batch_bytes = one_of(random, batches).min(engine.request_bytes_max);
        let lingers: &[u64] = if is_dense { &[0, 0, 1] } else { &[0, 0, 1, 5, 5, 50, 300] };
        let lingers = if is_brief { &[0, 1, 5][..] } else { lingers };
        let linger = millis(random, lingers).min(engine.delivery_timeout - engine.request_timeout);
        let limits = draw_limits(random, &engine, codec, batch_bytes, linger);
        let shared = limits.memory_bytes - limits.reserve_bytes;
        let large = (engine.request_bytes_max as u64 / 2).min(shared as u64 / 4).min(60_000);
        let is_long = random.chance(10);
        let lengths: &[u64] = match (is_long, is_brief) {
            (true, _) => &[20_000, 90_000],
            (_, true) => &[8_000, 15_000],
            _ => &[300, 1_000, 3_000, 8_000],
        };
        let trouble = millis(random, lengths);
        let senders = random.range(1..=4) as u32;
        let records = if is_dense { 600 } else { one_of(random, &[10, 40, 100, 100, 250]) };
        let burst = if is_brief {
            1
        } else if is_dense {
            one_of(random, &[1, 3])
        } else {
            one_of(random, &[1, 3, 10, 40])
        };
        // What is out when it begins was opened over a whole second.
        let records = if is_brief { u64::from(senders) * trouble.as_millis() as u64 / 150 } else { records };
        let bursts_each = (records / u64::from(senders) / burst).max(1);
        Self {
            codec,
            reading: one_of(random, &[Reading::AtOnce, Reading::AtOnce, Reading::Late, Reading::Never]),
            by_callback: random.chance(20),
            senders,
            records,
            pause_us: trouble.as_micros() as u64 / bursts_each,
            burst,
            quiet_percent: one_of(random, &[0, 0, 0, 20, 100]),
            sizes: Sizes { value_max: one_of(random, &[0, 50, 200, 1_000]), large },
            max_block: millis(random, &[0, 0, 100, 3_000, 60_000]),
            wild_timestamps: random.chance(10),
            flushes: one_of(random, &[0, 0, 1, 5]),
            purges: one_of(random, &[0, 0, 0, 0, 1, 3]),
            early_close: random.chance(15).then(|| millis(random, &[0, 10, 1_000, 200_000])),
            trouble,
            fault_count: if faults.is_empty() { 0 } else { random.range(1..=12) },
            latency: if random.chance(10) { 1_000..=3_000_000 } else { 1_000..=60_000 },
            distance: one_of(random, &[(20_000, 100_000), (200_000, 900_000), (1_000_000, 30_000_000)]).into_range(),
            bytes_per_s: one_of(random, &[0, 0, 0, 100_000_000, 2_000_000]),
            socket_bytes: if faults.contains(&Kind::Crumbs) {
                random.range(100..=8_000) as usize
            } else {
                crate::wire::BUFFER_BYTES
            },
            stop_percent: one_of(random, &[0, 0, 2, 20]),
            faults,
            engine,
            limits,
        }
    }

    /// Only the course of a `Succession`, and times that let the client meet the second leader before it is lost.
    pub(crate) fn watch_succession(&mut self) {
        self.faults = vec![Kind::Succession];
        self.fault_count = 1;
        (self.engine.acks, self.engine.idempotent, self.engine.retries) = (-1, true, u32::MAX);
        self.engine.resend_unknown = false;
        self.engine.request_timeout = Duration::from_secs(5);
        self.engine.delivery_timeout = Duration::from_secs(20);
        self.engine.retry_backoff = (Duration::from_millis(10), Duration::from_millis(50));
        self.limits.delivery_timeout = self.engine.delivery_timeout;
        self.limits.linger = self.limits.linger.min(Duration::from_millis(5));
        self.purges = 0;
        self.trouble = Duration::from_secs(15);
        self.burst = 1;
        self.pause_us = 200_000;
        self.records = u64::from(self.senders) * 75;
    }

    /// Nothing twice, and all in order. (With `unknown.outcome=resend` the application has chosen otherwise.)
    pub(crate) fn is_idempotent(&self) -> bool {
        self.engine.idempotent && self.engine.acks == -1 && !self.engine.resend_unknown
    }
}

trait IntoRange {
    fn into_range(self) -> RangeInclusive<u64>;
}

impl IntoRange for (u64, u64) {
    fn into_range(self) -> RangeInclusive<u64> {
        self.0..=self.1
    }
}

/// Some kinds, often few, seldom all: a fault is found by what surrounds it, and hidden by it.
fn draw_faults(random: &mut Random, is_cluster_faulty: bool) -> Vec<Kind> {
    let percent = one_of(random, &[0, 0, 15, 15, 30, 60]);
    let of_network = Kind::ALL.into_iter().filter(|kind| match kind {
        Kind::Cluster => false,
        // What idempotence is for; each is a whole course of things that seldom come together by themselves.
        Kind::Isolate | Kind::Restart => random.chance(percent.max(30)),
        // Needs times of its own: `watch_succession`.
        Kind::Succession => false,
        _ => random.chance(percent),
    });
    let mut faults: Vec<Kind> = of_network.collect();
    if is_cluster_faulty {
        // As often as all others together.
        faults.extend(std::iter::repeat_n(Kind::Cluster, faults.len().max(1)));
    }
    faults
}

fn draw_engine(random: &mut Random) -> EngineConfig {
    let request_timeout = millis(random, &[200, 1_000, 3_000, 30_000]);
    let more = millis(random, &[400, 1_000, 5_000, 20_000, 100_000]);
    let ordered = random.chance(80);
    let acks = if ordered { -1 } else { one_of(random, &[-1, 0, 1]) };
    let retry_backoff = one_of(random, &[(10, 100), (100, 1_000), (100, 1_000)]);
    let reconnect_backoff = one_of(random, &[(10, 100), (50, 1_000), (50, 1_000)]);
    let span = |(least, most)| (Duration::from_millis(least), Duration::from_millis(most));
    EngineConfig {
        client_id: "simulated".into(),
        acks,
        idempotent: ordered,
        in_flight_max: random.range(1..=8) as usize,
        request_bytes_max: one_of(random, &[4_000, 60_000, 1_048_576, 1_048_576]),
        retries: if random.chance(85) { u32::MAX } else { random.below(4) as u32 },
        retry_backoff: span(retry_backoff),
        reconnect_backoff: span(reconnect_backoff),
        setup_timeout: span(one_of(random, &[(500, 2_000), (10_000, 30_000)])),
        request_timeout,
        delivery_timeout: request_timeout + more,
        metadata_age_max: millis(random, &[500, 5_000, 300_000]),
        metadata_idle_max: millis(random, &[5_000, 300_000, 300_000]),
        connection_idle_max: random.chance(80).then(|| millis(random, &[300, 5_000, 540_000])),
        throttle_max: Duration::from_secs(2),
        ..EngineConfig::default()
    }
}

/// `buffer.memory` between the least that the settings allow and plenty.
fn draw_limits(
    random: &mut Random,
    engine: &EngineConfig,
    codec: Codec,
    batch_bytes: usize,
    linger: Duration,
) -> Limits {
    let block = |bytes: usize| (bytes + bytes / 8).next_multiple_of(4_096) + 4_096;
    let compressed = if codec == Codec::None { 0 } else { max_compressed_len(codec, engine.request_bytes_max) };
    let for_one = block(batch_bytes).max(compressed);
    let least = (2 * for_one).max(for_one + block(engine.request_bytes_max)) * 8 / 7 + 4_096;
    let memory_bytes = least + one_of(random, &[0, 5_000, 50_000, 30_000_000]);
    Limits {
        memory_bytes,
        reserve_bytes: (memory_bytes / 8).max(for_one),
        batch_bytes,
        linger,
        delivery_timeout: engine.delivery_timeout,
        compresses: codec != Codec::None,
    }
}
