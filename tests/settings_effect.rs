//! The effect of every setting, one row each: what a producer does with one value and does not do with another.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test has a clock and threads, and may stop where it finds something impossible"
)]

#[path = "settings_effect/batching.rs"]
mod batching;
#[path = "settings_effect/choosing.rs"]
mod choosing;
#[path = "settings_effect/connecting.rs"]
mod connecting;
#[path = "settings_effect/recovering.rs"]
mod recovering;
#[path = "settings_effect/retrying.rs"]
mod retrying;
#[path = "settings_effect/tap.rs"]
#[allow(dead_code, reason = "the tests of bad input cut its answers")]
mod tap;
#[path = "settings_effect/texts.rs"]
mod texts;
#[path = "settings_effect/wire.rs"]
mod wire;
#[path = "settings_effect/world.rs"]
mod world;

use kurier::producer::settings::{Kind, ROWS};

macro_rules! effects {
    ($($setting:literal $room:ident::$test:ident $effect:literal;)*) => {
        /// Setting and effect.
        const EFFECTS: &[(&str, &str)] = &[$(($setting, $effect)),*];

        $(#[test]
        fn $test() {
            $room::$test();
        })*
    };
}

effects! {
    "bootstrap.servers" wire::bootstrap_servers "the records are in the cluster that it names, whichever of it lives";
    "client.dns.lookup" connecting::client_dns_lookup "the canonical name is what is connected to";
    "client.id" wire::client_id "every request carries it";
    "acks" wire::acks "the number in the request; with 0 nobody knows the offset";
    "enable.idempotence" wire::enable_idempotence "a lost answer gives one record, not two";
    "unknown.outcome" retrying::unknown_outcome "what nobody can tell is UNKNOWN, or written twice";
    "max.in.flight.requests.per.connection" wire::max_in_flight "so many requests without an answer, and no more";
    "retries" retrying::retries "so many attempts and one";
    "retry.backoff.ms" retrying::retry_backoff "when the second attempt comes";
    "retry.backoff.max.ms" retrying::retry_backoff_max "twenty attempts come soon, or never";
    "delivery.timeout.ms" retrying::delivery_timeout "the record ends as TIMED_OUT, or goes on being tried";
    "request.timeout.ms" wire::request_timeout "asked again without an answer; and the broker is told";
    "linger.ms" batching::linger_ms "nothing leaves before it, and one batch then";
    "batch.size" batching::batch_size "how many batches the same records are";
    "buffer.memory" batching::buffer_memory "how many records are accepted without an answer";
    "max.block.ms" batching::max_block_ms "a full buffer answers at once, or when there is room";
    "max.request.size" batching::max_request_size "which record is too large, and how many batches a request has";
    "compression.type" batching::compression_type "the codec in the stored batch, and its size";
    "compression.gzip.level" batching::gzip_level "the size of the same records";
    "compression.lz4.level" batching::lz4_level "the size of the same records";
    "compression.zstd.level" batching::zstd_level "the size of the same records";
    "partitioner.class" choosing::partitioner_class "the partitions of the same keys";
    "partitioner.ignore.keys" choosing::ignore_keys "one key is in one partition, or in several";
    "partitioner.adaptive.partitioning.enable" choosing::adaptive "a slow broker gets less";
    "partitioner.availability.timeout.ms" choosing::availability_timeout "a stuck broker gets nothing";
    "metadata.max.age.ms" wire::metadata_max_age "metadata requests without a reason";
    "metadata.max.idle.ms" wire::metadata_max_idle "they end when nobody uses the topic";
    "metadata.recovery.strategy" recovering::recovery_strategy "who is asked when the only known broker is gone";
    "metadata.recovery.rebootstrap.trigger.ms" recovering::recovery_trigger "how long a silent one is waited for";
    "reconnect.backoff.ms" connecting::reconnect_backoff "when the second connection is tried";
    "reconnect.backoff.max.ms" connecting::reconnect_backoff_max "how many are tried beside another producer";
    "socket.connection.setup.timeout.ms" connecting::setup_timeout "a silent server is tried again, or waited for";
    "socket.connection.setup.timeout.max.ms" connecting::setup_timeout_max "how often beside another producer";
    "connections.max.idle.ms" connecting::connections_max_idle "connections are closed, or stay";
    "send.buffer.bytes" connecting::send_buffer "SO_SNDBUF of the socket";
    "receive.buffer.bytes" connecting::receive_buffer "SO_RCVBUF of the socket";
    "key.serializer" texts::key_serializer "the bytes of the key in the log";
    "value.serializer" texts::value_serializer "the bytes of the value in the log";
    "log.level" texts::log_level "the lines that the callback gets";
    "allow.auto.create.topics" wire::allow_auto_create_topics "the topic is there, or UNKNOWN_TOPIC";
}

#[test]
fn every_setting_has_its_effect_or_states_what_is_done_anyway() {
    texts::states_only();
    let active = ROWS.iter().filter(|row| !matches!(row.kind, Kind::Only { .. })).map(|row| row.name);
    let shown = EFFECTS.iter().map(|(name, _)| *name);
    assert_eq!(shown.collect::<Vec<_>>(), active.collect::<Vec<_>>(), "a row for each setting, in the table's order");
    assert!(EFFECTS.iter().all(|(_, effect)| !effect.is_empty()));
}
