//! What commands do.

use super::Cluster;
use super::command::{Command, invalid};
use super::faults::Faults;
use super::state::{PARTITIONS_MAX, State};
use super::versions::{APIS, Ranges};
use crate::code::{Code, Error, Result};

/// Carries a command out.
pub(super) fn apply(cluster: &Cluster, command: Command) -> Result<()> {
    match command {
        Command::Stop(broker) => stop(cluster, broker),
        Command::Start(broker) => start(cluster, broker),
        Command::Pause(broker) => set_paused(cluster, broker, true),
        Command::Resume(broker) => set_paused(cluster, broker, false),
        Command::Reset => reset(cluster),
        command => {
            apply_to_state(&mut cluster.shared.state.lock(), command)?;
            // A fetch that waits looks again: its partition may be gone or elsewhere.
            cluster.shared.note_arrival();
            Ok(())
        }
    }
}

fn set_paused(cluster: &Cluster, broker: i32, paused: bool) -> Result<()> {
    check_broker(&cluster.shared.state.lock(), broker)?;
    cluster.shared.set_paused(broker, paused);
    Ok(())
}

/// All but what concerns a broker's threads, which is not done under the state's lock.
fn apply_to_state(state: &mut State, command: Command) -> Result<()> {
    let faults = &mut state.faults;
    match command {
        Command::Create { topic, partitions, log_append_time, max_message_bytes } => {
            create(state, &topic, partitions, log_append_time, max_message_bytes)?;
        }
        Command::Delete { topic } => {
            if !state.delete(&topic) {
                return Err(unknown_topic(&topic));
            }
        }
        Command::Partitions { topic, partitions } => grow(state, &topic, partitions)?,
        Command::Leader { topic, partition, broker } => move_leader(state, &topic, partition, broker)?,
        Command::Fail(failure) => faults.failures.push(failure),
        Command::Delay { api: Some(api), delay } => {
            faults.delays.insert(api, delay);
        }
        Command::Delay { api: None, delay } => {
            faults.delay = delay;
            faults.delays.clear();
        }
        Command::Drop(count) => faults.drops = count,
        Command::Cut(count) => faults.cuts = count,
        Command::Mute(api) => {
            faults.muted.insert(api);
        }
        Command::Throttle { api, throttle_ms, count } => {
            faults.throttles.insert(api, (throttle_ms, count));
        }
        Command::Forget => state.partitions().for_each(|partition| partition.lock().producers.forget()),
        Command::ForgetButLast => {
            state.partitions().for_each(|partition| partition.lock().producers.forget_but_last());
        }
        Command::StaleProducers(count) => faults.stale_producers = count,
        Command::Versions { api, min_version, max_version } => state.ranges.set(api, min_version, max_version),
        Command::Profile(ranges) => state.ranges = ranges,
        Command::Hostile { kind, api: Some(api), count } => {
            faults.hostile.insert(api, (kind, count));
        }
        Command::Hostile { kind, api: None, count } => {
            faults.hostile = (0..APIS.len()).map(|api| (api, (kind, count))).collect();
        }
        Command::MaxMessageBytes(bytes) => state.max_message_bytes = bytes,
        Command::Retain(bytes) => {
            state.retain_bytes = bytes;
            state.partitions().for_each(|partition| partition.lock().log.shrink(bytes));
        }
        Command::Stop(_) | Command::Start(_) | Command::Pause(_) | Command::Resume(_) | Command::Reset => {}
    }
    Ok(())
}

fn unknown_topic(topic: &str) -> Error {
    Error::new(Code::UNKNOWN_TOPIC, format!("there is no topic `{topic}`"))
}

fn check_broker(state: &State, broker: i32) -> Result<()> {
    let count = state.nodes.len();
    state.node(broker).map(|_| ()).ok_or_else(|| invalid(format!("the brokers are 1 to {count}, there is no {broker}")))
}

fn create(
    state: &mut State,
    topic: &str,
    partitions: i32,
    log_append_time: bool,
    max_message_bytes: Option<usize>,
) -> Result<()> {
    if !(1..=PARTITIONS_MAX).contains(&partitions) {
        return Err(invalid(format!("a topic has 1 to {PARTITIONS_MAX} partitions, not {partitions}")));
    }
    if state.topics.contains_key(topic) {
        return Err(invalid(format!("there is a topic `{topic}` already")));
    }
    let created = state.create(topic, partitions, log_append_time, max_message_bytes);
    created.map(|_| ()).map_err(|_| invalid(format!("`{topic}` cannot be the name of a topic, or there are too many")))
}

fn grow(state: &mut State, topic: &str, partitions: i32) -> Result<()> {
    let wanted = usize::try_from(partitions).ok().filter(|_| partitions <= PARTITIONS_MAX);
    let count = state.topics.get(topic).map(|topic| topic.partitions.len()).ok_or_else(|| unknown_topic(topic))?;
    match wanted {
        Some(wanted) if state.grow(topic, wanted) => Ok(()),
        _ => Err(invalid(format!("a topic of {count} partitions cannot have {partitions}"))),
    }
}

fn move_leader(state: &mut State, topic: &str, partition: i32, broker: i32) -> Result<()> {
    if broker != -1 {
        check_broker(state, broker)?;
    }
    let found = state.topics.get(topic).ok_or_else(|| unknown_topic(topic))?;
    let place = usize::try_from(partition).ok();
    let found = place.and_then(|place| found.partitions.get(place)).ok_or_else(|| {
        Error::new(Code::UNKNOWN_PARTITION, format!("the topic `{topic}` has no partition {partition}"))
    })?;
    let mut found = found.lock();
    found.leader_removed = broker == -1;
    found.move_leader(broker);
    Ok(())
}

fn stop(cluster: &Cluster, broker: i32) -> Result<()> {
    let mut brokers = cluster.brokers.lock();
    check_broker(&cluster.shared.state.lock(), broker)?;
    if let Some(stopped) = brokers.iter_mut().find(|one| one.id == broker) {
        stopped.stop(&cluster.shared);
    }
    // After its last answer: what it appended it appended as the leader.
    cluster.shared.state.lock().leave(broker);
    cluster.shared.set_paused(broker, false);
    cluster.shared.note_arrival();
    Ok(())
}

fn start(cluster: &Cluster, broker: i32) -> Result<()> {
    let mut brokers = cluster.brokers.lock();
    check_broker(&cluster.shared.state.lock(), broker)?;
    if let Some(started) = brokers.iter_mut().find(|one| one.id == broker) {
        started.start(&cluster.shared).map_err(|error| {
            Error::new(Code::INTERNAL, format!("broker {broker} cannot listen on its port again: {error}"))
        })?;
    }
    cluster.shared.state.lock().join(broker);
    cluster.shared.note_arrival();
    Ok(())
}

fn reset(cluster: &Cluster) -> Result<()> {
    let nodes = {
        let mut state = cluster.shared.state.lock();
        state.faults = Faults::default();
        state.ranges = Ranges::default();
        state.nodes.clone()
    };
    for node in nodes {
        cluster.shared.set_paused(node.id, false);
        if !node.live {
            start(cluster, node.id)?;
        }
    }
    cluster.shared.state.lock().elect();
    cluster.shared.note_arrival();
    Ok(())
}
