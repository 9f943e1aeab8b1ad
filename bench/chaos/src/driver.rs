//! A producer under test in a process of its own, so that it can be killed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::kafka::Process;
use crate::programs::Program;

/// What a driver is told.
#[derive(Clone, Debug)]
pub struct Plan {
    pub servers: String,
    pub threads: usize,
    /// Each thread; 0: until it is told to end.
    pub records: u64,
    /// Of all threads together, per second; 0: as fast as it goes.
    pub rate: u64,
    pub value_size: usize,
    pub epoch_ms: i64,
    /// `name:partitions`, by thread.
    pub topics: Vec<String>,
    pub settings: Vec<(String, String)>,
}

/// A running driver. Dropping kills it.
#[derive(Debug)]
pub struct Driver {
    process: Process,
    journal: PathBuf,
    log: PathBuf,
    pub run: u32,
}

const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Driver {
    /// Starts it; its journal and its words go into `directory`.
    pub fn start(program: &Program, plan: &Plan, run: u32, directory: &Path) -> Self {
        let name = format!("{}-{run}", program.client.name());
        let journal = directory.join(format!("{name}.journal"));
        let _none = fs::remove_file(&journal);
        let log_path = directory.join(format!("{name}.log"));
        let log = File::create(&log_path).unwrap();
        let process = Process::start(&program.words[0], |command| {
            command.args(&program.words[1..]).arg(&plan.servers).arg(&journal).arg(run.to_string());
            command.arg(plan.threads.to_string()).arg(plan.records.to_string()).arg(plan.rate.to_string());
            command.arg(plan.value_size.to_string()).arg(plan.epoch_ms.to_string()).arg(plan.topics.join(","));
            command.args(plan.settings.iter().map(|(name, value)| format!("{name}={value}")));
            command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        });
        Self { process: process.unwrap(), journal, log: log_path, run }
    }

    pub fn journal(&self) -> &Path {
        &self.journal
    }

    /// What it, and its client, said.
    pub fn log(&self) -> &Path {
        &self.log
    }

    pub fn is_alive(&mut self) -> bool {
        self.process.is_alive()
    }

    /// Bytes in its journal: a sign of life.
    pub fn progress(&self) -> u64 {
        fs::metadata(&self.journal).map_or(0, |data| data.len())
    }

    /// Tells it to send no more, and to end when everything has its fate.
    pub fn stop(&mut self) {
        self.process.child().stdin = None;
    }

    /// Until it has ended by itself; `false` if it does not.
    pub fn wait(&mut self, limit: Duration) -> bool {
        let begin = Instant::now();
        while self.process.is_alive() {
            if begin.elapsed() > limit {
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        true
    }

    /// SIGKILL; the journal is what it managed to write down.
    pub fn kill(self) -> (u32, PathBuf) {
        (self.run, self.journal.clone())
    }
}
