//! One connection of the producer: the loop that ships, driven as its thread drives it.

use crate::random::Random;
use crate::trace::Trace;
use crate::wire::{Heard, Opening, Socket, Wire};
use kurier::engine::ConnectionNumber;
use kurier::io::{Host, Life, Network, Stream, Turn};
use kurier::time::Time;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where connections are started and woken: lists that the world looks at after everything it does.
#[derive(Default)]
pub(crate) struct Stage {
    wakers: Mutex<u32>,
    pub(crate) woken: Arc<Mutex<Vec<u32>>>,
    pub(crate) started: Mutex<Vec<ConnectionNumber>>,
}

/// The [`Host`] of a simulated network.
pub(crate) struct Staged(pub(crate) Arc<Stage>);

impl Host for Staged {
    fn waker(&self) -> Box<dyn Fn() + Send + Sync> {
        let mut wakers = self.0.wakers.lock().unwrap();
        let number = *wakers;
        *wakers += 1;
        let woken = Arc::clone(&self.0.woken);
        Box::new(move || woken.lock().unwrap().push(number))
    }

    fn start(&self, _network: &Arc<Network>, connection: ConnectionNumber) -> io::Result<()> {
        self.0.started.lock().unwrap().push(connection);
        Ok(())
    }

    fn join(&self) {}
}

#[derive(Clone, Copy, Debug)]
struct Sleep {
    writable: bool,
}

#[derive(Debug)]
enum Phase {
    Down,
    Connecting { link: u64, deadline: Time },
    Up { link: u64 },
    Ended,
}

/// What the world has to do for an actor after a step.
pub(crate) enum After {
    /// Step again at this moment, or when something is there for it.
    At(Time),
    /// It has ended.
    Never,
}

/// See the file's first line.
pub(crate) struct Actor {
    pub(crate) connection: ConnectionNumber,
    life: Life,
    phase: Phase,
    sleep: Option<Sleep>,
    /// The wake handle is set.
    pub(crate) woken: bool,
    /// Its next step is planned because of what is there for it.
    pub(crate) is_called: bool,
    /// Which step in the world's queue is the valid one.
    pub(crate) token: u64,
    pub(crate) starved_until: Time,
    /// Steps since anything moved, and since when.
    idle_steps: u32,
    idle_since: Time,
}

/// How an address is found.
pub(crate) trait Places {
    /// The node behind an address, from when on it hears of a connect, and whether that is refused at once.
    fn find(&mut self, host: &str, port: u16, now: Time) -> (i32, Time, bool);
}

/// Timer-driven steps of a second in which nothing moves.
const IDLE_STEPS_MAX: u32 = 400;

impl Actor {
    pub(crate) fn new(network: &Arc<Network>, connection: ConnectionNumber) -> Self {
        Self {
            connection,
            life: Life::new(Arc::clone(network), connection),
            phase: Phase::Down,
            sleep: None,
            woken: false,
            is_called: false,
            token: 0,
            starved_until: Time::ZERO,
            idle_steps: 0,
            idle_since: Time::ZERO,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    pub(crate) fn link(&self) -> Option<u64> {
        match self.phase {
            Phase::Up { link } | Phase::Connecting { link, .. } => Some(link),
            Phase::Down | Phase::Ended => None,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up { .. })
    }

    /// Does it sleep though there is something for it?
    pub(crate) fn is_ready(&self, wire: &Wire) -> bool {
        let Some(sleep) = self.sleep else { return false };
        self.woken || self.link().is_some_and(|link| is_link_ready(wire, link, sleep.writable))
    }

    /// What its thread does from one wait to the next. Fails if it turns in circles.
    pub(crate) fn step(
        &mut self,
        wire: &mut Wire,
        places: &mut dyn Places,
        heard: &mut Vec<Heard>,
        random: &mut Random,
        trace: &mut Trace,
        now: Time,
    ) -> Result<After, String> {
        let number = u64::from(self.connection.0);
        self.is_called = false;
        let mut moved = self.woken || self.is_ready(wire);
        if self.sleep.take().is_some() {
            self.life.wake_up();
            // The handle is cleared by the wait that saw it, and by no other.
            self.woken = false;
        }
        let (until, writable) = match self.phase {
            Phase::Ended => return Ok(After::Never),
            Phase::Connecting { link, deadline } => match self.connect_on(wire, link, deadline, heard, now) {
                Some(until) => (until, true),
                None => {
                    trace.event(now, "connect", &[number, link, u64::from(self.is_up())]);
                    (now, false)
                }
            },
            Phase::Down | Phase::Up { .. } => {
                let turn = match self.phase {
                    Phase::Up { link } => {
                        let mut socket = wire.socket(link, now);
                        let is_told = socket.as_ref().is_some_and(Socket::has_bytes);
                        let stream = socket.as_mut().map(|socket| socket as &mut dyn Stream);
                        let turn = self.life.turn(stream);
                        if let Some(socket) = socket {
                            if is_told && socket.read == 0 && matches!(turn, Turn::Wait { .. }) {
                                // A broker that writes and is not read does not read either, in the end.
                                return Err(String::from("a step reads nothing, although there is something"));
                            }
                            let written = socket.written.len() as u64;
                            moved |= socket.read + written > 0;
                            trace.event(now, "step", &[number, link, socket.read, written]);
                            if written > 0 {
                                heard.push(Heard::Written(link, socket.written));
                            }
                        }
                        turn
                    }
                    _ => self.life.turn(None),
                };
                match turn {
                    Turn::Wait { until, writable } => (until, writable),
                    Turn::Connect { host, port, deadline } => {
                        let (node, heard_from, refused) = places.find(&host, port, now);
                        let link = wire.connect(node, heard_from, refused, now);
                        trace.event(now, "connecting", &[number, link, node as u64]);
                        self.phase = Phase::Connecting { link, deadline };
                        (now, false)
                    }
                    Turn::Close(reason) => {
                        moved = true;
                        trace.say(now, "close", &format!("{number} {reason}"));
                        self.close(wire, heard, now);
                        self.life.disconnected(&reason);
                        (now, false)
                    }
                    Turn::End => {
                        self.phase = Phase::Ended;
                        return Ok(After::Never);
                    }
                }
            }
        };
        self.count(moved, now)?;
        let soon = now + Duration::from_nanos(random.range(500..=5_000));
        if until <= now || !self.life.fall_asleep(until) {
            return Ok(After::At(soon));
        }
        self.sleep = Some(Sleep { writable });
        Ok(After::At(until))
    }

    fn count(&mut self, moved: bool, now: Time) -> Result<(), String> {
        if moved || now.since(self.idle_since) > Duration::from_secs(1) {
            (self.idle_steps, self.idle_since) = (0, now);
        }
        self.idle_steps += 1;
        if self.idle_steps > IDLE_STEPS_MAX {
            let (number, since) = (self.connection.0, now.since(self.idle_since));
            return Err(format!("connection {number} spins: {IDLE_STEPS_MAX} steps in {since:?}, and nothing moved"));
        }
        Ok(())
    }

    /// `None`: it is decided.
    fn connect_on(
        &mut self,
        wire: &mut Wire,
        link: u64,
        deadline: Time,
        heard: &mut Vec<Heard>,
        now: Time,
    ) -> Option<Time> {
        // As the thread does: first what is due, then the look at the socket.
        let due = self.life.meanwhile(deadline);
        let opening = wire.links.get(&link).map_or(Opening::Refused, |link| link.opening);
        let failure = match (opening, due) {
            (Opening::Open, Ok(_)) => {
                self.phase = Phase::Up { link };
                self.life.connected();
                return None;
            }
            (Opening::Pending, Ok(until)) => return Some(until),
            (Opening::Refused, Ok(_)) => String::from("connection refused"),
            (_, Err(why)) => why,
        };
        self.close(wire, heard, now);
        self.life.failed(&failure);
        None
    }

    fn close(&mut self, wire: &mut Wire, heard: &mut Vec<Heard>, now: Time) {
        if let Some(link) = self.link() {
            heard.push(Heard::GivenUp(link));
            heard.extend(wire.drop_by_client(link, now));
        }
        self.phase = Phase::Down;
    }
}

fn is_link_ready(wire: &Wire, link: u64, writable: bool) -> bool {
    wire.links.get(&link).is_none_or(|link| link.is_ready(writable))
}
