//! How `buffer.memory`, `max.request.size` and `batch.size` fit together, and which of them gives way.

use super::Codec;
use crate::code::{Code, Error, Result};

/// A page, in which the larger blocks are measured.
const PAGE: usize = 4096;

/// What the memory limit is charged for a block that holds this many bytes of records: an eighth more for entries,
/// and the block's own numbers.
#[must_use]
pub const fn block_bytes(record_bytes: usize) -> usize {
    record_bytes.saturating_add(record_bytes / 8).saturating_add(PAGE).next_multiple_of(PAGE)
}

/// No codec makes more than this of so many bytes. Snappy is the worst (a sixth more, and xerial's frames).
#[must_use]
pub const fn compressed_bytes_max(codec: Codec, bytes: usize) -> usize {
    match codec {
        Codec::None => bytes,
        _ => bytes.saturating_add(bytes / 5).saturating_add(PAGE),
    }
}

/// The three sizes, and which of them were set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) codec: Codec,
    pub(super) buffer_memory: usize,
    pub(super) buffer_memory_is_set: bool,
    pub(super) max_request_size: usize,
    pub(super) max_request_size_is_set: bool,
    pub(super) batch_size: usize,
    pub(super) batch_size_is_set: bool,
}

impl Sizes {
    /// Makes them fit: what was not set gives way, and two that were set and contradict each other are an error.
    pub(super) fn fitted(mut self) -> Result<Self> {
        if self.batch_size > self.max_request_size {
            match (self.batch_size_is_set, self.max_request_size_is_set) {
                (false, _) => self.batch_size = self.max_request_size,
                (true, false) => self.max_request_size = self.batch_size,
                (true, true) => {
                    return Err(contradiction(format!(
                        "batch.size={} is more than max.request.size={}",
                        self.batch_size, self.max_request_size
                    )));
                }
            }
        }
        if self.fits() {
            return Ok(self);
        }
        if !self.buffer_memory_is_set {
            self.buffer_memory = self.buffer_memory.max(self.needed());
            return Ok(self);
        }
        if !self.batch_size_is_set {
            self.batch_size = self.batch_size.min((self.buffer_memory / 8 - 2 * PAGE) / 9 * 8);
        }
        if !self.max_request_size_is_set && !self.fits() {
            self.max_request_size = self.max_request_size.min(self.largest_request()).max(self.batch_size);
        }
        if self.fits() { Ok(self) } else { Err(self.too_small()) }
    }

    /// What appenders do not get (an eighth, or what one batch needs to be compressed or split, if that is more).
    pub(super) fn kept(&self) -> usize {
        (self.buffer_memory / 8).max(self.kept_for_one())
    }

    fn kept_for_one(&self) -> usize {
        let compressed = match self.codec {
            Codec::None => 0,
            codec => compressed_bytes_max(codec, self.max_request_size),
        };
        block_bytes(self.batch_size).max(compressed)
    }

    fn fits(&self) -> bool {
        let kept = self.kept();
        kept <= self.buffer_memory / 2 && kept.saturating_add(block_bytes(self.max_request_size)) <= self.buffer_memory
    }

    /// The smallest `buffer.memory` for the other two.
    fn needed(&self) -> usize {
        let kept = self.kept_for_one();
        let block = block_bytes(self.max_request_size);
        let beside_an_eighth = block.saturating_add(block / 7).saturating_add(PAGE);
        kept.saturating_mul(2).max(kept.saturating_add(block)).max(beside_an_eighth).next_multiple_of(PAGE)
    }

    /// The largest `max.request.size` for the other two, a little rounded down.
    fn largest_request(&self) -> usize {
        match self.codec {
            // The rest of the memory, without the eighth that its block is larger.
            Codec::None => self.buffer_memory.saturating_sub(self.kept()).saturating_sub(2 * PAGE) / 9 * 8,
            // Once as a block (9/8) and once compressed (6/5): 0.93 of the memory, of which 0.48 is kept.
            _ => self.buffer_memory / 5 * 2,
        }
    }

    fn too_small(&self) -> Error {
        let culprit = match (self.max_request_size_is_set, self.batch_size_is_set) {
            (true, true) => {
                format!("max.request.size={} with batch.size={}", self.max_request_size, self.batch_size)
            }
            (true, false) => format!("max.request.size={}", self.max_request_size),
            (false, _) => format!("batch.size={}", self.batch_size),
        };
        let codec = if self.codec == Codec::None { "" } else { " and compression" };
        contradiction(format!(
            "buffer.memory={} is too small for {culprit}{codec}: it must be at least {}",
            self.buffer_memory,
            self.needed()
        ))
    }
}

pub(super) fn contradiction(message: String) -> Error {
    Error::new(Code::INVALID_ARGUMENT, message)
}
