//! `.properties` texts: Java's format, all or nothing, and the line of an error.

use super::super::properties::{Property, parse};
use super::config;
use crate::code::Code;
use crate::producer::config::Config;

fn pairs(text: &str) -> Vec<(usize, String, String)> {
    let properties = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    properties.into_iter().map(|Property { line, key, value }| (line, key, value)).collect()
}

#[test]
fn the_format_is_javas() {
    for (text, key, value) in [
        ("a=b", "a", "b"),
        ("a:b", "a", "b"),
        ("a b", "a", "b"),
        ("  a \t =  b c ", "a", "b c "),
        ("a : = b", "a", "= b"),
        ("a==b", "a", "=b"),
        ("a", "a", ""),
        ("a=", "a", ""),
        ("=b", "", "b"),
        ("a\\=b=c", "a=b", "c"),
        ("a\\ b:c", "a b", "c"),
        ("a\\\\=c", "a\\", "c"),
        ("a=b\\", "a", "b"),
        ("a=b\\\\", "a", "b\\"),
        ("a=\\t\\n\\r\\f\\q", "a", "\t\n\r\u{c}q"),
        ("a=\\u0041\\u00e4", "a", "Aä"),
        ("a=\\ud83d\\ude00!", "a", "😀!"),
        ("a=ü", "a", "ü"),
        ("a=#b!c", "a", "#b!c"),
        ("a=b\\\n   c", "a", "bc"),
        ("a=b\\\r\n\tc", "a", "bc"),
        ("a=b\\\n# c", "a", "b# c"),
        ("a\\\n=b", "a", "b"),
        ("a\\\n b=c", "ab", "c"),
        ("\u{feff}a=b", "a", "b"),
        ("a\u{c}b", "a", "b"),
        ("a\u{a0}b", "a\u{a0}b", ""),
    ] {
        assert_eq!(pairs(text), [(1, key.to_owned(), value.to_owned())], "{text:?}");
    }
}

#[test]
fn comments_and_blank_lines_are_skipped_and_lines_counted() {
    let text = "# a=1 \\\nb=2\r\n\r\n  ! c\rd=3\\\n\n  \ne=4";
    let expected = [(2, "b", "2"), (5, "d", "3"), (8, "e", "4")];
    assert_eq!(pairs(text), expected.map(|(line, key, value)| (line, key.to_owned(), value.to_owned())));
    assert_eq!(pairs(""), []);
    assert_eq!(pairs("\\\n"), [(1, String::new(), String::new())]);
}

#[test]
fn broken_texts_say_the_line() {
    let cases: &[(&[u8], &str)] = &[
        (b"a=1\nb=\\u12", "line 2: \\u needs four"),
        (b"a=1\nb=\\u12g4", "line 2: \\u needs four"),
        (b"a=\\ud83d", "line 1: half of a surrogate"),
        (b"a=\\ud83d\\u0041", "line 1: half of a surrogate"),
        (b"\r\n\r\na=\\ude00", "line 3: half of a surrogate"),
        (b"a=1\r\nb=2\nc=\xff", "line 3: it is not UTF-8"),
    ];
    for (text, says) in cases {
        let error = parse(text).expect_err(says);
        assert_eq!(error.code, Code::INVALID_ARGUMENT);
        assert!(error.message.starts_with(says), "{error}");
    }
    assert!(parse(&vec![b'#'; (1 << 20) + 1]).is_err());
    assert_eq!(parse(&vec![b'#'; 1 << 20]), Ok(vec![]));
}

#[test]
fn a_file_of_the_java_producer_loads() {
    let text = "\
# Producer of the order service
bootstrap.servers=kafka-1.example.com:9092,\\
                  kafka-2.example.com:9092,\\
                  kafka-3.example.com:9092
client.id = orders-\\u00e4
key.serializer=org.apache.kafka.common.serialization.StringSerializer
value.serializer: org.apache.kafka.common.serialization.ByteArraySerializer

! guarantees
acks=all
enable.idempotence=true
max.in.flight.requests.per.connection=5
retries=2147483647
delivery.timeout.ms=120000
request.timeout.ms=30000

linger.ms=20
batch.size=65536
buffer.memory=67108864
compression.type=zstd
compression.zstd.level=3
max.request.size=1048576
send.buffer.bytes=131072
receive.buffer.bytes=32768
partitioner.adaptive.partitioning.enable=true
security.protocol=PLAINTEXT
interceptor.classes=
metric.reporters=org.apache.kafka.common.metrics.JmxReporter
metrics.num.samples=2
metrics.sample.window.ms=30000
metrics.recording.level=INFO
auto.include.jmx.reporter=true
config.providers=
";
    let mut config = Config::new();
    config.load(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let settings = config.resolve().unwrap();
    assert_eq!(settings.client_id, "orders-ä");
    assert_eq!(settings.batch_size, 65_536);
    assert_eq!(settings.send_buffer, Some(131_072));
    let three = "kafka-1.example.com:9092,kafka-2.example.com:9092,kafka-3.example.com:9092";
    assert_eq!(config.get("bootstrap.servers").as_deref(), Ok(three));
    assert_eq!(config.get("key.serializer").as_deref(), Ok("string"));
}

#[test]
fn all_of_it_or_nothing() {
    let mut config = config(&[("linger.ms", "1")]);
    for (text, code, says) in [
        ("linger.ms=2\nacks=7", Code::INVALID_ARGUMENT, "line 2: acks=7: allowed is all, 1, 0"),
        (
            "linger.ms=2\n\nlinger.sm=7",
            Code::INVALID_ARGUMENT,
            "line 3: there is no setting \"linger.sm\"; did you mean",
        ),
        ("linger.ms=2\nsasl.jaas.config=s3cret", Code::UNSUPPORTED, "line 2: sasl.jaas.config: TLS and SASL are not"),
        ("linger.ms=2\nacks", Code::INVALID_ARGUMENT, "line 2: acks=: allowed is"),
        ("linger.ms=2\n=1", Code::INVALID_ARGUMENT, "line 2: there is no setting \"\""),
        ("linger.ms=2\nclient.id=\\u0000", Code::INVALID_ARGUMENT, "line 2: client.id"),
    ] {
        let error = config.load(text.as_bytes()).expect_err(text);
        assert_eq!(error.code, code, "{text}");
        assert!(error.message.starts_with(says), "{error}");
        assert!(!error.message.contains("s3cret"));
        assert_eq!(config.get("linger.ms").as_deref(), Ok("1"), "{text}");
    }
    config.load(b"linger.ms=2\nlinger.ms=3").unwrap();
    assert_eq!(config.get("linger.ms").as_deref(), Ok("3"), "the last counts, as in Java");
}

#[test]
fn two_names_of_one_setting_must_agree() {
    let mut config = config(&[]);
    let error = config.load(b"linger.ms=2\nacks=all\nqueue.buffering.max.ms=3").expect_err("2 and 3");
    assert!(error.message.starts_with("line 3: queue.buffering.max.ms and linger.ms are the same"), "{error}");
    config.load(b"linger.ms=2\nqueue.buffering.max.ms=2.0").unwrap();
}

#[test]
fn any_bytes_are_an_answer_and_no_panic() {
    // A small generator; what matters are the letters with a meaning.
    let letters = b"a=: \t\\\n\r#!u0dD8cE\xc3\xa4\xff";
    let mut state = 1_u64;
    for _ in 0..20_000 {
        let mut text = Vec::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push(letters[(state >> 33) as usize % letters.len()]);
        }
        let lines = text.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
        if let Ok(properties) = parse(&text) {
            assert!(properties.iter().all(|property| (1..=lines).contains(&property.line)), "{text:?}");
        }
    }
}
