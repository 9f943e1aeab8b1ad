//! Where records go: the embedded cluster, one real broker, three of them, or a socket that nobody reads from.

use std::io::{BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use crate::child::cpu_of;
use crate::kafka::{self, Kafka, Process, Setup};
use crate::request::Failure;

/// Which one a row wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Embedded,
    OneBroker,
    ThreeBrokers,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Embedded, Self::OneBroker, Self::ThreeBrokers];

    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "the embedded cluster, a process of its own",
            Self::OneBroker => "one real broker",
            Self::ThreeBrokers => "three real brokers, RF 3, min ISR 2",
        }
    }
}

/// One of our own programs that prints its address and takes commands.
#[derive(Debug)]
pub struct Program {
    process: Process,
    answers: BufReader<ChildStdout>,
    commands: ChildStdin,
    pub address: String,
}

impl Program {
    /// Starts a subcommand of this program.
    pub fn start(subcommand: &str) -> Result<Self, Failure> {
        let program = std::env::current_exe()?.display().to_string();
        let mut process = Process::start(&program, |command| {
            command.arg(subcommand).stdin(Stdio::piped()).stdout(Stdio::piped());
        })?;
        let mut answers = BufReader::new(process.child().stdout.take().ok_or("no output")?);
        let commands = process.child().stdin.take().ok_or("no input")?;
        let address = line(&mut answers)?;
        Ok(Self { process, answers, commands, address })
    }

    fn ask(&mut self, command: &str) -> Result<String, Failure> {
        writeln!(self.commands, "{command}")?;
        line(&mut self.answers)
    }

    fn tell(&mut self, command: &str) -> Result<(), Failure> {
        let answer = self.ask(command)?;
        if answer == "OK" { Ok(()) } else { Err(format!("{command}: {answer}").into()) }
    }
}

fn line(from: &mut impl std::io::BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// A running sink.
#[derive(Debug)]
pub enum Sink {
    Embedded(Program),
    Kafka(Box<Kafka>, i16),
}

/// Brokers as they are where they stay, and logs that do not fill the disk.
const PROPERTIES: [(&str, &str); 4] = [
    ("log.segment.bytes", "268435456"),
    ("log.segment.delete.delay.ms", "1000"),
    // Measured runs keep two cores busy: nobody is to be taken for dead.
    ("broker.session.timeout.ms", "30000"),
    ("replica.lag.time.max.ms", "30000"),
];

impl Sink {
    /// Starts it; `None`: it cannot be, and it was said why.
    pub fn start(kind: Kind) -> Result<Option<Self>, Failure> {
        let brokers = match kind {
            Kind::Embedded => return Ok(Some(Self::Embedded(Program::start("cluster")?))),
            Kind::OneBroker => 1,
            Kind::ThreeBrokers => 3,
        };
        let setup = Setup::brokers(brokers).for_long();
        let setup = PROPERTIES.iter().fold(setup, |setup, (name, value)| setup.property(name, value));
        Ok(kafka::start(setup).map(|kafka| Self::Kafka(Box::new(kafka), if brokers == 3 { 3 } else { 1 })))
    }

    pub fn bootstrap(&self) -> &str {
        match self {
            Self::Embedded(program) => &program.address,
            Self::Kafka(kafka, _) => kafka.bootstrap(),
        }
    }

    /// User and system time that it has used so far.
    pub fn cpu(&self) -> Duration {
        match self {
            Self::Embedded(program) => cpu_of(&[program.process.pid()]),
            Self::Kafka(kafka, _) => cpu_of(&kafka.pids()),
        }
    }

    pub fn create(&mut self, topic: &str, partitions: i32) -> Result<(), Failure> {
        match self {
            Self::Embedded(program) => program.tell(&format!("create {topic} {partitions}")),
            Self::Kafka(kafka, replicas) => {
                kafka.create_topic(topic, partitions, *replicas, &[]);
                Ok(())
            }
        }
    }

    pub fn delete(&mut self, topic: &str) -> Result<(), Failure> {
        match self {
            Self::Embedded(program) => program.tell(&format!("delete {topic}")),
            Self::Kafka(kafka, _) => {
                kafka.delete_topic(topic);
                Ok(())
            }
        }
    }

    /// A command that only the embedded cluster understands.
    pub fn command(&mut self, command: &str) -> Result<(), Failure> {
        match self {
            Self::Embedded(program) => program.tell(command),
            Self::Kafka(..) => Err("real brokers take no commands".into()),
        }
    }

    /// Produce requests so far, where they are counted.
    pub fn requests(&mut self) -> Option<f64> {
        match self {
            Self::Embedded(program) => program.ask("requests").ok()?.parse().ok(),
            Self::Kafka(..) => None,
        }
    }
}
