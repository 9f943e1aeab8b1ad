//! One file per API. Each message encodes and decodes both ways, because the embedded cluster is the
//! other end of the same wire.
//!
//! `encode` leaves out what the version does not have; `decode` gives it its default, skips tagged fields it does not
//! know, keeps unknown error codes as numbers, and refuses bytes after the end: a peer that sends them does not speak
//! the version it claims, and nothing else in such a message can be believed.

pub mod api_versions;
pub mod describe_producers;
pub mod fetch;
pub mod header;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod produce;
pub mod produce_writer;

use std::ops::RangeInclusive;

use super::wire::{Malformed, Reader, Writer};

/// A topic's id (KIP-516): 16 bytes, all zero where there is none.
pub type TopicUuid = [u8; 16];

/// Kafka's number of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum ApiKey {
    /// Produce.
    Produce = 0,
    /// Fetch.
    Fetch = 1,
    /// `ListOffsets`.
    ListOffsets = 2,
    /// Metadata.
    Metadata = 3,
    /// `ApiVersions`.
    ApiVersions = 18,
    /// `InitProducerId`.
    InitProducerId = 22,
    /// `DescribeProducers`.
    DescribeProducers = 61,
}

impl ApiKey {
    /// Every API that is implemented, by number.
    pub const ALL: &'static [Self] = &[
        Self::Produce,
        Self::Fetch,
        Self::ListOffsets,
        Self::Metadata,
        Self::ApiVersions,
        Self::InitProducerId,
        Self::DescribeProducers,
    ];

    /// The API of that number, if it is implemented.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|api| *api as i16 == number)
    }

    /// The versions that are implemented here, in both directions.
    #[must_use]
    pub fn client_range(self) -> RangeInclusive<i16> {
        match self {
            Self::Produce => 3..=13,
            Self::Fetch => 4..=12,
            Self::ListOffsets => 1..=7,
            Self::Metadata => 4..=13,
            Self::ApiVersions => 0..=4,
            Self::InitProducerId => 0..=5,
            Self::DescribeProducers => 0..=0,
        }
    }

    /// The first version with compact lengths and tagged fields (KIP-482).
    #[must_use]
    pub fn flexible_from(self) -> i16 {
        match self {
            Self::Produce | Self::Metadata => 9,
            Self::Fetch => 12,
            Self::ListOffsets => 6,
            Self::ApiVersions => 3,
            Self::InitProducerId => 2,
            Self::DescribeProducers => 0,
        }
    }

    /// Does this version have compact lengths and tagged fields?
    #[must_use]
    pub fn is_flexible(self, version: i16) -> bool {
        version >= self.flexible_from()
    }

    /// Readies the reader for a body of this version.
    fn open(self, version: i16, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        reader.set_flexible(self.is_flexible(version));
        if self.client_range().contains(&version) {
            Ok(())
        } else {
            Err(Malformed("a version that is not implemented"))
        }
    }

    /// Readies the writer for a body of this version.
    fn begin(self, version: i16, writer: &mut Writer) {
        writer.set_flexible(self.is_flexible(version));
        if !self.client_range().contains(&version) {
            writer.fail("a version that is not implemented");
        }
    }
}
