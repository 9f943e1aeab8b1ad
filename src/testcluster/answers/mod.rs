//! The answers of a broker, one file per kind of request.

mod describe_producers;
mod fetch;
mod identity;
mod list_offsets;
mod metadata;
mod produce;

use super::connection::Request;
use crate::protocol::messages::ApiKey;
use crate::protocol::wire::Reader;

pub(super) use identity::unsupported_api_versions;

/// What follows from a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// These bytes, with their length in front.
    Frame(Vec<u8>),
    /// It was carried out and has no answer.
    Nothing,
    /// The connection is closed, as brokers do with what they cannot read.
    Close,
}

/// Carries a request out. The reader stands behind its header.
pub(super) fn answer(request: &Request<'_>, reader: &mut Reader<'_>) -> Reply {
    match request.api {
        ApiKey::Produce => produce::answer(request, reader),
        ApiKey::Fetch => fetch::answer(request, reader),
        ApiKey::ListOffsets => list_offsets::answer(request, reader),
        ApiKey::Metadata => metadata::answer(request, reader),
        ApiKey::ApiVersions => identity::api_versions(request, reader),
        ApiKey::InitProducerId => identity::init_producer_id(request, reader),
        ApiKey::DescribeProducers => describe_producers::answer(request, reader),
    }
}
