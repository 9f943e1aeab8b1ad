//! The five codecs of a record batch, and compressing into the very framing that brokers and other clients expect.

use std::fmt;
use std::ops::RangeInclusive;

use libdeflater::CompressionLvl;
use lz4::block::{CompressionMode, compress_to_buffer};
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
    /// LZ4's are those of its slow compressor but for the default, 9, which stands for the fast one, as in Java
    /// (`Lz4BlockOutputStream`). Those above 12 are like 12.
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

/// What Snappy looks back within, and librdkafka's blocks. snappy-java cuts half as much by default and reads any size;
/// with 32 KiB, payments of 100 bytes become 2 % and larger records 5 % larger.
const SNAPPY_BLOCK_BYTES: usize = 64 * 1024;
/// snappy-java's magic, its version and the oldest compatible one.
pub(super) const XERIAL_HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];

/// LZ4 blocks as Kafka cuts them.
const LZ4_BLOCK_BYTES: usize = 64 * 1024;
/// LZ4 needs not look for the end of its room if a block has so much more than its own size (`LZ4_COMPRESSBOUND`).
const LZ4_BLOCK_MARGIN: usize = LZ4_BLOCK_BYTES / 255 + 16;
/// Magic; version 1 and independent blocks without checksums; blocks of 64 KiB; the checksum of those two bytes.
pub(super) const LZ4_HEADER: [u8; 7] = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82];
const LZ4_END: [u8; 4] = [0; 4];
/// Set in the length of a block that is stored as it is.
pub(super) const LZ4_STORED: u32 = 0x8000_0000;

/// A scratch buffer that is not given away with what was compressed into it.
const SCRATCH_BYTES_KEPT: usize = 2 << 20;

/// The most bytes that `bytes` bytes can become.
#[must_use]
pub fn max_compressed_len(codec: Codec, bytes: usize) -> usize {
    match codec {
        Codec::None => bytes,
        // libdeflate: 5 bytes for each stored block, of which 5,000 bytes make one at least; header and trailer.
        Codec::Gzip => bytes.saturating_add(bytes / 900).saturating_add(64),
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
    gzip: Option<(i32, libdeflater::Compressor)>,
    snappy: Option<snap::raw::Encoder>,
    zstd: Option<(i32, CCtx<'static>)>,
    /// Where the codecs write: pages that are there already, and warm. How long the result is, is known only then.
    scratch: Vec<u8>,
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

    /// Replaces the content of `out` with the compressed input, in one piece for the payload of a batch: no more than
    /// [`max_compressed_len`], and without room for more. `level` is checked; see [`Codec::default_level`].
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
        if codec == Codec::None {
            out.reserve_exact(input.len());
            out.extend_from_slice(input);
            return Ok(());
        }
        let room = max_compressed_len(codec, input.len()).saturating_add(LZ4_BLOCK_MARGIN);
        if self.scratch.len() < room {
            // Zeroed by the system, which is where new pages come from.
            self.scratch = vec![0; room.max(room.next_power_of_two().min(SCRATCH_BYTES_KEPT))];
        }
        let length = match codec {
            Codec::None => 0,
            Codec::Gzip => self.gzip(level, input)?,
            Codec::Snappy => self.snappy(input)?,
            Codec::Lz4 => lz4(level, input, &mut self.scratch)?,
            Codec::Zstd => self.zstd(level, input)?,
        };
        if self.scratch.len() > SCRATCH_BYTES_KEPT {
            *out = std::mem::take(&mut self.scratch);
            out.truncate(length);
            out.shrink_to_fit();
        } else {
            out.reserve_exact(length);
            out.extend_from_slice(self.scratch.get(..length).unwrap_or_default());
        }
        Ok(())
    }

    fn gzip(&mut self, level: i32, input: &[u8]) -> Result<usize, CompressionError> {
        let context = match &mut self.gzip {
            Some((last, context)) if *last == level => context,
            place => {
                // zlib's own default is 6.
                let known = if level == -1 { 6 } else { level };
                let known = CompressionLvl::new(known)
                    .map_err(|error| CompressionError::new(Codec::Gzip, format_args!("{error:?}")))?;
                &mut place.insert((level, libdeflater::Compressor::new(known))).1
            }
        };
        context.gzip_compress(input, &mut self.scratch).map_err(|error| CompressionError::new(Codec::Gzip, error))
    }

    fn snappy(&mut self, input: &[u8]) -> Result<usize, CompressionError> {
        let encoder = self.snappy.get_or_insert_with(snap::raw::Encoder::new);
        let mut place = Place::new(Codec::Snappy, &mut self.scratch);
        place.put(&XERIAL_HEADER)?;
        for piece in input.chunks(SNAPPY_BLOCK_BYTES) {
            let (length_place, block) = place.block()?;
            let length = encoder.compress(piece, block).map_err(|error| CompressionError::new(Codec::Snappy, error))?;
            *length_place = (length as u32).to_be_bytes();
            place.skip(4 + length);
        }
        Ok(place.end)
    }

    fn zstd(&mut self, level: i32, input: &[u8]) -> Result<usize, CompressionError> {
        if self.zstd.as_ref().is_none_or(|(last, _)| *last != level) {
            let mut context = match self.zstd.take() {
                Some((_, context)) => context,
                None => CCtx::try_create().ok_or_else(|| CompressionError::new(Codec::Zstd, "no memory"))?,
            };
            context.set_parameter(CParameter::CompressionLevel(level)).map_err(zstd_error)?;
            self.zstd = Some((level, context));
        }
        let Some((_, context)) = &mut self.zstd else { return Err(CompressionError::new(Codec::Zstd, "no context")) };
        context.compress2(self.scratch.as_mut_slice(), input).map_err(zstd_error)
    }
}

fn lz4(level: i32, input: &[u8], scratch: &mut [u8]) -> Result<usize, CompressionError> {
    let mode = if level == Codec::Lz4.default_level() {
        CompressionMode::DEFAULT
    } else {
        CompressionMode::HIGHCOMPRESSION(level)
    };
    let mut place = Place::new(Codec::Lz4, scratch);
    place.put(&LZ4_HEADER)?;
    for piece in input.chunks(LZ4_BLOCK_BYTES) {
        let (length_place, block) = place.block()?;
        let length = compress_to_buffer(piece, Some(mode), false, block)
            .map_err(|error| CompressionError::new(Codec::Lz4, error))?;
        if length < piece.len() {
            *length_place = (length as u32).to_le_bytes();
            place.skip(4 + length);
        } else {
            place.put(&(piece.len() as u32 | LZ4_STORED).to_le_bytes())?;
            place.put(piece)?;
        }
    }
    place.put(&LZ4_END)?;
    Ok(place.end)
}

const BEYOND: &str = "more than its bound";

/// A buffer that is filled from the front.
struct Place<'a> {
    codec: Codec,
    bytes: &'a mut [u8],
    end: usize,
}

impl<'a> Place<'a> {
    fn new(codec: Codec, bytes: &'a mut [u8]) -> Self {
        Self { codec, bytes, end: 0 }
    }

    /// Room for the length of a block, and for the block.
    fn block(&mut self) -> Result<(&mut [u8; 4], &mut [u8]), CompressionError> {
        let (codec, rest) = (self.codec, self.bytes.get_mut(self.end..));
        rest.and_then(<[u8]>::split_first_chunk_mut).ok_or_else(|| CompressionError::new(codec, BEYOND))
    }

    fn skip(&mut self, bytes: usize) {
        self.end += bytes;
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), CompressionError> {
        let room = self.bytes.get_mut(self.end..self.end + bytes.len());
        room.ok_or_else(|| CompressionError::new(self.codec, BEYOND))?.copy_from_slice(bytes);
        self.end += bytes.len();
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
                    packed = Vec::new();
                    compressor.compress(*codec, level, &input, &mut packed).unwrap();
                    let room = max_compressed_len(*codec, input.len());
                    assert!(packed.len() <= room, "{codec:?} {level} {}", input.len());
                    assert_eq!(packed.len(), packed.capacity(), "{codec:?} {level} {}", input.len());
                    decompress(*codec, &packed, input.len(), &mut unpacked).unwrap();
                    assert!(unpacked == input, "{codec:?} {level} {}", input.len());
                }
            }
        }
        assert!(!packed.is_empty());
    }

    /// Longer than what a compressor keeps room for, and then short again.
    #[test]
    fn a_large_batch_takes_the_room_with_it() {
        let mut compressor = Compressor::new();
        let large = [noise(1_000_000), b"much of the same, ".repeat(200_000)].concat();
        let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
        for codec in Codec::ALL {
            for input in [&large[..], &large[..5000], &large] {
                compressor.compress(*codec, codec.default_level(), input, &mut packed).unwrap();
                assert!(compressor.scratch.len() <= SCRATCH_BYTES_KEPT, "{codec:?} {}", compressor.scratch.len());
                decompress(*codec, &packed, input.len(), &mut unpacked).unwrap();
                assert!(unpacked == input, "{codec:?} {}", input.len());
            }
        }
    }

    #[test]
    fn a_level_makes_a_difference() {
        let mut state = 1u32;
        let mut lines = Vec::new();
        for line in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            lines.extend_from_slice(format!("{line}: paid {} to {}\n", state >> 20, state % 977).as_bytes());
        }
        let mut compressor = Compressor::new();
        let mut length = |codec, level| {
            let mut out = Vec::new();
            compressor.compress(codec, level, &lines, &mut out).unwrap();
            out.len()
        };
        for (codec, small, large) in [(Codec::Gzip, 1, 9), (Codec::Lz4, 3, 12), (Codec::Zstd, 1, 19)] {
            let [first, last] = [length(codec, small), length(codec, large)];
            assert!(last < first, "{codec:?}: {last} at {large}, {first} at {small}");
            assert_eq!(length(codec, small), first, "and back");
        }
        // As in Java: 9 is the fast compressor, 1 already the other.
        assert!(length(Codec::Lz4, 1) < length(Codec::Lz4, 9));
        assert_eq!(length(Codec::Gzip, -1), length(Codec::Gzip, 6));
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
