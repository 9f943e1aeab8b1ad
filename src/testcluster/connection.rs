//! One connection: reads requests, has them answered, and lets the faults have their way with the answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::answers::{self, Reply};
use super::clock::now;
use super::faults::{Hostile, Plan};
use super::frame::Frames;
use super::hostile;
use super::link::{Answer, Link};
use super::state::{Counters, Shared};
use super::versions::{self, APIS};
use crate::protocol::messages::ApiKey;
use crate::protocol::messages::header::{RequestHeader, response_frame};
use crate::protocol::wire::{Reader, Writer};

/// Only produce requests carry records; others that are larger mean no good.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// A request with what is to become of it.
pub(super) struct Request<'a> {
    pub(super) shared: &'a Shared,
    pub(super) link: &'a Link,
    /// Place in `versions::APIS`.
    pub(super) api_index: usize,
    pub(super) api: ApiKey,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
    pub(super) plan: Plan,
}

impl Request<'_> {
    /// The answer as a frame.
    pub(super) fn reply(&self, body: impl FnOnce(i16, &mut Writer)) -> Reply {
        self.reply_in(self.version, body)
    }

    /// The same in another version than was asked for.
    pub(super) fn reply_in(&self, version: i16, body: impl FnOnce(i16, &mut Writer)) -> Reply {
        response_frame(self.api, version, self.correlation_id, body).map_or(Reply::Close, Reply::Frame)
    }
}

/// Serves a connection until it is over.
pub(super) fn serve(shared: &Arc<Shared>, link: &Arc<Link>) {
    let mut frames = Frames::default();
    while let Some(frame) = frames.next(&mut link.stream()) {
        shared.wait_while_paused(link.broker, &link.closed);
        if link.is_closed() || !serve_one(shared, link, frame) {
            break;
        }
    }
    link.finish();
}

/// `false` if the connection is to be closed.
fn serve_one(shared: &Arc<Shared>, link: &Arc<Link>, frame: &[u8]) -> bool {
    let mut reader = Reader::new(frame);
    let Ok(header) = RequestHeader::decode(&mut reader) else { return false };
    let Some(api_index) = versions::index_of_number(header.api_key) else { return false };
    let Some((api, _)) = APIS.get(api_index).copied() else { return false };
    if api != ApiKey::Produce && frame.len() > REQUEST_BYTES_MAX {
        return false;
    }
    shared.counters.note_request(api_index, header.api_version);
    let (is_offered, plan) = {
        let mut state = shared.state.lock();
        let (min_version, max_version) = state.ranges.of(api_index);
        let is_offered = (min_version..=max_version).contains(&header.api_version);
        (is_offered, state.faults.plan(api_index, api == ApiKey::Produce))
    };
    if plan.cut {
        return false;
    }
    let request = Request {
        shared,
        link,
        api_index,
        api,
        version: header.api_version,
        correlation_id: header.correlation_id,
        plan,
    };
    let reply = if is_offered {
        answers::answer(&request, &mut reader)
    } else if api == ApiKey::ApiVersions {
        answers::unsupported_api_versions(&request)
    } else {
        Reply::Close
    };
    match reply {
        Reply::Close => false,
        _ if plan.drop => false,
        Reply::Nothing => true,
        Reply::Frame(_) if plan.muted => true,
        Reply::Frame(frame) => send(shared, link, &request, frame),
    }
}

fn send(shared: &Arc<Shared>, link: &Arc<Link>, request: &Request<'_>, mut frame: Vec<u8>) -> bool {
    let plan = &request.plan;
    let mut slow = false;
    if let Some(kind) = plan.hostile {
        slow = kind == Hostile::SlowByte;
        frame = hostile::spoil(kind, request.api, request.version, frame);
    }
    let due = (plan.delay > Duration::ZERO).then(|| now() + plan.delay);
    link.send(shared, Answer { bytes: frame, due, slow })
}

impl Counters {
    fn note_request(&self, api_index: usize, version: i16) {
        if let (Some(count), Some(last)) = (self.requests.get(api_index), self.versions.get(api_index)) {
            count.fetch_add(1, Ordering::Relaxed);
            last.store(version, Ordering::Relaxed);
        }
    }
}
