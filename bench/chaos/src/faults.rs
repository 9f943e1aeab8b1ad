//! Carries out what a schedule says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::proxy::{Cut, PRODUCE, Way};
use crate::schedule::{BrokerFault, BrokerSchedule, NetworkFault, NetworkSchedule};
use crate::world::World;

/// The topics that faults are about.
#[derive(Clone, Debug)]
pub struct Targets {
    pub main: String,
    pub grown: String,
    pub recreated: String,
    /// How many partitions the topics begin with.
    pub grown_partitions: i32,
    pub recreated_partitions: i32,
}

/// The topic that grows has at most so many partitions.
const GROWN_MAX: i32 = 12;
/// The client id that a quota is for.
pub const CLIENT_ID: &str = "chaos";
const SLICE: Duration = Duration::from_millis(20);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Sleeps, unless the end comes first.
fn rest(time: Duration, ended: &AtomicBool) {
    let begin = Instant::now();
    while begin.elapsed() < time && !ended.load(Ordering::Relaxed) {
        std::thread::sleep(SLICE.min(time));
    }
}

/// Faults of brokers and topics, one after the other, until `ended`; all brokers run afterwards.
#[derive(Debug)]
pub struct Director<'a> {
    pub world: &'a World,
    pub targets: Targets,
    pub ended: &'a AtomicBool,
}

impl Director<'_> {
    /// `flow` waits until records flow; `renew` kills the producer and starts another.
    pub fn direct(&mut self, schedule: BrokerSchedule, mut flow: impl FnMut(), mut renew: impl FnMut()) {
        for (pause_ms, fault) in schedule {
            rest(millis(pause_ms), self.ended);
            flow();
            if self.ended.load(Ordering::Relaxed) {
                return;
            }
            if let BrokerFault::KillProducer = fault {
                renew();
                self.world.count("producer killed");
            } else {
                self.carry_out(fault);
            }
        }
    }

    fn carry_out(&mut self, fault: BrokerFault) {
        let world = self.world;
        match fault {
            BrokerFault::KillLeader { partition, down_ms } => {
                let leader = world.leader(&self.targets.main, partition);
                self.kill(leader, down_ms, "leader killed");
            }
            BrokerFault::KillController { down_ms } => {
                self.kill(world.controller(), down_ms, "controller killed");
            }
            BrokerFault::PauseLeader { partition, for_ms } => {
                self.pause(world.leader(&self.targets.main, partition), for_ms, "leader paused");
            }
            BrokerFault::PauseController { for_ms } => self.pause(world.controller(), for_ms, "controller paused"),
            BrokerFault::StopLeader { partition, down_ms } => {
                self.stop(world.leader(&self.targets.main, partition), down_ms, "leader restarted cleanly");
            }
            BrokerFault::RollingRestart => {
                (1..=3).for_each(|id| self.stop(id, 100, "broker restarted in a rolling restart"));
            }
            BrokerFault::KillWithPipeline { partition, hold_ms, is_clean } => {
                self.end_with_pipeline(world.leader(&self.targets.main, partition), hold_ms, is_clean);
            }
            BrokerFault::MoveLeaders { by } => {
                let main = self.targets.main.clone();
                self.command("leaders moved", &["rotate", &main, &by.to_string()]);
            }
            BrokerFault::Quota { bytes_per_s, for_ms } => {
                self.command("quota", &["quota", CLIENT_ID, &bytes_per_s.to_string()]);
                rest(millis(for_ms), self.ended);
                self.command("quota lifted", &["quota", CLIENT_ID, "0"]);
            }
            BrokerFault::RecreateTopic { gone_ms } => self.recreate(gone_ms),
            BrokerFault::AddPartitions => {
                if self.targets.grown_partitions < GROWN_MAX {
                    self.targets.grown_partitions += 1;
                    let (name, count) = (self.targets.grown.clone(), self.targets.grown_partitions.to_string());
                    self.command("partition added", &["grow", &name, &count]);
                }
            }
            BrokerFault::FillDisk { for_ms } => self.fill(for_ms),
            BrokerFault::KillProducer => {}
        }
    }

    /// What a broker that is down may refuse: then it is not counted.
    fn command(&self, what: &'static str, words: &[&str]) {
        match self.world.kafka.command(words) {
            Ok(_) => self.world.count(what),
            Err(_) => self.world.count("orders that the cluster refused"),
        }
    }

    fn start_again(&self, id: i32) {
        self.world.kafka.launch(id);
        self.world.kafka.wait_ready();
    }

    fn kill(&self, id: i32, down_ms: u64, what: &'static str) {
        self.world.kafka.kill(id);
        self.world.count(what);
        rest(millis(down_ms), self.ended);
        self.start_again(id);
    }

    fn stop(&self, id: i32, down_ms: u64, what: &'static str) {
        self.world.kafka.shut_down(id);
        self.world.count(what);
        rest(millis(down_ms), self.ended);
        self.start_again(id);
    }

    fn pause(&self, id: i32, for_ms: u64, what: &'static str) {
        self.world.kafka.pause(id);
        self.world.count(what);
        rest(millis(for_ms), self.ended);
        self.world.kafka.resume(id);
        self.world.kafka.wait_ready();
    }

    /// Requests pile up because answers are withheld; then the broker goes with what it appended unanswered.
    fn end_with_pipeline(&self, id: i32, hold_ms: u64, is_clean: bool) {
        let proxy = &self.world.proxies[usize::try_from(id - 1).unwrap()];
        proxy.hold(true);
        std::thread::sleep(millis(hold_ms));
        if is_clean {
            self.world.kafka.shut_down(id);
            self.world.count("leader restarted cleanly, its answers withheld");
        } else {
            self.world.kafka.kill(id);
            self.world.count("leader killed, its answers withheld");
        }
        proxy.cut_all(false);
        proxy.hold(false);
        self.start_again(id);
    }

    fn recreate(&self, gone_ms: u64) {
        let (name, count) = (&self.targets.recreated, self.targets.recreated_partitions.to_string());
        self.command("topic deleted", &["delete", name]);
        rest(millis(gone_ms), self.ended);
        let words = ["create", name, &count, "3", "retention.ms=-1"];
        // A name is free again only when its deletion is through.
        let begin = Instant::now();
        while self.world.kafka.command(&words).is_err() && begin.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(SLICE);
        }
        self.world.count("topic made again");
    }

    fn fill(&self, for_ms: u64) {
        let Some(disk) = self.world.disk.as_ref().filter(|disk| disk.is_mounted()) else { return };
        disk.fill();
        self.world.count("disk of broker 3 full");
        rest(millis(for_ms), self.ended);
        disk.free();
        // The directory stays out of use until the broker starts again, if it has not ended over it.
        self.world.kafka.kill(3);
        self.start_again(3);
    }
}

/// Faults of the network until `ended`; the proxies are as in the beginning afterwards.
pub fn disturb(world: &World, schedule: NetworkSchedule, ended: &AtomicBool) {
    for (pause_ms, broker, fault) in schedule {
        rest(millis(pause_ms), ended);
        if ended.load(Ordering::Relaxed) {
            break;
        }
        let proxy = &world.proxies[broker % world.proxies.len()];
        match fault {
            NetworkFault::CutAll { is_reset } => proxy.cut_all(is_reset),
            NetworkFault::CutRequest { permille, is_reset } => {
                proxy.cut(Cut { way: Way::Requests, api: PRODUCE, permille, is_reset });
            }
            NetworkFault::CutAnswer { permille, is_reset } => {
                proxy.cut(Cut { way: Way::Answers, api: PRODUCE, permille, is_reset });
            }
            NetworkFault::DelayRequests { by_ms, for_ms } => {
                proxy.delay(Way::Requests, millis(by_ms));
                world.count("requests delayed for a while");
                rest(millis(for_ms), ended);
                proxy.delay(Way::Requests, Duration::ZERO);
            }
            NetworkFault::DelayAnswers { by_ms, for_ms } => {
                proxy.delay(Way::Answers, millis(by_ms));
                world.count("answers delayed for a while");
                rest(millis(for_ms), ended);
                proxy.delay(Way::Answers, Duration::ZERO);
            }
            NetworkFault::HoldAndCut { for_ms } => {
                proxy.hold(true);
                world.count("answers withheld, then cut");
                rest(millis(for_ms), ended);
                proxy.cut_all(false);
                proxy.hold(false);
            }
            NetworkFault::HoldAndRelease { for_ms } => {
                proxy.hold(true);
                world.count("answers withheld for a while");
                rest(millis(for_ms), ended);
                proxy.hold(false);
            }
            NetworkFault::HalfOpen { for_ms } => {
                proxy.swallow(true);
                rest(millis(for_ms), ended);
                proxy.swallow(false);
            }
            NetworkFault::Refuse { for_ms } => {
                proxy.refuse(true);
                proxy.cut_all(true);
                world.count("connections refused for a while");
                rest(millis(for_ms), ended);
                proxy.refuse(false);
            }
        }
    }
    world.proxies.iter().for_each(crate::proxy::Proxy::repair);
}
