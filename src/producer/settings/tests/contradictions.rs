//! What gives way to what, and what never does.

use std::sync::Arc;
use std::time::Duration;

use super::super::{Acks, Bootstrap, Codec, DnsLookup, Settings, block_bytes, compressed_bytes_max};
use super::config;
use crate::code::Code;
use crate::engine::Level;
use crate::producer::config::Config;
use crate::producer::partitioner::PartitionerClass;
use crate::producer::serializer::SerializerClass;

fn resolved(settings: &[(&str, &str)]) -> Settings {
    config(settings).resolve().unwrap_or_else(|error| panic!("{settings:?}: {error}"))
}

fn contradiction(settings: &[(&str, &str)]) -> String {
    let error = config(settings).resolve().expect_err(&format!("{settings:?}"));
    assert_eq!(error.code, Code::INVALID_ARGUMENT);
    assert!(error.message.len() < 239, "{}", error.message);
    error.message
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn servers_are_required() {
    let error = Config::new().resolve().expect_err("nothing is set");
    assert_eq!(error.code, Code::INVALID_ARGUMENT);
    assert!(error.message.starts_with("bootstrap.servers is not set"));
}

#[test]
fn defaults_resolve_to_themselves() {
    let expected = Settings {
        bootstrap: Bootstrap::Servers(vec![("localhost".to_owned(), 9092)]),
        client_dns_lookup: DnsLookup::UseAllDnsIps,
        client_id: "kurier".to_owned(),
        acks: Acks::All,
        idempotence: true,
        resend_unknown: false,
        max_in_flight: 5,
        retries: 2_147_483_647,
        retry_backoff: ms(100),
        retry_backoff_max: ms(1000),
        delivery_timeout: ms(120_000),
        request_timeout: ms(30_000),
        linger: ms(5),
        batch_size: 1_000_000,
        buffer_memory: 33_554_432,
        kept_memory: 4_194_304,
        max_block: ms(60_000),
        max_request_size: 1_048_576,
        codec: Codec::None,
        compression_level: 0,
        partitioner: PartitionerClass::Default,
        partitioner_ignore_keys: false,
        partitioner_adaptive: true,
        partitioner_availability_timeout: None,
        metadata_max_age: ms(300_000),
        metadata_max_idle: ms(300_000),
        rebootstrap_after: Some(ms(300_000)),
        reconnect_backoff: ms(50),
        reconnect_backoff_max: ms(1000),
        connection_setup_timeout: ms(10_000),
        connection_setup_timeout_max: ms(30_000),
        connections_max_idle: Some(ms(540_000)),
        send_buffer: None,
        receive_buffer: None,
        key_serializer: SerializerClass::Bytes,
        value_serializer: SerializerClass::Bytes,
        log_level: Level::Info,
        allow_auto_create_topics: true,
    };
    assert_eq!(resolved(&[]), expected);
}

#[test]
fn every_setting_reaches_its_field() {
    let settings = resolved(&[
        ("bootstrap.servers", "embedded:3"),
        ("client.dns.lookup", "resolve_canonical_bootstrap_servers_only"),
        ("client.id", "till"),
        ("acks", "1"),
        ("enable.idempotence", "false"),
        ("max.in.flight.requests.per.connection", "17"),
        ("retries", "4"),
        ("retry.backoff.ms", "21"),
        ("retry.backoff.max.ms", "22"),
        ("delivery.timeout.ms", "9000"),
        ("request.timeout.ms", "800"),
        ("linger.ms", "0.25"),
        ("batch.size", "2000"),
        ("buffer.memory", "1000000"),
        ("max.block.ms", "23"),
        ("max.request.size", "3000"),
        ("compression.type", "zstd"),
        ("compression.zstd.level", "-7"),
        ("partitioner.class", "fnv1a_random"),
        ("partitioner.availability.timeout.ms", "24"),
        ("metadata.max.age.ms", "25"),
        ("metadata.max.idle.ms", "5001"),
        ("metadata.recovery.rebootstrap.trigger.ms", "33"),
        ("reconnect.backoff.ms", "26"),
        ("reconnect.backoff.max.ms", "27"),
        ("socket.connection.setup.timeout.ms", "28"),
        ("socket.connection.setup.timeout.max.ms", "29"),
        ("connections.max.idle.ms", "30"),
        ("send.buffer.bytes", "31"),
        ("receive.buffer.bytes", "32"),
        ("key.serializer", "int64"),
        ("value.serializer", "string"),
        ("unknown.outcome", "resend"),
        ("log.level", "debug"),
        ("allow.auto.create.topics", "false"),
    ]);
    let expected = Settings {
        bootstrap: Bootstrap::Embedded(3),
        client_dns_lookup: DnsLookup::ResolveCanonicalBootstrapServersOnly,
        client_id: "till".to_owned(),
        acks: Acks::Leader,
        idempotence: false,
        resend_unknown: true,
        max_in_flight: 17,
        retries: 4,
        retry_backoff: ms(21),
        retry_backoff_max: ms(22),
        delivery_timeout: ms(9000),
        request_timeout: ms(800),
        linger: Duration::from_micros(250),
        batch_size: 2000,
        buffer_memory: 1_000_000,
        kept_memory: 125_000,
        max_block: ms(23),
        max_request_size: 3000,
        codec: Codec::Zstd,
        compression_level: -7,
        partitioner: PartitionerClass::Fnv1aRandom,
        partitioner_ignore_keys: false,
        partitioner_adaptive: true,
        partitioner_availability_timeout: Some(ms(24)),
        metadata_max_age: ms(25),
        metadata_max_idle: ms(5001),
        rebootstrap_after: Some(ms(33)),
        reconnect_backoff: ms(26),
        reconnect_backoff_max: ms(27),
        connection_setup_timeout: ms(28),
        connection_setup_timeout_max: ms(29),
        connections_max_idle: Some(ms(30)),
        send_buffer: Some(31),
        receive_buffer: Some(32),
        key_serializer: SerializerClass::Int64,
        value_serializer: SerializerClass::String,
        log_level: Level::Debug,
        allow_auto_create_topics: false,
    };
    assert_eq!(settings, expected);
    let settings =
        resolved(&[("partitioner.ignore.keys", "true"), ("partitioner.adaptive.partitioning.enable", "false")]);
    assert!(settings.partitioner_ignore_keys && !settings.partitioner_adaptive);
    assert_eq!(resolved(&[("connections.max.idle.ms", "-1")]).connections_max_idle, None);
    assert_eq!(resolved(&[("batch.size", "0")]).batch_size, 1, "as in Java");
    assert_eq!(resolved(&[("max.block.ms", "9223372036854775807")]).max_block, ms(i64::MAX as u64));
}

#[test]
fn every_word_means_something_else() {
    let codecs = [("none", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)];
    for (word, number) in codecs {
        assert_eq!(resolved(&[("compression.type", word)]).codec as i16, number, "{word}");
    }
    for (word, number) in [("all", -1), ("0", 0), ("1", 1)] {
        assert_eq!(resolved(&[("acks", word), ("enable.idempotence", "false")]).acks as i16, number, "{word}");
    }
    for (word, number) in [("error", 1), ("warn", 2), ("info", 3), ("debug", 4)] {
        assert_eq!(resolved(&[("log.level", word)]).log_level as i32, number, "{word}");
    }
    let mut serializers: Vec<SerializerClass> = Vec::new();
    for word in super::SERIALIZERS {
        let class = resolved(&[("value.serializer", word)]).value_serializer;
        assert!(!serializers.contains(&class), "{word}");
        serializers.push(class);
    }
    let mut partitioners: Vec<PartitionerClass> = Vec::new();
    for word in super::BOUNDARIES.iter().find(|row| row.0 == "partitioner.class").unwrap().1 {
        let class = resolved(&[("partitioner.class", word)]).partitioner;
        assert!(!partitioners.contains(&class), "{word}");
        partitioners.push(class);
    }
}

#[test]
fn levels_belong_to_their_codec_and_others_are_fine_as_in_java() {
    let levels = [("compression.gzip.level", "4"), ("compression.lz4.level", "12"), ("compression.zstd.level", "6")];
    for (codec, level) in [("none", 0), ("gzip", 4), ("snappy", 0), ("lz4", 12), ("zstd", 6)] {
        let mut all = levels.to_vec();
        all.push(("compression.type", codec));
        assert_eq!(resolved(&all).compression_level, level, "{codec}");
    }
}

#[test]
fn a_guarantee_never_gives_way() {
    for (name, value) in
        [("acks", "1"), ("acks", "0"), ("max.in.flight.requests.per.connection", "6"), ("retries", "0")]
    {
        let start = format!("{name}={value} is an error until enable.idempotence=false is set too");
        for more in [&[][..], &[("enable.idempotence", "true")]] {
            let mut settings = vec![(name, value)];
            settings.extend(more);
            assert!(contradiction(&settings).starts_with(&start), "{settings:?}");
        }
        assert!(!resolved(&[(name, value), ("enable.idempotence", "false")]).idempotence);
    }
    assert!(resolved(&[("max.in.flight", "5"), ("retries", "1"), ("acks", "-1")]).idempotence);
}

#[test]
fn delivery_timeout_linger_and_request_timeout() {
    let times = |settings: &[(&str, &str)]| {
        let settings = resolved(settings);
        (settings.delivery_timeout, settings.request_timeout, settings.linger)
    };
    let delivery = "delivery.timeout.ms";
    let request = "request.timeout.ms";
    let linger = "linger.ms";
    assert_eq!(times(&[(delivery, "500")]), (ms(500), ms(495), ms(5)));
    assert_eq!(times(&[(delivery, "30005")]), (ms(30_005), ms(30_000), ms(5)));
    assert_eq!(times(&[(delivery, "30004")]), (ms(30_004), ms(29_999), ms(5)));
    assert_eq!(times(&[(delivery, "4")]), (ms(4), ms(2), ms(2)));
    assert_eq!(times(&[(delivery, "1")]).1, Duration::from_micros(500));
    assert_eq!(times(&[(delivery, "500"), (linger, "499")]), (ms(500), ms(1), ms(499)));
    assert_eq!(times(&[(delivery, "500"), (request, "500")]), (ms(500), ms(500), ms(0)));
    assert_eq!(times(&[(delivery, "500"), (request, "497")]), (ms(500), ms(497), ms(3)));
    assert_eq!(times(&[(delivery, "500"), (request, "400"), (linger, "100")]), (ms(500), ms(400), ms(100)));
    assert_eq!(times(&[(request, "200000")]), (ms(200_005), ms(200_000), ms(5)));
    assert_eq!(times(&[(linger, "600000")]), (ms(630_000), ms(30_000), ms(600_000)));
    for (settings, names) in [
        (&[(delivery, "500"), (linger, "499.5")][..], &["delivery.timeout.ms=500", "linger.ms=499.5"][..]),
        (&[(delivery, "500"), (request, "501")], &["delivery.timeout.ms=500", "request.timeout.ms=501"]),
        (&[(delivery, "500"), (request, "400"), (linger, "100.001")], &["=500", "=400", "linger.ms=100.001"]),
    ] {
        let message = contradiction(settings);
        assert!(names.iter().all(|name| message.contains(name)), "{message}");
    }
}

#[test]
fn backoffs_and_setup_timeouts() {
    for (first, largest, default_first, default_largest) in [
        ("retry.backoff.ms", "retry.backoff.max.ms", 100, 1000),
        ("reconnect.backoff.ms", "reconnect.backoff.max.ms", 50, 1000),
        ("socket.connection.setup.timeout.ms", "socket.connection.setup.timeout.max.ms", 10_000, 30_000),
    ] {
        let times = |settings: &[(&str, &str)]| {
            let all = resolved(settings);
            match first {
                "retry.backoff.ms" => (all.retry_backoff, all.retry_backoff_max),
                "reconnect.backoff.ms" => (all.reconnect_backoff, all.reconnect_backoff_max),
                _ => (all.connection_setup_timeout, all.connection_setup_timeout_max),
            }
        };
        assert_eq!(times(&[]), (ms(default_first), ms(default_largest)));
        assert_eq!(times(&[(first, "40000")]), (ms(40_000), ms(40_000)));
        assert_eq!(times(&[(largest, "7")]), (ms(7), ms(7)));
        assert_eq!(times(&[(first, "7"), (largest, "7")]), (ms(7), ms(7)));
        let message = contradiction(&[(first, "8"), (largest, "7")]);
        assert!(message.contains(&format!("{first}=8")) && message.contains(&format!("{largest}=7")), "{message}");
    }
}

/// What hot-path.md's rule 22 asks of every outcome.
fn fits(settings: &Settings) {
    let context = format!("{settings:?}");
    assert!(settings.batch_size <= settings.max_request_size, "{context}");
    assert!(settings.kept_memory >= settings.buffer_memory / 8, "{context}");
    assert!(settings.kept_memory <= settings.buffer_memory / 2, "{context}");
    assert!(settings.kept_memory >= block_bytes(settings.batch_size), "the second half of a split: {context}");
    let room = settings.buffer_memory - settings.kept_memory;
    assert!(room >= block_bytes(settings.max_request_size), "the largest record: {context}");
    if settings.codec != Codec::None {
        assert!(settings.kept_memory >= compressed_bytes_max(settings.codec, settings.max_request_size), "{context}");
    }
}

#[test]
fn sizes_that_are_not_set_give_way() {
    let (memory, request, batch) = ("buffer.memory", "max.request.size", "batch.size");
    let sizes = |given: &[(&str, &str)], codec: &'static str| {
        let mut all = given.to_vec();
        all.push(("compression.type", codec));
        let settings = resolved(&all);
        fits(&settings);
        (settings.buffer_memory, settings.max_request_size, settings.batch_size)
    };
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        // batch.size and max.request.size
        assert_eq!(sizes(&[(request, "5000")], codec), (33_554_432, 5000, 5000));
        assert_eq!(sizes(&[(batch, "2000000")], codec), (33_554_432, 2_000_000, 2_000_000));
        assert_eq!(sizes(&[(batch, "14000000")], codec).1, 14_000_000);
        // buffer.memory rises
        let (risen, same, _) = sizes(&[(request, "100000000")], codec);
        assert!(same == 100_000_000 && (112_000_000..300_000_000).contains(&risen), "{codec} {risen}");
        sizes(&[(request, "2147418111")], codec);
        // the others shrink
        for given in ["262144", "300000", "1000000", "2000000", "2097152", "4000000", "8388608"] {
            let (same, shrunk, shrunk_batch) = sizes(&[(memory, given)], codec);
            assert_eq!(same.to_string(), given);
            assert!(shrunk <= 1_048_576 && shrunk_batch <= 1_000_000 && shrunk_batch > 20_000, "{given}");
            assert!(shrunk >= (same / 3).min(1_048_576), "no more than needed: {given} {shrunk}");
        }
        let (_, same, shrunk_batch) = sizes(&[(memory, "1000000"), (request, "400000")], codec);
        assert!(same == 400_000 && shrunk_batch <= 400_000, "{codec}");
        let (_, shrunk, same) = sizes(&[(memory, "1000000"), (batch, "380000")], codec);
        assert!(same == 380_000 && (380_000..1_048_576).contains(&shrunk), "{codec}");
        sizes(&[(memory, "9223372036854775807")], codec);
    }
}

#[test]
fn sizes_that_are_set_and_contradict_are_an_error_with_the_size_it_takes() {
    let (memory, request, batch) = ("buffer.memory", "max.request.size", "batch.size");
    let message = contradiction(&[(batch, "2001"), (request, "2000")]);
    assert!(message.contains("batch.size=2001") && message.contains("max.request.size=2000"), "{message}");
    for codec in ["none", "zstd"] {
        for given in [
            &[(memory, "1000000"), (request, "1000000")][..],
            &[(memory, "1000000"), (batch, "900000")],
            &[(memory, "1000000"), (batch, "900000"), (request, "1000000")],
            &[(memory, "33554432"), (request, "100000000")],
        ] {
            let mut all = given.to_vec();
            all.push(("compression.type", codec));
            let message = contradiction(&all);
            for (name, value) in given {
                assert!(message.contains(&format!("{name}={value}")), "{message}");
            }
            // What it asks for is enough, and one page less is not.
            let needed: usize = message.rsplit(' ').next().unwrap().parse().unwrap();
            let enough = needed.to_string();
            let less = (needed - 8192).to_string();
            all.retain(|(name, _)| *name != memory);
            let mut short = all.clone();
            all.push((memory, &enough));
            fits(&resolved(&all));
            short.push((memory, &less));
            contradiction(&short);
        }
    }
}

#[test]
fn a_callback_and_a_class_contradict_each_other() {
    let mut config = config(&[]);
    config.partitioner = Some(Arc::new(|_, _, _| 0));
    config.key_serializer = Some(Arc::new(|_, _, _| 0));
    config.value_serializer = Some(Arc::new(|_, _, _| 0));
    config.resolve().unwrap();
    for (name, value) in [("partitioner.class", "default"), ("key.serializer", "string"), ("value.serializer", "bytes")]
    {
        let mut both = config.clone();
        both.set(name, value).unwrap();
        let message = both.resolve().expect_err(name).message;
        assert!(message.contains(&format!("{name}={value}")) && message.contains("callback"), "{message}");
    }
}

#[test]
fn a_trigger_of_a_recovery_that_is_off_is_an_error() {
    let (strategy, trigger) = ("metadata.recovery.strategy", "metadata.recovery.rebootstrap.trigger.ms");
    let message = contradiction(&[(strategy, "none"), (trigger, "300000")]);
    assert!(message.contains("trigger.ms=300000") && message.contains("metadata.recovery.strategy=none"), "{message}");
    assert_eq!(resolved(&[(strategy, "NONE")]).rebootstrap_after, None);
    assert_eq!(resolved(&[(trigger, "0"), (strategy, "rebootstrap")]).rebootstrap_after, Some(Duration::ZERO));
}

#[test]
fn a_setting_that_its_partitioner_never_looks_at_is_an_error() {
    let ignore = ("partitioner.ignore.keys", "true");
    let timeout = ("partitioner.availability.timeout.ms", "5");
    assert!(contradiction(&[ignore, ("partitioner.class", "murmur2")]).contains("partitioner.class=murmur2"));
    resolved(&[ignore, ("partitioner.class", "default")]);
    for class in ["murmur2", "consistent", "fnv1a", "round_robin"] {
        assert!(contradiction(&[timeout, ("partitioner.class", class)]).contains(class));
    }
    for class in ["default", "murmur2_random", "consistent_random", "fnv1a_random", "random"] {
        resolved(&[timeout, ("partitioner.class", class)]);
    }
    let message = contradiction(&[timeout, ("partitioner.adaptive.partitioning.enable", "false")]);
    assert!(message.contains("partitioner.adaptive.partitioning.enable=true"), "{message}");
}
