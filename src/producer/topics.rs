//! Topics as application threads see them: names and ids, partitions, and why there are none yet.

use super::partitioner::TopicPartitioner;
use crate::accumulator::Partition;
use crate::code::{Code, Error};
use crate::io::TopicBook;
use crate::sync::Shelf;
use crate::sync::atomic::{AtomicBool, Ordering};
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Ids of one producer: the lower 24 bits.
const TOPICS_MAX: usize = (1 << 24) - 1;

/// One topic. It has no lifetime: it stays as long as its producer.
pub(super) struct Topic {
    pub(super) id: u32,
    pub(super) name: Box<str>,
    pub(super) partitions: Shelf<Arc<Partition>>,
    pub(super) partitioner: TopicPartitioner,
    /// What the brokers last said while there were no partitions, and how often they said something.
    trouble: Mutex<(Option<Error>, u64)>,
    changed: Condvar,
}

impl Topic {
    /// Partitions that are known; 0 before the first metadata.
    #[inline]
    pub(super) fn count(&self) -> i32 {
        self.partitions.len() as i32
    }

    /// What the brokers said about it.
    pub(super) fn trouble(&self) -> Option<Error> {
        self.trouble.lock().0.clone()
    }

    /// How often they said something.
    pub(super) fn told(&self) -> u64 {
        self.trouble.lock().1
    }

    /// What they have said for certain since `told`.
    pub(super) fn refusal(&self, told: u64) -> Option<Error> {
        let trouble = self.trouble.lock();
        trouble.0.clone().filter(|error| !error.retriable && trouble.1 != told)
    }

    /// Waits at most `span` for partitions, or for a reason why there will be none that is newer than `told`; not if
    /// it `is_over`, which is looked at under the lock that [`Topics::wake_all`] takes.
    pub(super) fn wait(&self, span: Duration, told: u64, is_over: impl Fn() -> bool) {
        let mut trouble = self.trouble.lock();
        let refused = trouble.1 != told && trouble.0.as_ref().is_some_and(|error| !error.retriable);
        if !is_over() && self.count() == 0 && !refused {
            self.changed.wait_for(&mut trouble, span);
        }
    }

    /// Wakes whoever waits.
    fn wake(&self) {
        drop(self.trouble.lock());
        self.changed.notify_all();
    }
}

/// All topics of a producer.
pub(super) struct Topics {
    /// In the top byte of its ids: an id of another producer is noticed.
    tag: u32,
    table: Shelf<Topic>,
    ids: Mutex<BTreeMap<String, u32>>,
    seed: u64,
    /// A send went away without metadata, and wants to hear when there is some.
    missed: AtomicBool,
    grown: Box<dyn Fn() + Send + Sync>,
}

impl Topics {
    /// `grown` is called when there are partitions that a send missed.
    pub(super) fn new(tag: u8, seed: u64, grown: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            tag: u32::from(tag) << 24,
            table: Shelf::new(),
            ids: Mutex::new(BTreeMap::new()),
            seed,
            missed: AtomicBool::new(false),
            grown,
        }
    }

    /// A send goes away without metadata.
    pub(super) fn miss(&self) {
        self.missed.store(true, Ordering::Release);
    }

    /// The topic of this id.
    #[inline]
    pub(super) fn get(&self, id: u32) -> Result<&Topic, Code> {
        if id & 0xff00_0000 != self.tag {
            return Err(Code::INVALID_ARGUMENT);
        }
        let place = (id & 0x00ff_ffff) as usize;
        place.checked_sub(1).and_then(|place| self.table.get(place)).ok_or(Code::INVALID_ARGUMENT)
    }

    /// The topic of this name, which it gets an id for if it has none. True: it is new.
    pub(super) fn named(&self, name: &str) -> Result<(&Topic, bool), Code> {
        if !is_legal(name) {
            return Err(Code::INVALID_ARGUMENT);
        }
        let mut ids = self.ids.lock();
        if let Some(id) = ids.get(name) {
            return Ok((self.get(*id)?, false));
        }
        let place = self.table.len();
        if place >= TOPICS_MAX {
            return Err(Code::INTERNAL);
        }
        let id = self.tag | (place as u32 + 1);
        self.table.push(Topic {
            id,
            name: name.into(),
            partitions: Shelf::new(),
            partitioner: TopicPartitioner::new(self.seed ^ u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            trouble: Mutex::new((None, 0)),
            changed: Condvar::new(),
        });
        ids.insert(name.to_owned(), id);
        Ok((self.get(id)?, true))
    }

    /// Wakes whoever waits for metadata.
    pub(super) fn wake_all(&self) {
        self.table.iter().for_each(Topic::wake);
    }
}

/// Kafka's rules: 1 to 249 of `[a-zA-Z0-9._-]`, and neither `.` nor `..`.
fn is_legal(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=249).contains(&name.len()) && name.bytes().all(legal) && name != "." && name != ".."
}

impl TopicBook for Topics {
    fn grown(&self, topic: u32, partitions: &[Arc<Partition>]) {
        let Ok(topic) = self.get(topic) else { return };
        let mut trouble = topic.trouble.lock();
        // Under the lock, because two answers may arrive at once; there are never fewer than before.
        for partition in partitions.iter().skip(topic.partitions.len()) {
            topic.partitions.push(Arc::clone(partition));
        }
        trouble.0 = None;
        drop(trouble);
        topic.changed.notify_all();
        if self.missed.swap(false, Ordering::AcqRel) {
            (self.grown)();
        }
    }

    fn ended(&self) {
        self.wake_all();
    }

    fn failed(&self, topic: u32, error: Error) {
        let Ok(topic) = self.get(topic) else { return };
        let mut trouble = topic.trouble.lock();
        *trouble = (Some(error), trouble.1.wrapping_add(1));
        drop(trouble);
        topic.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_gives_the_same_id_and_ids_of_others_are_refused() {
        let (topics, others) = (Topics::new(1, 0, Box::new(|| ())), Topics::new(2, 0, Box::new(|| ())));
        let (first, new) = topics.named("a").unwrap();
        assert!(new && first.id == 0x0100_0001);
        assert!(!topics.named("a").unwrap().1);
        assert_eq!(topics.named("b").unwrap().0.id, 0x0100_0002);
        for id in [0, 1, 0x0100_0000, 0x0100_0003, others.named("a").unwrap().0.id] {
            assert_eq!(topics.get(id).err(), Some(Code::INVALID_ARGUMENT), "{id:#x}");
        }
    }

    #[test]
    fn names_follow_kafkas_rules() {
        let long = "x".repeat(249);
        for good in ["a", "A.b_c-9", "...", long.as_str()] {
            assert!(is_legal(good), "{good}");
        }
        let too_long = "x".repeat(250);
        for bad in ["", ".", "..", "a b", "a/b", "ä", too_long.as_str()] {
            assert!(!is_legal(bad), "{bad}");
        }
    }
}
