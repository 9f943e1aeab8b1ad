//! What a client that is none of those under test finds in a topic: java/ReadBack.java, record by record.

use std::io::{self, BufReader, Read as _};
use std::path::Path;
use std::process::{ChildStdout, Stdio};

use crate::kafka::{Kafka, Process};

/// A record in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadRecord {
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// In the order of the record, names may repeat.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

const END: i32 = -1;
const BROKEN: i32 = -2;
const BYTES_MAX: usize = 1 << 28;

/// Reads `topic` from its beginning to its end; within a partition in the order of the log.
pub fn read(kafka: &Kafka, topic: &str, mut each: impl FnMut(&ReadRecord)) -> io::Result<u64> {
    let source = Path::new(env!("KURIER_ROOT")).join("bench/chaos/java/ReadBack.java");
    let mut process = Process::start("java", |command| {
        command.args(["-XX:+UseSerialGC", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp"]);
        command.arg(kafka.class_path()).arg(source).arg(kafka.internal()).arg(topic);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
    })?;
    let output = process.child().stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
    let mut stream = Stream { input: BufReader::with_capacity(1 << 20, output) };
    let mut record = ReadRecord::default();
    let mut count = 0;
    loop {
        record.partition = stream.int32()?;
        match record.partition {
            END => return Ok(count),
            BROKEN => {
                let why = stream.bytes(None)?.unwrap_or_default();
                return Err(io::Error::other(String::from_utf8_lossy(&why).into_owned()));
            }
            _ => {}
        }
        record.offset = stream.int64()?;
        record.timestamp_ms = stream.int64()?;
        record.key = stream.bytes(record.key.take())?;
        record.value = stream.bytes(record.value.take())?;
        record.headers.clear();
        for _ in 0..stream.int32()? {
            let name = stream.bytes(None)?.unwrap_or_default();
            record.headers.push((name, stream.bytes(None)?));
        }
        each(&record);
        count += 1;
    }
}

struct Stream {
    input: BufReader<ChildStdout>,
}

impl Stream {
    fn int32(&mut self) -> io::Result<i32> {
        let mut bytes = [0; 4];
        self.input.read_exact(&mut bytes)?;
        Ok(i32::from_le_bytes(bytes))
    }

    fn int64(&mut self) -> io::Result<i64> {
        let mut bytes = [0; 8];
        self.input.read_exact(&mut bytes)?;
        Ok(i64::from_le_bytes(bytes))
    }

    /// A size and the bytes, into memory that was used before; -1 is null.
    fn bytes(&mut self, used: Option<Vec<u8>>) -> io::Result<Option<Vec<u8>>> {
        let Ok(size) = usize::try_from(self.int32()?) else { return Ok(None) };
        if size > BYTES_MAX {
            return Err(io::Error::other(format!("a field of {size} bytes")));
        }
        let mut bytes = used.unwrap_or_default();
        bytes.resize(size, 0);
        self.input.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }
}
