//! Every setting of a producer, as plain typed data, and the way there: table, checks, contradictions.

mod bootstrap;
mod foreign;
mod kind;
mod memory;
mod nearest;
pub(in crate::producer) mod properties;
pub(in crate::producer) mod resolve;
mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use bootstrap::Bootstrap;
pub use kind::{Kind, Value, Word};
pub use memory::{block_bytes, compressed_bytes_max};
pub(in crate::producer) use resolve::resolve;
pub use table::{Alias, Id, ROWS, Row, Scale};

use crate::code::{Code, Error, Result};
use crate::engine::Level;
use crate::producer::partitioner::PartitionerClass;
use crate::producer::serializer::SerializerClass;
pub use crate::protocol::compression::Codec;

/// How names become addresses (KIP-602).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsLookup {
    /// Every address of a name is tried.
    UseAllDnsIps,
    /// The bootstrap names are replaced by the canonical names of their addresses first.
    ResolveCanonicalBootstrapServersOnly,
}

/// Who must have a record before the leader answers. The numbers are those on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum Acks {
    /// All in-sync replicas.
    All = -1,
    /// Nobody: there is no answer.
    None = 0,
    /// The leader.
    Leader = 1,
}

/// Everything that was set, checked as a whole, with what was not set filled in. Fields have the names of their
/// settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `bootstrap.servers`
    pub bootstrap: Bootstrap,
    /// `client.dns.lookup`
    pub client_dns_lookup: DnsLookup,
    /// `client.id`
    pub client_id: String,
    /// `acks`
    pub acks: Acks,
    /// `enable.idempotence`; if true, `acks` is all, `retries` above 0 and at most 5 are in flight.
    pub idempotence: bool,
    /// `unknown.outcome` is `resend`
    pub resend_unknown: bool,
    /// `max.in.flight.requests.per.connection`
    pub max_in_flight: u32,
    /// `retries`
    pub retries: u32,
    /// `retry.backoff.ms`, at most `retry_backoff_max`
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`
    pub retry_backoff_max: Duration,
    /// `delivery.timeout.ms`, at least `linger` + `request_timeout`
    pub delivery_timeout: Duration,
    /// `request.timeout.ms`
    pub request_timeout: Duration,
    /// `linger.ms`
    pub linger: Duration,
    /// `batch.size`, 1 to 14,000,000, at most `max_request_size`; 1: each record is a batch of its own
    pub batch_size: usize,
    /// `buffer.memory`
    pub buffer_memory: usize,
    /// The part of `buffer_memory` that appenders do not get: compressed copies and the second half of a split.
    /// At most half of it, and enough for any one batch.
    pub kept_memory: usize,
    /// `max.block.ms`
    pub max_block: Duration,
    /// `max.request.size`
    pub max_request_size: usize,
    /// `compression.type`
    pub codec: Codec,
    /// The level for `codec`; 0 where there is none. -1: the codec's own choice (gzip).
    pub compression_level: i32,
    /// `partitioner.class`
    pub partitioner: PartitionerClass,
    /// `partitioner.ignore.keys`
    pub partitioner_ignore_keys: bool,
    /// `partitioner.adaptive.partitioning.enable`
    pub partitioner_adaptive: bool,
    /// `partitioner.availability.timeout.ms`; `None`: never leave a partition out
    pub partitioner_availability_timeout: Option<Duration>,
    /// `metadata.max.age.ms`
    pub metadata_max_age: Duration,
    /// `metadata.max.idle.ms`
    pub metadata_max_idle: Duration,
    /// `metadata.recovery.rebootstrap.trigger.ms`; `None`: `metadata.recovery.strategy` is `none`
    pub rebootstrap_after: Option<Duration>,
    /// `reconnect.backoff.ms`, at most `reconnect_backoff_max`
    pub reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`
    pub reconnect_backoff_max: Duration,
    /// `socket.connection.setup.timeout.ms`, at most `connection_setup_timeout_max`
    pub connection_setup_timeout: Duration,
    /// `socket.connection.setup.timeout.max.ms`
    pub connection_setup_timeout_max: Duration,
    /// `connections.max.idle.ms`; `None`: never close
    pub connections_max_idle: Option<Duration>,
    /// `send.buffer.bytes`; `None`: the system's
    pub send_buffer: Option<usize>,
    /// `receive.buffer.bytes`; `None`: the system's
    pub receive_buffer: Option<usize>,
    /// `key.serializer`
    pub key_serializer: SerializerClass,
    /// `value.serializer`
    pub value_serializer: SerializerClass,
    /// `log.level`
    pub log_level: Level,
    /// `allow.auto.create.topics`
    pub allow_auto_create_topics: bool,
}

/// A row by its name or an alias.
#[must_use]
pub fn find(name: &str) -> Option<(&'static Row, Scale)> {
    ROWS.iter().find_map(|row| {
        if row.name == name {
            return Some((row, Scale::Same));
        }
        row.aliases.iter().find(|alias| alias.name == name).map(|alias| (row, alias.scale))
    })
}

/// A row by its name or an alias, or an error that helps.
pub(in crate::producer) fn known(name: &str) -> Result<(&'static Row, Scale)> {
    if let Some(found) = find(name) {
        return Ok(found);
    }
    if let Some((code, message)) = foreign::verdict(name) {
        return Err(Error::new(code, message));
    }
    let names = ROWS.iter().flat_map(|row| std::iter::once(row.name).chain(row.aliases.iter().map(|alias| alias.name)));
    let hint = nearest::nearest(name, names).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Err(Error::new(Code::INVALID_ARGUMENT, format!("there is no setting {:?}{hint}", cut(name))))
}

/// Checks a value given under a name of a row.
pub(in crate::producer) fn check(name: &str, text: &str) -> Result<(&'static Row, Value)> {
    let (row, scale) = known(name)?;
    let checked = match scaled(scale, text.trim()) {
        _ if text.contains('\0') => Err(kind::Refusal::invalid("a NUL inside")),
        Some(text) => row.kind.parse(&text),
        None => Err(kind::Refusal::invalid(format!("{} takes {} bytes", row.name, row.kind.allowed()))),
    };
    checked.map(|value| (row, value)).map_err(|refusal| {
        let message = match row.kind {
            Kind::Servers => format!("{name}: {}", refusal.why),
            _ => format!("{name}={}: {}", cut(text.trim()), refusal.why),
        };
        Error::new(refusal.code, message)
    })
}

/// The text in the setting's own unit; `None` if it cannot be said in it.
fn scaled(scale: Scale, text: &str) -> Option<String> {
    match scale {
        Scale::Same => Some(text.to_owned()),
        Scale::Kibibytes => text.parse::<i64>().ok()?.checked_mul(1024).map(|bytes| bytes.to_string()),
        Scale::ZeroIsSystem if text == "0" => Some("-1".to_owned()),
        Scale::ZeroIsSystem => Some(text.to_owned()).filter(|text| text != "-1"),
    }
}

/// The value in the unit of the name that was asked for.
pub(in crate::producer) fn unscaled(scale: Scale, value: &Value) -> String {
    match (scale, value) {
        (Scale::Kibibytes, Value::Number(bytes)) => (bytes / 1024).to_string(),
        (Scale::ZeroIsSystem, Value::Number(-1)) => "0".to_owned(),
        _ => value.text(),
    }
}

/// What fits into a message beside the sentence.
fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(60).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}
