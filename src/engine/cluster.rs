//! What is known about the cluster: brokers, topics, and when each topic is to be asked for again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::route::Route;
use super::{ConnectionNumber, PartitionNumber, TopicNumber};
use crate::code::{Code, Error};
use crate::coverage::{Arm, reached};
use crate::protocol::messages::TopicUuid;
use crate::protocol::messages::metadata::MetadataBroker;
use crate::time::Time;

/// More brokers than this are not remembered.
const BROKERS_MAX: usize = 10_000;
/// One metadata request names at most this many topics; the others follow in the next.
const TOPICS_PER_REQUEST: usize = 5_000;

/// Where a broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    /// `None` if no connection can come of it, or if it does not belong into a log line.
    pub(super) fn checked(host: &str, port: i32) -> Option<Self> {
        let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
        let is_fine = !host.is_empty() && host.len() <= 255 && !host.chars().any(char::is_control);
        is_fine.then(|| Self { host: host.into(), port })
    }
}

/// A topic that the producer uses.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: String,
    /// Zeros if the brokers give no ids.
    pub(super) id: TopicUuid,
    /// By index.
    pub(super) partitions: Vec<PartitionNumber>,
    /// When something was last sent to it.
    pub(super) used: Time,
    /// When to ask for it, `NEVER`: not.
    pub(super) due: Time,
    /// Asked for because something is missing, not because of its age.
    pub(super) is_urgent: bool,
    /// It is in the request that is out.
    pub(super) is_asked: bool,
    /// Something called for a fresh answer while it was asked for.
    pub(super) is_stale: bool,
    /// When it was last answered.
    pub(super) answered: Option<Time>,
    /// Answers in a row that left something open.
    pub(super) failures: u32,
    pub(super) error: Option<Error>,
}

/// Brokers and topics.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    pub(super) brokers: BTreeMap<i32, Address>,
    /// The connection of each broker that ever led something of ours.
    pub(super) connections: BTreeMap<i32, ConnectionNumber>,
    pub(super) topics: BTreeMap<TopicNumber, Topic>,
    pub(super) names: BTreeMap<String, TopicNumber>,
    due: BTreeSet<(Time, TopicNumber)>,
    /// A metadata request is out.
    pub(super) is_asking: bool,
    /// Whom to ask for metadata.
    pub(super) route: Route,
}

impl Cluster {
    /// A topic is wanted from now on.
    pub(super) fn add(&mut self, number: TopicNumber, name: &str, now: Time) {
        if self.topics.contains_key(&number) || self.names.contains_key(name) {
            return;
        }
        self.names.insert(name.into(), number);
        let topic = Topic {
            name: name.into(),
            id: [0; 16],
            partitions: Vec::new(),
            used: now,
            due: Time::NEVER,
            is_urgent: true,
            is_asked: false,
            is_stale: false,
            answered: None,
            failures: 0,
            error: None,
        };
        self.topics.insert(number, topic);
        self.schedule(number, now, true);
    }

    /// Asks for the topic at `due` unless it is to be asked for earlier.
    pub(super) fn schedule(&mut self, number: TopicNumber, due: Time, urgent: bool) {
        let Some(topic) = self.topics.get_mut(&number) else { return };
        if topic.is_asked {
            topic.is_stale |= urgent;
            return;
        }
        if due < topic.due {
            self.due.remove(&(topic.due, number));
            self.due.insert((due, number));
            topic.due = due;
            topic.is_urgent = urgent;
        }
    }

    /// Something seems to have changed: ask soon, but not twice within the retry backoff.
    pub(super) fn refresh(&mut self, number: TopicNumber, wait: Duration, now: Time) {
        let Some(topic) = self.topics.get(&number) else { return };
        let due = topic.answered.map_or(now, |answered| now.max(answered + wait));
        self.schedule(number, due, true);
    }

    /// The topic is used: if it had fallen asleep it is asked for at once (KIP-526).
    pub(super) fn touch(&mut self, number: TopicNumber, now: Time) {
        let Some(topic) = self.topics.get_mut(&number) else { return };
        topic.used = topic.used.max(now);
        if topic.due == Time::NEVER && !topic.is_asked {
            self.schedule(number, now, true);
        }
    }

    /// When the next metadata request is due.
    pub(super) fn due(&self) -> Time {
        if self.is_asking { Time::NEVER } else { self.due.first().map_or(Time::NEVER, |(due, _)| *due) }
    }

    /// The topics of a request that goes out now; those that nobody uses any more fall asleep. Those that
    /// will be too old soon ride along.
    pub(super) fn ask(&mut self, age_max: Duration, idle_max: Duration, now: Time) -> Vec<TopicNumber> {
        if self.due() > now {
            return Vec::new();
        }
        let soon = now + age_max / 10;
        let mut asked = Vec::new();
        let candidates: Vec<_> = self.due.range(..=(soon, TopicNumber(u32::MAX))).copied().collect();
        for (due, number) in candidates {
            let Some(topic) = self.topics.get_mut(&number) else { continue };
            if (due > now && topic.is_urgent) || asked.len() >= TOPICS_PER_REQUEST {
                continue;
            }
            self.due.remove(&(due, number));
            topic.due = Time::NEVER;
            if now.since(topic.used) > idle_max {
                continue;
            }
            topic.is_asked = true;
            topic.is_stale = false;
            asked.push(number);
        }
        self.is_asking = !asked.is_empty();
        if self.is_asking {
            self.route.want(now);
        }
        asked
    }

    /// The request did not come back, or came back with nothing: these are to be asked for at `due`.
    pub(super) fn unask(&mut self, topics: &[TopicNumber], due: Time) {
        self.is_asking = false;
        for number in topics {
            if let Some(topic) = self.topics.get_mut(number) {
                topic.is_asked = false;
                self.schedule(*number, due, true);
            }
        }
    }

    /// Replaces the brokers by those of an answer. False: it names none.
    pub(super) fn learn_brokers(&mut self, brokers: &[MetadataBroker]) -> bool {
        let mut learned = BTreeMap::new();
        for broker in brokers.iter().take(BROKERS_MAX) {
            if let (0.., Some(address)) = (broker.node_id, Address::checked(&broker.host, broker.port)) {
                learned.entry(broker.node_id).or_insert(address);
            }
        }
        // An answer without brokers comes from one that is just starting; what we know is better.
        let names_some = !learned.is_empty();
        if names_some {
            self.brokers = learned;
        }
        names_some
    }
}

/// The error of a topic, as its senders are told.
pub(super) fn topic_error(name: &str, broker_code: i16) -> Error {
    let (arm, code, retriable, what) = match broker_code {
        3 => (Arm::TopicUnknown, Code::UNKNOWN_TOPIC, true, "the brokers do not have it"),
        5 => (Arm::TopicBeingMade, Code::UNKNOWN_TOPIC, true, "it is being created"),
        17 => (Arm::TopicInvalid, Code::REJECTED, false, "the brokers do not accept this name"),
        29 => (Arm::TopicNotAuthorized, Code::NOT_AUTHORIZED, false, "the brokers do not allow it"),
        _ => (Arm::TopicRefused, Code::REJECTED, true, "the brokers cannot say where it is"),
    };
    reached(arm);
    Error { code, broker_code, retriable, fatal: false, message: format!("topic {name}: {what}") }
}
