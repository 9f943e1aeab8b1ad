//! A partition of one incarnation of a topic: its replicas, and what of it is promised to last.

use std::rc::Rc;

use super::replica::{Entry, Replica};

/// A partition: the topic's incarnation (each creation has its own number) and the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) topic: u32,
    pub(crate) index: i32,
}

/// All copies and the truth.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) topic: Rc<str>,
    pub(crate) append_time: bool,
    pub(crate) replicas: Vec<Replica>,
    /// What the high watermark of the leaders that the controller named has passed: in every log to come, unless
    /// somebody takes it away by force.
    pub(crate) truth: Vec<Entry>,
    /// Committed records were taken away.
    pub(crate) is_lost: bool,
}

impl Partition {
    pub(crate) fn replica(&self, node: i32) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.node == node)
    }

    pub(crate) fn replica_mut(&mut self, node: i32) -> Option<&mut Replica> {
        self.replicas.iter_mut().find(|replica| replica.node == node)
    }

    /// Two different ones.
    pub(crate) fn pair(&mut self, first: i32, second: i32) -> Option<(&mut Replica, &mut Replica)> {
        let at = self.replicas.iter().position(|replica| replica.node == first)?;
        let other = self.replicas.iter().position(|replica| replica.node == second)?;
        self.replicas.get_disjoint_mut([at, other]).ok().map(|[first, second]| (first, second))
    }

    /// What the named leader's high watermark has passed becomes the truth.
    pub(crate) fn commit(&mut self, node: i32) {
        let Some(at) = self.replicas.iter().position(|replica| replica.node == node) else { return };
        let leader = &self.replicas[at];
        let more = leader.entries.iter().skip(self.truth.len());
        let more = more.take_while(|entry| entry.end() <= leader.high_watermark);
        self.truth.extend(more.cloned());
    }

    /// What no replica has any more is lost, whoever leads: of what was committed, and of what its high watermark
    /// had passed (`passed`: so many batches), though the controller may not have known that it led.
    pub(crate) fn mourn(&mut self, node: i32, passed: usize) {
        let kept = self.replicas.iter().map(|replica| replica.same_as(&self.truth)).max().unwrap_or(0);
        let others = self.replicas.iter().filter(|replica| replica.node != node);
        let own = self.replica(node).map_or(0, |replica| replica.entries.len());
        let is_held = own >= passed || others.into_iter().any(|replica| replica.entries.len() >= passed);
        self.is_lost |= kept < self.truth.len() || !is_held;
        self.truth.truncate(kept);
    }

    /// A replica becomes leader: what it does not have is gone. Whether committed records were. After an unclean
    /// election nobody can be sure, for the leader before may promise more until it hears of it.
    pub(crate) fn elect(&mut self, node: i32, clean: bool) -> bool {
        let Some(replica) = self.replicas.iter().find(|replica| replica.node == node) else { return false };
        let kept = replica.same_as(&self.truth);
        let is_loss = kept < self.truth.len();
        self.truth.truncate(kept);
        self.is_lost |= is_loss || !clean;
        is_loss
    }
}
