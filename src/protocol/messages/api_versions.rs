//! ApiVersions (18), versions 0 to 4.

use super::ApiKey;
use crate::protocol::broker_code;
use crate::protocol::wire::{Malformed, Reader, Writer};

/// Asks which versions the broker speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiVersionsRequest {
    /// From version 3 (KIP-511).
    pub client_software_name: String,
    /// From version 3.
    pub client_software_version: String,
}

/// One API's range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiRange {
    /// Number of the API.
    pub api_key: i16,
    /// Lowest version.
    pub min_version: i16,
    /// Highest version.
    pub max_version: i16,
}

/// The broker's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiVersionsResponse {
    /// 0, or 35 (UNSUPPORTED_VERSION, in a version 0 body).
    pub error_code: i16,
    /// The ranges.
    pub api_keys: Vec<ApiRange>,
    /// From version 1.
    pub throttle_time_ms: i32,
    /// Tag 1, -1 if absent.
    pub finalized_features_epoch: i64,
    /// Tag 2: name, highest and lowest finalized level.
    pub finalized_features: Vec<(String, i16, i16)>,
}

impl Default for ApiVersionsResponse {
    fn default() -> Self {
        Self {
            error_code: 0,
            api_keys: Vec::new(),
            throttle_time_ms: 0,
            finalized_features_epoch: -1,
            finalized_features: Vec::new(),
        }
    }
}

const TAG_FINALIZED_FEATURES_EPOCH: u32 = 1;
const TAG_FINALIZED_FEATURES: u32 = 2;

impl ApiVersionsRequest {
    /// Writes the body.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        ApiKey::ApiVersions.begin(version, writer);
        if version >= 3 {
            writer.string(&self.client_software_name);
            writer.string(&self.client_software_version);
        }
        writer.no_tags();
    }

    /// Reads the body.
    pub fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        ApiKey::ApiVersions.open(version, reader)?;
        let mut request = Self::default();
        if version >= 3 {
            request.client_software_name = reader.string()?.to_owned();
            request.client_software_version = reader.string()?.to_owned();
        }
        reader.skip_tags()?;
        reader.end()?;
        Ok(request)
    }
}

impl ApiVersionsResponse {
    /// Writes the body. For a request of an unknown version the error goes out in version 0.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        ApiKey::ApiVersions.begin(version, writer);
        writer.int16(self.error_code);
        writer.array(&self.api_keys, |writer, range| {
            writer.int16(range.api_key);
            writer.int16(range.min_version);
            writer.int16(range.max_version);
            writer.no_tags();
        });
        if version >= 1 {
            writer.int32(self.throttle_time_ms);
        }
        let epoch = self.finalized_features_epoch.to_be_bytes();
        let features = writer.tag_content(|writer| {
            writer.array(&self.finalized_features, |writer, (name, highest, lowest)| {
                writer.string(name);
                writer.int16(*highest);
                writer.int16(*lowest);
                writer.no_tags();
            });
        });
        let mut tags: Vec<(u32, &[u8])> = Vec::new();
        if self.finalized_features_epoch != -1 {
            tags.push((TAG_FINALIZED_FEATURES_EPOCH, &epoch));
        }
        if !self.finalized_features.is_empty() {
            tags.push((TAG_FINALIZED_FEATURES, &features));
        }
        writer.tags(&tags);
    }

    /// Reads the answer to a request of this version. `UNSUPPORTED_VERSION` is recognised in a version 0 body, which
    /// is how every broker sends it.
    pub fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if version > 0 && reader.clone().int16()? == broker_code::UNSUPPORTED_VERSION {
            let mut attempt = reader.clone();
            if let Ok(response) = Self::decode_body(0, &mut attempt) {
                *reader = attempt;
                return Ok(response);
            }
        }
        Self::decode_body(version, reader)
    }

    fn decode_body(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        ApiKey::ApiVersions.open(version, reader)?;
        let mut response = Self { error_code: reader.int16()?, ..Self::default() };
        response.api_keys = reader.array(6, |reader| {
            let range =
                ApiRange { api_key: reader.int16()?, min_version: reader.int16()?, max_version: reader.int16()? };
            reader.skip_tags()?;
            Ok(range)
        })?;
        if version >= 1 {
            response.throttle_time_ms = reader.int32()?;
        }
        reader.tags(|tag, field| {
            match tag {
                TAG_FINALIZED_FEATURES_EPOCH => response.finalized_features_epoch = field.int64()?,
                TAG_FINALIZED_FEATURES => {
                    response.finalized_features = field.array(6, |field| {
                        let feature = (field.string()?.to_owned(), field.int16()?, field.int16()?);
                        field.skip_tags()?;
                        Ok(feature)
                    })?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        reader.end()?;
        Ok(response)
    }
}
