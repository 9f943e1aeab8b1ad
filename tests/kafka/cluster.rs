//! A cluster of real brokers on this machine: start, kill, pause, restart, create topics, read back.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::broker::{Broker, java_flags, lasting_flags};
use super::control::{Control, ReadRecord, Written};
use super::directory::Directory;
use super::jars::Jars;
use super::ports::{Port, free_ports};
use super::{Isolation, VERSIONS, wire};

/// A start takes seconds; a minute of a busy machine is not yet a defect, this is.
const START_LIMIT: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What to start.
#[derive(Clone, Debug)]
pub struct Setup {
    /// One of [`VERSIONS`].
    pub version: String,
    /// 1 or 3 (or any other number; all are controllers too).
    pub brokers: usize,
    /// Lines of `server.properties`; they replace ours. `{id}` and `{directory}` stand for the broker's own.
    pub properties: Vec<(String, String)>,
    /// More words for `kafka-storage format`, e.g. `--feature transaction.version=0`.
    pub format: Vec<String>,
    /// The ports that clients are told, by broker, where something stands in front of the brokers.
    pub advertised: Vec<u16>,
    /// Brokers are to be fast for long, not up soon: with the compilers and the collector that Java chooses itself.
    pub is_for_long: bool,
}

impl Setup {
    /// `count` brokers of the default version.
    pub fn brokers(count: usize) -> Self {
        let version = VERSIONS[0].to_owned();
        let (properties, format, advertised) = Default::default();
        Self { version, brokers: count, properties, format, advertised, is_for_long: false }
    }

    /// As brokers run where they stay, instead of as they start soonest.
    pub fn for_long(mut self) -> Self {
        self.is_for_long = true;
        self
    }

    /// Of another version.
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// One more property of the brokers.
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.push((name.to_owned(), value.to_owned()));
        self
    }

    /// More words for `kafka-storage format`.
    pub fn format(mut self, words: &[&str]) -> Self {
        self.format.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }
}

/// Running brokers, 1 …; all are killed when this is dropped. Any thread may use it.
#[derive(Debug)]
pub struct Kafka {
    // Fields are dropped in this order: the directory goes last.
    control: Mutex<Control>,
    brokers: Vec<Mutex<Broker>>,
    bootstrap: String,
    internal: String,
    ports: Vec<u16>,
    jars: Jars,
    directory: Directory,
}

impl Kafka {
    pub(super) fn start(setup: Setup, jars: Jars) -> Self {
        let directory = Directory::new();
        let mut brokers = configure(&setup, directory.path().into());
        let address = |port: &Port| format!("127.0.0.1:{}", port.number);
        let join = |addresses: Vec<String>| addresses.join(",");
        let internal = join(brokers.iter().map(|broker| address(&broker.internal)).collect());
        let bootstrap = if setup.advertised.is_empty() {
            join(brokers.iter().map(|broker| address(&broker.port)).collect())
        } else {
            join(setup.advertised.iter().map(|port| format!("127.0.0.1:{port}")).collect())
        };

        let mut control = Control::start(&jars, &internal, directory.path());
        for broker in &mut brokers {
            let settings = broker.settings_path().display().to_string();
            let mut words = vec!["format", "-t", "5L6g3nShT-eMCtK--X86sw", "-c", &settings];
            words.extend(setup.format.iter().map(String::as_str));
            control.ask(&words);
            broker.launch(&jars);
        }
        let ports = brokers.iter().map(|broker| broker.port.number).collect();
        let brokers = brokers.into_iter().map(Mutex::new).collect();
        let kafka = Self { control: Mutex::new(control), brokers, bootstrap, internal, ports, jars, directory };
        kafka.wait_ready();
        kafka
    }

    /// `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// `bootstrap.servers` of those that nothing may stand in front of: whoever reads back or gives orders.
    pub fn internal(&self) -> &str {
        &self.internal
    }

    /// What `java -cp` wants for a client of the brokers' version.
    pub fn class_path(&self) -> String {
        self.jars.class_path()
    }

    /// The port of each broker's own client listener (whatever is advertised), broker 1 first.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Where logs and settings lie (`KURIER_KEEP_KAFKA=1` keeps them).
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// The process ids of the brokers that run or are paused.
    pub fn pids(&self) -> Vec<u32> {
        let pid = |broker: &Mutex<Broker>| Some(lock(broker).process.as_ref()?.pid());
        self.brokers.iter().filter_map(pid).collect()
    }

    /// SIGKILL; answers when it is gone.
    pub fn kill(&self, id: i32) {
        self.broker(id).process = None;
    }

    /// SIGTERM: a controlled shutdown, which moves its leaderships first; answers when it is gone.
    pub fn shut_down(&self, id: i32) {
        let mut broker = self.broker(id);
        if let Some(process) = &mut broker.process {
            process.signal(Signal::TERM);
            process.wait();
        }
        broker.process = None;
    }

    /// SIGSTOP: its connections stay and say nothing more.
    pub fn pause(&self, id: i32) {
        self.signal(id, Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self, id: i32) {
        self.signal(id, Signal::CONT);
    }

    /// Starts a broker that was killed or shut down, with the same ports and logs; does not wait.
    pub fn launch(&self, id: i32) {
        let mut broker = self.broker(id);
        assert!(broker.process.is_none(), "broker {id} runs");
        broker.launch(&self.jars);
    }

    /// The broker's next life, killed before if it runs; waits until every running broker sees every other.
    pub fn restart(&self, id: i32) {
        self.kill(id);
        self.launch(id);
        self.wait_ready();
    }

    /// Whether a broker's process runs, or is paused.
    pub fn is_running(&self, id: i32) -> bool {
        self.broker(id).process.as_mut().is_some_and(super::processes::Process::is_alive)
    }

    /// Waits until every broker that has a process knows exactly those as live. Panics after three minutes, or when
    /// one of them ends.
    pub fn wait_ready(&self) {
        let begin = Instant::now();
        loop {
            let mut live = Vec::new();
            for broker in &self.brokers {
                let mut broker = lock(broker);
                let Some(process) = &mut broker.process else { continue };
                assert!(process.is_alive(), "broker {} ended:\n{}", broker.id, broker.last_words());
                live.push((broker.id, broker.port.number));
            }
            let ids: Vec<i32> = live.iter().map(|(id, _)| *id).collect();
            if live.iter().all(|(_, port)| wire::known_brokers(*port).is_some_and(|known| known == ids)) {
                return;
            }
            if begin.elapsed() > START_LIMIT {
                let words: Vec<String> = self.brokers.iter().map(|broker| lock(broker).last_words()).collect();
                panic!("brokers {ids:?} are not ready after {START_LIMIT:?}:\n{}", words.join("\n--\n"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Answers when the topic exists and every partition has a leader.
    pub fn create_topic(&self, name: &str, partitions: i32, replication_factor: i16, configs: &[(&str, &str)]) {
        let (partitions, factor) = (partitions.to_string(), replication_factor.to_string());
        let configs: Vec<String> = configs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut words = vec!["create", name, &partitions, &factor];
        words.extend(configs.iter().map(String::as_str));
        self.ask(&words);
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, name: &str) {
        self.ask(&["delete", name]);
    }

    /// Adds partitions, up to `partitions` in all.
    pub fn grow_topic(&self, name: &str, partitions: i32) {
        self.ask(&["grow", name, &partitions.to_string()]);
    }

    /// The leader of each partition, -1 for none.
    pub fn leaders(&self, topic: &str) -> Vec<i32> {
        self.ask(&["leaders", topic]).lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Everything that the Java consumer finds in `topic`, partition by partition in the order of the log.
    pub fn read_back(&self, topic: &str, isolation: Isolation) -> Vec<ReadRecord> {
        lock(&self.control).read(topic, isolation)
    }

    /// Records of the Java producer (see `tests/java/Write.java`); `mode` is `plain`, `commit` or `abort`.
    pub fn write_with_java(&self, topic: &str, count: usize, mode: &str) -> Vec<Written> {
        let text = self.ask(&["write", topic, &count.to_string(), mode]);
        let written = |line: &str| {
            let numbers: Vec<i64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            Written { partition: i32::try_from(numbers[0]).unwrap(), offset: numbers[1], timestamp_ms: numbers[2] }
        };
        text.lines().map(written).collect()
    }

    /// A command of `tests/java/Control.java` that may fail, for example because a broker is down.
    pub fn command(&self, words: &[&str]) -> Result<String, String> {
        lock(&self.control).try_ask(words)
    }

    fn ask(&self, words: &[&str]) -> String {
        lock(&self.control).ask(words)
    }

    fn broker(&self, id: i32) -> MutexGuard<'_, Broker> {
        let index = usize::try_from(id).unwrap().checked_sub(1).unwrap();
        lock(&self.brokers[index])
    }

    fn signal(&self, id: i32, signal: Signal) {
        let mut broker = self.broker(id);
        broker.process.as_mut().unwrap_or_else(|| panic!("broker {id} does not run")).signal(signal);
    }
}

fn configure(setup: &Setup, directory: PathBuf) -> Vec<Broker> {
    let mut ports = free_ports(setup.brokers * 3).into_iter();
    let mut next = || ports.next().unwrap();
    let make = |index: usize| Broker {
        id: i32::try_from(index + 1).unwrap(),
        port: next(),
        internal: next(),
        controller: next(),
        directory: directory.join(format!("broker-{}", index + 1)),
        java_flags: if setup.is_for_long { lasting_flags() } else { java_flags() },
        process: None,
    };
    let brokers: Vec<Broker> = (0..setup.brokers).map(make).collect();
    let voter = |broker: &Broker| format!("{}@127.0.0.1:{}", broker.id, broker.controller.number);
    let voters = brokers.iter().map(voter).collect::<Vec<_>>().join(",");
    for (index, broker) in brokers.iter().enumerate() {
        let advertised = setup.advertised.get(index).copied().unwrap_or(broker.port.number);
        broker.configure(&voters, setup.brokers, advertised, &setup.properties);
    }
    brokers
}

/// A test that panicked with a broker locked must not hide its reason behind a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
