//! The five codecs of a record batch, and compressing into the very framing that brokers and other clients expect.

use std::fmt;
use std::ops::RangeInclusive;

use flate2::{Compress, Compression, FlushCompress, Status};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use zstd_safe::{CCtx, CParameter};

/// How the records of a batch are compressed. The numbers are those of the batch attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum Codec {
    /// Not at all.
    #[default]
    None = 0,
    /// gzip (RFC 1952).
    Gzip = 1,
    /// Snappy in the framing of snappy-java, which its users call xerial.
    Snappy = 2,
    /// LZ4 in its frame format, independent blocks.
    Lz4 = 3,
    /// Zstandard (KIP-110); brokers take it from Produce 7 on.
    Zstd = 4,
}

impl Codec {
    /// Every codec, by number.
    pub const ALL: &'static [Self] = &[Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of these attribute bits (0 to 7); 5 to 7 are none.
    #[must_use]
    pub fn from_bits(bits: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|codec| *codec as i16 == bits)
    }

    /// The codec of that name in `compression.type`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|codec| codec.name() == name)
    }

    /// Its name in `compression.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The levels that KIP-390 allows; `None` where there are none. gzip has -1 besides, for zlib's own default.
    ///
    /// LZ4 takes its levels for the sake of configurations that name one, but there is only one compressor behind
    /// them: the bytes are the same.
    #[must_use]
    pub fn levels(self) -> Option<RangeInclusive<i32>> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some(1..=9),
            Self::Lz4 => Some(1..=17),
            Self::Zstd => Some(-131_072..=22),
        }
    }

    /// The level if none is set, as in the Java producer.
    #[must_use]
    pub fn default_level(self) -> i32 {
        match self {
            Self::None | Self::Snappy => 0,
            Self::Gzip => -1,
            Self::Lz4 => 9,
            Self::Zstd => 3,
        }
    }

    /// Is this one of its levels? Without levels any number is, and has no effect.
    #[must_use]
    pub fn has_level(self, level: i32) -> bool {
        self.levels().is_none_or(|levels| levels.contains(&level)) || (self == Self::Gzip && level == -1)
    }
}

/// Why bytes could not be compressed or decompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompressionError {
    /// One sentence for people.
    pub message: String,
}

impl CompressionError {
    pub(super) fn new(codec: Codec, reason: impl fmt::Display) -> Self {
        Self { message: format!("{}: {reason}", codec.name()) }
    }
}

impl fmt::Display for CompressionError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for CompressionError {}

/// Snappy blocks as snappy-java cuts them.
const SNAPPY_BLOCK_BYTES: usize = 32 * 1024;
/// snappy-java's magic, its version and the oldest compatible one.
pub(super) const XERIAL_HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];

/// LZ4 blocks as Kafka cuts them.
const LZ4_BLOCK_BYTES: usize = 64 * 1024;
/// Magic; version 1 and independent blocks without checksums; blocks of 64 KiB; the checksum of those two bytes.
pub(super) const LZ4_HEADER: [u8; 7] = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82];
const LZ4_END: [u8; 4] = [0; 4];
/// Set in the length of a block that is stored as it is.
pub(super) const LZ4_STORED: u32 = 0x8000_0000;

/// The most bytes that `bytes` bytes can become.
#[must_use]
pub fn max_compressed_len(codec: Codec, bytes: usize) -> usize {
    match codec {
        Codec::None => bytes,
        // zlib's worst case: literals of 9 bits, and the header and trailer.
        Codec::Gzip => bytes.saturating_add(bytes / 8).saturating_add(64),
        Codec::Snappy => {
            // snap: 32 + n + n/6 for each block, and its length.
            let blocks = bytes.div_ceil(SNAPPY_BLOCK_BYTES);
            bytes.saturating_add(bytes / 6).saturating_add(blocks.saturating_mul(36)).saturating_add(16)
        }
        // A block that does not shrink is stored.
        Codec::Lz4 => bytes.saturating_add(4 * bytes.div_ceil(LZ4_BLOCK_BYTES)).saturating_add(11),
        // The bound of zstd.h, with the margin of small inputs for all.
        Codec::Zstd => bytes.saturating_add(bytes >> 8).saturating_add(64 + 128 * 1024 / 2048),
    }
}

/// Compresses batches, one after the other; keeps its tables and contexts. One per thread that compresses.
#[derive(Default)]
pub struct Compressor {
    gzip: Option<(i32, Compress)>,
    snappy: Option<snap::raw::Encoder>,
    lz4: Option<CompressTable>,
    zstd: Option<(i32, CCtx<'static>)>,
    /// One block of Snappy or LZ4.
    block: Vec<u8>,
}

impl fmt::Debug for Compressor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl Compressor {
    /// Nothing is allocated before it is needed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the content of `out` with the compressed input, in one piece for the payload of a batch. An `out` with
    /// a capacity of [`max_compressed_len`] is not reallocated. `level` is checked; see [`Codec::default_level`].
    pub fn compress(
        &mut self,
        codec: Codec,
        level: i32,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        if !codec.has_level(level) {
            return Err(CompressionError::new(codec, format_args!("there is no level {level}")));
        }
        out.clear();
        match codec {
            Codec::None => out.extend_from_slice(input),
            Codec::Gzip => self.gzip(level, input, out)?,
            Codec::Snappy => self.snappy(input, out)?,
            Codec::Lz4 => self.lz4(input, out)?,
            Codec::Zstd => self.zstd(level, input, out)?,
        }
        Ok(())
    }

    fn gzip(&mut self, level: i32, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        let context = match &mut self.gzip {
            Some((last, context)) if *last == level => {
                context.reset();
                context
            }
            place => {
                let level_known = u32::try_from(level).map_or_else(|_| Compression::default(), Compression::new);
                &mut place.insert((level, Compress::new_gzip(level_known, 15))).1
            }
        };
        out.reserve(max_compressed_len(Codec::Gzip, input.len()));
        loop {
            let read = usize::try_from(context.total_in()).unwrap_or(usize::MAX);
            let rest = input.get(read..).unwrap_or_default();
            let before = out.len();
            let status = context
                .compress_vec(rest, out, FlushCompress::Finish)
                .map_err(|error| CompressionError::new(Codec::Gzip, error))?;
            match status {
                Status::StreamEnd => return Ok(()),
                // Output is all that can be missing; without it there was progress, or there never will be.
                _ if out.len() == out.capacity() => out.reserve(4096),
                _ if out.len() > before => {}
                _ => return Err(CompressionError::new(Codec::Gzip, "no progress")),
            }
        }
    }

    fn snappy(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        let encoder = self.snappy.get_or_insert_with(snap::raw::Encoder::new);
        self.block.resize(snap::raw::max_compress_len(SNAPPY_BLOCK_BYTES).max(self.block.len()), 0);
        out.extend_from_slice(&XERIAL_HEADER);
        for piece in input.chunks(SNAPPY_BLOCK_BYTES) {
            let length = encoder
                .compress(piece, &mut self.block)
                .map_err(|error| CompressionError::new(Codec::Snappy, error))?;
            out.extend_from_slice(&(length as u32).to_be_bytes());
            out.extend_from_slice(self.block.get(..length).unwrap_or_default());
        }
        Ok(())
    }

    fn lz4(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        let table = self.lz4.get_or_insert_with(CompressTable::large);
        self.block.resize(get_maximum_output_size(LZ4_BLOCK_BYTES).max(self.block.len()), 0);
        out.extend_from_slice(&LZ4_HEADER);
        for piece in input.chunks(LZ4_BLOCK_BYTES) {
            let length = compress_into_with_table(piece, &mut self.block, table)
                .map_err(|error| CompressionError::new(Codec::Lz4, error))?;
            match self.block.get(..length) {
                Some(block) if length < piece.len() => {
                    out.extend_from_slice(&(length as u32).to_le_bytes());
                    out.extend_from_slice(block);
                }
                _ => {
                    out.extend_from_slice(&(piece.len() as u32 | LZ4_STORED).to_le_bytes());
                    out.extend_from_slice(piece);
                }
            }
        }
        out.extend_from_slice(&LZ4_END);
        Ok(())
    }

    fn zstd(&mut self, level: i32, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        if self.zstd.as_ref().is_none_or(|(last, _)| *last != level) {
            let mut context = match self.zstd.take() {
                Some((_, context)) => context,
                None => CCtx::try_create().ok_or_else(|| CompressionError::new(Codec::Zstd, "no memory"))?,
            };
            context.set_parameter(CParameter::CompressionLevel(level)).map_err(zstd_error)?;
            self.zstd = Some((level, context));
        }
        let Some((_, context)) = &mut self.zstd else { return Err(CompressionError::new(Codec::Zstd, "no context")) };
        out.reserve(zstd_safe::compress_bound(input.len()));
        context.compress2(out, input).map_err(zstd_error)?;
        Ok(())
    }
}

pub(super) fn zstd_error(code: usize) -> CompressionError {
    CompressionError::new(Codec::Zstd, zstd_safe::get_error_name(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::decompression::decompress;

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..bytes).map(|_| next()).collect()
    }

    fn inputs() -> Vec<Vec<u8>> {
        let text = b"one record after the other, ".repeat(10_000);
        let sizes = [0, 1, 10, 1000, 32 * 1024, 32 * 1024 + 1, 64 * 1024, 64 * 1024 + 1, 280_000];
        let of = |from: &[u8]| sizes.map(|size| from[..size.min(from.len())].to_vec());
        [of(&text), of(&noise(300_000)), of(&vec![0; 300_000])].concat()
    }

    #[test]
    fn every_codec_gives_back_what_it_took_at_every_level_with_one_compressor() {
        let mut compressor = Compressor::new();
        let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
        for codec in Codec::ALL {
            for level in [codec.default_level(), 1, 9, codec.default_level()] {
                for input in inputs() {
                    let room = max_compressed_len(*codec, input.len());
                    packed = Vec::with_capacity(room);
                    let place = packed.as_ptr();
                    compressor.compress(*codec, level, &input, &mut packed).unwrap();
                    assert!(packed.len() <= room, "{codec:?} {level} {}", input.len());
                    assert_eq!(packed.as_ptr(), place, "reallocated: {codec:?} {level} {}", input.len());
                    decompress(*codec, &packed, input.len(), &mut unpacked).unwrap();
                    assert!(unpacked == input, "{codec:?} {level} {}", input.len());
                }
            }
        }
        assert!(!packed.is_empty());
    }

    #[test]
    fn levels_are_those_of_kip_390() {
        let mut compressor = Compressor::new();
        let mut out = Vec::new();
        let wrong = [(Codec::Gzip, 0), (Codec::Gzip, 10), (Codec::Gzip, -2), (Codec::Lz4, 0), (Codec::Lz4, 18)];
        for (codec, level) in wrong.into_iter().chain([(Codec::Zstd, 23), (Codec::Zstd, -131_073)]) {
            assert!(compressor.compress(codec, level, b"input", &mut out).is_err(), "{codec:?} {level}");
        }
        for (codec, level) in [(Codec::Zstd, -131_072), (Codec::Zstd, 22), (Codec::Gzip, -1), (Codec::Lz4, 17)] {
            compressor.compress(codec, level, b"input", &mut out).unwrap();
        }
    }
}
