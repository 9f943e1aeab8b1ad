//! Things that go wrong, drawn from the kinds of a seed.

use crate::cluster::Fault;
use crate::plan::Kind;
use crate::wire::{Heard, Pipe};
use crate::world::World;
use kurier::time::Time;
use std::time::Duration;

impl World {
    /// One fault of one of the seed's kinds.
    pub(crate) fn trouble(&mut self, heard: &mut Vec<Heard>) {
        if self.is_healed || self.plan.faults.is_empty() {
            return;
        }
        let place = self.random.below(self.plan.faults.len() as u64) as usize;
        let kind = self.plan.faults[place];
        let now = self.now;
        let until = (now + self.span()).min(self.heals_at.max(now));
        let did = match kind {
            Kind::Cluster => {
                let fault = Fault::draw(&self.cluster, &mut self.random);
                if let Some(fault) = &fault {
                    self.trace.explain(|| format!("{fault:?}"));
                    self.cluster.inject(fault, now);
                }
                fault.is_some()
            }
            Kind::Pause => {
                self.paused_until = self.paused_until.max(until);
                self.pauses.push((now, until));
                true
            }
            Kind::Starve => match self.actors.len() as u64 {
                0 => false,
                count => {
                    let place = self.random.below(count) as usize;
                    self.actors[place].starved_until = until;
                    self.pauses.push((now, until));
                    true
                }
            },
            Kind::Calendar => {
                let jump = self.random.below(200_000_000) as i64 - 100_000_000;
                self.wall_offset_ms += jump;
                true
            }
            Kind::Refuse | Kind::Hang => {
                let nodes: Vec<i32> = self.doors.addresses.iter().map(|(node, ..)| *node).collect();
                let doors = if kind == Kind::Refuse { &mut self.doors.refusing } else { &mut self.doors.hanging };
                for node in nodes {
                    if self.random.chance(50) {
                        doors.insert(node, until);
                    }
                }
                // Or nobody would connect.
                self.reset_one(heard) | true
            }
            Kind::Crumbs => true,
            Kind::Isolate => self.isolate(),
            Kind::Restart => self.restart(),
            Kind::Succession => self.succeed(),
            Kind::Reset => self.reset_one(heard),
            Kind::Delay | Kind::Cut | Kind::HalfOpen | Kind::Deaf | Kind::LateAnswer | Kind::LateRequest => {
                self.harm_links(kind, until)
            }
        };
        if did {
            self.trace.say(now, "fault", &kind.name());
            self.report.count(&format!("fault {}", kind.name()), 1);
        }
    }

    /// For how long something lasts: about a request timeout, or the time of trouble, or much less.
    fn span(&mut self) -> Duration {
        let longest = match self.random.below(4) {
            0 => Duration::from_millis(20),
            1 => self.plan.engine.request_timeout * 2,
            2 => self.plan.trouble,
            _ => self.plan.engine.request_timeout + Duration::from_millis(500),
        };
        Duration::from_nanos(self.random.below(longest.as_nanos() as u64))
    }

    fn open_links(&self) -> Vec<u64> {
        self.wire.links.iter().filter(|(_, link)| link.is_open()).map(|(id, _)| *id).collect()
    }

    fn reset_one(&mut self, heard: &mut Vec<Heard>) -> bool {
        let links = self.open_links();
        let Some(link) = self.random.pick(&links).copied() else { return false };
        heard.extend(self.wire.reset(link, self.now));
        true
    }

    /// The client loses the broker with what was not answered, and finds it again at any time, often when the oldest
    /// of these records were given up and others not yet.
    fn isolate(&mut self) -> bool {
        let Some(node) = self.connected_broker() else { return false };
        let (now, after) = (self.now, self.random.millis(0..=1_000));
        let early = if self.random.chance(70) { self.plan.engine.delivery_timeout } else { Duration::ZERO };
        let refused = early + self.random.millis(0..=300);
        let span = refused + Duration::from_secs(10);
        self.cluster.inject(&Fault::Isolate { node, after, span }, now);
        let lost = now + after.max(self.random.millis(0..=1_000));
        self.lose_answers(node, lost);
        self.doors.refusing.insert(node, (now + refused).min(self.heals_at.max(now)));
        true
    }

    fn restart(&mut self) -> bool {
        let Some(node) = self.connected_broker() else { return false };
        let (now, clean) = (self.now, self.random.chance(50));
        let (after, down) = (self.random.millis(1..=1_000), self.random.millis(1..=1_000));
        self.cluster.inject(&Fault::Restart { node, after, clean, down }, now);
        self.lose_answers(node, now + after);
        true
    }

    fn succeed(&mut self) -> bool {
        let Some(node) = self.connected_broker() else { return false };
        let (after, slowness) = (self.random.millis(500..=3_000), self.random.millis(300..=2_000));
        let reign = self.random.millis(100..=1_000);
        self.cluster.inject(&Fault::Succession { node, after, slowness, reign }, self.now);
        self.lose_answers(node, self.now + after);
        true
    }

    fn connected_broker(&mut self) -> Option<i32> {
        let links = self.open_links();
        let chosen = self.random.pick(&links)?;
        self.wire.links.get(chosen).map(|link| link.node)
    }

    /// No answer of the broker arrives any more, and at this moment its connections end.
    fn lose_answers(&mut self, node: i32, at: Time) {
        for link in self.wire.links.values_mut().filter(|link| link.node == node) {
            link.down.held_until = link.down.held_until.max(at);
            link.down.cut_after = Some(0);
        }
    }

    /// One connection, or all of one broker's.
    fn harm_links(&mut self, kind: Kind, until: Time) -> bool {
        let links = self.open_links();
        let Some(chosen) = self.random.pick(&links).copied() else { return false };
        let node = self.wire.links.get(&chosen).map_or(-1, |link| link.node);
        let is_wide = self.random.chance(40);
        let (upward, downward) = match self.random.below(3) {
            0 => (true, false),
            1 => (false, true),
            _ => (true, true),
        };
        let bytes = match self.random.below(3) {
            0 => self.random.below(10),
            1 => self.random.below(400),
            _ => self.random.below(20_000),
        };
        let now = self.now;
        for (id, link) in &mut self.wire.links {
            if *id != chosen && !(is_wide && link.node == node) {
                continue;
            }
            let hold = |pipe: &mut Pipe| pipe.held_until = pipe.held_until.max(until);
            match kind {
                Kind::Delay => {
                    let short = now + until.since(now) / 10;
                    link.up.held_until = link.up.held_until.max(short);
                    link.down.held_until = link.down.held_until.max(short);
                }
                Kind::Deaf | Kind::LateRequest => hold(&mut link.up),
                Kind::LateAnswer => hold(&mut link.down),
                Kind::HalfOpen => {
                    link.up.vanishes |= upward;
                    link.down.vanishes |= downward;
                }
                _ => {
                    let pipe = if upward { &mut link.up } else { &mut link.down };
                    pipe.cut_after = Some(bytes as usize);
                }
            }
        }
        true
    }

    /// No more faults; what is well again stays so.
    pub(crate) fn heal(&mut self) {
        let now = self.now;
        self.trace.say(now, "heal", "");
        self.is_healed = true;
        self.healed_at = self.healed_at.min(now);
        self.doors.refusing.clear();
        self.doors.hanging.clear();
        self.wire.heal(now);
        self.cluster.heal(now);
    }
}
