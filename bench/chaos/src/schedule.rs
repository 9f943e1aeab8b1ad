//! Which fault comes when: a seed decides, and nothing else.

use crate::random::Random;

/// What is done to brokers and topics, one after the other.
#[derive(Clone, Copy, Debug)]
pub enum BrokerFault {
    /// SIGKILL of the leader of a partition; it starts again after a while.
    KillLeader {
        partition: u64,
        down_ms: u64,
    },
    /// SIGKILL of the active controller.
    KillController {
        down_ms: u64,
    },
    /// SIGSTOP of the leader of a partition, then SIGCONT.
    PauseLeader {
        partition: u64,
        for_ms: u64,
    },
    PauseController {
        for_ms: u64,
    },
    /// SIGTERM of the leader of a partition: it hands its leaderships over before it goes.
    StopLeader {
        partition: u64,
        down_ms: u64,
    },
    /// All brokers, one after the other, each with SIGTERM.
    RollingRestart,
    /// Answers withheld, so that requests pile up; then the leader killed or stopped with all that in flight.
    KillWithPipeline {
        partition: u64,
        hold_ms: u64,
        is_clean: bool,
    },
    /// All leaders of the main topic move.
    MoveLeaders {
        by: u64,
    },
    Quota {
        bytes_per_s: u64,
        for_ms: u64,
    },
    RecreateTopic {
        gone_ms: u64,
    },
    AddPartitions,
    /// SIGKILL of the producer; another one takes its place.
    KillProducer,
    /// The file system of a broker's logs is full for a while.
    FillDisk {
        for_ms: u64,
    },
}

/// What the proxy in front of one broker does, beside all that.
#[derive(Clone, Copy, Debug)]
pub enum NetworkFault {
    CutAll { is_reset: bool },
    CutRequest { permille: u64, is_reset: bool },
    CutAnswer { permille: u64, is_reset: bool },
    DelayRequests { by_ms: u64, for_ms: u64 },
    DelayAnswers { by_ms: u64, for_ms: u64 },
    HoldAndCut { for_ms: u64 },
    HoldAndRelease { for_ms: u64 },
    HalfOpen { for_ms: u64 },
    Refuse { for_ms: u64 },
}

/// What else a run can do.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    pub kills_producers: bool,
    pub fills_disks: bool,
}

/// Broker faults without end: how long to wait before, and what.
#[derive(Debug)]
pub struct BrokerSchedule {
    random: Random,
    means: Means,
    /// Kinds that are still to come before every kind comes again.
    deck: Vec<u64>,
}

/// So many of [`DECK`] kinds are leaders killed; each other kind comes once.
const KILLS: u64 = 10;
const DECK: u64 = KILLS + 12;

impl BrokerSchedule {
    pub fn new(seed: u64, means: Means) -> Self {
        Self { random: Random::new(seed.wrapping_mul(2)), means, deck: Vec::new() }
    }

    /// Shuffled, so that every kind is met in every run of some minutes.
    fn kind(&mut self) -> u64 {
        if self.deck.is_empty() {
            self.deck = (0..DECK).collect();
            for last in (1..self.deck.len()).rev() {
                let other = self.random.between(0, last as u64);
                self.deck.swap(last, usize::try_from(other).unwrap());
            }
        }
        self.deck.pop().unwrap_or(0)
    }
}

impl Iterator for BrokerSchedule {
    type Item = (u64, BrokerFault);

    fn next(&mut self) -> Option<Self::Item> {
        let kind = self.kind();
        let random = &mut self.random;
        let pause_ms = random.between(200, 2500);
        let (partition, down_ms, for_ms) = (random.next() >> 32, random.between(100, 4000), random.between(500, 7000));
        let other = random.next() >> 32;
        let fault = match kind.checked_sub(KILLS) {
            Some(0) => BrokerFault::KillController { down_ms },
            Some(1) => BrokerFault::PauseLeader { partition, for_ms },
            Some(2) => BrokerFault::PauseController { for_ms },
            Some(3) if other & 3 == 0 => BrokerFault::RollingRestart,
            Some(3) => BrokerFault::StopLeader { partition, down_ms },
            Some(4) => BrokerFault::KillWithPipeline { partition, hold_ms: for_ms / 4, is_clean: true },
            Some(5) => BrokerFault::KillWithPipeline { partition, hold_ms: for_ms / 4, is_clean: false },
            Some(6) => BrokerFault::MoveLeaders { by: 1 + other % 2 },
            Some(7) => BrokerFault::Quota { bytes_per_s: 100_000 + other % 400_000, for_ms },
            Some(8) => BrokerFault::RecreateTopic { gone_ms: for_ms / 4 },
            Some(9) => BrokerFault::AddPartitions,
            Some(10) if self.means.kills_producers => BrokerFault::KillProducer,
            Some(11) if self.means.fills_disks => BrokerFault::FillDisk { for_ms },
            _ => BrokerFault::KillLeader { partition, down_ms },
        };
        Some((pause_ms, fault))
    }
}

/// Network faults without end: how long to wait before, which broker's proxy (from 0), and what.
#[derive(Debug)]
pub struct NetworkSchedule {
    random: Random,
}

impl NetworkSchedule {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed.wrapping_mul(2).wrapping_add(1)) }
    }
}

impl Iterator for NetworkSchedule {
    type Item = (u64, usize, NetworkFault);

    fn next(&mut self) -> Option<Self::Item> {
        let random = &mut self.random;
        let pause_ms = random.between(50, 2500);
        let broker = random.choose(&[0, 1, 2]);
        let (permille, by_ms, for_ms) = (random.between(0, 1000), random.between(1, 600), random.between(100, 2500));
        let is_reset = random.next() >> 40 & 1 == 0;
        let fault = match random.between(0, 99) {
            0..12 => NetworkFault::CutAll { is_reset },
            12..32 => NetworkFault::CutRequest { permille, is_reset },
            32..56 => NetworkFault::CutAnswer { permille, is_reset },
            56..64 => NetworkFault::DelayRequests { by_ms, for_ms },
            64..76 => NetworkFault::DelayAnswers { by_ms, for_ms },
            76..84 => NetworkFault::HoldAndCut { for_ms },
            84..88 => NetworkFault::HoldAndRelease { for_ms },
            88..94 => NetworkFault::HalfOpen { for_ms },
            _ => NetworkFault::Refuse { for_ms },
        };
        Some((pause_ms, broker, fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides() {
        let means = Means { kills_producers: true, fills_disks: true };
        let first = |seed| format!("{:?}", BrokerSchedule::new(seed, means).take(200).collect::<Vec<_>>());
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
        let kinds =
            ["KillController", "PauseLeader", "StopLeader", "KillProducer", "FillDisk", "RecreateTopic", "Quota"];
        assert!(kinds.iter().all(|kind| first(1).contains(kind)));
        let all: Vec<_> = BrokerSchedule::new(3, means).take(22).map(|(_, fault)| fault).collect();
        let kills = all.iter().filter(|fault| matches!(fault, BrokerFault::KillLeader { .. })).count();
        assert_eq!(kills, 10);
    }
}
