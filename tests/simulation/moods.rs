//! A seed about what brokers say: one odd answer after the other, or late, to what stands close together.

use crate::cluster::{FATAL, Fault, Kind as Cause, Profile, RELEASES};
use crate::plan::{Kind, Plan};
use crate::random::Random;
use kurier::protocol::broker_code as code;
use std::time::Duration;

/// Makes such a seed of it. What is so from the beginning on.
pub(crate) fn watch(plan: &mut Plan, profile: &mut Profile, random: &mut Random) -> Vec<Fault> {
    profile.topics.truncate(1);
    profile.topics.iter_mut().for_each(|topic| topic.partitions = topic.partitions.min(3));
    // All that can be asked about producers.
    profile.release = &RELEASES[random.range(5..=RELEASES.len() as u64 - 1) as usize];
    if random.chance(50) {
        // Who restarts is asked again, and knows less.
        (profile.brokers, profile.replication, profile.min_isr) = (1, 1, 1);
    }
    let is_late = random.chance(40);
    be_brisk(plan, if is_late { 300 } else { 20_000 }, random);
    profile.kinds = vec![Cause::Series; 4];
    plan.faults = vec![Kind::Cluster; 5];
    if is_late {
        plan.faults.extend([Kind::Pause; 3]);
    } else {
        profile.kinds.extend([Cause::CrashAt, Cause::Elect, Cause::Oddity, Cause::Oddity, Cause::Oddity]);
        plan.faults.extend([Kind::Restart; 4]);
    }
    if random.chance(30) {
        // They end the producer.
        profile.kinds.extend([Cause::LastWords, Cause::LastWords, Cause::RefuseFatal]);
    }
    plan.fault_count = random.range(10..=30);
    let mut opening = draw_opening(profile, random);
    if is_late {
        // Much is answered when its time is just over.
        let tardiness = random.millis(100..=600);
        let late = |node| Fault::SlowAnswers { node, span: plan.trouble, tardiness };
        opening.extend((1..=profile.brokers as i32).map(late));
    }
    opening
}

/// Many small batches, several on their way, and not much time for them.
fn be_brisk(plan: &mut Plan, more_ms: u64, random: &mut Random) {
    (plan.engine.acks, plan.engine.idempotent, plan.engine.retries) = (-1, true, u32::MAX);
    plan.engine.in_flight_max = random.range(2..=5) as usize;
    plan.engine.request_timeout = Duration::from_secs(1);
    plan.engine.delivery_timeout = plan.engine.request_timeout + Duration::from_millis(more_ms);
    plan.engine.retry_backoff = (Duration::from_millis(10), Duration::from_millis(100));
    plan.limits.delivery_timeout = plan.engine.delivery_timeout;
    plan.limits.linger = plan.limits.linger.min(Duration::from_millis(5));
    plan.trouble = Duration::from_secs(8);
    plan.burst = random.range(1..=10);
    plan.records = 600;
    plan.pause_us = 8_000_000 / (plan.records / u64::from(plan.senders) / plan.burst);
}

/// What it may have to begin with: no producer id, or no topic.
fn draw_opening(profile: &Profile, random: &mut Random) -> Vec<Fault> {
    let topic = profile.topics.first().map(|topic| topic.name.clone()).unwrap_or_default();
    // 0: the producer id that comes is none.
    let init = *random.pick(&[0, 0, code::NETWORK_EXCEPTION, FATAL[0]]).unwrap_or(&0);
    match random.below(10) {
        0 | 1 => vec![Fault::RefuseInit { code: init, times: 2 }],
        2 => vec![Fault::RefuseTopic { topic, code: code::UNKNOWN_SERVER_ERROR, times: 2 }],
        _ => Vec::new(),
    }
}
