//! The table: one row per setting, with its names, values, default and meaning. The reference is made from it.

use std::borrow::Cow;
use std::ffi::CStr;

use super::kind::{Kind, Value, Word, word, words};

/// How the value under another name becomes the setting's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// It is the same.
    Same,
    /// It is in KiB, the setting in bytes.
    Kibibytes,
    /// 0 is what the setting calls -1.
    ZeroIsSystem,
}

/// Another name of a setting: librdkafka's, where the meaning is the same.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// The name.
    pub name: &'static str,
    /// How to read its value.
    pub scale: Scale,
}

/// One setting.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its place in the table.
    pub id: Id,
    /// Kafka's name, or ours where Kafka has none.
    pub name: &'static str,
    /// The name for C.
    pub c_name: &'static CStr,
    /// Other names.
    pub aliases: &'static [Alias],
    /// What it takes.
    pub kind: Kind,
    /// What holds if it is not set.
    pub default: Value,
    /// Meaning, unit and effect.
    pub doc: &'static str,
}

const INT: i64 = i32::MAX as i64;
const LONG: i64 = i64::MAX;
/// Kafka's size fields are signed 32-bit; the largest request leaves 64 KiB of that to headers and names.
const REQUEST_SIZE_MAX: i64 = INT - 65_536;

const fn same(name: &'static str) -> Alias {
    Alias { name, scale: Scale::Same }
}

const fn number(least: i64, most: i64) -> Kind {
    Kind::Number { least, most, besides: None }
}

const fn minus_one_or(least: i64, most: i64) -> Kind {
    Kind::Number { least, most, besides: Some(-1) }
}

const fn only(values: &'static [&'static str], why: &'static str) -> Kind {
    Kind::Only { values, why }
}

const JVM: &str = "means something only inside a JVM: leave it out, empty, or at Java's default";
const METRICS: &str = "metrics are not supported yet: leave it out, empty, or at Java's default";
const UTF8: &str = "text is UTF-8 here: convert it before it is sent";

const ACKS: &[Word] = &[words("all", &["-1"]), word("1"), word("0")];
const LOOKUPS: &[Word] = &[word("use_all_dns_ips"), word("resolve_canonical_bootstrap_servers_only")];
const CODECS: &[Word] = &[word("none"), word("gzip"), word("snappy"), word("lz4"), word("zstd")];
const RECOVERIES: &[Word] = &[words("rebootstrap", &["REBOOTSTRAP"]), words("none", &["NONE"])];
const UNKNOWN_OUTCOME: &[Word] = &[word("report"), word("resend")];
const LEVELS: &[Word] = &[
    words("error", &["ERROR", "1"]),
    words("warn", &["WARN", "2"]),
    words("info", &["INFO", "3"]),
    words("debug", &["DEBUG", "4"]),
];
const PARTITIONERS: &[Word] = &[
    words("default", &["org.apache.kafka.clients.producer.internals.DefaultPartitioner"]),
    word("murmur2"),
    word("murmur2_random"),
    word("consistent"),
    word("consistent_random"),
    word("fnv1a"),
    word("fnv1a_random"),
    words("round_robin", &["org.apache.kafka.clients.producer.RoundRobinPartitioner"]),
    word("random"),
];
const SERIALIZERS: &[Word] = &[
    words(
        "bytes",
        &[
            "org.apache.kafka.common.serialization.ByteArraySerializer",
            "org.apache.kafka.common.serialization.BytesSerializer",
            "org.apache.kafka.common.serialization.ByteBufferSerializer",
        ],
    ),
    words("string", &["org.apache.kafka.common.serialization.StringSerializer"]),
    words("int16", &["org.apache.kafka.common.serialization.ShortSerializer"]),
    words("int32", &["org.apache.kafka.common.serialization.IntegerSerializer"]),
    words("int64", &["org.apache.kafka.common.serialization.LongSerializer"]),
    words("float", &["org.apache.kafka.common.serialization.FloatSerializer"]),
    words("double", &["org.apache.kafka.common.serialization.DoubleSerializer"]),
    words("boolean", &["org.apache.kafka.common.serialization.BooleanSerializer"]),
    words("uuid", &["org.apache.kafka.common.serialization.UUIDSerializer"]),
    words("void", &["org.apache.kafka.common.serialization.VoidSerializer"]),
];

macro_rules! table {
    ($($id:ident $name:literal [$($alias:expr),*] $kind:expr, $default:expr; $doc:literal)*) => {
        /// A setting's place in the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Id { $(#[doc = $doc] $id,)* }

        /// Every setting that has an effect, or that is accepted because it states what is done anyway.
        pub const ROWS: &[Row] = &[$(Row {
            id: Id::$id,
            name: match $name.to_str() {
                Ok(name) => name,
                Err(_) => panic!("a name that is not UTF-8"),
            },
            c_name: $name,
            aliases: &[$($alias),*],
            kind: $kind,
            default: $default,
            doc: $doc,
        },)*];
    };
}

use Value::{Boolean, Micros, Number, Unset};

table! {
    BootstrapServers c"bootstrap.servers" [same("bootstrap.server"), same("metadata.broker.list")]
        Kind::Servers, Unset;
        "The first brokers to ask, host:port with commas between; every other broker is learned from them. \
         embedded:N (1 to 9) starts a cluster of N brokers inside the producer instead, for tests and first \
         programs. Required."
    ClientDnsLookup c"client.dns.lookup" []
        Kind::OneOf(LOOKUPS), Value::Word("use_all_dns_ips");
        "use_all_dns_ips tries every address of a name in turn (KIP-602); resolve_canonical_bootstrap_servers_only \
         also replaces each bootstrap name by the canonical names of its addresses."
    ClientId c"client.id" []
        Kind::Text { bytes_max: 1024 }, Value::Text(Cow::Borrowed("kurier"));
        "The name under which brokers log, measure and limit (quotas) this producer. Need not be unique."
    Acks c"acks" [same("request.required.acks")]
        Kind::OneOf(ACKS), Value::Word("all");
        "Who must have a record before it counts as written: all in-sync replicas (all, -1), the leader (1), nobody \
         (0: no answer at all, the outcome stays unknown). Less than all needs enable.idempotence=false."
    EnableIdempotence c"enable.idempotence" []
        Kind::Boolean, Boolean(true);
        "Retries write no record twice and keep the order in each partition. Needs acks=all, retries above 0 and at \
         most 5 requests in flight."
    UnknownOutcome c"unknown.outcome" []
        Kind::OneOf(UNKNOWN_OUTCOME), Value::Word("report");
        "What becomes of an idempotent batch that a broker may have written, where no broker can tell any more. \
         report: it ends with an unknown outcome and is never sent twice. resend: it is sent again under a new epoch, \
         as the Java producer does; what was written is then there twice."
    MaxInFlight c"max.in.flight.requests.per.connection" [same("max.in.flight")]
        number(1, INT), Number(5);
        "Requests sent to a broker before the first is answered. Above 5 needs enable.idempotence=false."
    Retries c"retries" [same("message.send.max.retries")]
        number(0, INT), Number(INT);
        "How often a batch is sent again after an error that may pass, within delivery.timeout.ms, which is the \
         better limit. 0 needs enable.idempotence=false."
    RetryBackoffMs c"retry.backoff.ms" []
        number(0, LONG), Number(100);
        "Milliseconds before the first retry; doubles up to retry.backoff.max.ms, with 20 % jitter (KIP-580)."
    RetryBackoffMaxMs c"retry.backoff.max.ms" []
        number(0, LONG), Number(1000);
        "Longest milliseconds between retries."
    DeliveryTimeoutMs c"delivery.timeout.ms" [same("message.timeout.ms")]
        number(1, INT), Number(120_000);
        "Milliseconds from the opening of a record's batch until its fate is reported, whatever happens: linger, \
         queue, retries. At least linger.ms + request.timeout.ms; whichever of the three is not set gives way."
    RequestTimeoutMs c"request.timeout.ms" []
        number(1, INT), Number(30_000);
        "Milliseconds that a broker may take to answer a request, told to it too; then the connection is closed and \
         the request sent again."
    LingerMs c"linger.ms" [same("queue.buffering.max.ms")]
        Kind::Fraction { most: INT }, Micros(5000);
        "Milliseconds that an open batch waits for more records before it is due; decimals down to 0.001. 0: it is \
         due at once, and takes what arrives before its turn."
    BatchSize c"batch.size" []
        number(0, 14_000_000), Number(1_000_000);
        "Largest batch in bytes before compression. A batch starts small and grows with the traffic of its \
         partition, so a large limit costs nothing; a larger record is a batch of its own; 0 and 1 put every record \
         into a batch of its own. Not above max.request.size."
    BufferMemory c"buffer.memory" [Alias { name: "queue.buffering.max.kbytes", scale: Scale::Kibibytes }]
        number(262_144, LONG), Number(33_554_432);
        "Most bytes that records may hold, from send until their deliveries are read, with all overhead. An eighth \
         of it (or what compression of the largest request needs, if that is more) is kept for compressed and split \
         batches. If not set, it rises as far as max.request.size and batch.size need."
    MaxBlockMs c"max.block.ms" []
        number(0, LONG), Number(60_000);
        "Milliseconds that a send with timeout -1 waits, in all, for metadata and for memory."
    MaxRequestSize c"max.request.size" [same("message.max.bytes")]
        number(1, REQUEST_SIZE_MAX), Number(1_048_576);
        "Largest record in bytes, before compression and with its overhead, and largest sum of batches in one \
         request. Brokers and topics have limits of their own."
    CompressionType c"compression.type" [same("compression.codec")]
        Kind::OneOf(CODECS), Value::Word("none");
        "Codec for batches: none, gzip, snappy, lz4 or zstd. A batch that would not get smaller is sent as it is."
    CompressionGzipLevel c"compression.gzip.level" []
        minus_one_or(1, 9), Number(-1);
        "Level for gzip (KIP-390): 1 fastest to 9 smallest; -1 is the codec's own choice. Without effect for other \
         codecs."
    CompressionLz4Level c"compression.lz4.level" []
        number(1, 17), Number(9);
        "Level for lz4 (KIP-390): 9 is the fast compressor, as in Java; 1 fastest to 12 smallest of the slow one, and \
         13 to 17 are like 12. Without effect for other codecs."
    CompressionZstdLevel c"compression.zstd.level" []
        number(-131_072, 22), Number(3);
        "Level for zstd (KIP-390): higher is smaller and slower. Without effect for other codecs."
    PartitionerClass c"partitioner.class" [same("partitioner")]
        Kind::Class { words: PARTITIONERS, instead: "kurier_config_set_partitioner" }, Value::Word("default");
        "How a record without partition gets one. default and murmur2_random: Java's hash of the key, sticky without \
         key. murmur2: the same, a null key hashes as an empty one. consistent, fnv1a: librdkafka's, null as empty; \
         consistent_random: sticky for a null or empty key; fnv1a_random: sticky for a null key. round_robin: one \
         after the other, keys ignored. random: any, sticky for a null key."
    PartitionerIgnoreKeys c"partitioner.ignore.keys" []
        Kind::Boolean, Boolean(false);
        "The default partitioner treats records with a key as if they had none."
    PartitionerAdaptive c"partitioner.adaptive.partitioning.enable" []
        Kind::Boolean, Boolean(true);
        "Sticky choices prefer partitions with short queues, so that a slow broker gets less (KIP-794); false: all \
         partitions alike."
    PartitionerAvailabilityTimeoutMs c"partitioner.availability.timeout.ms" []
        number(0, LONG), Number(0);
        "Milliseconds that a broker may leave ready batches untaken before sticky choices leave its partitions out; \
         0: never. Needs adaptive partitioning."
    MetadataMaxAgeMs c"metadata.max.age.ms" [same("topic.metadata.refresh.interval.ms")]
        number(1, LONG), Number(300_000);
        "Milliseconds after which topics and brokers are asked for again even if nothing failed."
    MetadataMaxIdleMs c"metadata.max.idle.ms" []
        number(5000, LONG), Number(300_000);
        "Milliseconds without a record after which a topic is no longer asked for (KIP-526)."
    MetadataRecoveryStrategy c"metadata.recovery.strategy" []
        Kind::OneOf(RECOVERIES), Value::Word("rebootstrap");
        "Who is asked for metadata when no known broker can be reached (KIP-899), when metadata does not come for \
         metadata.recovery.rebootstrap.trigger.ms, or when a broker asks for it (KIP-1102). rebootstrap: the addresses \
         of bootstrap.servers, whose names are resolved anew, and then in turn with the known brokers. none: the known \
         brokers, again and again."
    MetadataRecoveryTriggerMs c"metadata.recovery.rebootstrap.trigger.ms" []
        number(0, LONG), Number(300_000);
        "Milliseconds without metadata that is needed before the bootstrap addresses take over, although a known \
         broker can be connected to. 0: they are asked every time. Needs metadata.recovery.strategy=rebootstrap."
    ReconnectBackoffMs c"reconnect.backoff.ms" []
        number(0, LONG), Number(50);
        "Milliseconds before a broker is connected to again; doubles up to reconnect.backoff.max.ms, with 20 % jitter."
    ReconnectBackoffMaxMs c"reconnect.backoff.max.ms" []
        number(0, LONG), Number(1000);
        "Longest milliseconds between attempts to connect to a broker."
    ConnectionSetupTimeoutMs c"socket.connection.setup.timeout.ms" []
        number(1, LONG), Number(10_000);
        "Milliseconds for one attempt to connect; doubles with each failure up to the .max.ms (KIP-601)."
    ConnectionSetupTimeoutMaxMs c"socket.connection.setup.timeout.max.ms" []
        number(1, LONG), Number(30_000);
        "Longest milliseconds for one attempt to connect."
    ConnectionsMaxIdleMs c"connections.max.idle.ms" []
        minus_one_or(1, LONG), Number(540_000);
        "Milliseconds without traffic after which a connection is closed; -1: never. Brokers close after 10 minutes."
    SendBufferBytes c"send.buffer.bytes" [Alias { name: "socket.send.buffer.bytes", scale: Scale::ZeroIsSystem }]
        minus_one_or(1, INT), Number(-1);
        "Bytes of the socket's send buffer (SO_SNDBUF); -1: the system decides and adapts it to the connection, which \
         a fixed size (Java's default is 131072) would stop."
    ReceiveBufferBytes c"receive.buffer.bytes"
        [Alias { name: "socket.receive.buffer.bytes", scale: Scale::ZeroIsSystem }]
        minus_one_or(1, INT), Number(-1);
        "Bytes of the socket's receive buffer (SO_RCVBUF); -1: the system decides. Java's default is 32768."
    KeySerializer c"key.serializer" []
        Kind::Class { words: SERIALIZERS, instead: "kurier_config_set_key_serializer" }, Value::Word("bytes");
        "How send_object turns keys into bytes: bytes and string as they are, int16, int32, int64, float and double \
         from the machine's form into big-endian, boolean from one byte, uuid from 16 bytes into 36 characters, void \
         always null. Java's class names mean the same."
    ValueSerializer c"value.serializer" []
        Kind::Class { words: SERIALIZERS, instead: "kurier_config_set_value_serializer" }, Value::Word("bytes");
        "How send_object turns values into bytes, as key.serializer."
    LogLevel c"log.level" []
        Kind::OneOf(LEVELS), Value::Word("info");
        "The least important lines that the log callback gets: error (1), warn (2), info (3) or debug (4)."
    AllowAutoCreateTopics c"allow.auto.create.topics" []
        Kind::Boolean, Boolean(true);
        "Asking for an unknown topic lets the brokers create it, if they are set to."
    SecurityProtocol c"security.protocol" []
        only(&["PLAINTEXT"], "TLS and SASL are not supported yet: only PLAINTEXT is"), Value::Word("PLAINTEXT");
        "PLAINTEXT: neither encrypted nor authenticated."
    EnableMetricsPush c"enable.metrics.push" []
        only(&["false"], "telemetry (KIP-714) is not supported yet: only false is"), Value::Word("false");
        "Whether brokers get metrics of this producer."
    NagleDisable c"socket.nagle.disable" []
        only(&["true"], "Nagle's algorithm is always off: it holds small requests back"), Value::Word("true");
        "librdkafka's name for TCP_NODELAY, which is always on."
    KeySerializerEncoding c"key.serializer.encoding" []
        only(&["UTF-8", "UTF8"], UTF8), Value::Word("UTF-8");
        "The encoding of Java's string serializer for keys."
    ValueSerializerEncoding c"value.serializer.encoding" []
        only(&["UTF-8", "UTF8"], UTF8), Value::Word("UTF-8");
        "The encoding of Java's string serializer for values."
    SerializerEncoding c"serializer.encoding" []
        only(&["UTF-8", "UTF8"], UTF8), Value::Word("UTF-8");
        "The encoding of Java's string serializers."
    MetricReporters c"metric.reporters" []
        only(&["", "org.apache.kafka.common.metrics.JmxReporter"], JVM), Value::Word("");
        "Java's: classes that report metrics."
    MetricsNumSamples c"metrics.num.samples" []
        only(&["2", ""], METRICS), Value::Word("2");
        "Java's: samples kept for a metric."
    MetricsSampleWindowMs c"metrics.sample.window.ms" []
        only(&["30000", ""], METRICS), Value::Word("30000");
        "Java's: milliseconds of a metric's sample."
    MetricsRecordingLevel c"metrics.recording.level" []
        only(&["INFO", ""], METRICS), Value::Word("INFO");
        "Java's: how much is measured."
    AutoIncludeJmxReporter c"auto.include.jmx.reporter" []
        only(&["true", ""], JVM), Value::Word("true");
        "Java's: whether metrics appear in JMX."
    InterceptorClasses c"interceptor.classes" []
        only(&[""], JVM), Value::Word("");
        "Java's: classes that see records and deliveries."
    ConfigProviders c"config.providers" []
        only(&[""], JVM), Value::Word("");
        "Java's: classes that fill in settings."
    SecurityProviders c"security.providers" []
        only(&[""], JVM), Value::Word("");
        "Java's: classes of security algorithms."
}
