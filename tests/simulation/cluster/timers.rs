//! What will happen, in the order in which it will.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use kurier::time::Time;

use super::controller::Image;
use super::partition::Key;
use super::versions::Release;

/// Something that happens at a moment.
#[derive(Debug)]
pub(crate) enum Event {
    /// A request handler takes the connection's next request.
    Process { connection: u64 },
    /// An answer goes out; `ends`: and the connection is closed.
    Answer { connection: u64, bytes: Vec<u8>, ends: bool },
    /// The request waited long enough for its replicas.
    GiveUp { ticket: u64 },
    /// A follower fetches from its leader.
    Fetch { key: Key, node: i32 },
    /// A leader looks who lags behind.
    Watch { key: Key, node: i32, epoch: i32 },
    /// A broker learns what the controller decided.
    Learn { node: i32, image: Rc<Image> },
    /// The controller has not heard of a broker for too long.
    Fence { node: i32, generation: u64 },
    /// A broker starts again.
    Start { node: i32, generation: u64 },
    /// A broker that was stopped by SIGSTOP goes on.
    Resume { node: i32, generation: u64 },
    /// A broker that the controller could not reach is reached again.
    Rejoin { node: i32, until: Time },
    /// No other broker hears of this one any more.
    Isolate { node: i32, span: Duration },
    /// One step of a rolling restart.
    Roll { node: i32, clean: bool, down: Duration, release: Option<&'static Release> },
    /// The controller learns that a leader's log directory failed.
    Replace { key: Key, node: i32 },
    /// A log directory works again.
    Repair { key: Key, node: i32 },
    /// A topic comes to be.
    CreateTopic { name: String },
}

/// A broker and its life at that time: what a broker does ends with it.
pub(crate) type Life = (i32, u64);

/// One event that was set.
pub(crate) type Alarm = (Time, u64);

/// All events to come.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    events: BTreeMap<Alarm, (Event, Option<Life>)>,
    count: u64,
}

impl Timers {
    /// Answers what takes it back.
    pub(crate) fn set(&mut self, at: Time, event: Event, life: Option<Life>) -> Alarm {
        self.count += 1;
        if at != Time::NEVER {
            self.events.insert((at, self.count), (event, life));
        }
        (at, self.count)
    }

    pub(crate) fn cancel(&mut self, alarm: Alarm) {
        self.events.remove(&alarm);
    }

    /// Takes away what would go wrong later.
    pub(crate) fn drop_faults(&mut self) {
        self.events.retain(|_, (event, _)| !matches!(event, Event::Roll { .. } | Event::Isolate { .. }));
    }

    pub(crate) fn next(&self) -> Time {
        self.events.first_key_value().map_or(Time::NEVER, |((at, _), _)| *at)
    }

    pub(crate) fn pop(&mut self, now: Time) -> Option<(Time, Event, Option<Life>)> {
        if self.next() > now {
            return None;
        }
        self.events.pop_first().map(|((at, _), (event, life))| (at, event, life))
    }
}
