//! Everything that happens, in order, as one running hash; as text too for who replays a seed.

use kurier::time::Time;

/// FNV-1a over what happened: enough to tell two runs apart.
pub(crate) struct Trace {
    hash: u64,
    is_printed: bool,
}

impl Trace {
    pub(crate) fn new(is_printed: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, is_printed }
    }

    fn mix(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.hash = (self.hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
    }

    /// Something happened: what, and the numbers that tell which.
    pub(crate) fn event(&mut self, now: Time, what: &str, numbers: &[u64]) {
        self.mix(&now.0.to_le_bytes());
        self.mix(what.as_bytes());
        for number in numbers {
            self.mix(&number.to_le_bytes());
        }
        if self.is_printed {
            println!("{} {what} {numbers:?}", show(now));
        }
    }

    /// As [`Self::event`], with words.
    pub(crate) fn say(&mut self, now: Time, what: &str, words: &str) {
        self.mix(&now.0.to_le_bytes());
        self.mix(what.as_bytes());
        self.mix(words.as_bytes());
        if self.is_printed {
            println!("{} {what} {words}", show(now));
        }
    }

    /// More about what happened, for who reads; made only then.
    pub(crate) fn explain(&self, words: impl FnOnce() -> String) {
        if self.is_printed {
            println!("             {}", words());
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}

/// A moment in seconds.
pub(crate) fn show(time: Time) -> String {
    if time == Time::NEVER { "never".into() } else { format!("{:12.6}", time.0 as f64 / 1e9) }
}
