//! Followers fetch, the high watermark rises, and who lags behind is not in sync any more.

use super::Cluster;
use super::partition::Key;
use super::replica::{Progress, Replica, Role};
use super::timers::Event;

impl Cluster {
    /// A fetch of this follower, soon, unless one is under way.
    pub(super) fn plan_fetch(&mut self, key: Key, node: i32) {
        let (low, high) = self.profile.replication_us;
        let mut delay = self.random.micros(low..=high);
        let Some(broker) = self.brokers.get(&node).filter(|broker| broker.is_up) else { return };
        if self.now < broker.slow_until {
            delay += broker.slowness;
        }
        let replica = self.partitions.get_mut(&key).and_then(|partition| partition.replica_mut(node));
        let Some(replica) = replica.filter(|replica| !replica.is_fetching) else { return };
        replica.is_fetching = true;
        self.at_broker(node, self.now + delay, Event::Fetch { key, node });
    }

    /// Fetches to and from this broker begin again: whatever stood in their way is gone.
    pub(super) fn kick(&mut self, node: i32) {
        for (_, key) in self.present() {
            let Some(partition) = self.partitions.get(&key) else { continue };
            let Some(replica) = partition.replica(node) else { continue };
            let followers: Vec<i32> = match &replica.role {
                Role::Leader(leadership) => leadership.progress.keys().copied().collect(),
                _ => vec![node],
            };
            followers.into_iter().for_each(|follower| self.plan_fetch(key, follower));
        }
    }

    /// A follower takes what its leader has more. If either is not what the other takes it for, nothing happens, and
    /// what changes that begins it again.
    pub(super) fn fetch(&mut self, key: Key, node: i32) {
        let only_last = self.random.chance(50);
        let now = self.now;
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        let Some(follower) = partition.replica_mut(node) else { return };
        follower.is_fetching = false;
        let Role::Follower { leader, epoch, .. } = follower.role else { return };
        let hears = |node| self.brokers.get(&node).is_some_and(|broker| now >= broker.isolated_until);
        let is_peer_up = self.brokers.get(&leader).is_some_and(|broker| broker.is_up && !broker.is_paused);
        let is_peer_there = is_peer_up && hears(leader) && hears(node);
        let Some((follower, peer)) = partition.pair(node, leader) else { return };
        let leads = peer.leadership().is_some_and(|known| known.epoch == epoch);
        if !is_peer_there || !leads || now < peer.offline_until || now < follower.offline_until {
            return;
        }
        if let Role::Follower { aligned, .. } = &mut follower.role
            && !std::mem::replace(aligned, true)
        {
            let same = follower.same_as(&peer.entries);
            follower.truncate(same, only_last);
        }
        let have = follower.entries.len();
        for entry in peer.entries.iter().skip(have) {
            follower.append(entry.clone());
        }
        let watermark = peer.high_watermark;
        follower.high_watermark = watermark.min(follower.end());
        follower.log_start = peer.log_start.min(follower.high_watermark);
        let end = follower.end();
        let Some(leadership) = peer.leadership_mut() else { return };
        leadership.progress.insert(node, Progress { end, caught_up: now });
        if !leadership.isr.contains(&node) && end >= watermark {
            let mut isr = leadership.isr.clone();
            isr.push(node);
            self.alter_isr(key, leader, isr);
        }
        if self.raise_watermark(key, leader) && self.random.chance(50) {
            self.plan_fetch(key, node);
        }
    }

    /// The high watermark is where all in-sync replicas are. Those who waited for it get their answer.
    pub(super) fn raise_watermark(&mut self, key: Key, node: i32) -> bool {
        let min_isr = self.profile.min_isr;
        let is_named = self.is_named_leader(key, node);
        let holds = self.brokers.get(&node).is_some_and(|broker| broker.release.holds_watermark());
        let Some(partition) = self.partitions.get_mut(&key) else { return false };
        let Some(leader) = partition.replica_mut(node) else { return false };
        let Some(leadership) = leader.leadership() else { return false };
        if holds && leadership.isr.len() < min_isr {
            return false;
        }
        let others = leadership.isr.iter().filter(|other| **other != node);
        let ends = others.map(|other| leadership.progress.get(other).map_or(-1, |progress| progress.end));
        let watermark = ends.chain([leader.end()]).min().unwrap_or(0);
        if watermark <= leader.high_watermark {
            // What it promised before it was told that it leads under a new epoch.
            if is_named {
                partition.commit(node);
            }
            return false;
        }
        leader.high_watermark = watermark;
        let mut reached = Vec::new();
        leader.waiting.retain(|one| {
            if one.offset <= watermark {
                reached.push(*one);
            }
            one.offset > watermark
        });
        let enough = leader.leadership().is_some_and(|leadership| leadership.isr.len() >= min_isr);
        if is_named {
            partition.commit(node);
        }
        for one in reached {
            self.decided(one.ticket, one.place, enough);
        }
        true
    }

    /// A look at the followers when they could have lagged for too long, unless one is planned.
    pub(super) fn plan_watch(&mut self, key: Key, node: i32) {
        let at = self.now + self.profile.replica_lag_max;
        let replica = self.partitions.get_mut(&key).and_then(|partition| partition.replica_mut(node));
        let Some(leadership) = replica.and_then(Replica::leadership_mut) else { return };
        if !std::mem::replace(&mut leadership.is_watching, true) {
            let epoch = leadership.epoch;
            self.at_broker(node, at, Event::Watch { key, node, epoch });
        }
    }

    /// Followers in sync that lagged for too long are taken out.
    pub(super) fn watch(&mut self, key: Key, node: i32, epoch: i32) {
        let (now, lag_max) = (self.now, self.profile.replica_lag_max);
        let replica = self.partitions.get_mut(&key).and_then(|partition| partition.replica_mut(node));
        let Some(leader) = replica else { return };
        let end = leader.end();
        let Some(leadership) = leader.leadership_mut().filter(|known| known.epoch == epoch) else { return };
        leadership.is_watching = false;
        let progress = &leadership.progress;
        let behind = |other: &i32| *other != node && progress.get(other).is_none_or(|one| one.end < end);
        let lags =
            |other: &i32| behind(other) && progress.get(other).is_none_or(|one| now.since(one.caught_up) >= lag_max);
        let isr: Vec<i32> = leadership.isr.iter().copied().filter(|other| !lags(other)).collect();
        let is_any_behind = leadership.isr.iter().any(behind);
        if isr.len() < leadership.isr.len() && self.alter_isr(key, node, isr) {
            self.count("replicas out of sync");
            self.raise_watermark(key, node);
        }
        if is_any_behind {
            self.plan_watch(key, node);
        }
    }
}
