//! The line to the resident Java process (`tests/java/Control.java`): commands out, answers and records in.

use std::io::{self, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Stdio};

use super::Isolation;
use super::broker::{java_flags, last_lines, open_log};
use super::jars::Jars;
use super::processes::Process;

/// A record as a foreign client found it in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRecord {
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: i64,
    /// 0: the producer's (CreateTime), 1: the log's (LogAppendTime).
    pub timestamp_type: i8,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// In the order of the record, names may repeat.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Where the Java producer was told that its record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: i64,
}

const FAILED: u8 = 0;
const TEXT: u8 = 1;
const RECORDS: u8 = 2;

const END: u8 = 0;
const RECORD: u8 = 1;

/// One process, one question at a time.
#[derive(Debug)]
pub struct Control {
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    log: PathBuf,
    _process: Process,
}

impl Control {
    /// Starts it; it connects to `bootstrap` only when a command needs that.
    pub fn start(jars: &Jars, bootstrap: &str, directory: &Path) -> Self {
        let path = directory.join("control.log");
        let log = open_log(&path);
        let mut process = Process::start("java", |command| {
            command.args(java_flags()).arg("-Xmx512m").arg("-cp").arg(jars.class_path());
            command.arg("Control").arg(bootstrap);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        })
        .unwrap();
        let questions = process.child().stdin.take().unwrap();
        let answers = BufReader::with_capacity(1 << 20, process.child().stdout.take().unwrap());
        Self { questions, answers, log: path, _process: process }
    }

    /// Asks and gets a text.
    pub fn ask(&mut self, words: &[&str]) -> String {
        self.question(words);
        let answer = self.answer();
        answer.unwrap_or_else(|why| panic!("{words:?}: {why}\n{}", last_lines(&self.log, 20)))
    }

    /// Asks and gets a text, or what went wrong.
    pub fn try_ask(&mut self, words: &[&str]) -> Result<String, String> {
        self.question(words);
        self.answer().map_err(|why| why.to_string())
    }

    /// Everything that is in `topic` now, partition by partition in the order of the log.
    pub fn read(&mut self, topic: &str, isolation: Isolation) -> Vec<ReadRecord> {
        let level = match isolation {
            Isolation::Uncommitted => "read_uncommitted",
            Isolation::Committed => "read_committed",
        };
        self.question(&["read", topic, level]);
        let records = self.records();
        records.unwrap_or_else(|why| panic!("reading {topic}: {why}\n{}", last_lines(&self.log, 20)))
    }

    fn question(&mut self, words: &[&str]) {
        assert!(words.iter().all(|word| !word.contains(['\t', '\n'])), "{words:?}");
        let line = words.join("\t") + "\n";
        self.questions.write_all(line.as_bytes()).unwrap();
    }

    fn answer(&mut self) -> io::Result<String> {
        let kind = self.byte()?;
        let text = String::from_utf8_lossy(&self.bytes()?.unwrap_or_default()).into_owned();
        match kind {
            TEXT => Ok(text),
            FAILED => Err(io::Error::other(text)),
            other => Err(io::Error::other(format!("an answer of kind {other}"))),
        }
    }

    fn records(&mut self) -> io::Result<Vec<ReadRecord>> {
        if self.byte()? != RECORDS {
            return Err(io::Error::other(String::from_utf8_lossy(&self.bytes()?.unwrap_or_default()).into_owned()));
        }
        let mut records = Vec::new();
        loop {
            match self.byte()? {
                RECORD => records.push(self.record()?),
                END => break,
                _broken => {
                    let why = self.bytes()?.unwrap_or_default();
                    return Err(io::Error::other(String::from_utf8_lossy(&why).into_owned()));
                }
            }
        }
        // The consumer takes partitions in turns; within one the order is that of the log, which a stable sort keeps.
        records.sort_by_key(|record| record.partition);
        Ok(records)
    }

    fn record(&mut self) -> io::Result<ReadRecord> {
        let partition = self.int32()?;
        let offset = self.int64()?;
        let timestamp_ms = self.int64()?;
        let timestamp_type = i8::from_be_bytes([self.byte()?]);
        let (key, value) = (self.bytes()?, self.bytes()?);
        let mut headers = Vec::new();
        for _ in 0..self.int32()? {
            headers.push((self.bytes()?.unwrap_or_default(), self.bytes()?));
        }
        Ok(ReadRecord { partition, offset, timestamp_ms, timestamp_type, key, value, headers })
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.answers.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn int32(&mut self) -> io::Result<i32> {
        let mut bytes = [0; 4];
        self.answers.read_exact(&mut bytes)?;
        Ok(i32::from_be_bytes(bytes))
    }

    fn int64(&mut self) -> io::Result<i64> {
        let mut bytes = [0; 8];
        self.answers.read_exact(&mut bytes)?;
        Ok(i64::from_be_bytes(bytes))
    }

    fn bytes(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Ok(size) = usize::try_from(self.int32()?) else { return Ok(None) };
        let mut bytes = vec![0; size];
        self.answers.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }
}
