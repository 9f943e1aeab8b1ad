//! From single values to the whole: contradictions, and what gives way to what.

use std::time::Duration;

use super::bootstrap;
use super::memory::{Sizes, contradiction};
use super::{Acks, Codec, DnsLookup, Id, ROWS, Settings, Value};
use crate::code::{Error, Result};
use crate::engine::Level;
use crate::producer::partitioner::PartitionerClass;
use crate::producer::serializer::SerializerClass;

/// Most requests in flight at which a broker can still tell a retry from a new batch: it remembers five per partition.
const IDEMPOTENT_IN_FLIGHT_MAX: i64 = 5;

/// The values that were set, by row; a default where there is none.
struct Values<'a>(&'a [Option<Value>]);

impl Values<'_> {
    fn is_set(&self, id: Id) -> bool {
        self.0.get(id as usize).is_some_and(Option::is_some)
    }

    fn value(&self, id: Id) -> &Value {
        let set = self.0.get(id as usize).and_then(Option::as_ref);
        set.unwrap_or_else(|| ROWS.get(id as usize).map_or(&Value::Unset, |row| &row.default))
    }

    fn number(&self, id: Id) -> i64 {
        match self.value(id) {
            Value::Number(number) | Value::Micros(number) => *number,
            _ => 0,
        }
    }

    /// A size or count: the table allows nothing negative here.
    fn size(&self, id: Id) -> usize {
        usize::try_from(self.number(id)).unwrap_or(0)
    }

    fn boolean(&self, id: Id) -> bool {
        matches!(self.value(id), Value::Boolean(true))
    }

    fn text(&self, id: Id) -> &str {
        match self.value(id) {
            Value::Word(text) => text,
            Value::Text(text) => text,
            _ => "",
        }
    }

    fn duration(&self, id: Id) -> Duration {
        let number = u64::try_from(self.number(id)).unwrap_or(0);
        match self.value(id) {
            Value::Micros(_) => Duration::from_micros(number),
            _ => Duration::from_millis(number),
        }
    }

    /// `name=value`, for messages.
    fn said(&self, id: Id) -> String {
        let name = ROWS.get(id as usize).map_or("", |row| row.name);
        format!("{name}={}", self.value(id).text())
    }

    /// A first and a largest time: the one that was not set gives way to the one that was.
    fn growing(&self, first: Id, largest: Id) -> Result<(Duration, Duration)> {
        let (from, to) = (self.duration(first), self.duration(largest));
        match (self.is_set(first), self.is_set(largest)) {
            _ if from <= to => Ok((from, to)),
            (true, true) => Err(contradiction(format!("{} is more than {}", self.said(first), self.said(largest)))),
            (true, false) => Ok((from, from)),
            (false, _) => Ok((to, to)),
        }
    }
}

/// Checks the whole. `own` says which callbacks take the place of a class.
pub(in crate::producer) fn resolve(values: &[Option<Value>], own: Own) -> Result<Settings> {
    let values = Values(values);
    if !values.is_set(Id::BootstrapServers) {
        return Err(contradiction("bootstrap.servers is not set: a producer needs at least one host:port".to_owned()));
    }
    let bootstrap = bootstrap::parse(values.text(Id::BootstrapServers))
        .map_err(|refusal| Error::new(refusal.code, format!("bootstrap.servers: {}", refusal.why)))?;
    guarantees(&values)?;
    classes(&values, own)?;
    let (retry_backoff, retry_backoff_max) = values.growing(Id::RetryBackoffMs, Id::RetryBackoffMaxMs)?;
    let (reconnect_backoff, reconnect_backoff_max) =
        values.growing(Id::ReconnectBackoffMs, Id::ReconnectBackoffMaxMs)?;
    let (connection_setup_timeout, connection_setup_timeout_max) =
        values.growing(Id::ConnectionSetupTimeoutMs, Id::ConnectionSetupTimeoutMaxMs)?;
    let (delivery_timeout, request_timeout, linger) = times(&values)?;
    let codec = Codec::from_name(values.text(Id::CompressionType)).unwrap_or_default();
    let sizes = Sizes {
        codec,
        buffer_memory: values.size(Id::BufferMemory),
        buffer_memory_is_set: values.is_set(Id::BufferMemory),
        max_request_size: values.size(Id::MaxRequestSize),
        max_request_size_is_set: values.is_set(Id::MaxRequestSize),
        batch_size: values.size(Id::BatchSize).max(1),
        batch_size_is_set: values.is_set(Id::BatchSize),
    }
    .fitted()?;
    let positive = |id: Id| Some(values.duration(id)).filter(|duration| !duration.is_zero());
    let system = |id: Id| Some(values.size(id)).filter(|bytes| *bytes > 0);
    Ok(Settings {
        bootstrap,
        client_dns_lookup: match values.text(Id::ClientDnsLookup) {
            "resolve_canonical_bootstrap_servers_only" => DnsLookup::ResolveCanonicalBootstrapServersOnly,
            _ => DnsLookup::UseAllDnsIps,
        },
        client_id: values.text(Id::ClientId).to_owned(),
        acks: acks(values.text(Id::Acks)),
        idempotence: values.boolean(Id::EnableIdempotence),
        resend_unknown: values.text(Id::UnknownOutcome) == "resend",
        max_in_flight: u32::try_from(values.number(Id::MaxInFlight)).unwrap_or(1),
        retries: u32::try_from(values.number(Id::Retries)).unwrap_or(0),
        retry_backoff,
        retry_backoff_max,
        delivery_timeout,
        request_timeout,
        linger,
        batch_size: sizes.batch_size,
        buffer_memory: sizes.buffer_memory,
        kept_memory: sizes.kept(),
        max_block: values.duration(Id::MaxBlockMs),
        max_request_size: sizes.max_request_size,
        codec,
        compression_level: level(&values, codec),
        partitioner: PartitionerClass::named(values.text(Id::PartitionerClass)),
        partitioner_ignore_keys: values.boolean(Id::PartitionerIgnoreKeys),
        partitioner_adaptive: values.boolean(Id::PartitionerAdaptive),
        partitioner_availability_timeout: positive(Id::PartitionerAvailabilityTimeoutMs),
        metadata_max_age: values.duration(Id::MetadataMaxAgeMs),
        metadata_max_idle: values.duration(Id::MetadataMaxIdleMs),
        rebootstrap_after: rebootstrap_after(&values)?,
        reconnect_backoff,
        reconnect_backoff_max,
        connection_setup_timeout,
        connection_setup_timeout_max,
        connections_max_idle: positive(Id::ConnectionsMaxIdleMs),
        send_buffer: system(Id::SendBufferBytes),
        receive_buffer: system(Id::ReceiveBufferBytes),
        key_serializer: SerializerClass::named(values.text(Id::KeySerializer)),
        value_serializer: SerializerClass::named(values.text(Id::ValueSerializer)),
        log_level: log_level(values.text(Id::LogLevel)),
        allow_auto_create_topics: values.boolean(Id::AllowAutoCreateTopics),
    })
}

/// Which parts the application brings itself.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::producer) struct Own {
    pub(in crate::producer) partitioner: bool,
    pub(in crate::producer) key_serializer: bool,
    pub(in crate::producer) value_serializer: bool,
}

/// Idempotence never gives way by itself: Java (KIP-679) turns it off for `acks=1` with a line in the log, and
/// applications found out by their duplicates.
fn guarantees(values: &Values<'_>) -> Result<()> {
    if !values.boolean(Id::EnableIdempotence) {
        return Ok(());
    }
    let broken = if values.text(Id::Acks) != "all" {
        (Id::Acks, "acks=all")
    } else if values.number(Id::MaxInFlight) > IDEMPOTENT_IN_FLIGHT_MAX {
        (Id::MaxInFlight, "at most 5")
    } else if values.number(Id::Retries) == 0 {
        (Id::Retries, "at least 1")
    } else {
        return Ok(());
    };
    let (id, needed) = broken;
    let said = values.said(id);
    Err(contradiction(format!(
        "{said} is an error until enable.idempotence=false is set too (idempotence needs {needed})"
    )))
}

/// A callback and a class for the same work contradict each other; so does a setting that its class never looks at.
fn classes(values: &Values<'_>, own: Own) -> Result<()> {
    for (id, own, callback) in [
        (Id::PartitionerClass, own.partitioner, "a partitioner callback"),
        (Id::KeySerializer, own.key_serializer, "a key serializer callback"),
        (Id::ValueSerializer, own.value_serializer, "a value serializer callback"),
    ] {
        if own && values.is_set(id) {
            return Err(contradiction(format!("{} contradicts {callback}: only one can do it", values.said(id))));
        }
    }
    let class = PartitionerClass::named(values.text(Id::PartitionerClass));
    if values.boolean(Id::PartitionerIgnoreKeys) && class != PartitionerClass::Default {
        return Err(contradiction(format!(
            "{} has no effect on {}: only the default partitioner can ignore keys",
            values.said(Id::PartitionerIgnoreKeys),
            values.said(Id::PartitionerClass)
        )));
    }
    if values.number(Id::PartitionerAvailabilityTimeoutMs) > 0 {
        let timeout = values.said(Id::PartitionerAvailabilityTimeoutMs);
        if !values.boolean(Id::PartitionerAdaptive) {
            return Err(contradiction(format!("{timeout} needs partitioner.adaptive.partitioning.enable=true")));
        }
        if !class.is_sticky() {
            let class = values.said(Id::PartitionerClass);
            return Err(contradiction(format!("{timeout} has no effect on {class}: it makes no sticky choice")));
        }
    }
    Ok(())
}

/// A trigger without the strategy that it triggers is an error.
fn rebootstrap_after(values: &Values<'_>) -> Result<Option<Duration>> {
    if values.text(Id::MetadataRecoveryStrategy) == "rebootstrap" {
        return Ok(Some(values.duration(Id::MetadataRecoveryTriggerMs)));
    }
    if !values.is_set(Id::MetadataRecoveryTriggerMs) {
        return Ok(None);
    }
    let (trigger, strategy) = (values.said(Id::MetadataRecoveryTriggerMs), values.said(Id::MetadataRecoveryStrategy));
    Err(contradiction(format!("{trigger} has no effect on {strategy}: it needs rebootstrap")))
}

/// `delivery.timeout.ms` covers linger and one request (KIP-91).
fn times(values: &Values<'_>) -> Result<(Duration, Duration, Duration)> {
    const MILLISECOND: Duration = Duration::from_millis(1);
    let delivery = values.duration(Id::DeliveryTimeoutMs);
    let request = values.duration(Id::RequestTimeoutMs);
    let linger = values.duration(Id::LingerMs);
    let both = linger.saturating_add(request);
    if both <= delivery {
        return Ok((delivery, request, linger));
    }
    if !values.is_set(Id::DeliveryTimeoutMs) {
        return Ok((both, request, linger));
    }
    let said = |id: Id| values.said(id);
    match (values.is_set(Id::RequestTimeoutMs), values.is_set(Id::LingerMs)) {
        (false, false) => {
            let linger = linger.min(delivery / 2);
            Ok((delivery, delivery - linger, linger))
        }
        (false, true) if linger + MILLISECOND <= delivery => Ok((delivery, delivery - linger, linger)),
        (true, false) if request <= delivery => Ok((delivery, request, delivery - request)),
        (false, true) => {
            Err(contradiction(format!("{} must be more than {}", said(Id::DeliveryTimeoutMs), said(Id::LingerMs))))
        }
        (true, false) => {
            let (delivery, request) = (said(Id::DeliveryTimeoutMs), said(Id::RequestTimeoutMs));
            Err(contradiction(format!("{delivery} is less than {request}")))
        }
        (true, true) => Err(contradiction(format!(
            "{} is less than {} and {} together",
            said(Id::DeliveryTimeoutMs),
            said(Id::LingerMs),
            said(Id::RequestTimeoutMs)
        ))),
    }
}

fn acks(word: &str) -> Acks {
    match word {
        "1" => Acks::Leader,
        "0" => Acks::None,
        _ => Acks::All,
    }
}

fn level(values: &Values<'_>, codec: Codec) -> i32 {
    let id = match codec {
        Codec::None | Codec::Snappy => return 0,
        Codec::Gzip => Id::CompressionGzipLevel,
        Codec::Lz4 => Id::CompressionLz4Level,
        Codec::Zstd => Id::CompressionZstdLevel,
    };
    i32::try_from(values.number(id)).unwrap_or(0)
}

fn log_level(word: &str) -> Level {
    match word {
        "error" => Level::Error,
        "warn" => Level::Warn,
        "debug" => Level::Debug,
        _ => Level::Info,
    }
}
