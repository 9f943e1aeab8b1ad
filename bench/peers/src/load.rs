//! What a driver is told to send: the same words for every peer.

use std::path::PathBuf;

/// One run of a driver. The names of the fields are those of the words; README.md says what they mean.
#[derive(Clone, Debug)]
pub struct Load {
    /// 0: as many as a run of the usual length needs.
    pub records: u64,
    pub bytes: usize,
    pub keys: u64,
    pub headers: usize,
    pub partitions: i32,
    pub spread: &'static str,
    pub rate: u64,
    /// Records that are due at the same moment, where there is a rate.
    pub burst: u64,
    pub linger_us: u64,
    pub codec: &'static str,
    pub acks: &'static str,
    pub idempotent: bool,
    pub payload: Payload,
    pub threads: u64,
    pub outstanding: bool,
    pub cold: bool,
    pub hold: bool,
    pub idle_s: u64,
    pub quiet_s: u64,
    pub run: u64,
    pub buffer_mb: u64,
}

/// What values look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    Random,
    Payment,
}

impl Load {
    /// 100 random bytes, no key, one thread, as fast as possible, acks=all, idempotent.
    pub const PLAIN: Self = Self {
        records: 0,
        bytes: 100,
        keys: 0,
        headers: 0,
        partitions: 4,
        spread: "auto",
        rate: 0,
        burst: 1,
        linger_us: 5000,
        codec: "none",
        acks: "all",
        idempotent: true,
        payload: Payload::Random,
        threads: 1,
        outstanding: false,
        cold: false,
        hold: false,
        idle_s: 0,
        quiet_s: 0,
        run: 1,
        buffer_mb: 64,
    };

    /// Whether the number of records follows from the speed of the peer.
    pub fn is_open(&self) -> bool {
        self.records == 0
    }

    /// A driver's command line but for the program.
    pub fn words(&self, bootstrap: &str, topic: &str) -> Vec<String> {
        let Self { records, bytes, keys, headers, partitions, spread, rate, burst, linger_us, .. } = self;
        let Self { codec, acks, threads, idle_s, quiet_s, run, buffer_mb, .. } = self;
        let [idempotent, outstanding, cold, hold] =
            [self.idempotent, self.outstanding, self.cold, self.hold].map(u8::from);
        let payload = self.payload.path(*bytes).display().to_string();
        [
            format!("bootstrap={bootstrap}"),
            format!("topic={topic}"),
            format!("records={records}"),
            format!("bytes={bytes}"),
            format!("keys={keys}"),
            format!("headers={headers}"),
            format!("partitions={partitions}"),
            format!("spread={spread}"),
            format!("rate={rate}"),
            format!("burst={burst}"),
            format!("linger_us={linger_us}"),
            format!("codec={codec}"),
            format!("acks={acks}"),
            format!("idempotent={idempotent}"),
            format!("payload={payload}"),
            format!("threads={threads}"),
            format!("outstanding={outstanding}"),
            format!("cold={cold}"),
            format!("hold={hold}"),
            format!("idle_s={idle_s}"),
            format!("quiet_s={quiet_s}"),
            format!("run={run}"),
            format!("buffer_mb={buffer_mb}"),
        ]
        .into()
    }
}

/// More than one batch holds, so that no codec finds a value again that it has seen.
const VALUES: u64 = 32_768;

impl Payload {
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Payment => "payment",
        }
    }

    fn path(self, bytes: usize) -> PathBuf {
        let name = format!("{}-{bytes}.values", self.name());
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers").join(name)
    }

    /// Writes the values that all drivers take, one behind the other.
    pub fn write(self, bytes: usize) -> std::io::Result<()> {
        let path = self.path(bytes);
        std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
        let values: Vec<u8> = (0..VALUES).flat_map(|number| self.value(number, bytes)).collect();
        std::fs::write(path, values)
    }

    fn value(self, number: u64, bytes: usize) -> Vec<u8> {
        match self {
            Self::Random => (0..bytes as u64).map(|at| mix(number << 20 | at).to_le_bytes()[0]).collect(),
            Self::Payment => payment(number, bytes),
        }
    }
}

/// A payment as JSON, filled up with its reference: lz4 makes 2.3 times less of many, zstd 3.9 times less.
fn payment(number: u64, bytes: usize) -> Vec<u8> {
    const CURRENCIES: [&str; 5] = ["EUR", "USD", "GBP", "CHF", "JPY"];
    let random = mix(number);
    let mut text = format!(
        r#"{{"id":{},"from":"DE{:010}","to":"FR{:08}","cents":{},"currency":"{}","ref":""#,
        4_000_000 + number,
        random % 10_000_000_000,
        mix(random) % 100_000_000,
        (random >> 20) % 100_000,
        CURRENCIES[usize::try_from((random >> 42) % 5).unwrap_or(0)],
    )
    .into_bytes();
    let mut more = mix(random);
    while text.len() + 2 < bytes {
        text.push(b"0123456789abcdef"[usize::try_from(more & 15).unwrap_or(0)]);
        more = more.rotate_right(4);
    }
    text.extend(b"\"}");
    text.truncate(bytes);
    text
}

/// The step of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
