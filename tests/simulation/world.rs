//! The world of one seed: one queue of moments, and what happens at each.

use crate::actor::{Actor, After, Places, Stage, Staged};
use crate::application::{Book, Sender, Shop};
use crate::cluster::{Cluster, NEAR_THE_WRAP, Output, Profile};
use crate::moods;
use crate::plan::{Kind, Plan, Reading};
use crate::random::Random;
use crate::report::Report;
use crate::threads::Runner;
use crate::trace::Trace;
use crate::wire::{Heard, Wire};
use kurier::accumulator::Accumulator;
use kurier::delivery::Deliveries;
use kurier::engine::{ConnectionNumber, Level, TopicNumber};
use kurier::io::{Clock, Network, NetworkConfig, TopicBook, VirtualTime};
use kurier::time::Time;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What stands in the queue. Those of the producer's process wait while it stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Step(u32, u64),
    Send(usize),
    Read,
    Flush,
    Purge,
    /// An epoch that has to have ended by now.
    Due(u64),
    Trouble,
    Heal,
}

impl Event {
    fn is_of_process(self) -> bool {
        !matches!(self, Self::Trouble | Self::Heal)
    }
}

/// Nodes that answer no connect for a while.
#[derive(Default)]
pub(crate) struct Doors {
    pub(crate) addresses: Vec<(i32, String, u16)>,
    pub(crate) refusing: BTreeMap<i32, Time>,
    pub(crate) hanging: BTreeMap<i32, Time>,
}

impl Places for Doors {
    fn find(&mut self, host: &str, port: u16, now: Time) -> (i32, Time, bool) {
        let found = self.addresses.iter().find(|(_, other, at)| other == host && *at == port);
        let Some((node, _, _)) = found else { return (-1, now, true) };
        let until = |doors: &BTreeMap<i32, Time>| doors.get(node).copied().unwrap_or(Time::ZERO);
        (*node, until(&self.hanging), until(&self.refusing) > now)
    }
}

/// See the file's first line.
pub(crate) struct World {
    pub(crate) now: Time,
    time: Arc<VirtualTime>,
    pub(crate) wall_offset_ms: i64,
    queue: BinaryHeap<Reverse<(Time, u64, Event)>>,
    events: u64,
    pub(crate) random: Random,
    pub(crate) plan: Plan,
    pub(crate) trace: Trace,
    pub(crate) report: Report,
    pub(crate) cluster: Cluster,
    pub(crate) wire: Wire,
    pub(crate) doors: Doors,
    stage: Arc<Stage>,
    pub(crate) actors: Vec<Actor>,
    pub(crate) senders: Vec<Option<Runner>>,
    /// Those that stand still in the middle of an append.
    pub(crate) stopped: BTreeSet<usize>,
    pub(crate) shop: Shop,
    pub(crate) deliveries: Arc<Deliveries>,
    is_ready: Arc<AtomicBool>,
    is_read_planned: bool,
    /// Deliveries are read as soon as they are there, from the first on.
    pub(crate) reads_promptly: bool,
    log: Arc<Mutex<Vec<String>>>,
    pub(crate) topics: Vec<String>,
    pub(crate) paused_until: Time,
    /// When the process stood still.
    pub(crate) pauses: Vec<(Time, Time)>,
    pub(crate) is_healed: bool,
    pub(crate) healed_at: Time,
    pub(crate) heals_at: Time,
    pub(crate) is_closed: bool,
    pub(crate) violation: Option<String>,
}

/// Enough for every seed; more means that something turns in circles.
const EVENTS_MAX: u64 = 3_000_000;
const START: Time = Time(1_000_000_000);
/// 2026-11-22.
const WALL_MS: i64 = 1_795_305_600_000;

impl World {
    pub(crate) fn new(seed: u64, is_printed: bool) -> Self {
        let mut random = Random::new(seed);
        let mut profile = Profile::draw(&mut random);
        let mut plan = Plan::draw(&mut random, !profile.kinds.is_empty());
        // Drawn by themselves: every other draw stays what it is.
        let mut apart = Random::new(!seed);
        plan.engine.resend_unknown = apart.chance(5);
        if apart.chance(4) {
            plan.watch_succession();
            profile.have_heirs(&mut apart);
        }
        let mut moods = Random::new((!seed).rotate_left(32));
        let opening = if moods.chance(5) { moods::watch(&mut plan, &mut profile, &mut moods) } else { Vec::new() };
        if plan.engine.acks != -1 {
            // A leader that waits for nobody answers right after its own append: nothing can go wrong in between.
            profile.kinds.retain(|kind| *kind != crate::cluster::Kind::RefuseAfter);
        }
        profile.request_bytes_max = Some(plan.engine.request_bytes_max);
        // Rolling restarts may bring an older release: then nobody begins near the wrap.
        let is_old = profile.release.number < 205 || profile.kinds.contains(&crate::cluster::Kind::Rolling);
        if !is_old && random.chance(30) {
            profile.first_sequence = NEAR_THE_WRAP;
        }
        plan.engine.first_sequence = profile.first_sequence;
        let mut cluster = Cluster::new(profile, random.fork());
        opening.iter().for_each(|fault| cluster.inject(fault, START));
        let addresses = cluster.addresses();
        plan.engine.bootstrap = addresses.iter().take(3).map(|(_, host, port)| (host.clone(), *port)).collect();
        let topics: Vec<String> = cluster.topics().into_iter().map(|(name, _)| name).collect();
        let time = VirtualTime::at(START, WALL_MS);
        let is_ready = Arc::new(AtomicBool::new(false));
        let accumulator = Arc::new(Accumulator::new(&plan.limits, Box::new(|| ())));
        let ready = Arc::clone(&is_ready);
        let ready = Arc::new(move || ready.store(true, Ordering::Relaxed));
        let deliveries = Arc::new(Deliveries::new(Arc::clone(&accumulator), Some(ready), plan.by_callback));
        let book = Arc::new(Book::new(topics.len()));
        let stage = Arc::new(Stage::default());
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = Arc::clone(&log);
        let config = NetworkConfig {
            engine: plan.engine.clone(),
            seed: random.next(),
            codec: plan.codec,
            level: plan.codec.default_level(),
            canonical_bootstrap: false,
            send_buffer_bytes: None,
            receive_buffer_bytes: None,
            log: Some(Arc::new(move |level, line| lines.lock().unwrap().push(format!("{level:?}: {line}")))),
            log_level: Level::Debug,
        };
        let network = Network::start_on(
            Box::new(Staged(Arc::clone(&stage))),
            config,
            Arc::clone(&accumulator),
            Arc::clone(&deliveries),
            Arc::clone(&book) as Arc<dyn TopicBook>,
            Clock::showing(Arc::clone(&time)),
        );
        let network = network.unwrap();
        let shop = Shop::of(&plan, &accumulator, &network, &book, topics.len() as u32, random.next());
        let crumbs = plan.faults.contains(&Kind::Crumbs);
        let wire = Wire::new(plan.distance.clone(), plan.bytes_per_s, plan.socket_bytes, crumbs, random.fork());
        let records = plan.records / u64::from(plan.senders);
        let senders: Vec<_> = (0..plan.senders)
            .map(|number| {
                let sender = Sender::new(shop.clone(), number, records, random.fork());
                Some(Self::runner(sender, &plan, random.fork()))
            })
            .collect();
        Self {
            now: START,
            time,
            wall_offset_ms: 0,
            queue: BinaryHeap::new(),
            events: 0,
            senders,
            stopped: BTreeSet::new(),
            trace: Trace::new(is_printed),
            report: Report::default(),
            doors: Doors { addresses, ..Doors::default() },
            actors: Vec::new(),
            is_read_planned: false,
            reads_promptly: plan.reading == Reading::AtOnce,
            paused_until: Time::ZERO,
            pauses: Vec::new(),
            is_healed: false,
            healed_at: Time::NEVER,
            heals_at: START + plan.trouble,
            is_closed: false,
            violation: None,
            random,
            plan,
            cluster,
            wire,
            stage,
            shop,
            deliveries,
            is_ready,
            log,
            topics,
        }
    }

    #[cfg(feature = "simulation")]
    fn runner(sender: Sender, plan: &Plan, random: Random) -> Runner {
        match plan.stop_percent {
            0 => Runner::Inline(Box::new(sender)),
            percent => Runner::threaded(sender, percent, plan.engine.delivery_timeout * 2, random),
        }
    }

    #[cfg(not(feature = "simulation"))]
    fn runner(sender: Sender, _plan: &Plan, _random: Random) -> Runner {
        Runner::Inline(Box::new(sender))
    }

    pub(crate) fn network(&self) -> &Arc<Network> {
        &self.shop.network
    }

    pub(crate) fn accumulator(&self) -> &Arc<Accumulator> {
        &self.shop.accumulator
    }

    /// The first thing that is wrong is what is told.
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.trace.say(self.now, "VIOLATION", &what);
        self.violation.get_or_insert(what);
    }

    pub(crate) fn push(&mut self, at: Time, event: Event) {
        self.events += 1;
        self.queue.push(Reverse((at.max(self.now), self.events, event)));
    }

    pub(crate) fn push_after(&mut self, span: Duration, event: Event) {
        self.push(self.now + span, event);
    }

    /// Topics are registered, senders begin, and what is planned stands in the queue.
    pub(crate) fn begin(&mut self) {
        for (number, name) in (0..).zip(self.topics.clone()) {
            let now = self.now;
            self.network().visit(|engine| engine.add_topic(TopicNumber(number), &name, now));
        }
        for sender in 0..self.senders.len() {
            let span = Duration::from_micros(self.random.below(50_000));
            self.push_after(span, Event::Send(sender));
        }
        let trouble = self.plan.trouble.as_nanos() as u64;
        let at = |random: &mut Random| Duration::from_nanos(random.below(trouble));
        for (count, event) in [
            (self.plan.flushes, Event::Flush),
            (self.plan.purges, Event::Purge),
            (self.plan.fault_count, Event::Trouble),
        ] {
            for _ in 0..count {
                let span = at(&mut self.random);
                self.push_after(span, event);
            }
        }
        if self.plan.reading == Reading::Late {
            self.push_after(self.plan.trouble / 5, Event::Read);
        }
        self.push_after(self.plan.trouble / 8, Event::Due(u64::MAX));
        self.push_after(self.plan.trouble, Event::Heal);
        self.settle(Vec::new());
    }

    /// When something happens next.
    fn next(&self) -> Time {
        let queued = self.queue.peek().map_or(Time::NEVER, |Reverse((at, ..))| *at);
        queued.min(self.wire.next()).min(self.cluster.next()).max(self.now)
    }

    /// Lets everything happen until a moment, or until `is_over`.
    pub(crate) fn run(&mut self, until: Time, is_over: impl Fn(&Self) -> bool) {
        while self.violation.is_none() && !is_over(self) {
            let next = self.next();
            if next > until {
                self.set_time(until);
                break;
            }
            self.set_time(next);
            self.happen();
            self.report.events += 1;
            if self.report.events > EVENTS_MAX {
                self.fail("too many events: something turns in circles");
            }
        }
    }

    fn set_time(&mut self, now: Time) {
        self.now = now;
        let since_ms = now.since(START).as_millis() as i64;
        self.time.set(now, WALL_MS + since_ms + self.wall_offset_ms);
    }

    fn happen(&mut self) {
        let now = self.now;
        let mut heard = self.wire.advance(now);
        if self.cluster.next() <= now {
            self.cluster.advance(now);
        }
        if let Some(Reverse((at, _, event))) = self.queue.peek().copied()
            && at <= now
        {
            self.queue.pop();
            if event.is_of_process() && self.paused_until > now {
                self.push(self.paused_until, event);
            } else {
                self.handle(event, &mut heard);
            }
        }
        self.settle(heard);
    }

    fn handle(&mut self, event: Event, heard: &mut Vec<Heard>) {
        match event {
            Event::Step(connection, token) => self.step(connection, token, heard),
            Event::Send(sender) => self.send(sender),
            Event::Read => {
                self.is_read_planned = false;
                self.read();
                if self.plan.reading == Reading::Late && !self.is_closed {
                    let span = self.plan.trouble / 10 + Duration::from_micros(self.random.below(1_000_000));
                    self.plan_read(span);
                }
            }
            Event::Flush if !self.is_closed => {
                let epoch = self.accumulator().unfated.raise();
                self.accumulator().seal_all();
                self.trace.event(self.now, "flush", &[epoch]);
                self.expect_end(epoch);
            }
            Event::Purge if !self.is_closed => {
                let (queued, in_flight) = (self.random.chance(70), self.random.chance(50));
                let records = self.network().purge(queued, in_flight);
                self.trace.event(self.now, "purge", &[u64::from(queued), u64::from(in_flight), records as u64]);
                self.report.count("purged", records as u64);
            }
            Event::Flush | Event::Purge => {}
            Event::Due(u64::MAX) => {
                if !self.is_closed && !self.is_healed {
                    let epoch = self.accumulator().unfated.raise();
                    self.expect_end(epoch);
                    self.push_after(self.plan.trouble / 8, Event::Due(u64::MAX));
                }
            }
            Event::Due(epoch) => self.check_epoch(epoch),
            Event::Trouble => self.trouble(heard),
            Event::Heal => self.heal(),
        }
    }

    fn step(&mut self, connection: u32, token: u64, heard: &mut Vec<Heard>) {
        let now = self.now;
        let Some(actor) = self.actors.get_mut(connection as usize).filter(|actor| actor.token == token) else { return };
        if actor.starved_until > now {
            let at = actor.starved_until;
            return self.push(at, Event::Step(connection, token));
        }
        let (wire, doors, random) = (&mut self.wire, &mut self.doors, &mut self.random);
        match actor.step(wire, doors, heard, random, &mut self.trace, now) {
            Ok(After::At(at)) => {
                actor.token += 1;
                let token = actor.token;
                // A timer that ends is as late as a wake.
                let late = if at > now + Duration::from_micros(10) { self.lateness() } else { Duration::ZERO };
                if at != Time::NEVER {
                    self.push(at + late, Event::Step(connection, token));
                }
            }
            Ok(After::Never) => actor.token += 1,
            Err(violation) => self.fail(violation),
        }
    }

    fn lateness(&mut self) -> Duration {
        Duration::from_nanos(self.random.range(self.plan.latency.clone()))
    }

    /// From now on deliveries are read as they come.
    pub(crate) fn read_promptly(&mut self) {
        self.plan.reading = Reading::AtOnce;
        self.is_read_planned = false;
        self.plan_read(Duration::from_millis(1));
    }

    pub(crate) fn plan_read(&mut self, span: Duration) {
        if !self.is_read_planned {
            self.is_read_planned = true;
            self.push_after(span, Event::Read);
        }
    }

    /// Carries everything that the last event caused to where it causes something else.
    pub(crate) fn settle(&mut self, heard: Vec<Heard>) {
        for one in heard {
            self.tell_cluster(one);
        }
        for (link, output) in self.cluster.take_output() {
            self.trace.event(self.now, "answer", &[link]);
            match output {
                Output::Bytes(bytes) => self.wire.send(link, bytes, self.now),
                Output::Close => self.wire.end(link, self.now),
            }
        }
        for line in std::mem::take(&mut *self.log.lock().unwrap()) {
            self.trace.say(self.now, "log", &line);
        }
        let started = std::mem::take(&mut *self.stage.started.lock().unwrap());
        for connection in started {
            self.actors.push(Actor::new(&self.shop.network, connection));
            let late = self.lateness();
            self.push_after(late, Event::Step(connection.0, 0));
        }
        let woken = std::mem::take(&mut *self.stage.woken.lock().unwrap());
        for connection in woken {
            if let Some(actor) = self.actors.get_mut(connection as usize) {
                actor.woken = true;
            }
        }
        for place in 0..self.actors.len() {
            if self.actors[place].is_ready(&self.wire) && !self.actors[place].is_called {
                self.call(place);
            }
        }
        if self.is_ready.swap(false, Ordering::Relaxed) && self.plan.reading == Reading::AtOnce {
            let late = self.lateness();
            self.plan_read(late);
        }
        self.check_step();
    }

    /// Something is there for a sleeping actor: it runs soon.
    fn call(&mut self, place: usize) {
        let late = self.lateness();
        let actor = &mut self.actors[place];
        actor.is_called = true;
        actor.token += 1;
        let event = Event::Step(actor.connection.0, actor.token);
        self.push_after(late, event);
    }

    pub(crate) fn tell_cluster(&mut self, heard: Heard) {
        let now = self.now;
        match heard {
            Heard::Opened(link, node) => {
                let accepted = self.cluster.accept(node, link, now);
                self.trace.event(now, "accept", &[link, u64::from(accepted)]);
                self.wire.answer(link, accepted, now);
            }
            Heard::Written(link, bytes) => self.cluster.sent(link, &bytes),
            Heard::GivenUp(link) => self.cluster.abandon(link),
            Heard::Bytes(link, bytes) => {
                self.trace.event(now, "request bytes", &[link, bytes.len() as u64]);
                self.cluster.receive(link, &bytes, now);
            }
            Heard::Closed(link) => {
                self.trace.event(now, "closed", &[link]);
                self.cluster.close(link, now);
            }
        }
    }

    /// Ends every connection, as a stop does.
    pub(crate) fn stop_actors(&mut self) {
        self.network().begin_stop();
        for actor in &mut self.actors {
            actor.woken = true;
        }
        self.settle(Vec::new());
    }

    pub(crate) fn connections(&self) -> impl Iterator<Item = ConnectionNumber> {
        (0..self.actors.len() as u32).map(ConnectionNumber)
    }
}
