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
}

impl BrokerSchedule {
    pub fn new(seed: u64, means: Means) -> Self {
        Self { random: Random::new(seed.wrapping_mul(2)), means }
    }
}

impl Iterator for BrokerSchedule {
    type Item = (u64, BrokerFault);

    fn next(&mut self) -> Option<Self::Item> {
        let random = &mut self.random;
        let pause_ms = random.between(200, 3000);
        let (partition, down_ms, for_ms) = (random.next() >> 32, random.between(100, 5000), random.between(500, 7000));
        let (other, roll) = (random.next() >> 32, random.between(0, 99));
        let fault = match roll {
            0..55 => BrokerFault::KillLeader { partition, down_ms },
            55..60 => BrokerFault::KillController { down_ms },
            60..67 => BrokerFault::PauseLeader { partition, for_ms },
            67..69 => BrokerFault::PauseController { for_ms },
            69..73 => BrokerFault::StopLeader { partition, down_ms },
            73..75 => BrokerFault::RollingRestart,
            75..81 => BrokerFault::KillWithPipeline { partition, hold_ms: for_ms / 4, is_clean: other & 1 == 0 },
            81..86 => BrokerFault::MoveLeaders { by: 1 + other % 2 },
            86..89 => BrokerFault::Quota { bytes_per_s: 100_000 + other % 400_000, for_ms },
            89..92 => BrokerFault::RecreateTopic { gone_ms: for_ms / 4 },
            92..94 => BrokerFault::AddPartitions,
            94..97 if self.means.kills_producers => BrokerFault::KillProducer,
            97.. if self.means.fills_disks => BrokerFault::FillDisk { for_ms },
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
        assert!(["KillLeader", "KillProducer", "FillDisk"].iter().all(|kind| first(1).contains(kind)));
    }
}
