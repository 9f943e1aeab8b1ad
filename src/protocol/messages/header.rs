//! Frames and the headers of requests and responses.

use super::ApiKey;
use crate::protocol::wire::{Malformed, Reader, Unwritable, Writer};

/// Bytes of the length in front of each frame.
pub const PREFIX_BYTES: usize = 4;

/// The length that a frame's prefix announces: what follows it. Negative and above `bytes_max` is refused.
pub fn frame_length(prefix: [u8; PREFIX_BYTES], bytes_max: usize) -> Result<usize, Malformed> {
    let length = usize::try_from(i32::from_be_bytes(prefix)).map_err(|_| Malformed("a negative frame length"))?;
    if length <= bytes_max { Ok(length) } else { Err(Malformed("a frame larger than allowed")) }
}

/// The front of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// Number of the API, which may be one that is not implemented here.
    pub api_key: i16,
    /// Version of the API.
    pub api_version: i16,
    /// Comes back with the answer.
    pub correlation_id: i32,
    /// Who asks.
    pub client_id: Option<&'a str>,
}

impl<'a> RequestHeader<'a> {
    /// Writes it in the version that API and version demand: 2 if flexible, else 1.
    pub fn encode(&self, writer: &mut Writer) {
        writer.int16(self.api_key);
        writer.int16(self.api_version);
        writer.int32(self.correlation_id);
        // The client id was left as it is in header version 2, so that a broker can read it whatever the API is.
        writer.set_flexible(false);
        writer.string_or_null(self.client_id);
        writer.set_flexible(self.is_flexible());
        writer.no_tags();
    }

    /// Reads it. Of an API that is not implemented nobody knows whether tagged fields follow: they stay unread.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        reader.set_flexible(false);
        let header = Self {
            api_key: reader.int16()?,
            api_version: reader.int16()?,
            correlation_id: reader.int32()?,
            client_id: reader.string_or_null()?,
        };
        reader.set_flexible(header.is_flexible());
        reader.skip_tags()?;
        Ok(header)
    }

    fn is_flexible(&self) -> bool {
        ApiKey::from_number(self.api_key).is_some_and(|api| api.is_flexible(self.api_version))
    }
}

/// Does the response have header version 1? That of `ApiVersions` never has (KIP-511): the client does not know yet
/// what the broker speaks.
fn is_response_flexible(api: ApiKey, version: i16) -> bool {
    api != ApiKey::ApiVersions && api.is_flexible(version)
}

/// The correlation id of a response frame (without its length), from which follows what it answers.
pub fn correlation_id(frame: &[u8]) -> Result<i32, Malformed> {
    Reader::new(frame).int32()
}

/// Writes a response's header.
pub fn encode_response_header(api: ApiKey, version: i16, correlation_id: i32, writer: &mut Writer) {
    writer.int32(correlation_id);
    writer.set_flexible(is_response_flexible(api, version));
    writer.no_tags();
}

/// Reads a response's header and gives its correlation id.
pub fn decode_response_header(api: ApiKey, version: i16, reader: &mut Reader<'_>) -> Result<i32, Malformed> {
    let correlation_id = reader.int32()?;
    reader.set_flexible(is_response_flexible(api, version));
    reader.skip_tags()?;
    Ok(correlation_id)
}

/// A whole request with its length prefix; `body` is the message's `encode`.
pub fn request_frame(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    body: impl FnOnce(i16, &mut Writer),
) -> Result<Vec<u8>, Unwritable> {
    let mut writer = Writer::with_capacity(128);
    writer.int32(0);
    let header = RequestHeader { api_key: api as i16, api_version: version, correlation_id, client_id };
    header.encode(&mut writer);
    body(version, &mut writer);
    close_frame(writer, 0)
}

/// A whole response with its length prefix; `body` is the message's `encode`.
pub fn response_frame(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    body: impl FnOnce(i16, &mut Writer),
) -> Result<Vec<u8>, Unwritable> {
    let mut writer = Writer::with_capacity(128);
    writer.int32(0);
    encode_response_header(api, version, correlation_id, &mut writer);
    body(version, &mut writer);
    close_frame(writer, 0)
}

/// Puts the length into the prefix of a frame of which `bytes_elsewhere` are not in the buffer.
pub(super) fn close_frame(writer: Writer, bytes_elsewhere: usize) -> Result<Vec<u8>, Unwritable> {
    let mut frame = writer.finish()?;
    let length = frame.len().saturating_sub(PREFIX_BYTES).saturating_add(bytes_elsewhere);
    let length = i32::try_from(length).map_err(|_| Unwritable("a frame beyond 2 GiB"))?;
    if let Some(prefix) = frame.first_chunk_mut::<PREFIX_BYTES>() {
        *prefix = length.to_be_bytes();
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_id_stays_as_it_was_in_a_flexible_header() {
        let frame = request_frame(ApiKey::Metadata, 9, 7, Some("me"), |_, _| ()).unwrap();
        assert_eq!(frame, [0, 0, 0, 13, 0, 3, 0, 9, 0, 0, 0, 7, 0, 2, b'm', b'e', 0]);
        let header = RequestHeader::decode(&mut Reader::new(&frame[4..])).unwrap();
        assert_eq!((header.correlation_id, header.client_id), (7, Some("me")));
    }

    #[test]
    fn the_answer_to_api_versions_never_has_tagged_fields_in_its_header() {
        for version in 0..=4 {
            let frame = response_frame(ApiKey::ApiVersions, version, 1, |_, _| ()).unwrap();
            assert_eq!(frame, [0, 0, 0, 4, 0, 0, 0, 1]);
        }
        let frame = response_frame(ApiKey::Produce, 9, 1, |_, _| ()).unwrap();
        assert_eq!(frame, [0, 0, 0, 5, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn frame_lengths_outside_the_limit_are_refused() {
        assert_eq!(frame_length(100i32.to_be_bytes(), 100), Ok(100));
        for length in [-1, i32::MIN, 101, i32::MAX] {
            assert!(frame_length(length.to_be_bytes(), 100).is_err());
        }
    }
}
