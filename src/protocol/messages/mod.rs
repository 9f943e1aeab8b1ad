//! One file per API. Each message encodes and decodes both ways, because the embedded cluster is the
//! other end of the same wire.

pub mod api_versions;
pub mod fetch;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod produce;

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
}
