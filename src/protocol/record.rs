//! One record in its final wire form: how long it will be, writing it into its place, and reading it back.
//!
//! The append path sizes a record before its index in the batch is known: [`RecordBody::fixed_bytes`] once per
//! record, [`record_bytes`] for each attempt to reserve, [`encode`] into exactly the bytes reserved.

use super::varint::{uvarint_len, varint_len, varlong_len, zigzag};
use super::wire::{Malformed, Reader};

/// The most bytes of a record, and of each part of it: lengths are signed 32-bit numbers.
pub const BYTES_MAX: usize = i32::MAX as usize;

/// A record header. Order and repetition are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name. Kafka means UTF-8; nothing checks it.
    pub name: &'a [u8],
    /// The value.
    pub value: Option<&'a [u8]>,
}

/// What a record carries, borrowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordBody<'a> {
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: &'a [Header<'a>],
}

#[inline(always)]
fn length_of(bytes: Option<&[u8]>) -> i64 {
    bytes.map_or(-1, |bytes| bytes.len() as i64)
}

#[inline(always)]
fn field_bytes(bytes: Option<&[u8]>) -> usize {
    uvarint_len(zigzag(length_of(bytes))) + bytes.map_or(0, <[u8]>::len)
}

impl RecordBody<'_> {
    /// Bytes of the record that depend neither on its timestamp nor on its index: attributes, key, value, headers.
    ///
    /// Whoever takes records from outside refuses those above [`BYTES_MAX`]; they have no wire form.
    #[inline(always)]
    #[must_use]
    pub fn fixed_bytes(&self) -> usize {
        let bytes = 1 + field_bytes(self.key) + field_bytes(self.value);
        if self.headers.is_empty() { bytes + 1 } else { bytes.saturating_add(self.headers_bytes()) }
    }

    fn headers_bytes(&self) -> usize {
        let count_bytes = uvarint_len(zigzag(self.headers.len() as i64));
        self.headers.iter().fold(count_bytes, |bytes, header| {
            bytes.saturating_add(field_bytes(Some(header.name))).saturating_add(field_bytes(header.value))
        })
    }
}

/// Bytes of the whole record on the wire, its length field included, for [`RecordBody::fixed_bytes`], the difference
/// of its timestamp to the batch's first, and its index in the batch.
#[inline(always)]
#[must_use]
pub const fn record_bytes(fixed_bytes: usize, delta_ms: i64, index: u32) -> usize {
    framed_bytes(body_bytes(fixed_bytes, delta_ms, index))
}

/// Bytes of a record whose length field says `body_bytes`.
#[inline(always)]
pub(crate) const fn framed_bytes(body_bytes: usize) -> usize {
    body_bytes.saturating_add(uvarint_len(zigzag(body_bytes as i64)))
}

/// What a record's length field says; the arguments are those of [`record_bytes`].
#[inline(always)]
pub(crate) const fn body_bytes(fixed_bytes: usize, delta_ms: i64, index: u32) -> usize {
    fixed_bytes.saturating_add(varlong_len(delta_ms) + varint_len(index as i32))
}

/// The nearest value to `delta_ms` that takes exactly `width_bytes` (1 to 10) bytes as a zigzag varlong: for a span
/// that was reserved for another delta.
#[must_use]
pub const fn clamp_delta(delta_ms: i64, width_bytes: usize) -> i64 {
    // The values of one width are lo..=hi and, mirrored, !hi..=!lo; the nearest one has the sign of the delta.
    let width = match width_bytes {
        0 => 1,
        1..=10 => width_bytes,
        _ => 10,
    };
    let lo = if width == 1 { 0 } else { 1i64 << (7 * (width - 1) - 1) };
    let hi = if width == 10 { i64::MAX } else { (1i64 << (7 * width - 1)) - 1 };
    let size = if delta_ms < 0 { !delta_ms } else { delta_ms };
    let size = if size < lo {
        lo
    } else if size > hi {
        hi
    } else {
        size
    };
    if delta_ms < 0 { !size } else { size }
}

/// A place to write to that gets shorter from the front. What does not fit is not written.
struct Place<'o> {
    rest: &'o mut [u8],
}

impl Place<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if let Some((head, tail)) = std::mem::take(&mut self.rest).split_at_mut_checked(bytes.len()) {
            head.copy_from_slice(bytes);
            self.rest = tail;
        }
    }

    fn put_zigzag(&mut self, value: i64) {
        let mut value = zigzag(value);
        while value >= 0x80 {
            self.put(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.put(&[value as u8]);
    }

    fn put_field(&mut self, bytes: Option<&[u8]>) {
        self.put_zigzag(length_of(bytes));
        if let Some(bytes) = bytes {
            self.put(bytes);
        }
    }
}

/// Writes the record to the front of `out` and returns its bytes on the wire, which are those of [`record_bytes`]. If
/// `out` is shorter, nothing is written and the answer is 0.
///
/// `fixed_bytes` is the body's own, taken once. Nothing here allocates, locks or can fail.
pub fn encode(body: &RecordBody<'_>, fixed_bytes: usize, delta_ms: i64, index: u32, out: &mut [u8]) -> usize {
    let body_bytes = body_bytes(fixed_bytes, delta_ms, index);
    let total = framed_bytes(body_bytes);
    let Some(out) = out.get_mut(..total) else { return 0 };
    write(body, body_bytes, delta_ms, index, out);
    total
}

/// Writes the record into a place of exactly its size.
///
/// What nearly every record is, one whose numbers are short, is put together in registers and stored in pieces: field
/// by field it takes three times as many instructions.
#[inline(always)]
pub(crate) fn write(body: &RecordBody<'_>, body_bytes: usize, delta_ms: i64, index: u32, out: &mut [u8]) {
    if write_short(body, body_bytes, delta_ms, index, out).is_none() {
        write_any(body, body_bytes, delta_ms, index, out);
    }
}

/// `None`: it is none of those, and what was written has to be written again.
#[inline(always)]
fn write_short(body: &RecordBody<'_>, body_bytes: usize, delta_ms: i64, index: u32, out: &mut [u8]) -> Option<()> {
    let (length, delta) = (zigzag(body_bytes as i64), zigzag(delta_ms));
    // All lengths inside are less than that of the whole, and so is the number of headers.
    if (length | delta) >= SHORT_END || index >= (SHORT_END / 2) as u32 {
        return None;
    }
    let (length, delta, index) = (Short::of(length), Short::of(delta), Short::of(u64::from(index) * 2));
    let key = Short::of(zigzag(length_of(body.key)));
    // Length, attributes (none are defined), delta: at most 7 bytes; index and the key's length: at most 6. Each piece
    // is longer than its bytes; the next one is written over the rest.
    let front = length.bytes | delta.bytes << (8 * (length.width + 1));
    let back = index.bytes | key.bytes << (8 * index.width);
    *out.first_chunk_mut::<8>()? = front.to_le_bytes();
    let out = out.get_mut(length.width + 1 + delta.width..)?;
    *out.first_chunk_mut::<8>()? = back.to_le_bytes();
    let out = put_bytes(out.get_mut(index.width + key.width..)?, body.key)?;
    let out = put_short(out, length_of(body.value))?;
    let out = put_bytes(out, body.value)?;
    if body.headers.is_empty() {
        *out.first_mut()? = 0;
        return Some(());
    }
    write_headers(body.headers, out)
}

fn write_headers(headers: &[Header<'_>], out: &mut [u8]) -> Option<()> {
    let mut out = put_short(out, headers.len() as i64)?;
    for header in headers {
        out = put_short(out, header.name.len() as i64)?;
        out = put_bytes(out, Some(header.name))?;
        out = put_short(out, length_of(header.value))?;
        out = put_bytes(out, header.value)?;
    }
    Some(())
}

/// What comes behind the bytes.
#[inline(always)]
fn put_bytes<'o>(out: &'o mut [u8], bytes: Option<&[u8]>) -> Option<&'o mut [u8]> {
    let bytes = bytes.unwrap_or_default();
    let (place, rest) = out.split_at_mut_checked(bytes.len())?;
    place.copy_from_slice(bytes);
    Some(rest)
}

/// What comes behind a short number.
#[inline(always)]
fn put_short(out: &mut [u8], value: i64) -> Option<&mut [u8]> {
    let short = Short::of(zigzag(value));
    let bytes = (short.bytes as u32).to_le_bytes();
    match out.first_chunk_mut::<4>() {
        Some(place) => *place = bytes,
        None => out.get_mut(..short.width)?.copy_from_slice(bytes.get(..short.width)?),
    }
    out.get_mut(short.width..)
}

/// Zigzag numbers below this take at most three bytes.
const SHORT_END: u64 = 1 << 21;

/// A varint of at most three bytes, the first one lowest.
#[derive(Clone, Copy)]
struct Short {
    bytes: u64,
    width: usize,
}

impl Short {
    #[inline(always)]
    fn of(value: u64) -> Self {
        if value < 1 << 7 {
            return Self { bytes: value, width: 1 };
        }
        let two = value & 0x7f | 0x80 | (value & 0x3f80) << 1;
        if value < 1 << 14 {
            return Self { bytes: two, width: 2 };
        }
        Self { bytes: two | 0x8000 | (value >> 14) << 16, width: 3 }
    }
}

#[inline(never)]
fn write_any(body: &RecordBody<'_>, body_bytes: usize, delta_ms: i64, index: u32, out: &mut [u8]) {
    let mut place = Place { rest: out };
    place.put_zigzag(body_bytes as i64);
    place.put(&[0]); // attributes: none are defined
    place.put_zigzag(delta_ms);
    place.put_zigzag(i64::from(index as i32));
    place.put_field(body.key);
    place.put_field(body.value);
    place.put_zigzag(body.headers.len() as i64);
    for header in body.headers {
        place.put_field(Some(header.name));
        place.put_field(header.value);
    }
    debug_assert!(place.rest.is_empty(), "fixed_bytes is of another body");
}

/// A record read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodedRecord<'a> {
    /// 0 from every producer.
    pub attributes: i8,
    /// Difference to the batch's base timestamp, in milliseconds.
    pub timestamp_delta: i64,
    /// Index in the batch, or its difference to the base offset in a compacted log.
    pub offset_delta: i32,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: Vec<Header<'a>>,
}

impl<'a> DecodedRecord<'a> {
    /// Reads one record from the front.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let length = usize::try_from(reader.varint()?).map_err(|_| Malformed("a negative length"))?;
        let mut body = Reader::new(reader.take(length)?);
        let mut record = Self {
            attributes: body.int8()?,
            timestamp_delta: body.varlong()?,
            offset_delta: body.varint()?,
            key: body.varint_bytes_or_null()?,
            value: body.varint_bytes_or_null()?,
            headers: Vec::new(),
        };
        let count = usize::try_from(body.varint()?).map_err(|_| Malformed("a negative count"))?;
        if count > body.remaining() / 2 {
            return Err(Malformed("more headers than bytes"));
        }
        record.headers.reserve_exact(count);
        for _ in 0..count {
            let name = body.varint_bytes_or_null()?.ok_or(Malformed("a header without a name"))?;
            record.headers.push(Header { name, value: body.varint_bytes_or_null()? });
        }
        if body.remaining() > 0 {
            return Err(Malformed("bytes after the end of a record"));
        }
        Ok(record)
    }

    /// The same, to be encoded again.
    #[must_use]
    pub fn body(&self) -> RecordBody<'_> {
        RecordBody { key: self.key, value: self.value, headers: &self.headers }
    }
}

/// The records of a batch, one after the other; after an error there are no more.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    reader: Reader<'a>,
}

/// Walks the records of a batch, decompressed.
#[must_use]
pub fn records(payload: &[u8]) -> Records<'_> {
    Records { reader: Reader::new(payload) }
}

impl Records<'_> {
    /// Bytes walked so far: after the n-th record, where it ends.
    #[must_use]
    pub fn position(&self) -> usize {
        self.reader.position()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<DecodedRecord<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.remaining() == 0 {
            return None;
        }
        let record = DecodedRecord::decode(&mut self.reader);
        if record.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(body: &RecordBody<'_>, delta_ms: i64, index: u32) -> Vec<u8> {
        let fixed = body.fixed_bytes();
        let mut out = vec![0xEE; record_bytes(fixed, delta_ms, index)];
        let written = encode(body, fixed, delta_ms, index, &mut out);
        assert_eq!(written, out.len());
        out
    }

    #[test]
    fn the_layout_of_one_small_record() {
        let headers = [Header { name: b"h", value: None }];
        let bytes = wire(&RecordBody { key: None, value: Some(b"v"), headers: &headers }, -1, 3);
        assert_eq!(bytes, [2 * 10, 0, 1, 6, 1, 2, b'v', 2, 2, b'h', 1]);
    }

    #[test]
    fn sizes_hold_at_every_change_of_width() {
        let value = vec![7; 20_000];
        for length in [0, 1, 62, 63, 64, 65, 8190, 8191, 8192, 20_000] {
            for delta in [0, 63, 64, -64, -65, 8191, 8192, i64::MAX, i64::MIN] {
                for index in [0, 63, 64, 8191, 8192, 1 << 20, i32::MAX as u32] {
                    let body = RecordBody { key: Some(&value[..length]), value: None, headers: &[] };
                    let bytes = wire(&body, delta, index);
                    let read: Vec<_> = records(&bytes).collect::<Result<_, _>>().unwrap();
                    assert_eq!((read.len(), read[0].timestamp_delta, read[0].offset_delta), (1, delta, index as i32));
                    assert_eq!(read[0].body(), body);
                }
            }
        }
    }

    #[test]
    fn a_place_too_short_is_left_alone() {
        let body = RecordBody { key: Some(b"key"), value: Some(b"value"), headers: &[] };
        let whole = wire(&body, 5, 0);
        for length in 0..whole.len() {
            let mut out = vec![0xEE; length];
            assert_eq!(encode(&body, body.fixed_bytes(), 5, 0, &mut out), 0);
            assert!(out.iter().all(|byte| *byte == 0xEE));
        }
    }

    #[test]
    fn a_clamped_delta_is_the_nearest_of_its_width() {
        let edges: Vec<i64> =
            (0..63).flat_map(|bit| [1 << bit, (1 << bit) - 1, -(1 << bit), -(1 << bit) - 1]).collect();
        for &delta in edges.iter().chain(&[0, i64::MAX, i64::MIN]) {
            for width in 1..=10 {
                let near = clamp_delta(delta, width);
                assert_eq!(varlong_len(near), width, "{delta} to {width}");
                if varlong_len(delta) == width {
                    assert_eq!(near, delta);
                }
                // One step nearer has another width.
                let step = if near < delta { near + 1 } else { near.saturating_sub(1) };
                assert!(near == delta || varlong_len(step) != width, "{delta} to {width}: {near}");
                assert_eq!(near < 0, delta < 0);
            }
        }
        assert_eq!((clamp_delta(1 << 40, 0), varlong_len(clamp_delta(3, 11))), (63, 10));
    }
}
