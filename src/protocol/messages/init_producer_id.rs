//! InitProducerId (22), versions 0 to 5.

use super::ApiKey;
use crate::protocol::wire::{Malformed, Reader, Writer};

/// Asks for a producer id and epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitProducerIdRequest {
    /// `None` for an idempotent producer.
    pub transactional_id: Option<String>,
    /// Only with a transactional id; else the largest number.
    pub transaction_timeout_ms: i32,
    /// From version 3: the current id, to bump it; -1.
    pub producer_id: i64,
    /// From version 3: the current epoch; -1.
    pub producer_epoch: i16,
}

/// The identity given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitProducerIdResponse {
    /// How long the broker wants to be left alone.
    pub throttle_time_ms: i32,
    /// 0 or why not.
    pub error_code: i16,
    /// The id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
}

impl InitProducerIdRequest {
    /// Writes the body.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        ApiKey::InitProducerId.begin(version, writer);
        writer.string_or_null(self.transactional_id.as_deref());
        writer.int32(self.transaction_timeout_ms);
        if version >= 3 {
            writer.int64(self.producer_id);
            writer.int16(self.producer_epoch);
        }
        writer.no_tags();
    }

    /// Reads the body.
    pub fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        ApiKey::InitProducerId.open(version, reader)?;
        let mut request = Self {
            transactional_id: reader.string_or_null()?.map(str::to_owned),
            transaction_timeout_ms: reader.int32()?,
            producer_id: -1,
            producer_epoch: -1,
        };
        if version >= 3 {
            request.producer_id = reader.int64()?;
            request.producer_epoch = reader.int16()?;
        }
        reader.skip_tags()?;
        reader.end()?;
        Ok(request)
    }
}

impl InitProducerIdResponse {
    /// Writes the body.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        ApiKey::InitProducerId.begin(version, writer);
        writer.int32(self.throttle_time_ms);
        writer.int16(self.error_code);
        writer.int64(self.producer_id);
        writer.int16(self.producer_epoch);
        writer.no_tags();
    }

    /// Reads the body.
    pub fn decode(version: i16, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        ApiKey::InitProducerId.open(version, reader)?;
        let response = Self {
            throttle_time_ms: reader.int32()?,
            error_code: reader.int16()?,
            producer_id: reader.int64()?,
            producer_epoch: reader.int16()?,
        };
        reader.skip_tags()?;
        reader.end()?;
        Ok(response)
    }
}
