//! One broker: its settings file, its process, its three ports.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::jars::Jars;
use super::ports::Port;
use super::processes::Process;

/// What is the same in every life of a broker.
#[derive(Debug)]
pub struct Broker {
    /// From 1.
    pub id: i32,
    /// For clients; what is advertised may be another port (a proxy's).
    pub port: Port,
    /// For the other brokers and for the Java side of the tests: nothing that a test puts in front of `port` matters.
    pub internal: Port,
    /// For the controllers.
    pub controller: Port,
    pub directory: PathBuf,
    /// What `java` is told about itself.
    pub java_flags: Vec<String>,
    /// Its life.
    pub process: Option<Process>,
}

impl Broker {
    pub fn settings_path(&self) -> PathBuf {
        self.directory.join("server.properties")
    }

    /// Writes `server.properties`.
    pub fn configure(&self, voters: &str, brokers: usize, advertised: u16, more: &[(String, String)]) {
        let (id, client, internal) = (self.id, self.port.number, self.internal.number);
        let replicas = brokers.min(3);
        let in_sync = if replicas == 3 { 2 } else { 1 };
        let logs = self.directory.join("logs");
        let mut text = String::new();
        let settings = [
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", id.to_string()),
            ("controller.quorum.voters", voters.to_owned()),
            (
                "listeners",
                format!(
                    "PLAINTEXT://127.0.0.1:{client},INTERNAL://127.0.0.1:{internal},CONTROLLER://127.0.0.1:{}",
                    self.controller.number
                ),
            ),
            ("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{advertised},INTERNAL://127.0.0.1:{internal}")),
            ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT".into()),
            ("controller.listener.names", "CONTROLLER".into()),
            ("inter.broker.listener.name", "INTERNAL".into()),
            ("log.dirs", logs.display().to_string()),
            ("auto.create.topics.enable", "false".into()),
            ("default.replication.factor", replicas.to_string()),
            ("min.insync.replicas", in_sync.to_string()),
            ("offsets.topic.replication.factor", replicas.to_string()),
            ("offsets.topic.num.partitions", "4".into()),
            ("transaction.state.log.replication.factor", replicas.to_string()),
            ("transaction.state.log.min.isr", in_sync.to_string()),
            ("transaction.state.log.num.partitions", "4".into()),
            ("share.coordinator.state.topic.replication.factor", replicas.to_string()),
            ("share.coordinator.state.topic.min.isr", in_sync.to_string()),
            // A killed leader is replaced after about 3 s instead of 9.
            ("broker.session.timeout.ms", "3000".into()),
            ("broker.heartbeat.interval.ms", "500".into()),
            ("replica.lag.time.max.ms", "3000".into()),
            ("group.initial.rebalance.delay.ms", "0".into()),
            ("num.network.threads", "2".into()),
            ("num.io.threads", "4".into()),
        ];
        for (name, value) in settings {
            if !more.iter().any(|(other, _)| other == name) {
                writeln!(text, "{name}={value}").unwrap();
            }
        }
        for (name, value) in more {
            let value = value.replace("{directory}", &self.directory.display().to_string());
            writeln!(text, "{name}={}", value.replace("{id}", &id.to_string())).unwrap();
        }
        fs::create_dir_all(&self.directory).unwrap();
        fs::write(self.settings_path(), text).unwrap();
    }

    /// Starts its process; its words go to `broker.log`.
    pub fn launch(&mut self, jars: &Jars) {
        let log = open_log(&self.directory.join("broker.log"));
        let errors = log.try_clone().unwrap();
        let settings = self.settings_path();
        let process = Process::start("java", |command| {
            command.arg("-Xms512m").arg("-Xmx512m").args(&self.java_flags).arg("-cp").arg(jars.class_path());
            command.arg("kafka.Kafka").arg(settings).stdin(Stdio::null()).stdout(log).stderr(errors);
        });
        self.process = Some(process.unwrap());
    }

    /// The last lines of what it said.
    pub fn last_words(&self) -> String {
        last_lines(&self.directory.join("broker.log"), 30)
    }
}

/// Measured on two cores, start until the first answer: 3.5 s with the defaults, 2.4 s with these.
pub fn java_flags() -> Vec<String> {
    let quick = ["-XX:+UseSerialGC".into(), "-XX:TieredStopAtLevel=1".into()];
    quick.into_iter().chain(log_flags()).collect()
}

/// The heap of Kafka's own scripts; compilers and collector are Java's choice.
pub fn lasting_flags() -> Vec<String> {
    ["-Xms1g".into(), "-Xmx1g".into()].into_iter().chain(log_flags()).collect()
}

/// How much is said, and when.
fn log_flags() -> [String; 2] {
    let level = std::env::var("KURIER_KAFKA_LOG").unwrap_or_else(|_| "warn".into());
    let simple = format!("-Dorg.slf4j.simpleLogger.defaultLogLevel={level}");
    let dated = "-Dorg.slf4j.simpleLogger.showDateTime=true".into();
    [simple, dated]
}

/// Opened for appending: a broker that starts again writes behind its earlier life.
pub fn open_log(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// The end of a text file, for a message.
pub fn last_lines(path: &Path, count: usize) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
