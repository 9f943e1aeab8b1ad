//! The payload of a compressed batch unpacked again, within a limit.

use std::io::Read;

use lz4::block::decompress_to_buffer;
use zstd_safe::DCtx;

use super::compression::{Codec, CompressionError, LZ4_HEADER, LZ4_STORED, XERIAL_HEADER, zstd_error};

const XERIAL_MAGIC_BYTES: usize = 8;
/// A Snappy copy of at least 2 bytes yields at most 64.
const SNAPPY_EXPANSION_MAX: usize = 32;

const LZ4_FLAG_INDEPENDENT: u8 = 0x20;
const LZ4_FLAG_BLOCK_CHECKSUM: u8 = 0x10;
const LZ4_FLAG_CONTENT_SIZE: u8 = 0x08;
const LZ4_FLAG_CONTENT_CHECKSUM: u8 = 0x04;
const LZ4_FLAG_DICTIONARY: u8 = 0x01;
/// Each byte of a block yields at most 255.
const LZ4_EXPANSION_MAX: usize = 255;

/// `ZSTD_error_dstSize_tooSmall`, negated, as zstd's functions return it.
const ZSTD_TOO_SMALL: usize = 0usize.wrapping_sub(70);
/// First guess for what a Zstandard block without a size unpacks to.
const ZSTD_GUESS_BYTES_MIN: usize = 64 * 1024;

/// Replaces the content of `out` with the decompressed input. More than `limit` bytes is an error, whatever the input
/// claims, and so are bytes that are missing.
pub fn decompress(codec: Codec, input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    out.clear();
    match codec {
        Codec::None if input.len() > limit => Err(beyond(codec, limit)),
        Codec::None => {
            out.extend_from_slice(input);
            Ok(())
        }
        // Java reads members one after the other, too.
        Codec::Gzip => read_all(codec, flate2::bufread::MultiGzDecoder::new(input), limit, out),
        Codec::Snappy => unsnappy(input, limit, out),
        Codec::Lz4 => unlz4(input, limit, out),
        Codec::Zstd => unzstd(input, limit, out),
    }
}

fn beyond(codec: Codec, limit: usize) -> CompressionError {
    CompressionError::new(codec, format_args!("unpacks to more than {limit} bytes"))
}

fn read_all(codec: Codec, source: impl Read, limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    source.take(one_more).read_to_end(out).map_err(|error| CompressionError::new(codec, error))?;
    if out.len() > limit { Err(beyond(codec, limit)) } else { Ok(()) }
}

/// A frame as Kafka's own reader takes it: version 1, independent blocks, no dictionary. Its checksums are not looked
/// at, for the batch has one over the same bytes.
fn unlz4(input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let failed = |reason| CompressionError::new(Codec::Lz4, reason);
    let cut = || failed("ends too early");
    let (&[m0, m1, m2, m3, flags, descriptor], mut rest) = input.split_first_chunk().ok_or_else(cut)?;
    if !LZ4_HEADER.starts_with(&[m0, m1, m2, m3]) || flags & 0xC0 != 0x40 {
        return Err(failed("not a frame"));
    }
    if flags & LZ4_FLAG_INDEPENDENT == 0 || flags & LZ4_FLAG_DICTIONARY != 0 {
        return Err(failed("blocks that need others, or a dictionary"));
    }
    let block_bytes_max = match (descriptor >> 4) & 7 {
        size @ 4..=7 => 1usize << (8 + 2 * size),
        _ => return Err(failed("a block size that is not defined")),
    };
    let after_descriptor = 1 + if flags & LZ4_FLAG_CONTENT_SIZE != 0 { 8 } else { 0 };
    let after_block = if flags & LZ4_FLAG_BLOCK_CHECKSUM != 0 { 4 } else { 0 };
    let after_end = if flags & LZ4_FLAG_CONTENT_CHECKSUM != 0 { 4 } else { 0 };
    rest = rest.get(after_descriptor..).ok_or_else(cut)?;
    loop {
        let (length, after) = rest.split_first_chunk().ok_or_else(cut)?;
        let length = u32::from_le_bytes(*length);
        if length == 0 {
            return if after.len() == after_end { Ok(()) } else { Err(failed("does not end with its frame")) };
        }
        let (block, after) = after.split_at_checked((length & !LZ4_STORED) as usize).ok_or_else(cut)?;
        rest = after.get(after_block..).ok_or_else(cut)?;
        unlz4_block(block, length & LZ4_STORED != 0, block_bytes_max, limit, out)?;
    }
}

fn unlz4_block(
    block: &[u8],
    is_stored: bool,
    bytes_max: usize,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let room = limit.saturating_sub(out.len());
    if is_stored {
        if block.len() > room {
            return Err(beyond(Codec::Lz4, limit));
        }
        out.extend_from_slice(block);
        return Ok(());
    }
    let from = out.len();
    let most = bytes_max.min(block.len().saturating_mul(LZ4_EXPANSION_MAX)).min(room);
    out.resize(from + most, 0);
    let size = i32::try_from(most).map_err(|error| CompressionError::new(Codec::Lz4, error))?;
    match decompress_to_buffer(block, Some(size), out.get_mut(from..).unwrap_or_default()) {
        Ok(length) => {
            out.truncate(from + length);
            Ok(())
        }
        // The C library does not say which.
        Err(_) if most == room => {
            Err(CompressionError::new(Codec::Lz4, format_args!("damaged, or unpacks to more than {limit} bytes")))
        }
        Err(_) => Err(CompressionError::new(Codec::Lz4, "damaged")),
    }
}

fn unsnappy(input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let Some((magic, _)) = XERIAL_HEADER.split_at_checked(XERIAL_MAGIC_BYTES) else { return Ok(()) };
    if !input.starts_with(magic) {
        // librdkafka and others send one bare block.
        return unsnappy_block(input, limit, out);
    }
    let Some((_, mut rest)) = input.split_at_checked(XERIAL_HEADER.len()) else {
        return Err(CompressionError::new(Codec::Snappy, "ends inside its header"));
    };
    while !rest.is_empty() {
        let block = rest.split_first_chunk::<4>().and_then(|(length, after)| {
            let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
            after.split_at_checked(length)
        });
        let Some((block, after)) = block else {
            return Err(CompressionError::new(Codec::Snappy, "ends inside a block"));
        };
        unsnappy_block(block, limit, out)?;
        rest = after;
    }
    Ok(())
}

fn unsnappy_block(block: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let failed = |error| CompressionError::new(Codec::Snappy, error);
    let length = snap::raw::decompress_len(block).map_err(failed)?;
    if length > limit.saturating_sub(out.len()) {
        return Err(beyond(Codec::Snappy, limit));
    }
    if length > block.len().saturating_mul(SNAPPY_EXPANSION_MAX) {
        return Err(CompressionError::new(Codec::Snappy, "claims more than it can hold"));
    }
    let from = out.len();
    out.resize(from + length, 0);
    let place = out.get_mut(from..).unwrap_or_default();
    snap::raw::Decoder::new().decompress(block, place).map_err(failed)?;
    Ok(())
}

/// In one step into a buffer that grows until it suffices, because a stream would first allocate the window that the
/// input names, up to 128 MiB.
fn unzstd(input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let mut context = DCtx::try_create().ok_or_else(|| CompressionError::new(Codec::Zstd, "no memory"))?;
    let named = zstd_safe::get_frame_content_size(input).ok().flatten().and_then(|size| usize::try_from(size).ok());
    let guess = input.len().saturating_mul(4).max(ZSTD_GUESS_BYTES_MIN);
    let mut room = named.unwrap_or(guess).min(limit);
    loop {
        out.reserve_exact(room);
        match context.decompress(out, input) {
            Ok(_) if out.len() > limit => return Err(beyond(Codec::Zstd, limit)),
            Ok(_) => return Ok(()),
            Err(ZSTD_TOO_SMALL) if out.capacity() >= limit => return Err(beyond(Codec::Zstd, limit)),
            Err(ZSTD_TOO_SMALL) => room = out.capacity().saturating_mul(4).clamp(1, limit),
            Err(code) => return Err(zstd_error(code)),
        }
        out.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::compression::Compressor;

    #[test]
    fn a_limit_holds_whatever_the_input_claims() {
        let input = vec![7; 1 << 20];
        let (mut packed, mut out) = (Vec::new(), Vec::new());
        for codec in Codec::ALL {
            Compressor::new().compress(*codec, codec.default_level(), &input, &mut packed).unwrap();
            assert!(decompress(*codec, &packed, input.len(), &mut out).is_ok());
            for limit in [0, 1, 1000, input.len() - 1] {
                let mut out = Vec::new();
                let error = decompress(*codec, &packed, limit, &mut out).unwrap_err();
                assert!(error.message.contains("more than"), "{error}");
                assert!(out.capacity() <= 2 * limit + 64, "{codec:?}: {} for {limit}", out.capacity());
            }
        }
    }

    #[test]
    fn input_cut_short_or_mangled_is_an_error_or_other_bytes_but_never_a_panic() {
        let input = b"a record, a record, a record, another record".repeat(20);
        let (mut packed, mut out) = (Vec::new(), Vec::new());
        for codec in &Codec::ALL[1..] {
            Compressor::new().compress(*codec, codec.default_level(), &input, &mut packed).unwrap();
            for length in 0..packed.len() {
                let whole = decompress(*codec, &packed[..length], 1 << 20, &mut out).is_ok() && out == input;
                assert!(!whole, "{codec:?} cut at {length}");
                for bit in 0..8 {
                    packed[length] ^= 1 << bit;
                    let _ = decompress(*codec, &packed, 1 << 20, &mut out);
                    assert!(out.len() <= (1 << 20) + 1);
                    packed[length] ^= 1 << bit;
                }
            }
        }
    }

    #[test]
    fn snappy_without_framing_is_understood() {
        let input = b"bare block ".repeat(100);
        let packed = snap::raw::Encoder::new().compress_vec(&input).unwrap();
        let mut out = Vec::new();
        decompress(Codec::Snappy, &packed, 1 << 20, &mut out).unwrap();
        assert_eq!(out, input);
    }
}
