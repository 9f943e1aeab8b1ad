//! When the cluster names new leaders: every broker that is left is asked again and again, past every proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::metadata::{self, Asker};
use crate::scenario::now_us;

/// Whose topic, and which partition of it.
pub type Place = (&'static str, u16);

const ASK_EVERY: Duration = Duration::from_millis(2);
const NAMED_LIMIT: Duration = Duration::from_secs(30);

/// A broker names the new leader.
#[derive(Clone, Copy, Debug)]
pub struct Naming {
    pub by: i32,
    pub leader: i32,
    pub at_us: i64,
}

/// Whom each broker names for the partitions that one of them led.
#[derive(Debug)]
pub struct Watch {
    topics: Vec<(&'static str, String)>,
    victim: i32,
    led: BTreeSet<Place>,
    named: Mutex<BTreeMap<Place, Vec<Naming>>>,
    has_ended: AtomicBool,
}

impl Watch {
    /// Of these topics, by whose they are. The brokers with these ports say what the victim leads now.
    pub fn new(topics: Vec<(&'static str, String)>, victim: i32, ports: &[u16]) -> Self {
        let led = topics.iter().flat_map(|(whose, topic)| {
            let leaders = metadata::leaders(ports, topic).unwrap_or_default();
            let led = (0_u16..).zip(leaders).filter(|(_, leader)| *leader == victim);
            led.map(|(partition, _)| (*whose, partition)).collect::<Vec<_>>()
        });
        let led = led.collect();
        Self { topics, victim, led, named: Mutex::default(), has_ended: AtomicBool::new(false) }
    }

    /// What the victim led of one's topic.
    pub fn led(&self, whose: &str) -> Vec<u16> {
        self.led.iter().filter(|(name, _)| *name == whose).map(|(_, partition)| *partition).collect()
    }

    /// Asks one broker until it has named all; `tell` hears of each partition when the first broker names it.
    pub fn look(&self, broker: i32, port: u16, tell: &impl Fn(Place, i32)) {
        let names: Vec<&str> = self.topics.iter().map(|(_, topic)| topic.as_str()).collect();
        let (mut missing, mut asker) = (self.led.clone(), Asker::connect(port));
        while !missing.is_empty() && !self.has_ended.load(Ordering::Relaxed) {
            let answer = asker.as_mut().and_then(|asker| asker.leaders_of(&names));
            let at_us = now_us();
            if answer.is_none() {
                asker = Asker::connect(port);
            }
            let answer = answer.unwrap_or_default();
            for (whose, topic) in &self.topics {
                let leaders = answer.get(topic).map(Vec::as_slice).unwrap_or_default();
                for (partition, leader) in (0_u16..).zip(leaders.iter().copied()) {
                    let place = (*whose, partition);
                    if leader <= 0 || leader == self.victim || !missing.remove(&place) {
                        continue;
                    }
                    let mut named = self.named.lock().unwrap();
                    let namings = named.entry(place).or_default();
                    namings.push(Naming { by: broker, leader, at_us });
                    if namings.len() == 1 {
                        tell(place, leader);
                    }
                }
            }
            std::thread::sleep(ASK_EVERY);
        }
    }

    /// Until so many brokers have named all, and no longer than makes sense.
    pub fn wait(&self, brokers: usize) {
        let begin = Instant::now();
        let is_complete = || {
            let named = self.named.lock().unwrap();
            self.led.iter().all(|place| named.get(place).is_some_and(|namings| namings.len() == brokers))
        };
        while !is_complete() && begin.elapsed() < NAMED_LIMIT {
            std::thread::sleep(ASK_EVERY);
        }
        self.has_ended.store(true, Ordering::Relaxed);
    }

    /// What was seen, the first naming first.
    pub fn into_namings(self) -> BTreeMap<Place, Vec<Naming>> {
        let mut named = self.named.into_inner().unwrap();
        named.values_mut().for_each(|namings| namings.sort_by_key(|naming| naming.at_us));
        named
    }
}
