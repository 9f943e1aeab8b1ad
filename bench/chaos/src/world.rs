//! The brokers, the proxies in front of them, and what can be done to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::kafka::{self, Kafka, Port, Setup};
use crate::metadata::{self, Asker};
use crate::proxy::Proxy;

/// Everything that producers send through.
#[derive(Debug)]
pub struct World {
    // Fields are dropped in this order: the brokers end before their disk does.
    pub proxies: Vec<Proxy>,
    pub kafka: Kafka,
    pub disk: Option<Disk>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    _ports: Vec<Port>,
    scratch: tempfile::TempDir,
}

/// Whoever asks for the leader gets an answer within this time, or another broker instead.
const LEADER_LIMIT: Duration = Duration::from_secs(10);
/// Replicas are back in sync within this time after a broker's start.
const WHOLE_LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Where drivers write, and brokers where a test wants to fill their disk.
fn scratch() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos");
    std::fs::create_dir_all(&path).unwrap();
    path
}

impl World {
    /// Starts brokers with a proxy in front of each; `None`: there is no Kafka, and it was said why.
    ///
    /// `KURIER_KEEP_KAFKA=1` keeps what brokers and drivers wrote.
    pub fn start(brokers: usize, has_disk: bool, properties: &[(&str, &str)]) -> Option<Self> {
        let mut scratch = tempfile::Builder::new().prefix("run-").tempdir_in(scratch()).unwrap();
        scratch.disable_cleanup(std::env::var_os("KURIER_KEEP_KAFKA").is_some());
        let disk = has_disk.then(|| Disk::new(scratch.path()));
        let ports = kafka::free_ports(brokers);
        let mut setup = Setup::brokers(brokers).property("auto.leader.rebalance.enable", "false");
        setup.advertised = ports.iter().map(|port| port.number).collect();
        for (name, value) in properties {
            setup = setup.property(name, value);
        }
        if let Some(disk) = &disk {
            setup = setup.property("log.dirs", &format!("{{directory}}/logs,{}", disk.log_directory()));
        }
        let kafka = kafka::start(setup)?;
        let pairs = ports.iter().zip(kafka.ports());
        let proxies = pairs.map(|(front, broker)| Proxy::start(front.number, *broker)).collect();
        Some(Self { proxies, kafka, disk, counts: Mutex::default(), _ports: ports, scratch })
    }

    /// Where drivers write.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    pub fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    /// What was done to brokers and topics, and by the proxies.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for proxy in &self.proxies {
            proxy.counts().into_iter().for_each(|(what, count)| *all.entry(what).or_default() += count);
        }
        all
    }

    /// The ports of the brokers that run, past the proxies.
    pub fn ports(&self) -> Vec<u16> {
        let running = (1..).zip(self.kafka.ports()).filter(|(id, _)| self.kafka.is_running(*id));
        running.map(|(_, port)| *port).collect()
    }

    /// Who leads the partition with this number, modulo what there is; broker 1 if nobody says.
    pub fn leader(&self, topic: &str, partition: u64) -> i32 {
        let begin = Instant::now();
        while begin.elapsed() < LEADER_LIMIT {
            let leaders = metadata::leaders(&self.ports(), topic).unwrap_or_default();
            let at = usize::try_from(partition % leaders.len().max(1) as u64).unwrap();
            if let Some(leader) = leaders.get(at).filter(|leader| **leader > 0) {
                return *leader;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        1
    }

    /// Waits until every replica of these topics is in sync; says so if it does not come to that.
    pub fn wait_whole(&self, topics: &[&str]) {
        let begin = Instant::now();
        let is_whole = |port: &u16| Asker::connect(*port).and_then(|mut asker| asker.is_whole(topics)) == Some(true);
        while !self.ports().iter().all(is_whole) {
            if begin.elapsed() > WHOLE_LIMIT {
                println!("not all replicas are in sync after {WHOLE_LIMIT:?}");
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The active controller; broker 1 if nobody says.
    pub fn controller(&self) -> i32 {
        let answer = self.kafka.command(&["controller"]).ok();
        answer.and_then(|text| text.parse().ok()).filter(|id| (1..=3).contains(id)).unwrap_or(1)
    }
}
