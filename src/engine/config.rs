//! The settings that the engine obeys, already checked by whoever read them.

use std::time::Duration;

use crate::mutant::{self, Mutant};

/// What the engine has to know. Kafka's names are in the comments.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// `client.id`.
    pub client_id: String,
    /// Name of this software for the brokers' statistics (KIP-511).
    pub software_name: String,
    /// Its version.
    pub software_version: String,
    /// `bootstrap.servers`: name or address, and port. At least one.
    pub bootstrap: Vec<(String, u16)>,
    /// 0, 1 or -1 (all).
    pub acks: i16,
    /// `enable.idempotence`. Has no effect unless `acks` is -1.
    pub idempotent: bool,
    /// `max.in.flight.requests.per.connection`, at least 1. With idempotence a partition has at most five.
    pub in_flight_max: usize,
    /// `max.request.size`: a request takes batches up to this, at least one.
    pub request_bytes_max: usize,
    /// `unknown.outcome`=`resend`: a batch that the log may have is sent again under a new epoch, as the Java producer
    /// does, where nobody can tell; else it ends with an unknown outcome.
    pub resend_unknown: bool,
    /// `retries` of one batch.
    pub retries: u32,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`.
    pub retry_backoff: (Duration, Duration),
    /// `reconnect.backoff.ms` and `reconnect.backoff.max.ms`.
    pub reconnect_backoff: (Duration, Duration),
    /// `socket.connection.setup.timeout.ms` and its `.max`.
    pub setup_timeout: (Duration, Duration),
    /// `request.timeout.ms`, counted from a request's first byte.
    pub request_timeout: Duration,
    /// How long a broker has for a question that any other could answer, too (metadata and the handshake before it),
    /// the first time.
    pub patience_min: Duration,
    /// `delivery.timeout.ms`, counted from [`Parcel::opened`](super::Parcel::opened).
    pub delivery_timeout: Duration,
    /// `metadata.max.age.ms`.
    pub metadata_age_max: Duration,
    /// `metadata.recovery.strategy`: without metadata for so long (`metadata.recovery.rebootstrap.trigger.ms`), or
    /// without any known broker that can be reached, the bootstrap addresses are asked again; `None`: never.
    pub rebootstrap_after: Option<Duration>,
    /// `metadata.max.idle.ms`: a topic not used for this long is not asked for any more.
    pub metadata_idle_max: Duration,
    /// `connections.max.idle.ms`; `None`: never.
    pub connection_idle_max: Option<Duration>,
    /// Where sequences begin under a new producer id: any will do for one that no broker knows. Not 0 only where the
    /// wrap at 2^31 is to be seen soon.
    pub first_sequence: i32,
    /// `allow.auto.create.topics`.
    pub topic_auto_creation: bool,
    /// No broker silences a connection for longer than this, whatever it says.
    pub throttle_max: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        let millis = Duration::from_millis;
        Self {
            client_id: String::new(),
            software_name: "kurier".into(),
            software_version: env!("CARGO_PKG_VERSION").into(),
            bootstrap: Vec::new(),
            acks: -1,
            idempotent: true,
            in_flight_max: 5,
            request_bytes_max: 1_048_576,
            resend_unknown: false,
            retries: u32::MAX,
            retry_backoff: (millis(100), millis(1_000)),
            reconnect_backoff: (millis(50), millis(1_000)),
            setup_timeout: (millis(10_000), millis(30_000)),
            request_timeout: millis(30_000),
            patience_min: millis(1_000),
            delivery_timeout: millis(120_000),
            metadata_age_max: millis(300_000),
            rebootstrap_after: Some(millis(300_000)),
            metadata_idle_max: millis(300_000),
            connection_idle_max: Some(millis(540_000)),
            first_sequence: 0,
            topic_auto_creation: true,
            throttle_max: millis(30_000),
        }
    }
}

impl EngineConfig {
    /// Idempotence needs the answer of all replicas.
    pub(super) fn is_idempotent(&self) -> bool {
        self.idempotent && self.acks == -1
    }

    /// How many requests of one partition may be out: the broker remembers five batches (rule 2).
    pub(super) fn partition_in_flight_max(&self) -> usize {
        let most = if mutant::is(Mutant::EightInFlight) { 8 } else { 5 };
        if self.is_idempotent() { self.in_flight_max.clamp(1, most) } else { self.in_flight_max.max(1) }
    }
}
