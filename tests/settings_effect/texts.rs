//! Serializers, the log, and settings that state what is done anyway.

use std::sync::{Arc, Mutex};

use kurier::code::Code;
use kurier::engine::Level;
use kurier::producer::settings::{Kind, ROWS};
use kurier::producer::{Config, Producer, Record, Timeout};

use crate::world::{PATIENCE, cluster, config, eventually, producer};

/// Key and value in the log.
type Stored = (Option<Vec<u8>>, Option<Vec<u8>>);

/// A class, an object, and its bytes.
type Row<'a> = (&'a str, &'a [u8], Result<Option<&'a [u8]>, Code>);

/// What the log has of this object.
fn written(setting: &str, class: &str, object: &[u8]) -> Result<Stored, Code> {
    let cluster = cluster(1, &["create t 1"]);
    let producer = producer(&cluster, &[(setting, class)]);
    let topic = producer.topic("t").expect("a name");
    let (key, value) = if setting == "key.serializer" { (Some(object), None) } else { (None, Some(object)) };
    producer.send_object(&Record { topic, key, value, ..Record::default() }, Timeout::Of(PATIENCE))?;
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
    let record = cluster.records("t").remove(0);
    Ok((record.key, record.value))
}

fn serializer(setting: &str) {
    const UUID: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    let rows: [Row<'_>; 12] = [
        ("bytes", b"\0\xff", Ok(Some(b"\0\xff"))),
        ("string", b"text", Ok(Some(b"text"))),
        ("int16", &0x0102_i16.to_ne_bytes(), Ok(Some(&[1, 2]))),
        ("int32", &0x0102_0304_i32.to_ne_bytes(), Ok(Some(&[1, 2, 3, 4]))),
        ("int64", &1_i64.to_ne_bytes(), Ok(Some(&[0, 0, 0, 0, 0, 0, 0, 1]))),
        ("float", &1_f32.to_ne_bytes(), Ok(Some(&[0x3f, 0x80, 0, 0]))),
        ("double", &1_f64.to_ne_bytes(), Ok(Some(&[0x3f, 0xf0, 0, 0, 0, 0, 0, 0]))),
        ("boolean", &[1], Ok(Some(&[1]))),
        ("uuid", &UUID, Ok(Some(b"00010203-0405-0607-0809-0a0b0c0d0e0f"))),
        (
            "org.apache.kafka.common.serialization.LongSerializer",
            &2_i64.to_ne_bytes(),
            Ok(Some(&[0, 0, 0, 0, 0, 0, 0, 2])),
        ),
        ("int32", b"seven..", Err(Code::SERIALIZATION)),
        ("void", b"something", Err(Code::SERIALIZATION)),
    ];
    for (class, object, expected) in rows {
        let found = written(setting, class, object);
        let mine = found.map(|(key, value)| if setting == "key.serializer" { (key, value) } else { (value, key) });
        assert_eq!(mine, expected.map(|bytes| (bytes.map(<[u8]>::to_vec), None)), "{setting}={class}");
    }
}

pub(crate) fn key_serializer() {
    serializer("key.serializer");
}

pub(crate) fn value_serializer() {
    serializer("value.serializer");
}

/// The levels of the lines that come when a broker cannot be reached and another one is.
fn logged(level: &str) -> Vec<Level> {
    let cluster = cluster(1, &["create t 1", "hostile not_kafka metadata 1"]);
    let levels: Arc<Mutex<Vec<Level>>> = Arc::default();
    let mut config: Config = config(&cluster.address(), &[("log.level", level)]);
    let lines = Arc::clone(&levels);
    config.log_callback = Some(Arc::new(move |level, line: &str| {
        assert!(!line.is_empty() && !line.contains('\n'), "{line:?}");
        lines.lock().expect("no panic").push(level);
    }));
    let producer = Producer::new(&config).expect("a producer");
    let topic = producer.topic("t").expect("a name");
    let (_, result) = producer.send_wait(&Record { topic, ..Record::default() }, Timeout::Of(PATIENCE));
    assert_eq!(result, Ok(()));
    drop(producer);
    eventually("nobody else holds the lines", || Arc::strong_count(&levels) <= 2);
    let levels = levels.lock().expect("no panic");
    levels.clone()
}

pub(crate) fn log_level() {
    assert_eq!(logged("error"), [], "a broker that answers wrongly once is no error");
    for (value, level) in [("warn", Level::Warn), ("2", Level::Warn), ("info", Level::Info), ("debug", Level::Debug)] {
        let levels = logged(value);
        assert!(levels.contains(&Level::Warn), "{value}: {levels:?}");
        assert!(levels.iter().all(|found| *found <= level), "{value}: {levels:?}");
    }
}

/// A row that states what is done anyway: what it accepts changes nothing, anything else is refused by name.
pub(crate) fn states_only() {
    let plain = config("h:1", &[]).resolve().expect("settings");
    let mut count = 0;
    for row in ROWS {
        let Kind::Only { values, .. } = row.kind else { continue };
        count += 1;
        for value in values {
            assert_eq!(config("h:1", &[(row.name, value)]).resolve().expect("settings"), plain, "{}={value}", row.name);
        }
        let mut config = Config::new();
        let error = config.set(row.name, "something.else").expect_err(row.name);
        assert_eq!(error.code, Code::UNSUPPORTED, "{}", row.name);
        assert!(error.message.contains(row.name), "{error}");
        assert_eq!(config.get(row.name).as_deref(), Ok(values[0]), "{}: nothing was changed", row.name);
    }
    assert!(count >= 10, "{count} rows");
}
