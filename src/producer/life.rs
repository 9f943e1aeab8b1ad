//! A producer's life: made from settings, closed once, destroyed last.

use super::callback;
use super::config::{Config, DeliveryCallback};
use super::partitioner::Partitioning;
use super::serializer::Serializer;
use super::settings::{Bootstrap, DnsLookup, Settings};
use super::timeout::{Deadline, Timeout};
use super::topics::{Topic, Topics};
use crate::accumulator::{Accumulator, BATCH_HEADER_BYTES, Limits};
use crate::code::{Code, Error, Result};
use crate::delivery::{Deliveries, ReadyCallback};
use crate::engine::{EngineConfig, TopicNumber};
use crate::io::{Clock, LogCallback, Network, NetworkConfig, TopicBook};
use crate::protocol::compression::Codec;
use crate::protocol::record::BYTES_MAX;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::testcluster::Cluster;
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long one broker is waited for with what any broker can answer. The others of a cluster are a millisecond away.
const PATIENCE_MIN: Duration = Duration::from_secs(1);
/// No broker silences a connection for longer, whatever it says.
const THROTTLE_MAX: Duration = Duration::from_secs(30);

/// Gives every producer of the process a number.
static PRODUCERS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// A Kafka producer. Any thread may use it at any time. Dropping it closes it without waiting; not inside one of its
/// own callbacks, whose end it would have to wait for.
pub struct Producer {
    pub(super) id: u64,
    pub(super) settings: Settings,
    pub(super) accumulator: Arc<Accumulator>,
    pub(super) deliveries: Arc<Deliveries>,
    pub(super) network: Arc<Network>,
    pub(super) topics: Arc<Topics>,
    pub(super) partitioning: Partitioning,
    /// The most that a record may take as the only one of its batch.
    pub(super) record_bytes_max: usize,
    pub(super) key_serializer: Option<Serializer>,
    pub(super) value_serializer: Option<Serializer>,
    pub(super) by_callback: bool,
    /// Set before the last record is accepted.
    closed: AtomicBool,
    /// One close at a time; what it answered.
    ending: Mutex<Option<Result<()>>>,
    delivery_thread: Mutex<Option<JoinHandle<()>>>,
    /// `bootstrap.servers=embedded:N`: ends with the producer.
    _cluster: Option<Cluster>,
}

impl Producer {
    /// Makes a producer. It connects later, when it is used.
    ///
    /// # Errors
    /// Settings that contradict each other, or `INTERNAL` if the system gives no thread.
    pub fn new(config: &Config) -> Result<Self> {
        let settings = config.resolve()?;
        let id = PRODUCERS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let seed = random_seed() ^ id;
        let (servers, cluster) = match &settings.bootstrap {
            Bootstrap::Servers(servers) => (servers.clone(), None),
            Bootstrap::Embedded(brokers) => {
                let cluster = Cluster::start(i32::from(*brokers))?;
                (addresses(&cluster.address())?, Some(cluster))
            }
        };
        let clock = Clock::start();
        let ready = config
            .ready_callback
            .clone()
            .map(|ready| -> ReadyCallback { Arc::new(move || callback::tell(id, || ready())) });
        let by_callback = config.delivery_callback.is_some();
        // Deliveries and pool point at each other: the pool's signal finds the deliveries when there are any.
        let late: Arc<OnceLock<Weak<Deliveries>>> = Arc::new(OnceLock::new());
        let (of_pool, of_topics) = (Arc::clone(&late), Arc::clone(&late));
        let freed = Box::new(move || of_pool.get().and_then(Weak::upgrade).map_or((), |deliveries| deliveries.wake()));
        let accumulator = Arc::new(Accumulator::new(&limits(&settings), freed));
        let deliveries = Arc::new(Deliveries::new(Arc::clone(&accumulator), ready, by_callback));
        let _ = late.set(Arc::downgrade(&deliveries));
        let grown =
            Box::new(move || of_topics.get().and_then(Weak::upgrade).map_or((), |deliveries| deliveries.wake()));
        let topics = Arc::new(Topics::new(id as u8, seed, grown));
        let book: Arc<dyn TopicBook> = Arc::clone(&topics) as _;
        let network_config = network_config(config, &settings, id, seed, servers);
        let network = Network::start(network_config, Arc::clone(&accumulator), Arc::clone(&deliveries), book, clock)?;
        let producer = Self {
            id,
            partitioning: Partitioning {
                class: settings.partitioner,
                ignore_keys: settings.partitioner_ignore_keys,
                own: config.partitioner.clone(),
            },
            record_bytes_max: settings.max_request_size.saturating_sub(BATCH_HEADER_BYTES).min(BYTES_MAX),
            settings,
            accumulator,
            deliveries,
            network,
            topics,
            key_serializer: config.key_serializer.clone(),
            value_serializer: config.value_serializer.clone(),
            by_callback,
            closed: AtomicBool::new(false),
            ending: Mutex::new(None),
            delivery_thread: Mutex::new(None),
            _cluster: cluster,
        };
        if let Some(callback) = &config.delivery_callback {
            producer.start_delivery_thread(Arc::clone(callback))?;
        }
        Ok(producer)
    }

    fn start_delivery_thread(&self, callback: DeliveryCallback) -> Result<()> {
        let (deliveries, network, id) = (Arc::clone(&self.deliveries), Arc::clone(&self.network), self.id);
        let (failed, unread) = (Arc::clone(&self.network), Arc::clone(&self.deliveries));
        let thread = crate::thread::start(
            String::from("kurier-delivery"),
            move || super::receive::deliver(id, &deliveries, &network.clock, &callback),
            move || {
                failed.fail("the delivery thread panicked");
                // Nobody is told any more, but flush and the memory still wait for what arrives.
                let nobody: DeliveryCallback = Arc::new(|_| ());
                super::receive::deliver(id, &unread, &failed.clock, &nobody);
            },
        );
        let thread = thread.map_err(|error| {
            Error::new(Code::INTERNAL, format!("the delivery thread could not be started: {error}"))
        })?;
        *self.delivery_thread.lock() = Some(thread);
        Ok(())
    }

    /// The id of a topic: local, no broker is asked. The same name gives the same id.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a name that Kafka does not allow, `CLOSED`, `WRONG_THREAD`.
    pub fn topic(&self, name: &str) -> std::result::Result<u32, Code> {
        callback::check_act(self.id)?;
        if self.is_closed() {
            return Err(Code::CLOSED);
        }
        let (topic, is_new) = self.topics.named(name)?;
        if is_new {
            let now = self.network.clock.now();
            self.network.visit(|engine| engine.add_topic(TopicNumber(topic.id), name, now));
        }
        Ok(topic.id)
    }

    /// The topic's name. Works everywhere, also after close.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`: no topic of this producer has that id.
    pub fn topic_name(&self, topic: u32) -> std::result::Result<&str, Code> {
        self.topics.get(topic).map(|topic| &*topic.name)
    }

    /// How many partitions the topic has, as far as is known; waits for the first metadata.
    ///
    /// # Errors
    /// As [`Producer::send`], with a sentence.
    pub fn partition_count(&self, topic: u32, timeout: Timeout) -> Result<i32> {
        let topic = self.topics.get(topic).map_err(|code| Error::new(code, "no topic of this producer has that id"))?;
        let mut deadline = Deadline::after(timeout.or(self.settings.max_block));
        if !callback::may_wait(self.id) {
            deadline = Deadline::Now;
        }
        let waited = self.wait_for_metadata(topic, &mut deadline);
        waited.map_err(|code| self.explain(code, topic.id))?;
        Ok(Topic::count(topic))
    }

    /// What stands in the way now: a fatal error for ever; `UNREACHABLE` while it lasts.
    ///
    /// # Errors
    /// That.
    pub fn status(&self) -> Result<()> {
        if callback::check_act(self.id).is_err() {
            return Err(Error::new(Code::WRONG_THREAD, "not inside this callback"));
        }
        self.network.visit(|engine| engine.status()).map_or(Ok(()), Err)
    }

    /// Bytes of `buffer.memory` that records and deliveries hold now: of the senders' part, and of what is kept for
    /// compression and splits. Unused blocks that wait to be used again do not count.
    #[must_use]
    pub fn memory_used(&self) -> (usize, usize) {
        self.accumulator.memory_used()
    }

    /// Whether close has begun.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Sends what is accepted and ends. What is left when the time is over is purged. A second close answers as the
    /// first. Deliveries can be polled afterwards.
    ///
    /// # Errors
    /// `TIMED_OUT` if records were purged; `WRONG_THREAD` inside a callback.
    pub fn close(&self, timeout: Timeout) -> Result<()> {
        if callback::check_wait(self.id).is_err() {
            return Err(Error::new(Code::WRONG_THREAD, "close waits, so it does not work inside a callback"));
        }
        let mut ending = self.ending.lock();
        if let Some(result) = &*ending {
            return result.clone();
        }
        self.closed.store(true, Ordering::SeqCst);
        self.accumulator.shut();
        self.topics.wake_all();
        let mut deadline = Deadline::after(timeout.or(self.settings.delivery_timeout));
        let epoch = self.accumulator.unfated.raise();
        while !self.network.is_finished() {
            let left = deadline.left(&self.network.clock);
            if self.accumulator.unfated.wait(epoch, left) || left.is_zero() {
                break;
            }
        }
        let records = self.network.stop();
        self.deliveries.end();
        if let Some(thread) = self.delivery_thread.lock().take() {
            // A panic in it has been dealt with there.
            let _ = thread.join();
        }
        let result = if records == 0 {
            Ok(())
        } else {
            let text = format!("{records} records had no fate when the time was over, and were given up");
            Err(Error { retriable: false, ..Error::new(Code::TIMED_OUT, text) })
        };
        *ending = Some(result.clone());
        result
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // Whatever it answers, the threads have ended and every record has its fate.
        let _ = self.close(Timeout::Of(Duration::ZERO));
    }
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        memory_bytes: settings.buffer_memory,
        reserve_bytes: settings.kept_memory,
        batch_bytes: settings.batch_size,
        linger: settings.linger,
        delivery_timeout: settings.delivery_timeout,
        compresses: settings.codec != Codec::None,
    }
}

fn network_config(
    config: &Config,
    settings: &Settings,
    id: u64,
    seed: u64,
    bootstrap: Vec<(String, u16)>,
) -> NetworkConfig {
    let log = config
        .log_callback
        .clone()
        .map(|log| -> LogCallback { Arc::new(move |level, line| callback::tell(id, || log(level, line))) });
    let engine = EngineConfig {
        client_id: settings.client_id.clone(),
        software_name: String::from("kurier"),
        software_version: String::from(env!("CARGO_PKG_VERSION")),
        bootstrap,
        acks: settings.acks as i16,
        idempotent: settings.idempotence,
        resend_unknown: settings.resend_unknown,
        in_flight_max: settings.max_in_flight as usize,
        request_bytes_max: settings.max_request_size,
        retries: settings.retries,
        retry_backoff: (settings.retry_backoff, settings.retry_backoff_max),
        reconnect_backoff: (settings.reconnect_backoff, settings.reconnect_backoff_max),
        setup_timeout: (settings.connection_setup_timeout, settings.connection_setup_timeout_max),
        request_timeout: settings.request_timeout,
        patience_min: PATIENCE_MIN,
        delivery_timeout: settings.delivery_timeout,
        metadata_age_max: settings.metadata_max_age,
        rebootstrap_after: settings.rebootstrap_after,
        metadata_idle_max: settings.metadata_max_idle,
        connection_idle_max: settings.connections_max_idle,
        first_sequence: 0,
        topic_auto_creation: settings.allow_auto_create_topics,
        throttle_max: THROTTLE_MAX,
    };
    NetworkConfig {
        engine,
        seed,
        codec: settings.codec,
        level: settings.compression_level,
        canonical_bootstrap: settings.client_dns_lookup == DnsLookup::ResolveCanonicalBootstrapServersOnly,
        send_buffer_bytes: settings.send_buffer,
        receive_buffer_bytes: settings.receive_buffer,
        log,
        log_level: settings.log_level,
    }
}

fn addresses(text: &str) -> Result<Vec<(String, u16)>> {
    let parse = |one: &str| {
        let (host, port) = one.rsplit_once(':')?;
        Some((host.to_owned(), port.parse().ok()?))
    };
    let all: Option<Vec<_>> = text.split(',').map(parse).collect();
    all.ok_or_else(|| Error::new(Code::INTERNAL, format!("the embedded cluster's address is {text}")))
}

/// Different in every process and for every producer: only jitter and first choices depend on it.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}
