//! Each setting at its boundaries, names, aliases and what is refused, with the words of each refusal.

mod contradictions;
mod files;
mod servers;

use super::{Kind, ROWS, Value, find};
use crate::code::{Code, Error};
use crate::producer::config::Config;

/// A config with servers and these settings.
fn config(settings: &[(&str, &str)]) -> Config {
    let mut config = Config::new();
    config.set("bootstrap.servers", "localhost:9092").unwrap();
    for (name, value) in settings {
        config.set(name, value).unwrap_or_else(|error| panic!("{name}={value}: {error}"));
    }
    config
}

fn refused(name: &str, value: &str) -> Error {
    let mut config = Config::new();
    let before = config.get("acks");
    let error = config.set(name, value).expect_err(&format!("{name}={value}"));
    assert_eq!(config.get("acks"), before);
    error
}

const SERIALIZERS: &[&str] =
    &["bytes", "string", "int16", "int32", "int64", "float", "double", "boolean", "uuid", "void"];

/// Name, accepted values, values out of range. Kafka 4.2's ranges, narrowed where the rest cannot work.
const BOUNDARIES: &[(&str, &[&str], &[&str])] = &[
    ("bootstrap.servers", &["a:1", "a:65535,b:9092", "embedded:1", "embedded:9"], &["", "a", "a:0", "embedded:0"]),
    ("client.dns.lookup", &["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"], &["", "default"]),
    ("client.id", &["", "a", "ä ö"], &[]),
    ("acks", &["all", "-1", "0", "1"], &["", "2", "ALL", "-2", "leader"]),
    ("enable.idempotence", &["true", "false", "TRUE", "False"], &["", "1", "yes"]),
    ("max.in.flight.requests.per.connection", &["1", "2147483647"], &["0", "-1", "2147483648", "", "x"]),
    ("retries", &["0", "2147483647"], &["-1", "2147483648", "1.5"]),
    ("retry.backoff.ms", &["0", "9223372036854775807"], &["-1", "9223372036854775808", "0.5"]),
    ("retry.backoff.max.ms", &["0", "9223372036854775807"], &["-1", "1s"]),
    ("delivery.timeout.ms", &["1", "2147483647"], &["0", "-1", "2147483648"]),
    ("request.timeout.ms", &["1", "2147483647"], &["0", "-1", "2147483648"]),
    (
        "linger.ms",
        &["0", "0.001", "0.5", "5.25", "5.000", "2147483647"],
        &[
            "-1",
            "0.0001",
            "",
            ".",
            ".5",
            "5.",
            "1e3",
            "2147483647.001",
            "2147483648",
            "NaN",
            "99999999999999999999",
            "+5",
            "-0",
        ],
    ),
    ("batch.size", &["0", "1", "14000000"], &["-1", "14000001"]),
    ("buffer.memory", &["262144", "9223372036854775807"], &["262143", "-1"]),
    ("max.block.ms", &["0", "9223372036854775807"], &["-1"]),
    ("max.request.size", &["1", "2147418111"], &["0", "2147418112", "2147483647"]),
    ("compression.type", &["none", "gzip", "snappy", "lz4", "zstd"], &["", "GZIP", "lz5", "inherit"]),
    ("compression.gzip.level", &["-1", "1", "9"], &["0", "10", "-2"]),
    ("compression.lz4.level", &["1", "9", "17"], &["0", "18", "-1"]),
    ("compression.zstd.level", &["-131072", "0", "22"], &["-131073", "23"]),
    (
        "partitioner.class",
        &[
            "default",
            "murmur2",
            "murmur2_random",
            "consistent",
            "consistent_random",
            "fnv1a",
            "fnv1a_random",
            "round_robin",
            "random",
        ],
        &["", "Murmur2", "sticky"],
    ),
    ("unknown.outcome", &["report", "resend"], &["", "retry"]),
    ("partitioner.ignore.keys", &["true", "false"], &["no"]),
    ("partitioner.adaptive.partitioning.enable", &["true", "false"], &["no"]),
    ("partitioner.availability.timeout.ms", &["0", "9223372036854775807"], &["-1"]),
    ("metadata.max.age.ms", &["1", "9223372036854775807"], &["0", "-1"]),
    ("metadata.max.idle.ms", &["5000", "9223372036854775807"], &["4999"]),
    ("metadata.recovery.strategy", &["rebootstrap", "none", "REBOOTSTRAP", "NONE"], &["", "bootstrap"]),
    ("metadata.recovery.rebootstrap.trigger.ms", &["0", "9223372036854775807"], &["-1", ""]),
    ("reconnect.backoff.ms", &["0", "9223372036854775807"], &["-1"]),
    ("reconnect.backoff.max.ms", &["0", "9223372036854775807"], &["-1"]),
    ("socket.connection.setup.timeout.ms", &["1", "9223372036854775807"], &["0"]),
    ("socket.connection.setup.timeout.max.ms", &["1", "9223372036854775807"], &["0"]),
    ("connections.max.idle.ms", &["-1", "1", "9223372036854775807"], &["0", "-2"]),
    ("send.buffer.bytes", &["-1", "1", "2147483647"], &["0", "-2", "2147483648"]),
    ("receive.buffer.bytes", &["-1", "1", "2147483647"], &["0", "-2", "2147483648"]),
    ("key.serializer", SERIALIZERS, &["", "json", "String"]),
    ("value.serializer", SERIALIZERS, &["", "json", "String"]),
    ("log.level", &["error", "warn", "info", "debug", "1", "2", "3", "4"], &["", "0", "5", "trace"]),
    ("allow.auto.create.topics", &["true", "false"], &[""]),
];

/// Name, accepted values, values that are not supported.
const ONLY: &[(&str, &[&str], &[&str])] = &[
    ("security.protocol", &["PLAINTEXT", "plaintext"], &["SSL", "SASL_PLAINTEXT", "sasl_ssl", ""]),
    ("enable.metrics.push", &["false"], &["true", ""]),
    ("socket.nagle.disable", &["true"], &["false"]),
    ("key.serializer.encoding", &["UTF-8", "utf8"], &["ISO-8859-1"]),
    ("value.serializer.encoding", &["UTF-8", "utf8"], &["ISO-8859-1"]),
    ("serializer.encoding", &["UTF-8", "utf8"], &["ISO-8859-1"]),
    ("metric.reporters", &["", "org.apache.kafka.common.metrics.JmxReporter"], &["com.example.Reporter"]),
    ("metrics.num.samples", &["", "2"], &["3"]),
    ("metrics.sample.window.ms", &["", "30000"], &["1000"]),
    ("metrics.recording.level", &["", "INFO"], &["DEBUG"]),
    ("auto.include.jmx.reporter", &["", "true"], &["false"]),
    ("interceptor.classes", &[""], &["com.example.Interceptor"]),
    ("config.providers", &[""], &["file"]),
    ("security.providers", &[""], &["com.example.Provider"]),
];

#[test]
fn every_setting_at_its_boundaries() {
    for (name, accepted, out_of_range) in BOUNDARIES {
        for value in *accepted {
            let mut config = Config::new();
            config.set(name, value).unwrap_or_else(|error| panic!("{error}"));
            config.set(name, &format!(" \t{value} ")).unwrap_or_else(|error| panic!("trimmed: {error}"));
        }
        let allowed = find(name).unwrap().0.kind.allowed();
        for value in *out_of_range {
            let error = refused(name, value);
            assert_eq!(error.code, Code::INVALID_ARGUMENT, "{error}");
            assert!(error.message.contains(name), "{error}");
            if *name != "bootstrap.servers" {
                assert_eq!(error.message, format!("{name}={value}: allowed is {allowed}"));
            }
        }
    }
}

#[test]
fn what_is_done_anyway_may_be_stated_and_nothing_else() {
    for (name, accepted, unsupported) in ONLY {
        for value in *accepted {
            Config::new().set(name, value).unwrap_or_else(|error| panic!("{error}"));
        }
        for value in *unsupported {
            let error = refused(name, value);
            assert_eq!(error.code, Code::UNSUPPORTED, "{error}");
            assert!(error.message.starts_with(&format!("{name}={value}: ")), "{error}");
        }
    }
}

#[test]
fn the_boundaries_above_name_every_setting() {
    let tested: Vec<_> = BOUNDARIES.iter().chain(ONLY).map(|row| row.0).collect();
    for row in ROWS {
        assert!(tested.contains(&row.name), "{} is not tested", row.name);
    }
    assert_eq!(tested.len(), ROWS.len());
}

#[test]
fn the_table_agrees_with_itself() {
    let mut names = Vec::new();
    for (index, row) in ROWS.iter().enumerate() {
        assert_eq!(row.id as usize, index, "{}", row.name);
        assert_eq!(Config::name(index).map(|name| name.to_str()), Some(Ok(row.name)));
        names.push(row.name);
        names.extend(row.aliases.iter().map(|alias| alias.name));
        assert!(row.doc.ends_with('.') && !row.doc.contains("  "), "{}: {}", row.name, row.doc);
        if row.default != Value::Unset {
            let parsed = row.kind.parse(&row.default.text()).unwrap_or_else(|_| panic!("default of {}", row.name));
            assert_eq!(parsed, row.default, "{}", row.name);
        }
        // A message of the C interface holds 239 bytes, and the allowed values should be among them.
        if !matches!(row.kind, Kind::Servers) {
            assert!(row.name.len() + row.kind.allowed().len() < 200, "{}", row.name);
        }
    }
    assert_eq!(Config::name(ROWS.len()), None);
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a name stands for two settings");
}

#[test]
fn defaults_are_kafkas_but_for_those_that_say_why() {
    for (name, value) in [
        ("bootstrap.servers", ""),
        ("client.dns.lookup", "use_all_dns_ips"),
        ("client.id", "kurier"),
        ("acks", "all"),
        ("enable.idempotence", "true"),
        ("max.in.flight.requests.per.connection", "5"),
        ("retries", "2147483647"),
        ("retry.backoff.ms", "100"),
        ("retry.backoff.max.ms", "1000"),
        ("delivery.timeout.ms", "120000"),
        ("request.timeout.ms", "30000"),
        ("linger.ms", "5"),
        ("batch.size", "1000000"),
        ("buffer.memory", "33554432"),
        ("max.block.ms", "60000"),
        ("max.request.size", "1048576"),
        ("compression.type", "none"),
        ("compression.gzip.level", "-1"),
        ("compression.lz4.level", "9"),
        ("compression.zstd.level", "3"),
        ("partitioner.class", "default"),
        ("partitioner.availability.timeout.ms", "0"),
        ("metadata.max.age.ms", "300000"),
        ("metadata.max.idle.ms", "300000"),
        ("reconnect.backoff.ms", "50"),
        ("reconnect.backoff.max.ms", "1000"),
        ("socket.connection.setup.timeout.ms", "10000"),
        ("socket.connection.setup.timeout.max.ms", "30000"),
        ("connections.max.idle.ms", "540000"),
        ("send.buffer.bytes", "-1"),
        ("receive.buffer.bytes", "-1"),
        ("key.serializer", "bytes"),
        ("log.level", "info"),
        ("allow.auto.create.topics", "true"),
        ("security.protocol", "PLAINTEXT"),
    ] {
        assert_eq!(Config::new().get(name).as_deref(), Ok(value), "{name}");
    }
}

#[test]
fn values_read_back_in_one_form() {
    for (name, set, read) in [
        ("acks", "-1", "all"),
        ("acks", " 1 ", "1"),
        ("enable.idempotence", "FALSE", "false"),
        ("linger.ms", "0.500", "0.5"),
        ("linger.ms", "12.345", "12.345"),
        ("linger.ms", "7.0", "7"),
        ("linger.ms", "0.001", "0.001"),
        ("retries", "007", "7"),
        ("log.level", "4", "debug"),
        ("log.level", "WARN", "warn"),
        ("key.serializer", "org.apache.kafka.common.serialization.UUIDSerializer", "uuid"),
        ("value.serializer", "org.apache.kafka.common.serialization.ByteBufferSerializer", "bytes"),
        ("partitioner.class", "org.apache.kafka.clients.producer.RoundRobinPartitioner", "round_robin"),
        ("partitioner.class", "org.apache.kafka.clients.producer.internals.DefaultPartitioner", "default"),
        ("bootstrap.servers", " a:1 , b:2 ", "a:1 , b:2"),
    ] {
        let mut config = Config::new();
        config.set(name, set).unwrap();
        assert_eq!(config.get(name).as_deref(), Ok(read), "{name}={set}");
    }
}

#[test]
fn aliases_set_the_same_and_read_in_their_own_unit() {
    for (alias, value, name, same, back) in [
        ("bootstrap.server", "a:1", "bootstrap.servers", "a:1", "a:1"),
        ("metadata.broker.list", "a:1", "bootstrap.servers", "a:1", "a:1"),
        ("request.required.acks", "-1", "acks", "all", "all"),
        ("max.in.flight", "3", "max.in.flight.requests.per.connection", "3", "3"),
        ("message.send.max.retries", "9", "retries", "9", "9"),
        ("message.timeout.ms", "9", "delivery.timeout.ms", "9", "9"),
        ("queue.buffering.max.ms", "0.1", "linger.ms", "0.1", "0.1"),
        ("queue.buffering.max.kbytes", "1024", "buffer.memory", "1048576", "1024"),
        ("message.max.bytes", "2000", "max.request.size", "2000", "2000"),
        ("compression.codec", "lz4", "compression.type", "lz4", "lz4"),
        ("partitioner", "murmur2", "partitioner.class", "murmur2", "murmur2"),
        ("topic.metadata.refresh.interval.ms", "7", "metadata.max.age.ms", "7", "7"),
        ("socket.send.buffer.bytes", "0", "send.buffer.bytes", "-1", "0"),
        ("socket.send.buffer.bytes", "4096", "send.buffer.bytes", "4096", "4096"),
        ("socket.receive.buffer.bytes", "0", "receive.buffer.bytes", "-1", "0"),
    ] {
        let mut config = Config::new();
        config.set(alias, value).unwrap();
        assert_eq!(config.get(name).as_deref(), Ok(same), "{alias}");
        assert_eq!(config.get(alias).as_deref(), Ok(back), "{alias}");
    }
    // librdkafka's 0 is "for ever", Kafka's is "at once": neither is taken for the other.
    assert_eq!(refused("message.timeout.ms", "0").code, Code::INVALID_ARGUMENT);
    assert_eq!(refused("topic.metadata.refresh.interval.ms", "-1").code, Code::INVALID_ARGUMENT);
    for (name, value) in [("socket.send.buffer.bytes", "-1"), ("queue.buffering.max.kbytes", "9223372036854775807")] {
        let message = refused(name, value).message;
        assert!(message.contains(&format!("{name}={value}")), "{message}");
    }
}

#[test]
fn unknown_names_are_errors_that_name_the_nearest() {
    for (name, nearest) in [
        ("linger.m", "linger.ms"),
        ("linger_ms", "linger.ms"),
        ("Linger.Ms", "linger.ms"),
        ("bootstrap.serves", "bootstrap.servers"),
        ("ack", "acks"),
        ("bacth.size", "batch.size"),
        ("compresion.type", "compression.type"),
        ("partitioner.clas", "partitioner.class"),
    ] {
        let error = refused(name, "1");
        assert_eq!(error.code, Code::INVALID_ARGUMENT);
        assert_eq!(error.message, format!("there is no setting {name:?}; did you mean {nearest}?"));
        assert_eq!(Config::new().get(name), Err(error), "get says the same");
    }
    assert_eq!(refused("group.id", "x").message, "there is no setting \"group.id\"");
    assert_eq!(refused("", "x").message, "there is no setting \"\"");
    assert!(refused(&"x".repeat(10_000), "x").message.len() < 239);
}

#[test]
fn what_comes_later_is_not_supported_yet_and_its_value_is_not_told() {
    for name in [
        "transactional.id",
        "transaction.timeout.ms",
        "transaction.two.phase.commit.enable",
        "ssl.truststore.location",
        "ssl.endpoint.identification.algorithm",
        "sasl.mechanism",
        "sasl.jaas.config",
        "sasl.password",
        "enable.ssl.certificate.verification",
        "statistics.interval.ms",
        "client.rack",
        "partitioner.rack.aware",
        "buffer.memory.allocation.strategy",
    ] {
        let error = refused(name, "s3cret");
        assert_eq!(error.code, Code::UNSUPPORTED, "{name}");
        assert!(error.message.starts_with(name) && error.message.ends_with("not supported yet"), "{error}");
        assert!(!error.message.contains("s3cret"), "{error}");
        assert_eq!(Config::new().get(name).map_err(|error| error.code), Err(Code::UNSUPPORTED));
    }
    let error = refused("config.providers.file.class", "x");
    assert_eq!(error.code, Code::UNSUPPORTED);
}

#[test]
fn settings_of_librdkafka_with_another_meaning_say_what_to_use() {
    for (name, instead) in [
        ("socket.timeout.ms", "request.timeout.ms"),
        ("queue.buffering.max.messages", "buffer.memory"),
        ("batch.num.messages", "batch.size"),
        ("compression.level", "compression.zstd.level"),
        ("sticky.partitioning.linger.ms", "linger.ms"),
        ("log_level", "log.level"),
        ("debug", "log.level=debug"),
        ("test.mock.num.brokers", "embedded:N"),
    ] {
        let error = refused(name, "1");
        assert_eq!(error.code, Code::INVALID_ARGUMENT, "{name}");
        assert!(error.message.starts_with(name) && error.message.contains(instead), "{error}");
    }
}

#[test]
fn classes_that_cannot_run_here_say_what_to_use() {
    for (name, class, says) in [
        ("key.serializer", "io.confluent.kafka.serializers.KafkaAvroSerializer", "kurier_config_set_key_serializer"),
        (
            "value.serializer",
            "org.apache.kafka.common.serialization.ListSerializer",
            "kurier_config_set_value_serializer",
        ),
        ("partitioner.class", "com.example.Mine", "kurier_config_set_partitioner"),
        ("partitioner.class", "org.apache.kafka.clients.producer.UniformStickyPartitioner", "Kafka 4.0 removed"),
    ] {
        let error = refused(name, class);
        assert_eq!(error.code, Code::UNSUPPORTED, "{error}");
        assert!(error.message.starts_with(&format!("{name}=")) && error.message.contains(says), "{error}");
        assert!(error.message.find(says).unwrap() + says.len() < 239, "cut off in C: {error}");
    }
}

#[test]
fn values_with_a_nul_or_too_long_are_refused() {
    assert!(refused("client.id", "a\0b").message.contains("NUL"));
    assert!(refused("acks", "all\0").message.contains("NUL"));
    assert_eq!(refused("client.id", &"x".repeat(1025)).code, Code::INVALID_ARGUMENT);
    Config::new().set("client.id", &"x".repeat(1024)).unwrap();
    assert!(refused("linger.ms", &"ä".repeat(500)).message.len() < 239);
}

#[test]
fn debug_shows_what_was_set() {
    let shown = format!("{:?}", config(&[("linger.ms", "0.5")]));
    assert_eq!(shown, r#"{"bootstrap.servers": "localhost:9092", "linger.ms": "0.5"}"#);
}
