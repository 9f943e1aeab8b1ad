//! How the cluster of one seed looks.

use std::time::Duration;

use crate::random::Random;

use super::faults::Kind;
use super::versions::{RELEASES, Release};

/// A topic of the cluster.
#[derive(Clone, Debug)]
pub(crate) struct TopicProfile {
    pub(crate) name: String,
    pub(crate) partitions: i32,
    /// LogAppendTime: the broker's clock gives the timestamps.
    pub(crate) append_time: bool,
    /// Else it is created when somebody asks for it.
    pub(crate) exists: bool,
}

/// Everything that is fixed for a seed.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    /// 1 to 9; their numbers are 1 and up.
    pub(crate) brokers: u32,
    pub(crate) release: &'static Release,
    pub(crate) replication: u32,
    pub(crate) min_isr: usize,
    pub(crate) topics: Vec<TopicProfile>,
    /// A batch above it gets MESSAGE_TOO_LARGE, by its size as it arrives.
    pub(crate) message_bytes_max: usize,
    /// What the client was told is the largest request; the sniffer looks at it.
    pub(crate) request_bytes_max: Option<usize>,
    /// A follower that becomes leader knows of each producer only the last batch, as after a restart.
    pub(crate) forgetful_followers: bool,
    /// The epoch that comes with a new producer id; near 32767 it runs out.
    pub(crate) first_epoch: i16,
    /// Where the client begins with a new producer id; near 2^31 it wraps. A broker before 2.5 knows only 0.
    pub(crate) first_sequence: i32,
    /// A producer that wrote nothing to a partition for so long can be forgotten there, and its records be taken by
    /// retention. A client must have given up on a batch long before.
    pub(crate) forget_after: Duration,
    /// After so long without a sign of life a broker is no leader any more.
    pub(crate) session_timeout: Duration,
    /// A follower that is behind for so long is not in sync any more.
    pub(crate) replica_lag_max: Duration,
    /// How long a fetch of a follower takes, in microseconds.
    pub(crate) replication_us: (u64, u64),
    /// How long a request stands in the broker's queue, in microseconds.
    pub(crate) processing_us: (u64, u64),
    /// The brokers' wall clock at moment 0.
    pub(crate) wall_ms: i64,
    /// What goes wrong with this seed; `Fault::draw` draws among these.
    pub(crate) kinds: Vec<Kind>,
}

/// A few batches before sequences wrap.
pub(crate) const NEAR_THE_WRAP: i32 = i32::MAX - 7;

const NAMES: [&str; 4] = ["payments", "orders", "a.topic_with-every.kind_of-letter.0", "t"];

impl Profile {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let brokers = match random.below(10) {
            0 | 1 => 1,
            2..=6 => 3,
            _ => random.range(1..=9),
        };
        let replication = random.range(1..=brokers.min(4)).max(random.range(1..=brokers.min(3)));
        let min_isr = random.range(1..=replication).min(random.range(1..=replication)) as usize;
        // The newest releases matter most.
        let release = random.range(0..=RELEASES.len() as u64 - 1).max(random.below(RELEASES.len() as u64));
        let message_bytes_max = if random.chance(15) { random.range(300..=4_000) } else { 1_048_588 };
        let first_epoch = if random.chance(10) { random.range(32_760..=32_767) } else { 0 };
        Self {
            brokers: brokers as u32,
            release: &RELEASES[release as usize],
            replication: replication as u32,
            min_isr,
            topics: Self::draw_topics(random),
            message_bytes_max: message_bytes_max as usize,
            request_bytes_max: None,
            forgetful_followers: random.chance(25),
            first_epoch: first_epoch as i16,
            first_sequence: 0,
            forget_after: Duration::from_secs(60 * random.range(6..=90)),
            session_timeout: random.millis(500..=10_000),
            replica_lag_max: random.millis(500..=10_000),
            replication_us: *random.pick(&[(50, 500), (200, 5_000), (1_000, 30_000)]).unwrap_or(&(50, 500)),
            processing_us: *random.pick(&[(10, 100), (20, 1_000), (100, 8_000)]).unwrap_or(&(10, 100)),
            wall_ms: 1_700_000_000_000 + random.below(100_000_000_000) as i64,
            kinds: Kind::swarm(random),
        }
    }

    /// Three replicas of everything, and leaders that are replaced soon.
    pub(crate) fn have_heirs(&mut self, random: &mut Random) {
        (self.brokers, self.replication) = (3, 3);
        self.min_isr = random.range(1..=2) as usize;
        self.release = &RELEASES[random.range(5..=RELEASES.len() as u64 - 1) as usize];
        self.forgetful_followers = random.chance(80);
        self.session_timeout = random.millis(300..=1_000);
        self.replica_lag_max = Duration::from_secs(10);
        self.topics.truncate(1);
        self.topics.iter_mut().for_each(|topic| topic.partitions = topic.partitions.min(3));
        self.kinds.clear();
    }

    fn draw_topics(random: &mut Random) -> Vec<TopicProfile> {
        let count = random.range(1..=3);
        let partitions_max = *random.pick(&[1, 3, 12]).unwrap_or(&1);
        let topic = |name: &&str| TopicProfile {
            name: (*name).to_owned(),
            partitions: random.range(1..=partitions_max) as i32,
            append_time: random.chance(20),
            exists: !random.chance(15),
        };
        NAMES.iter().take(count as usize).map(topic).collect()
    }

    /// One topic on a cluster where nothing is slow: for tests of the model itself.
    #[cfg(test)]
    pub(crate) fn plain(brokers: u32, replication: u32, partitions: i32) -> Self {
        let topic = TopicProfile { name: "t".to_owned(), partitions, append_time: false, exists: true };
        Self {
            brokers,
            release: &RELEASES[RELEASES.len() - 1],
            replication,
            min_isr: 1,
            topics: vec![topic],
            message_bytes_max: 1_048_588,
            request_bytes_max: None,
            forgetful_followers: false,
            first_epoch: 0,
            first_sequence: 0,
            forget_after: Duration::from_secs(3_600),
            session_timeout: Duration::from_secs(2),
            replica_lag_max: Duration::from_secs(2),
            replication_us: (500, 500),
            processing_us: (100, 100),
            wall_ms: 1_700_000_000_000,
            kinds: Vec::new(),
        }
    }
}
