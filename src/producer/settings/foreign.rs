//! Names that are no setting here but are one elsewhere: what to use instead, or that it is not supported.

use crate::code::Code;

/// What is said about such a name; `None` if it is not known at all.
pub(super) fn verdict(name: &str) -> Option<(Code, String)> {
    if let Some((_, what)) = LATER.iter().find(|(known, _)| *known == name) {
        return Some((Code::UNSUPPORTED, format!("{name}: {what} not supported yet")));
    }
    if SECURITY.iter().any(|prefix| name.starts_with(prefix)) {
        return Some((Code::UNSUPPORTED, format!("{name}: TLS and SASL are not supported yet")));
    }
    if name.starts_with("config.providers.") {
        return Some((Code::UNSUPPORTED, format!("{name}: configuration providers exist only inside a JVM")));
    }
    let (_, what) = INSTEAD.iter().find(|(known, _)| *known == name)?;
    Some((Code::INVALID_ARGUMENT, format!("{name} is librdkafka's and not a setting here: {what}")))
}

/// All of them that have a name of their own, to be found as the nearest.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    LATER.iter().chain(INSTEAD).map(|(name, _)| *name)
}

const SECURITY: &[&str] = &["ssl.", "sasl.", "https.", "enable.ssl.", "enable.sasl.", "ssl_", "oauthbearer_"];

const LATER: &[(&str, &str)] = &[
    ("transactional.id", "transactions are"),
    ("transaction.timeout.ms", "transactions are"),
    ("transaction.two.phase.commit.enable", "transactions are"),
    ("statistics.interval.ms", "metrics are"),
    ("client.rack", "rack-aware partitioning (Kafka 4.4) is"),
    ("partitioner.rack.aware", "rack-aware partitioning (Kafka 4.4) is"),
    ("buffer.memory.allocation.strategy", "this setting of Kafka 4.4 is"),
    ("bootstrap.resolve.timeout.ms", "this setting of Kafka 4.4 is"),
    ("metadata.cluster.check.enable", "this setting of Kafka 4.4 is"),
    ("socket.keepalive.enable", "TCP keep-alive is"),
    ("broker.address.family", "choosing an address family is"),
];

const INSTEAD: &[(&str, &str)] = &[
    ("socket.timeout.ms", "use request.timeout.ms"),
    ("queue.buffering.max.messages", "records are limited by their bytes; use buffer.memory"),
    ("batch.num.messages", "batches are limited by their bytes; use batch.size"),
    (
        "compression.level",
        "each codec has its own: compression.gzip.level, compression.lz4.level, compression.zstd.level",
    ),
    ("sticky.partitioning.linger.ms", "a sticky partition changes with its batch; use linger.ms and batch.size"),
    ("queue.buffering.backpressure.threshold", "batches wait for linger.ms and max.in.flight.requests.per.connection"),
    ("delivery.report.only.error", "set KURIER_RECORD_QUIET in the record"),
    ("produce.offset.report", "every delivery has its offset; leave it out"),
    ("enable.gapless.guarantee", "a failed batch is told by its delivery; leave it out"),
    ("queuing.strategy", "records are sent in order; leave it out"),
    ("log_level", "its numbers are syslog's; use log.level"),
    ("debug", "use log.level=debug"),
    ("log.queue", "use kurier_config_set_log_callback"),
    ("log.connection.close", "use log.level"),
    ("message.copy.max.bytes", "every record is copied once, into its batch; leave it out"),
    ("receive.message.max.bytes", "answers are limited by what they can hold; leave it out"),
    ("topic.metadata.refresh.fast.interval.ms", "use retry.backoff.ms"),
    ("topic.metadata.refresh.sparse", "only topics in use are asked for; leave it out"),
    ("topic.metadata.propagation.max.ms", "a send waits max.block.ms for a new topic"),
    ("api.version.request", "versions are always negotiated; leave it out"),
    ("broker.version.fallback", "versions are always negotiated; leave it out"),
    ("broker.address.ttl", "names are resolved anew for each connection; leave it out"),
    ("test.mock.num.brokers", "use bootstrap.servers=embedded:N"),
    ("builtin.features", "see kurier_version"),
];

#[cfg(test)]
mod tests {
    use super::{names, verdict};
    use crate::producer::settings::find;

    #[test]
    fn no_name_is_both_a_setting_and_foreign() {
        for name in names() {
            assert!(find(name).is_none(), "{name}");
            assert!(verdict(name).is_some(), "{name}");
        }
    }
}
