//! The primitives of Kafka's wire: a checked reader over bytes that came from outside, and a writer.

use std::fmt;

use super::varint;

/// Most tagged fields in one section. Kafka defines fewer than ten anywhere; more is an attack or noise.
pub const TAGS_MAX: u32 = 10_000;

/// Bytes that are not what they should be, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "malformed: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// A message that has no wire form, and why: a string beyond the length field, a frame beyond 2 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritable(pub &'static str);

impl fmt::Display for Unwritable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot be written: {}", self.0)
    }
}

impl std::error::Error for Unwritable {}

/// Reads primitives from the front of a slice. After an error its position means nothing.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    total: usize,
    flexible: bool,
}

macro_rules! fixed {
    ($($name:ident $type:ty, $text:literal;)*) => {$(
        #[doc = $text]
        #[inline]
        pub fn $name(&mut self) -> Result<$type, Malformed> {
            self.chunk().map(<$type>::from_be_bytes)
        }
    )*};
}

impl<'a> Reader<'a> {
    /// At the start, in the old encoding (not flexible).
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, total: bytes.len(), flexible: false }
    }

    /// From here on strings, bytes and arrays are compact and structures end in tagged fields (KIP-482), or not.
    pub fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    /// Bytes not read yet.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Bytes read.
    #[inline]
    #[must_use]
    pub fn position(&self) -> usize {
        self.total - self.rest.len()
    }

    /// An error if bytes are left.
    pub fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("bytes after the end of the message")) }
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(Malformed("fewer bytes than announced"))?;
        self.rest = rest;
        Ok(head)
    }

    #[inline]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed("ends inside a number"))?;
        self.rest = rest;
        Ok(*head)
    }

    fixed! {
        int8 i8, "An int8.";
        int16 i16, "An int16.";
        int32 i32, "An int32.";
        int64 i64, "An int64.";
        uint32 u32, "A uint32.";
    }

    /// A boolean; any byte but 0 is true, as in Kafka.
    pub fn boolean(&mut self) -> Result<bool, Malformed> {
        Ok(self.int8()? != 0)
    }

    /// A topic id.
    pub fn uuid(&mut self) -> Result<[u8; 16], Malformed> {
        self.chunk()
    }

    /// An unsigned varint of up to 64 bits in at most `bytes_max` bytes. Forms longer than needed are refused: nobody
    /// writes them.
    #[inline]
    fn uvarint(&mut self, bytes_max: usize) -> Result<u64, Malformed> {
        let mut value = 0u64;
        let mut rest = self.rest;
        for position in 0..bytes_max {
            let Some((&byte, after)) = rest.split_first() else { return Err(Malformed("ends inside a varint")) };
            rest = after;
            let bits = u64::from(byte & 0x7f);
            let shift = 7 * position as u32;
            if (bits << shift) >> shift != bits {
                return Err(Malformed("a varint overflows"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && position > 0 {
                    return Err(Malformed("a varint is longer than needed"));
                }
                self.rest = rest;
                return Ok(value);
            }
        }
        Err(Malformed("a varint has no end"))
    }

    /// An unsigned varint of 32 bits (KIP-482).
    #[inline]
    pub fn uvarint32(&mut self) -> Result<u32, Malformed> {
        let value = self.uvarint(varint::BYTES_MAX_32)?;
        u32::try_from(value).map_err(|_| Malformed("a varint overflows"))
    }

    /// A zigzag varint of 32 bits, as in records.
    #[inline]
    pub fn varint(&mut self) -> Result<i32, Malformed> {
        let value = varint::unzigzag(self.uvarint(varint::BYTES_MAX_32)?);
        i32::try_from(value).map_err(|_| Malformed("a varint overflows"))
    }

    /// A zigzag varint of 64 bits, as in records.
    #[inline]
    pub fn varlong(&mut self) -> Result<i64, Malformed> {
        self.uvarint(varint::BYTES_MAX_64).map(varint::unzigzag)
    }

    /// Bytes after a zigzag varint length, -1 for null, as in records.
    #[inline]
    pub fn varint_bytes_or_null(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.varint()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| Malformed("a negative length"))?;
                self.take(length).map(Some)
            }
        }
    }

    fn compact_length(&mut self) -> Result<Option<usize>, Malformed> {
        Ok(self.uvarint32()?.checked_sub(1).map(|length| length as usize))
    }

    fn signed_length(length: i32) -> Result<Option<usize>, Malformed> {
        match length {
            -1 => Ok(None),
            _ => usize::try_from(length).map(Some).map_err(|_| Malformed("a negative length")),
        }
    }

    /// A string or null.
    pub fn string_or_null(&mut self) -> Result<Option<&'a str>, Malformed> {
        let length =
            if self.flexible { self.compact_length()? } else { Self::signed_length(i32::from(self.int16()?))? };
        let Some(length) = length else { return Ok(None) };
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(Some).map_err(|_| Malformed("a string that is not UTF-8"))
    }

    /// A string; null is refused.
    pub fn string(&mut self) -> Result<&'a str, Malformed> {
        self.string_or_null()?.ok_or(Malformed("null where a string must be"))
    }

    /// Bytes (also "records") or null.
    pub fn bytes_or_null(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let length = if self.flexible { self.compact_length()? } else { Self::signed_length(self.int32()?)? };
        length.map(|length| self.take(length)).transpose()
    }

    /// An array's count, `None` for null, when each element takes at least `element_bytes_min` bytes: more elements
    /// than the remaining bytes can hold are refused before anything is allocated.
    pub fn count_or_null(&mut self, element_bytes_min: usize) -> Result<Option<usize>, Malformed> {
        let count = if self.flexible { self.compact_length()? } else { Self::signed_length(self.int32()?)? };
        let Some(count) = count else { return Ok(None) };
        match count.checked_mul(element_bytes_min.max(1)) {
            Some(bytes) if bytes <= self.rest.len() => Ok(Some(count)),
            _ => Err(Malformed("more elements than bytes")),
        }
    }

    /// An array or null; `element_bytes_min` as in [`Reader::count_or_null`].
    pub fn array_or_null<T>(
        &mut self,
        element_bytes_min: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<Vec<T>>, Malformed> {
        let Some(count) = self.count_or_null(element_bytes_min)? else { return Ok(None) };
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// An array; null is refused.
    pub fn array<T>(
        &mut self,
        element_bytes_min: usize,
        element: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        self.array_or_null(element_bytes_min, element)?.ok_or(Malformed("null where an array must be"))
    }

    /// The tagged fields at the end of a structure; nothing if not flexible. `known` gets each tag with a reader over
    /// its bytes and answers whether it knows the tag; a known field must use up its bytes. Tags ascend (KIP-482).
    pub fn tags(&mut self, mut known: impl FnMut(u32, &mut Self) -> Result<bool, Malformed>) -> Result<(), Malformed> {
        if !self.flexible {
            return Ok(());
        }
        let count = self.uvarint32()?;
        if count > TAGS_MAX {
            return Err(Malformed("too many tagged fields"));
        }
        let mut above = 0u64;
        for _ in 0..count {
            let tag = self.uvarint32()?;
            if u64::from(tag) < above {
                return Err(Malformed("tagged fields out of order"));
            }
            above = u64::from(tag) + 1;
            let length = self.uvarint32()? as usize;
            let mut field = Self::new(self.take(length)?);
            field.flexible = true;
            if known(tag, &mut field)? {
                field.end()?;
            }
        }
        Ok(())
    }

    /// Tagged fields of which none is known here.
    pub fn skip_tags(&mut self) -> Result<(), Malformed> {
        self.tags(|_, _| Ok(false))
    }
}

/// Writes primitives to the end of a buffer. What cannot be written is remembered, and [`Writer::finish`] tells it.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    fault: Option<Unwritable>,
    flexible: bool,
}

impl Writer {
    /// Empty, in the old encoding (not flexible).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Empty, with room for this many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// From here on strings, bytes and arrays are compact and structures end in tagged fields (KIP-482), or not.
    pub fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    /// The bytes so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Everything written, or why it is no message.
    pub fn finish(self) -> Result<Vec<u8>, Unwritable> {
        match self.fault {
            None => Ok(self.bytes),
            Some(fault) => Err(fault),
        }
    }

    /// Remembers the first reason why this will be no message.
    pub fn fail(&mut self, reason: &'static str) {
        self.fault.get_or_insert(Unwritable(reason));
    }

    /// Bytes as they are.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// An int8.
    pub fn int8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    /// An int16.
    pub fn int16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    /// An int32.
    pub fn int32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    /// An int64.
    pub fn int64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    /// A boolean.
    pub fn boolean(&mut self, value: bool) {
        self.int8(i8::from(value));
    }

    /// An unsigned varint of 32 bits (KIP-482).
    pub fn uvarint32(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// A string or null.
    pub fn string_or_null(&mut self, value: Option<&str>) {
        let Some(value) = value else {
            if self.flexible {
                self.uvarint32(0)
            } else {
                self.int16(-1)
            }
            return;
        };
        // Kafka's own limit holds for compact strings too.
        let Ok(length) = i16::try_from(value.len()) else { return self.fail("a string longer than 32767 bytes") };
        if self.flexible {
            self.uvarint32(length as u32 + 1)
        } else {
            self.int16(length)
        }
        self.raw(value.as_bytes());
    }

    /// A string.
    pub fn string(&mut self, value: &str) {
        self.string_or_null(Some(value));
    }

    /// Bytes (also "records") or null.
    pub fn bytes_or_null(&mut self, value: Option<&[u8]>) {
        self.count_or_null(value.map(<[u8]>::len));
        self.raw(value.unwrap_or_default());
    }

    /// The count of an array, or the length of bytes; `None` for null.
    pub fn count_or_null(&mut self, count: Option<usize>) {
        let Some(count) = count else {
            return if self.flexible { self.uvarint32(0) } else { self.int32(-1) };
        };
        match i32::try_from(count) {
            Ok(count) if self.flexible => self.uvarint32(count as u32 + 1),
            Ok(count) => self.int32(count),
            Err(_) => self.fail("more than 2^31 - 1 elements or bytes"),
        }
    }

    /// An array.
    pub fn array<T>(&mut self, elements: &[T], element: impl FnMut(&mut Self, &T)) {
        self.array_or_null(Some(elements), element);
    }

    /// An array or null.
    pub fn array_or_null<T>(&mut self, elements: Option<&[T]>, mut element: impl FnMut(&mut Self, &T)) {
        self.count_or_null(elements.map(<[T]>::len));
        for one in elements.unwrap_or_default() {
            element(self, one);
        }
    }

    /// The end of a structure without tagged fields; nothing if not flexible.
    pub fn no_tags(&mut self) {
        self.tags(&[]);
    }

    /// The end of a structure with these tagged fields, ascending; nothing if not flexible.
    pub fn tags(&mut self, fields: &[(u32, &[u8])]) {
        if !self.flexible {
            return;
        }
        self.uvarint32(fields.len() as u32);
        for (tag, content) in fields {
            self.uvarint32(*tag);
            match u32::try_from(content.len()) {
                Ok(length) => self.uvarint32(length),
                Err(_) => self.fail("a tagged field beyond 4 GiB"),
            }
            self.raw(content);
        }
    }

    /// The content of a tagged field.
    pub fn tag_content(&mut self, content: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut field = Self { flexible: true, ..Self::default() };
        content(&mut field);
        if let Some(fault) = field.fault {
            self.fault.get_or_insert(fault);
        }
        field.bytes
    }
}
