//! One connection: what it is connected to, the versions that were agreed on, the requests that are out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::identity::{ProducerIdentity, Stamp};
use super::{PartitionNumber, TopicNumber};
use crate::code::Error;
use crate::protocol::messages::api_versions::ApiRange;
use crate::protocol::messages::{ApiKey, TopicUuid};
use crate::time::{Schedule, Time};

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Down,
    Connecting,
    /// `ApiVersions` in this version is to be sent (`asked`: was sent).
    Handshaking {
        version: i16,
        asked: bool,
    },
    Ready,
}

/// A batch in a request.
#[derive(Debug)]
pub(super) struct Part<B> {
    pub(super) partition: PartitionNumber,
    pub(super) topic: TopicNumber,
    pub(super) topic_id: TopicUuid,
    pub(super) index: i32,
    /// [`super::sending::Batch::serial`].
    pub(super) serial: u64,
    pub(super) stamp: Option<Stamp>,
    pub(super) records: u32,
    /// The request's own hold on the bytes, whatever becomes of the batch (KAFKA-19012).
    pub(super) parcel: B,
}

/// A partition in a question about its producers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inquired {
    pub(super) partition: PartitionNumber,
    pub(super) topic: TopicNumber,
    pub(super) index: i32,
    /// Under which the batches are that it is about.
    pub(super) identity: ProducerIdentity,
}

/// What a request asked.
#[derive(Debug)]
pub(super) enum Ask<B> {
    Versions {
        version: i16,
    },
    Metadata {
        version: i16,
        topics: Vec<TopicNumber>,
    },
    Identity {
        version: i16,
    },
    /// Which partitions' producers the leader was asked for, in order of topic and index.
    Producers {
        asked: Vec<Inquired>,
    },
    /// `parts` in order of topic and index.
    Produce {
        version: i16,
        parts: Vec<Part<B>>,
    },
}

impl<B> Ask<B> {
    /// Which request it is, and in which version.
    pub(super) fn api(&self) -> (ApiKey, i16) {
        match self {
            Self::Versions { version } => (ApiKey::ApiVersions, *version),
            Self::Metadata { version, .. } => (ApiKey::Metadata, *version),
            Self::Identity { version } => (ApiKey::InitProducerId, *version),
            Self::Producers { .. } => (ApiKey::DescribeProducers, 0),
            Self::Produce { version, .. } => (ApiKey::Produce, *version),
        }
    }
}

/// A request that is out.
#[derive(Debug)]
pub(super) struct Flight<B> {
    pub(super) correlation_id: i32,
    pub(super) deadline: Time,
    /// Its last byte has left.
    pub(super) is_written: bool,
    pub(super) ask: Ask<B>,
}

/// A connection and its state; numbers are places in the engine's list.
#[derive(Debug)]
pub(super) struct Connection<B> {
    /// The broker it belongs to; `None` for the bootstrap connection.
    pub(super) node: Option<i32>,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) link: Link,
    /// Connecting and handshake end here at the latest.
    pub(super) setup_deadline: Time,
    /// No attempt before this.
    pub(super) not_before: Time,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Has answered more than a handshake since it was connected.
    pub(super) is_useful: bool,
    pub(super) versions: Vec<ApiRange>,
    pub(super) next_correlation_id: i32,
    pub(super) in_flight: VecDeque<Flight<B>>,
    /// Answered before their last byte had left: their bytes are held until it has.
    pub(super) answered: VecDeque<(i32, Vec<B>)>,
    pub(super) muted_until: Time,
    /// It has to be closed, because of this.
    pub(super) closing: Option<Error>,
    /// Partitions with a batch that may go, in the order of their turns.
    pub(super) ready: BTreeMap<u64, PartitionNumber>,
    /// Partitions whose offered batch may go.
    pub(super) offered: BTreeSet<PartitionNumber>,
    /// Partitions whose leader is to be asked what it has of them.
    pub(super) asking: BTreeSet<PartitionNumber>,
    pub(super) timers: Schedule,
    /// How many partitions need it.
    pub(super) busy: usize,
    /// When a byte of it was last seen or asked for.
    pub(super) used: Time,
    /// How many batches of the next request were compressed when its thread was asked to compress others.
    pub(super) prepared: Option<usize>,
    /// Its thread was woken and has not asked since.
    pub(super) is_woken: bool,
}

impl<B> Connection<B> {
    pub(super) fn new(node: Option<i32>, host: String, port: u16) -> Self {
        Self {
            node,
            host,
            port,
            link: Link::Down,
            setup_deadline: Time::NEVER,
            not_before: Time::ZERO,
            failures: 0,
            is_useful: false,
            versions: Vec::new(),
            next_correlation_id: 0,
            in_flight: VecDeque::new(),
            answered: VecDeque::new(),
            muted_until: Time::ZERO,
            closing: None,
            ready: BTreeMap::new(),
            offered: BTreeSet::new(),
            asking: BTreeSet::new(),
            timers: Schedule::default(),
            busy: 0,
            used: Time::ZERO,
            prepared: None,
            is_woken: false,
        }
    }

    /// May requests other than the handshake's go out, apart from their number.
    pub(super) fn is_open(&self, now: Time) -> bool {
        self.link == Link::Ready && self.closing.is_none() && self.muted_until <= now
    }

    /// The highest version that both sides speak, if any.
    pub(super) fn version(&self, api: ApiKey) -> Option<i16> {
        let range = self.versions.iter().find(|range| range.api_key == api as i16)?;
        let ours = api.client_range();
        let highest = range.max_version.min(*ours.end());
        (highest >= range.min_version.max(*ours.start())).then_some(highest)
    }

    /// Registers a request and gives it its correlation id.
    pub(super) fn send(&mut self, ask: Ask<B>, deadline: Time, now: Time) -> i32 {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id = correlation_id.wrapping_add(1) & i32::MAX;
        self.used = now;
        self.in_flight.push_back(Flight { correlation_id, deadline, is_written: false, ask });
        correlation_id
    }

    /// The correlation id that the next request will have.
    pub(super) fn correlation_id(&self) -> i32 {
        self.next_correlation_id
    }

    /// KIP-219: nothing goes out for a while, and that while does not count as waiting for answers.
    pub(super) fn mute(&mut self, until: Time, now: Time) {
        let extra = until.since(self.muted_until.max(now));
        self.muted_until = self.muted_until.max(until);
        for flight in &mut self.in_flight {
            flight.deadline = flight.deadline + extra;
        }
    }

    /// Marks it for closing; the first reason stands.
    pub(super) fn close(&mut self, reason: Error) {
        if self.link != Link::Down && self.closing.is_none() {
            self.closing = Some(reason);
        }
    }
}

/// What to do after an `ApiVersions` answer with an error.
///
/// Only `UNSUPPORTED_VERSION` has a next step: the highest version that the broker lists (since 2.4), else 0.
/// Each step goes down, so that a broker that lists nonsense cannot keep us asking (franz-go's
/// `TestAuditApiVersionsDowngradeLoopTerminates`). `None`: close.
pub(super) fn fallback(version: i16, error_code: i16, listed: &[ApiRange]) -> Option<i16> {
    if error_code != 35 || version <= 0 {
        return None;
    }
    let listed = listed.iter().find(|range| range.api_key == ApiKey::ApiVersions as i16);
    Some(listed.map(|range| range.max_version).filter(|highest| (0..version).contains(highest)).unwrap_or(0))
}
