//! From objects to bytes: the built-in serializers, byte for byte Java's, and the application's own.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::code::Code;

/// An application's serializer: topic, object, buffer. Returns the size, as `snprintf`: a size that is not less than
/// the buffer's did not fit, and it is called again with a larger one; -1 is null, less refuses the object.
pub type Serializer = Arc<dyn Fn(u32, Option<&[u8]>, &mut [u8]) -> i64 + Send + Sync>;

/// First size of a buffer for an application's serializer.
const FIRST_BYTES: usize = 256;

/// `key.serializer` and `value.serializer`: what an object is in the machine's form, and what is written of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SerializerClass {
    /// As it is.
    Bytes,
    /// As it is: text is UTF-8 already.
    String,
    /// `int16_t`, big-endian.
    Int16,
    /// `int32_t`, big-endian.
    Int32,
    /// `int64_t`, big-endian.
    Int64,
    /// `float`, its bits big-endian.
    Float,
    /// `double`, its bits big-endian; every NaN is written as Java's one.
    Double,
    /// One byte, 0 or 1.
    Boolean,
    /// 16 bytes, written as 36 characters.
    Uuid,
    /// Only null.
    Void,
}

impl SerializerClass {
    /// The one of this name in the settings table; bytes for any other.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "string" => Self::String,
            "int16" => Self::Int16,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "float" => Self::Float,
            "double" => Self::Double,
            "boolean" => Self::Boolean,
            "uuid" => Self::Uuid,
            "void" => Self::Void,
            _ => Self::Bytes,
        }
    }

    /// Writes the object, or hands it back as it is; null stays null.
    ///
    /// # Errors
    /// `SERIALIZATION` if the object has not the size of its class, or no value of it.
    pub fn serialize<'a>(self, object: Option<&'a [u8]>, out: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>, Code> {
        let Some(object) = object else {
            return Ok(None);
        };
        out.clear();
        match self {
            Self::Bytes | Self::String => return Ok(Some(object)),
            Self::Int16 => out.extend(i16::from_ne_bytes(sized(object)?).to_be_bytes()),
            Self::Int32 => out.extend(i32::from_ne_bytes(sized(object)?).to_be_bytes()),
            Self::Int64 => out.extend(i64::from_ne_bytes(sized(object)?).to_be_bytes()),
            Self::Float => out.extend(u32::from_ne_bytes(sized(object)?).to_be_bytes()),
            Self::Double => out.extend(double_bits(f64::from_ne_bytes(sized(object)?)).to_be_bytes()),
            Self::Boolean => match sized(object)? {
                [byte @ (0 | 1)] => out.push(byte),
                _ => return Err(Code::SERIALIZATION),
            },
            Self::Uuid => uuid(sized(object)?, out),
            Self::Void => return Err(Code::SERIALIZATION),
        }
        Ok(Some(out))
    }
}

/// Lets the application's serializer write into `out`, whose length is the room it has; `bytes_max` is the most that
/// a record could take.
///
/// # Errors
/// `SERIALIZATION` if it refuses, or if the second call does not fit although the first told the size;
/// `RECORD_TOO_LARGE` above `bytes_max`, before memory for it is taken.
pub fn serialize_own<'a>(
    serializer: &Serializer,
    topic: u32,
    object: Option<&[u8]>,
    bytes_max: usize,
    out: &'a mut Vec<u8>,
) -> Result<Option<&'a [u8]>, Code> {
    if out.len() < FIRST_BYTES {
        out.resize(out.capacity().max(FIRST_BYTES), 0);
    }
    let mut size = called(serializer, topic, object, bytes_max, out)?;
    if let Some(told) = size.filter(|size| *size >= out.len()) {
        // One byte more than the size: `snprintf` ends what it writes with NUL.
        out.try_reserve(told + 1 - out.len()).map_err(|_| Code::INTERNAL)?;
        out.resize(told + 1, 0);
        size = called(serializer, topic, object, bytes_max, out)?;
    }
    size.map(|size| out.get(..size).filter(|_| size < out.len()).ok_or(Code::SERIALIZATION)).transpose()
}

/// One call, its answer checked; `None` is null.
fn called(
    serializer: &Serializer,
    topic: u32,
    object: Option<&[u8]>,
    bytes_max: usize,
    out: &mut [u8],
) -> Result<Option<usize>, Code> {
    let size = match serializer(topic, object, out) {
        -1 => return Ok(None),
        size => usize::try_from(size).map_err(|_| Code::SERIALIZATION)?,
    };
    if size <= bytes_max.min(i32::MAX as usize) { Ok(Some(size)) } else { Err(Code::RECORD_TOO_LARGE) }
}

fn sized<const SIZE: usize>(object: &[u8]) -> Result<[u8; SIZE], Code> {
    object.try_into().map_err(|_| Code::SERIALIZATION)
}

/// `Double.doubleToLongBits`, which Java's serializer uses (its float serializer keeps the bits of a NaN).
fn double_bits(double: f64) -> u64 {
    if double.is_nan() { 0x7ff8_0000_0000_0000 } else { double.to_bits() }
}

fn uuid(bytes: [u8; 16], out: &mut Vec<u8>) {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend([digit(byte >> 4), digit(byte & 15)]);
    }
}
