//! Everything that can go wrong, and how it is drawn.

use std::time::Duration;

use kurier::protocol::broker_code as code;

use crate::random::Random;

use super::Cluster;
use super::broker::Point;
use super::lies::Lie;
use super::refusals::{Oddity, When};
use super::versions::{RELEASES, Release};

/// Something that goes wrong now.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// SIGKILL; `silent`: the power of its machine, so that not even the connections end.
    Crash {
        node: i32,
        silent: bool,
        down: Duration,
    },
    /// The same, at a point of the next produce request.
    CrashAt {
        node: i32,
        point: Point,
        silent: bool,
        down: Duration,
    },
    /// A clean stop.
    Stop {
        node: i32,
        down: Duration,
    },
    /// Every broker is stopped cleanly or killed.
    AllDown {
        clean: bool,
        down: Duration,
    },
    /// One after the other is stopped and started, perhaps as another release.
    Rolling {
        clean: bool,
        down: Duration,
        release: Option<&'static Release>,
    },
    /// The power of its machine, and with it the last batches of its logs that had not reached the disk.
    PowerLoss {
        node: i32,
        batches: usize,
        down: Duration,
    },
    /// SIGSTOP, later SIGCONT.
    Pause {
        node: i32,
        span: Duration,
    },
    /// The controller and the broker do not hear of each other: it may go on as a leader that is none.
    Cut {
        node: i32,
        span: Duration,
    },
    /// The same, after a while, and no other broker hears of it either: what it appends then stays there.
    Isolate {
        node: i32,
        after: Duration,
        span: Duration,
    },
    /// It does not learn what the controller decides.
    Uninformed {
        node: i32,
        span: Duration,
    },
    /// Its fetches are slow.
    SlowReplica {
        node: i32,
        span: Duration,
        slowness: Duration,
    },
    /// Its answers are slow.
    SlowAnswers {
        node: i32,
        span: Duration,
        tardiness: Duration,
    },
    /// After a while it is stopped cleanly or killed, and started again.
    Restart {
        node: i32,
        after: Duration,
        clean: bool,
        down: Duration,
    },
    /// It is killed after a while, and the one that follows it somewhat later. The third one's fetches are slow.
    Succession {
        node: i32,
        after: Duration,
        slowness: Duration,
        reign: Duration,
    },
    /// Another in-sync replica leads.
    Elect {
        topic: String,
        partition: i32,
    },
    /// A replica leads that was not in sync.
    UncleanElect {
        topic: String,
        partition: i32,
    },
    /// Old records go, and with them, on old brokers, what was known of their producers.
    Retention {
        topic: String,
        partition: i32,
    },
    /// Producers that wrote nothing for long are forgotten.
    Forget {
        topic: String,
        partition: i32,
    },
    /// Deleted, and created again after a while.
    Recreate {
        topic: String,
        absent: Duration,
    },
    AddPartitions {
        topic: String,
        count: i32,
    },
    /// A log directory fails for a while.
    Storage {
        topic: String,
        partition: i32,
        span: Duration,
    },
    /// The next batches of a partition get an error, instead of being appended or after it.
    Refuse {
        topic: String,
        partition: i32,
        code: i16,
        after: bool,
        times: u32,
    },
    /// One error after the other for a partition.
    Series {
        topic: String,
        partition: i32,
        errors: Vec<(i16, When)>,
    },
    /// An answer says of its first batch that it is too large, and of the others that the producer is at its end.
    LastWords {
        fatal: i16,
    },
    RefuseInit {
        code: i16,
        times: u32,
    },
    RefuseDescribe {
        code: i16,
        times: u32,
    },
    Oddity(Oddity),
    RefuseMetadata {
        times: u32,
    },
    RefuseTopic {
        topic: String,
        code: i16,
        times: u32,
    },
    /// The next answers of a broker ask for rest.
    Throttle {
        node: i32,
        throttle_ms: i32,
        times: u32,
    },
    /// The next answer to a produce request is not true.
    Lie {
        node: i32,
        lie: Lie,
    },
}

/// The kinds of faults, for swarms: with each seed only some of them happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Crash,
    CrashAt,
    Stop,
    AllDown,
    Rolling,
    PowerLoss,
    Pause,
    Cut,
    Uninformed,
    SlowReplica,
    SlowAnswers,
    Elect,
    UncleanElect,
    Retention,
    Forget,
    Recreate,
    AddPartitions,
    Storage,
    RefuseRetriable,
    RefuseAfter,
    RefuseForGood,
    RefuseFatal,
    RefuseInit,
    RefuseDescribe,
    RefuseMetadata,
    RefuseTopic,
    Throttle,
    Lie,
    /// The rest only where a seed is about them: `moods.rs`.
    Series,
    LastWords,
    Oddity,
}

impl Kind {
    /// Of the swarm, each with the percentage of the seeds in which it may happen.
    pub(crate) const ALL: [(Self, u64); 28] = [
        (Self::Crash, 40),
        (Self::CrashAt, 40),
        (Self::Stop, 30),
        (Self::AllDown, 8),
        (Self::Rolling, 10),
        (Self::PowerLoss, 6),
        (Self::Pause, 20),
        (Self::Cut, 30),
        (Self::Uninformed, 30),
        (Self::SlowReplica, 25),
        (Self::SlowAnswers, 25),
        (Self::Elect, 40),
        (Self::UncleanElect, 6),
        (Self::Retention, 10),
        (Self::Forget, 10),
        (Self::Recreate, 6),
        (Self::AddPartitions, 8),
        (Self::Storage, 10),
        (Self::RefuseRetriable, 35),
        (Self::RefuseAfter, 25),
        (Self::RefuseForGood, 10),
        (Self::RefuseFatal, 1),
        (Self::RefuseInit, 10),
        (Self::RefuseDescribe, 10),
        (Self::RefuseMetadata, 8),
        (Self::RefuseTopic, 10),
        (Self::Throttle, 12),
        (Self::Lie, 12),
    ];

    /// Those of one seed: none in a few, everything in a few.
    pub(crate) fn swarm(random: &mut Random) -> Vec<Self> {
        let mut kinds = Vec::new();
        let more = *random.pick(&[0, 50, 100, 100, 100, 100, 100, 150, 200]).unwrap_or(&100);
        for (kind, percent) in Self::ALL {
            if random.below(10_000) < percent * more && (more > 0) {
                kinds.push(kind);
            }
        }
        kinds
    }
}

/// Errors after which a client tries again.
const RETRIABLE: [i16; 27] = [
    code::CORRUPT_MESSAGE,
    code::UNKNOWN_TOPIC_OR_PARTITION,
    code::LEADER_NOT_AVAILABLE,
    code::NOT_LEADER_OR_FOLLOWER,
    code::REQUEST_TIMED_OUT,
    code::REPLICA_NOT_AVAILABLE,
    code::NETWORK_EXCEPTION,
    code::COORDINATOR_LOAD_IN_PROGRESS,
    code::COORDINATOR_NOT_AVAILABLE,
    code::NOT_COORDINATOR,
    code::NOT_ENOUGH_REPLICAS,
    code::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    code::CONCURRENT_TRANSACTIONS,
    code::KAFKA_STORAGE_ERROR,
    code::LISTENER_NOT_FOUND,
    code::FENCED_LEADER_EPOCH,
    code::UNKNOWN_LEADER_EPOCH,
    code::OFFSET_NOT_AVAILABLE,
    code::PREFERRED_LEADER_NOT_AVAILABLE,
    code::ELIGIBLE_LEADERS_NOT_AVAILABLE,
    code::ELECTION_NOT_NEEDED,
    code::UNSTABLE_OFFSET_COMMIT,
    code::THROTTLING_QUOTA_EXCEEDED,
    code::UNKNOWN_TOPIC_ID,
    code::INCONSISTENT_TOPIC_ID,
    code::OUT_OF_ORDER_SEQUENCE_NUMBER,
    code::INVALID_PRODUCER_EPOCH,
];

/// Errors that a broker can give for what it has appended.
const AFTER_APPEND: [i16; 9] = [
    code::NOT_LEADER_OR_FOLLOWER,
    code::REQUEST_TIMED_OUT,
    code::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    code::UNKNOWN_TOPIC_OR_PARTITION,
    code::UNKNOWN_SERVER_ERROR,
    code::NETWORK_EXCEPTION,
    code::KAFKA_STORAGE_ERROR,
    code::UNKNOWN_TOPIC_ID,
    code::INCONSISTENT_TOPIC_ID,
];

/// Errors for good. UNKNOWN_PRODUCER_ID and DUPLICATE_SEQUENCE_NUMBER stand where they are possible.
const FOR_GOOD: [i16; 16] = [
    code::UNKNOWN_SERVER_ERROR,
    code::MESSAGE_TOO_LARGE,
    code::INVALID_TOPIC_EXCEPTION,
    code::RECORD_LIST_TOO_LARGE,
    code::INVALID_REQUIRED_ACKS,
    code::TOPIC_AUTHORIZATION_FAILED,
    code::INVALID_TIMESTAMP,
    code::INVALID_REQUEST,
    code::UNSUPPORTED_FOR_MESSAGE_FORMAT,
    code::POLICY_VIOLATION,
    code::UNSUPPORTED_COMPRESSION_TYPE,
    code::INVALID_RECORD,
    code::BROKER_NOT_AVAILABLE,
    code::UNKNOWN_PRODUCER_ID,
    code::DUPLICATE_SEQUENCE_NUMBER,
    999,
];

/// What a partition may say one after the other: each leaves its batches in another state.
const MOODS: [(i16, When); 11] = [
    (code::NETWORK_EXCEPTION, When::Before),
    (code::OUT_OF_ORDER_SEQUENCE_NUMBER, When::Before),
    (code::INVALID_RECORD, When::Before),
    (code::MESSAGE_TOO_LARGE, When::Before),
    (code::MESSAGE_TOO_LARGE, When::Before),
    (code::REQUEST_TIMED_OUT, When::After),
    (code::NOT_ENOUGH_REPLICAS_AFTER_APPEND, When::After),
    (code::OUT_OF_ORDER_SEQUENCE_NUMBER, When::Repeated),
    (code::OUT_OF_ORDER_SEQUENCE_NUMBER, When::Repeated),
    (code::DUPLICATE_SEQUENCE_NUMBER, When::Repeated),
    (code::DUPLICATE_SEQUENCE_NUMBER, When::Repeated),
];

/// Errors after which a producer is of no use any more.
pub(crate) const FATAL: [i16; 5] = [
    code::CLUSTER_AUTHORIZATION_FAILED,
    code::UNSUPPORTED_VERSION,
    code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    code::PRODUCER_FENCED,
    code::INVALID_PRODUCER_ID_MAPPING,
];

const INIT: [i16; 6] = [
    code::COORDINATOR_LOAD_IN_PROGRESS,
    code::COORDINATOR_NOT_AVAILABLE,
    code::NOT_COORDINATOR,
    code::REQUEST_TIMED_OUT,
    code::CONCURRENT_TRANSACTIONS,
    code::NETWORK_EXCEPTION,
];

const DESCRIBE: [i16; 5] = [
    code::TOPIC_AUTHORIZATION_FAILED,
    code::NOT_LEADER_OR_FOLLOWER,
    code::UNKNOWN_TOPIC_OR_PARTITION,
    code::UNKNOWN_SERVER_ERROR,
    code::REQUEST_TIMED_OUT,
];

const TOPIC: [i16; 6] = [
    code::UNKNOWN_TOPIC_OR_PARTITION,
    code::LEADER_NOT_AVAILABLE,
    code::UNKNOWN_TOPIC_OR_PARTITION,
    code::LEADER_NOT_AVAILABLE,
    code::TOPIC_AUTHORIZATION_FAILED,
    code::INVALID_TOPIC_EXCEPTION,
];

impl Fault {
    /// One of the kinds of this seed; `None` if nothing goes wrong with it.
    pub(crate) fn draw(cluster: &Cluster, random: &mut Random) -> Option<Self> {
        let kind = *random.pick(&cluster.profile().kinds)?;
        Some(Self::draw_of(kind, cluster, random))
    }

    /// One of this kind.
    pub(crate) fn draw_of(kind: Kind, cluster: &Cluster, random: &mut Random) -> Self {
        let node = random.range(1..=u64::from(cluster.profile().brokers)) as i32;
        let topics = cluster.topics();
        let (topic, partitions) = random.pick(&topics).cloned().unwrap_or_default();
        let partition = random.below(partitions.max(1) as u64) as i32;
        let span = draw_span(random);
        let times = random.range(1..=4) as u32;
        let silent = random.chance(25);
        let clean = random.chance(50);
        let (mut one_of, points) = (
            |codes: &[i16]| *random.pick(codes).unwrap_or(&-1),
            [Point::BeforeAppend, Point::AfterAppend, Point::BeforeAnswer],
        );
        match kind {
            Kind::Crash => Self::Crash { node, silent, down: span },
            Kind::CrashAt => {
                let point = *random.pick(&points).unwrap_or(&Point::AfterAppend);
                Self::CrashAt { node, point, silent, down: span }
            }
            Kind::Stop => Self::Stop { node, down: span },
            // Sometimes for hours.
            Kind::AllDown => Self::AllDown { clean, down: if silent { span * 600 } else { span * 3 } },
            Kind::Rolling => Self::Rolling { clean, down: span, release: draw_release(cluster, random) },
            Kind::PowerLoss => Self::PowerLoss { node, batches: random.range(1..=5) as usize, down: span },
            Kind::Pause => Self::Pause { node, span },
            Kind::Cut => Self::Cut { node, span: span * 2 },
            Kind::Uninformed => Self::Uninformed { node, span },
            Kind::SlowReplica => Self::SlowReplica { node, span: span * 2, slowness: random.millis(10..=3_000) },
            Kind::SlowAnswers => Self::SlowAnswers { node, span, tardiness: random.millis(10..=40_000) },
            Kind::Elect => Self::Elect { topic, partition },
            Kind::UncleanElect => Self::UncleanElect { topic, partition },
            Kind::Retention => Self::Retention { topic, partition },
            Kind::Forget => Self::Forget { topic, partition },
            Kind::Recreate => Self::Recreate { topic, absent: span },
            Kind::AddPartitions => Self::AddPartitions { topic, count: i32::from(clean) + 1 },
            Kind::Storage => Self::Storage { topic, partition, span },
            Kind::RefuseRetriable => Self::Refuse { topic, partition, code: one_of(&RETRIABLE), after: false, times },
            Kind::RefuseAfter => Self::Refuse { topic, partition, code: one_of(&AFTER_APPEND), after: true, times },
            Kind::RefuseForGood => Self::Refuse { topic, partition, code: one_of(&FOR_GOOD), after: false, times },
            Kind::RefuseFatal => Self::Refuse { topic, partition, code: one_of(&FATAL), after: false, times: 1 },
            Kind::Series => {
                let errors = (0..random.range(2..=8)).filter_map(|_| random.pick(&MOODS).copied()).collect();
                Self::Series { topic, partition, errors }
            }
            Kind::LastWords => Self::LastWords { fatal: one_of(&FATAL) },
            Kind::Oddity => {
                let oddities = [Oddity::LeftOut, Oddity::LaterEpoch, Oddity::Anew, Oddity::Anew];
                Self::Oddity(*random.pick(&oddities).unwrap_or(&Oddity::LeftOut))
            }
            Kind::RefuseInit => Self::RefuseInit { code: one_of(&INIT), times },
            Kind::RefuseDescribe => Self::RefuseDescribe { code: one_of(&DESCRIBE), times },
            Kind::RefuseMetadata => Self::RefuseMetadata { times },
            Kind::RefuseTopic => Self::RefuseTopic { topic, code: one_of(&TOPIC), times },
            Kind::Throttle => {
                let throttle_ms = if random.chance(10) { i32::MAX } else { random.range(1..=3_000) as i32 };
                Self::Throttle { node, throttle_ms, times }
            }
            Kind::Lie => Self::Lie { node, lie: *random.pick(&Lie::ALL).unwrap_or(&Lie::WrongCorrelation) },
        }
    }
}

/// In every third case another one: mostly a newer, sometimes the one before.
fn draw_release(cluster: &Cluster, random: &mut Random) -> Option<&'static Release> {
    let present = RELEASES.iter().position(|release| release == cluster.profile().release)?;
    if !random.chance(33) {
        return None;
    }
    let to = if random.chance(25) {
        present.saturating_sub(1)
    } else {
        random.range(present as u64..=RELEASES.len() as u64 - 1) as usize
    };
    RELEASES.get(to)
}

/// Mostly short against a session's timeout or a delivery's, sometimes long.
fn draw_span(random: &mut Random) -> Duration {
    match random.below(10) {
        0..=3 => random.millis(1..=300),
        4..=7 => random.millis(300..=8_000),
        _ => random.millis(8_000..=60_000),
    }
}
