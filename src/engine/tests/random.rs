//! Random scripts against the model: whatever happens, each record has exactly one fate, and it is true.

use proptest::prelude::*;

use super::model::Log;
use super::*;
use crate::protocol::messages::produce::ProduceResponse;

const PARTITIONS: usize = 3;

/// How a broker treats a request, or what happens around it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send {
        partition: usize,
        records: u32,
    },
    /// The oldest request of a connection is answered as it should be.
    Answer {
        connection: usize,
    },
    /// A question is answered, with this error or as it should be.
    Tell {
        connection: usize,
        code: i16,
    },
    /// It is refused before anything is appended.
    Refuse {
        connection: usize,
        code: i16,
    },
    /// It is appended, and the answer is an error all the same.
    Deny {
        connection: usize,
        code: i16,
    },
    /// Only the first part is answered.
    Omit {
        connection: usize,
    },
    /// The connection breaks; of the requests that are out the first `processed` are processed unseen, the
    /// others later.
    Break {
        connection: usize,
        processed: usize,
    },
    /// What was on broken connections arrives after all.
    Late,
    Move {
        partition: usize,
    },
    Leaderless {
        partition: usize,
    },
    Restart {
        node: usize,
    },
    Pass {
        millis: u64,
    },
    Split,
    Purge {
        queued: bool,
        in_flight: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let refusals = prop::sample::select(vec![2_i16, 3, 6, 14, 19, 51, 87, 87, 43, -1, 1234, 89]);
    let denials = prop::sample::select(vec![3_i16, 6, 7, 20, 56, -1, 100]);
    prop_oneof![
        12 => (0..PARTITIONS, 1..5_u32).prop_map(|(partition, records)| Step::Send { partition, records }),
        10 => (0..3_usize).prop_map(|connection| Step::Answer { connection }),
        4 => (0..3_usize, prop::sample::select(vec![0_i16, 0, 0, 0, 6, 29, -1]))
            .prop_map(|(connection, code)| Step::Tell { connection, code }),
        2 => (0..3_usize, refusals).prop_map(|(connection, code)| Step::Refuse { connection, code }),
        2 => (0..3_usize, denials).prop_map(|(connection, code)| Step::Deny { connection, code }),
        1 => (0..3_usize).prop_map(|connection| Step::Omit { connection }),
        2 => (0..3_usize, 0..6_usize).prop_map(|(connection, processed)| Step::Break { connection, processed }),
        1 => Just(Step::Late),
        1 => (0..PARTITIONS).prop_map(|partition| Step::Move { partition }),
        1 => (0..PARTITIONS).prop_map(|partition| Step::Leaderless { partition }),
        1 => (0..3_usize).prop_map(|node| Step::Restart { node }),
        6 => (1..400_u64).prop_map(|millis| Step::Pass { millis }),
        1 => (1_000..90_000_u64).prop_map(|millis| Step::Pass { millis }),
        3 => Just(Step::Split),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(queued, in_flight)| Step::Purge { queued, in_flight }),
    ]
}

struct World {
    rig: Rig,
    logs: Vec<Log>,
    /// Requests of broken connections that are still on their way, by node.
    late: Vec<(i32, Sent)>,
    parts_sent: usize,
}

impl World {
    fn new(config: EngineConfig, records_max: u32, asks: bool) -> Self {
        let rig = Rig::new(config);
        let mut rig = if asks { rig.with_inquiries() } else { rig }.start(&[1, 2, 3]);
        rig.brokers.insert(3, 9003);
        rig.advance(Duration::from_secs(2));
        let log = |leader| Log::new(leader, records_max);
        Self { rig, logs: vec![log(1), log(2), log(3)], late: Vec::new(), parts_sent: 0 }
    }

    fn node(&self, connection: ConnectionNumber) -> i32 {
        self.rig.engine.connections[connection.0 as usize].node.unwrap()
    }

    fn connection(&self, place: usize) -> Option<ConnectionNumber> {
        let connections: Vec<_> =
            self.rig.wire.iter().filter(|(_, sent)| !sent.is_empty()).map(|(at, _)| *at).collect();
        connections.get(place % connections.len().max(1)).copied()
    }

    /// The broker's answer to the oldest request of a connection: `answer` per part.
    fn answer(&mut self, place: usize, answer: impl Fn(&mut Log, i32, &SentPart) -> Option<(i16, i64)>) {
        let Some(connection) = self.connection(place) else { return };
        let node = self.node(connection);
        let sent = self.rig.wire.get_mut(&connection).and_then(VecDeque::pop_front).unwrap();
        self.parts_sent += sent.parts.len();
        let mut topic = ProduceTopicResponse { name: "t".into(), ..Default::default() };
        for part in &sent.parts {
            let log = &mut self.logs[part.index as usize];
            if let Some((error_code, base_offset)) = answer(log, node, part) {
                let current_leader = if error_code == 6 { (log.leader, log.epoch) } else { (-1, -1) };
                topic.partitions.push(ProducePartitionResponse {
                    index: part.index,
                    error_code,
                    base_offset,
                    log_start_offset: 0,
                    current_leader,
                    ..Default::default()
                });
            }
        }
        let response = ProduceResponse { topics: vec![topic], ..Default::default() };
        self.rig.reply(connection, &sent, |version, writer| response.encode(version, writer));
        self.rig.pump();
    }

    fn tell(&mut self, place: usize, code: i16) {
        let asked = self.rig.asked.iter().filter(|(_, sent)| !sent.is_empty()).map(|(at, _)| *at);
        let asked: Vec<_> = asked.collect();
        let Some(connection) = asked.get(place % asked.len().max(1)).copied() else { return };
        let node = self.node(connection);
        let answers: Vec<_> = self
            .logs
            .iter()
            .map(|log| if log.leader == node { (code, log.last_sequences()) } else { (6, Vec::new()) })
            .collect();
        self.rig.tell(connection, |index| answers.get(index as usize).cloned());
    }

    fn process(&mut self, node: i32, sent: &Sent) {
        for part in &sent.parts {
            self.logs[part.index as usize].append(node, part);
        }
    }

    fn break_connection(&mut self, connection: ConnectionNumber, processed: usize) {
        let node = self.node(connection);
        for (place, sent) in self.rig.disconnect(connection).into_iter().enumerate() {
            self.parts_sent += sent.parts.len();
            if place < processed {
                self.process(node, &sent);
            } else {
                self.late.push((node, sent));
            }
        }
        self.rig.pump();
    }

    fn collect_lost(&mut self) {
        for (connection, sent) in std::mem::take(&mut self.rig.lost) {
            self.parts_sent += sent.parts.len();
            let node = self.node(connection);
            self.late.push((node, sent));
        }
    }

    fn split(&mut self) {
        let Some((partition, parent)) = self.rig.splits.pop_front() else { return };
        let records = parent.records.div_ceil(2);
        let first = TestBatch { records, bytes: 10 * records as usize, ..parent.clone() };
        let rest = parent.records - records;
        let second = TestBatch {
            first: parent.first + u64::from(records),
            records: rest,
            bytes: 10 * rest as usize,
            ..parent.clone()
        };
        self.rig.engine.handle_split(partition, first, second, self.rig.now);
        self.rig.pump();
    }

    fn lead(&mut self, partition: usize, leader: i32) {
        let log = &mut self.logs[partition];
        (log.leader, log.epoch) = (leader, log.epoch + 1);
        self.rig.elect(partition, leader, log.epoch);
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Send { partition, records } => {
                self.rig.send(partition, records);
            }
            Step::Tell { connection, code } => self.tell(connection, code),
            Step::Answer { connection } => self.answer(connection, |log, node, part| Some(log.append(node, part))),
            Step::Refuse { connection, code } => self.answer(connection, |_, _, _| Some((code, -1))),
            Step::Deny { connection, code } => self.answer(connection, |log, node, part| {
                let (ours, _) = log.append(node, part);
                Some((if ours == 0 { code } else { ours }, -1))
            }),
            Step::Omit { connection } => self.answer(connection, |log, node, part| {
                let answer = log.append(node, part);
                (part.index % 2 == 0).then_some(answer)
            }),
            Step::Break { connection, processed } => {
                if let Some(connection) = self.connection(connection) {
                    self.break_connection(connection, processed);
                }
            }
            Step::Late => {
                for (node, sent) in std::mem::take(&mut self.late) {
                    self.process(node, &sent);
                }
            }
            Step::Move { partition } => self.lead(partition, self.logs[partition].leader.max(0) % 3 + 1),
            Step::Leaderless { partition } => self.lead(partition, -1),
            Step::Restart { node } => {
                let node = node as i32 + 1;
                for log in self.logs.iter_mut().filter(|log| log.leader == node) {
                    log.restart();
                }
                if let Some(connection) = self.rig.engine.cluster.connections.get(&node).copied() {
                    self.break_connection(connection, 0);
                    self.late.retain(|(at, _)| *at != node);
                }
            }
            Step::Pass { millis } => {
                self.rig.advance(Duration::from_millis(millis));
                self.collect_lost();
            }
            Step::Split => self.split(),
            Step::Purge { queued, in_flight } => {
                self.rig.engine.purge(queued, in_flight, self.rig.now);
                self.rig.pump();
            }
        }
    }

    /// Faults stop: everything accepted has its fate within the delivery timeout.
    fn settle(&mut self) {
        for partition in 0..PARTITIONS {
            if self.logs[partition].leader < 0 {
                self.lead(partition, partition as i32 + 1);
            }
        }
        for _ in 0..400 {
            while !self.rig.splits.is_empty() {
                self.split();
            }
            self.tell(0, 0);
            while self.connection(0).is_some() {
                self.answer(0, |log, node, part| Some(log.append(node, part)));
            }
            self.rig.advance(Duration::from_millis(500));
            self.collect_lost();
        }
        self.run(Step::Late);
    }

    fn check(&self, idempotent: bool) {
        for index in 0..PARTITIONS {
            let partition = self.rig.partition(index);
            let log = &self.logs[index].records;
            let handed_in = self.rig.records.get(&partition.0).copied().unwrap_or(0);
            let mut fated = vec![0; handed_in as usize];
            for ((_, first), fates) in self.rig.fates.range((partition.0, 0)..(partition.0 + 1, 0)) {
                for (records, fate) in fates {
                    for (place, record) in (*first..*first + u64::from(*records)).enumerate() {
                        fated[record as usize] += 1;
                        let copies = log.iter().filter(|found| **found == record).count();
                        match fate.outcome {
                            Outcome::NotWritten => assert_eq!(copies, 0, "{record} {fate:?} {log:?}"),
                            Outcome::Written if idempotent => assert_eq!(copies, 1, "{record} {fate:?} {log:?}"),
                            Outcome::Written => assert!(copies >= 1, "{record} {fate:?} {log:?}"),
                            Outcome::Unknown if idempotent => assert!(copies <= 1, "{record} {fate:?} {log:?}"),
                            Outcome::Unknown => {}
                        }
                        if fate.outcome == Outcome::Written && fate.base_offset >= 0 {
                            assert_eq!(log[fate.base_offset as usize + place], record);
                        }
                        assert_eq!(fate.code == Code::OK, fate.outcome == Outcome::Written);
                    }
                }
            }
            assert!(fated.iter().all(|count| *count == 1), "exactly one fate each: {fated:?}");
            if idempotent {
                assert!(log.is_sorted_by(|one, other| one < other), "log order is acceptance order: {log:?}");
            }
            assert_eq!(self.rig.engine.queue_length(partition), 0);
            assert_eq!(self.rig.engine.partitions[partition.0 as usize].in_flight, 0);
        }
        for connection in &self.rig.engine.connections {
            assert_eq!((connection.busy, connection.timers.len(), connection.ready.len()), (0, 0, 0));
            assert!(connection.in_flight.is_empty());
        }
        assert!(self.rig.released >= self.parts_sent, "{} of {}", self.rig.released, self.parts_sent);
        assert!(!self.rig.engine.status().is_some_and(|status| status.fatal), "I13");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_has_exactly_one_fate_and_it_is_true(
        steps in prop::collection::vec(step(), 1..200),
        records_max in 1..5_u32,
        asks in any::<bool>(),
    ) {
        let mut world = World::new(config(), records_max, asks);
        for step in steps {
            world.run(step);
        }
        world.settle();
        world.check(true);
    }

    #[test]
    fn without_idempotence_fates_are_as_true_as_they_can_be(
        steps in prop::collection::vec(step(), 1..100),
        in_flight_max in 1..9_usize,
    ) {
        let config = EngineConfig { idempotent: false, in_flight_max, ..config() };
        let mut world = World::new(config, 3, true);
        for step in steps {
            world.run(step);
        }
        world.settle();
        world.check(false);
    }
}
