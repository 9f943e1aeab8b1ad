//! Metadata: leaders that move, topics that come and go, answers that lie.

use super::*;
use crate::protocol::messages::produce::NodeEndpoint;

const SECOND: Duration = Duration::from_secs(1);

fn not_leader(rig: &mut Rig, connection: ConnectionNumber, leader: (i32, i32), endpoints: Vec<NodeEndpoint>) {
    let sent = rig.wire.get_mut(&connection).and_then(VecDeque::pop_front).unwrap();
    let topics = sent.parts.iter().map(|part| ProduceTopicResponse {
        name: part.topic.clone(),
        partitions: vec![ProducePartitionResponse {
            index: part.index,
            error_code: 6,
            current_leader: leader,
            ..Default::default()
        }],
        ..Default::default()
    });
    let response = ProduceResponse { topics: topics.collect(), throttle_time_ms: 0, node_endpoints: endpoints };
    rig.reply(connection, &sent, |version, writer| response.encode(version, writer));
    rig.pump();
}

fn endpoint(node_id: i32, port: i32) -> NodeEndpoint {
    NodeEndpoint { node_id, host: "new".into(), port, rack: None }
}

#[test]
fn a_current_leader_is_believed_at_once_and_skips_the_backoff() {
    // KIP-951.
    let mut rig = Rig::up(config(), &[1]);
    let old = rig.connection(0);
    rig.send(0, 1);
    not_leader(&mut rig, old, (7, 1), vec![endpoint(7, 9007)]);
    let new = rig.connection(0);
    assert_ne!(new, old);
    assert_eq!(rig.out(new), [0], "no time has passed");
    assert_eq!(rig.attempts.last().map(|attempt| (attempt.1.as_str(), attempt.2)), Some(("new", 9007)));
}

#[test]
fn a_current_leader_that_is_older_unknown_or_nonsense_is_not_believed() {
    for (leader, endpoints) in [
        ((2, 0), Vec::new()),
        ((7, 5), Vec::new()),
        ((7, 5), vec![endpoint(7, 0)]),
        ((7, 5), vec![endpoint(7, 70_000)]),
        ((7, 5), vec![endpoint(7, -1)]),
        ((-1, 5), vec![endpoint(-1, 9007)]),
        ((2, -1), Vec::new()),
    ] {
        let mut rig = Rig::up(config(), &[1]);
        let old = rig.connection(0);
        rig.send(0, 1);
        not_leader(&mut rig, old, leader, endpoints);
        assert_eq!(rig.connection(0), old, "{leader:?}");
        assert_eq!(rig.out(old), [0; 0], "backoff");
    }
}

#[test]
fn a_new_leader_is_found_soon_after_the_cluster_names_it() {
    // The dead one was asked for only when it was tried again, which comes to once a second.
    let mut rig = Rig::up(config(), &[1]);
    let old = rig.connection(0);
    rig.broken.insert(old);
    rig.send(0, 1);
    rig.disconnect(old);
    rig.advance(10 * SECOND);
    let (count, attempts) = (rig.metadata_count, rig.attempts.len());
    rig.advance(10 * SECOND);
    assert!((80..125).contains(&(rig.metadata_count - count)), "{} in ten seconds", rig.metadata_count - count);
    assert!(rig.attempts.len() - attempts <= 14, "the dead one is not tried more often for that");
    rig.elect(0, 2, 1);
    rig.advance(Duration::from_millis(125));
    assert_eq!(rig.out(rig.connection(0)), [0]);
}

#[test]
fn a_new_leader_that_has_not_heard_yet_is_tried_again_soon() {
    // A broker may be named hundreds of milliseconds before it knows of that itself. Its refusals counted on from those
    // of the old leader and doubled: the next attempts came after 400, 800 and 1,000 ms.
    let mut rig = Rig::up(config(), &[1]);
    let old = rig.connection(0);
    rig.send(0, 1);
    rig.answer(old, 6);
    rig.advance(Duration::from_millis(125));
    assert_eq!(rig.out(old), [0]);
    rig.answer(old, 6);
    rig.elect(0, 2, 1);
    rig.advance(Duration::from_millis(125));
    let new = rig.connection(0);
    assert_eq!((new != old, rig.out(new)), (true, vec![0]), "at once");
    for refusal in 0..5 {
        rig.answer(new, 6);
        assert_eq!(rig.out(new), [0; 0], "backoff");
        rig.advance(Duration::from_millis(125));
        assert_eq!(rig.out(new), [0], "refusal {refusal}");
    }
    rig.answer(new, 0);
    assert_eq!(rig.end(0, 0).2, Outcome::Written);
}

#[test]
fn a_leader_that_refuses_for_long_is_tried_less_often() {
    // KIP-580.
    let mut rig = Rig::up(config(), &[1]);
    let old = rig.connection(0);
    rig.send(0, 1);
    rig.answer(old, 6);
    rig.elect(0, 2, 1);
    rig.advance(Duration::from_millis(125));
    let connection = rig.connection(0);
    let attempts = |rig: &mut Rig| {
        let end = rig.now + 10 * SECOND;
        let mut attempts = 0;
        while rig.now < end {
            if !rig.out(connection).is_empty() {
                rig.answer(connection, 6);
                attempts += 1;
            }
            rig.advance(Duration::from_millis(10));
        }
        attempts
    };
    let first = attempts(&mut rig);
    assert!((25..=35).contains(&first), "{first} in the first ten seconds");
    let later = attempts(&mut rig);
    assert!((8..=13).contains(&later), "{later} in the next ten");
}

#[test]
fn a_leader_that_is_missed_for_long_is_asked_for_less_often() {
    let mut rig = Rig::up(config(), &[-1]);
    rig.send(0, 1);
    rig.advance(60 * SECOND);
    let count = rig.metadata_count;
    rig.advance(10 * SECOND);
    assert!((8..16).contains(&(rig.metadata_count - count)), "{} in ten seconds", rig.metadata_count - count);
}

#[test]
fn nothing_goes_to_a_new_leader_before_the_old_ones_requests_have_ended() {
    // Rule 11.
    let mut rig = Rig::up(config(), &[1]);
    let old = rig.connection(0);
    rig.send(0, 1);
    rig.answer(old, 0);
    for _ in 0..3 {
        rig.send(0, 1);
    }
    not_leader(&mut rig, old, (2, 1), Vec::new());
    let new = rig.connection(0);
    assert_ne!(new, old);
    assert_eq!((rig.out(new), rig.out(old)), (vec![], vec![2, 3]));
    rig.answer(old, 6);
    assert_eq!(rig.out(new), [0; 0]);
    rig.answer(old, 6);
    assert_eq!((rig.out(new), rig.stamps(new)), (vec![1], vec![(0, 1)]), "in order, alone");
    rig.answer(new, 0);
    rig.answer(new, 0);
    rig.answer(new, 0);
    rig.send(0, 1);
    assert_eq!(rig.stamps(new), [(0, 4)]);
}

#[test]
fn without_sequences_too_the_old_leaders_requests_end_first() {
    let mut rig = Rig::up(EngineConfig { idempotent: false, ..config() }, &[1]);
    let old = rig.connection(0);
    for _ in 0..4 {
        rig.send(0, 1);
    }
    not_leader(&mut rig, old, (2, 1), Vec::new());
    let new = rig.connection(0);
    rig.send(0, 1);
    for left in [vec![1, 2, 3], vec![2, 3], vec![3]] {
        assert_eq!((rig.out(new), rig.out(old)), (vec![], left));
        rig.answer(old, 6);
    }
    assert_eq!(rig.out(new), [0, 1, 2, 3, 4]);
}

#[test]
fn older_leader_epochs_are_ignored_until_the_topic_is_another_one() {
    let mut rig = Rig::up(config(), &[1]);
    let first = rig.connection(0);
    let refresh = |rig: &mut Rig, id: u8, leader, epoch| {
        *rig.topics.get_mut("t").unwrap() = ([id; 16], 0, vec![(leader, epoch)]);
        rig.engine.touch_topic(TopicNumber(0), rig.now);
        rig.advance(301 * SECOND);
        rig.engine.touch_topic(TopicNumber(0), rig.now);
        rig.pump();
    };
    refresh(&mut rig, 9, 2, 5);
    let second = rig.connection(0);
    assert_ne!(first, second);
    refresh(&mut rig, 9, 1, 4);
    assert_eq!(rig.connection(0), second, "older");
    refresh(&mut rig, 9, 1, 5);
    assert_eq!(rig.connection(0), first, "the same epoch is as good");
    refresh(&mut rig, 8, 2, 0);
    assert_eq!(rig.connection(0), second, "recreated");
}

#[test]
fn a_topic_made_anew_by_brokers_without_topic_ids_is_found_again() {
    // Its epochs begin at 0 again, and nothing else tells it from a broker that knows less than another one.
    let mut rig = Rig::new(config());
    rig.topics.insert("t".into(), ([0; 16], 0, vec![(1, 4)]));
    rig.engine.add_topic(TopicNumber(0), "t", rig.now);
    rig.pump();
    let first = rig.connection(0);
    rig.topics.insert("t".into(), ([0; 16], 0, vec![(2, 5)]));
    rig.send(0, 1);
    rig.answer(first, 6);
    rig.advance(SECOND);
    let second = rig.connection(0);
    assert_eq!((second != first, rig.out(second)), (true, vec![0]));
    rig.topics.insert("t".into(), ([0; 16], 0, vec![(1, 0)]));
    rig.answer(second, 3);
    rig.pump();
    assert_eq!(rig.connection(0), second, "one older answer says nothing");
    for _ in 0..20 {
        rig.advance(SECOND);
        if !rig.out(second).is_empty() {
            rig.answer(second, 3);
        }
    }
    assert_eq!((rig.connection(0), rig.out(first)), (first, vec![0]), "many do");
    rig.answer(first, 0);
    assert_eq!(rig.end(0, 0).2, Outcome::Written);
}

#[test]
fn a_topic_does_not_fall_asleep_while_a_batch_waits_for_its_leader() {
    let config = EngineConfig { metadata_idle_max: 5 * SECOND, delivery_timeout: 600 * SECOND, ..config() };
    let mut rig = Rig::up(config, &[-1]);
    rig.send(0, 1);
    rig.advance(300 * SECOND);
    rig.topics.get_mut("t").unwrap().2 = vec![(1, 1)];
    rig.advance(2 * SECOND);
    assert_eq!(rig.out(rig.connection(0)), [0], "its leader was asked for all the time");
}

#[test]
fn a_topic_being_created_is_asked_for_again_with_backoff() {
    let mut rig = Rig::new(config());
    rig.topics.insert("t".into(), ([0; 16], 3, Vec::new()));
    rig.engine.add_topic(TopicNumber(0), "t", rig.now);
    rig.pump();
    assert_eq!(rig.metadata_count, 1, "at once");
    assert_eq!(rig.errors.len(), 1);
    assert_eq!((rig.errors[0].1.code, rig.errors[0].1.broker_code), (Code::UNKNOWN_TOPIC, 3));
    assert!(rig.errors[0].1.retriable);
    rig.advance(10 * SECOND);
    assert!((9..16).contains(&rig.metadata_count), "{} in 10 s", rig.metadata_count);
    assert_eq!(rig.errors.len(), 1, "told once");
    assert!(rig.engine.topic_status(TopicNumber(0)).is_some());
    *rig.topics.get_mut("t").unwrap() = ([1; 16], 0, vec![(-1, 0), (1, 0)]);
    rig.advance(2 * SECOND);
    assert_eq!(rig.partitions[&0].len(), 2);
    assert!(rig.engine.topic_status(TopicNumber(0)).is_none());
    rig.send(0, 1);
    rig.send(1, 1);
    assert_eq!(rig.out(rig.connection(1)), [0], "the one with a leader goes");
    assert_eq!(rig.connection(0), BOOT, "the other one waits");
    rig.elect(0, 2, 1);
    rig.advance(2 * SECOND);
    assert_eq!(rig.out(rig.connection(0)), [0]);
}

#[test]
fn a_partition_without_a_leader_says_so_when_its_batches_expire() {
    let mut rig = Rig::up(config(), &[-1, 1]);
    rig.send(0, 1);
    rig.advance(121 * SECOND);
    assert_eq!(rig.end(0, 0), (Code::TIMED_OUT, 5, Outcome::NotWritten));
}

#[test]
fn topic_errors_that_last_are_told_at_once() {
    for (code, ours, retriable) in [(17, Code::REJECTED, false), (29, Code::NOT_AUTHORIZED, false)] {
        let mut rig = Rig::new(config());
        rig.topics.insert("t".into(), ([0; 16], code, Vec::new()));
        rig.engine.add_topic(TopicNumber(0), "t", rig.now);
        rig.pump();
        let error = &rig.errors[0].1;
        assert_eq!((error.code, error.broker_code, error.retriable), (ours, code, retriable));
    }
}

#[test]
fn new_topics_are_asked_for_at_once_together_and_only_while_in_use() {
    // KIP-526; librdkafka #1686, #2912: the first message must not wait for a timer.
    let mut rig = Rig::up(config(), &[1]);
    assert_eq!(rig.metadata_count, 1);
    for number in 1..100 {
        let name = format!("topic{number}");
        rig.topics.insert(name.clone(), ([number as u8; 16], 0, vec![(1, 0)]));
        rig.engine.add_topic(TopicNumber(number), &name, rig.now);
    }
    rig.pump();
    assert_eq!((rig.metadata_count, rig.partitions.len()), (2, 100), "one request for all of them");
    rig.send(0, 1);
    rig.answer(rig.connection(0), 0);
    rig.advance(3_000 * SECOND);
    let count = rig.metadata_count;
    assert!(count <= 5, "{count}");
    assert!(rig.engine.connections.iter().all(|connection| connection.link == connection::Link::Down));
    let times: Vec<_> = rig.connections.iter().map(|number| rig.engine.poll_timeout(*number)).collect();
    assert!(times.iter().all(|time| *time == Time::NEVER), "nobody uses anything: no timer at all");
    rig.send(0, 1);
    rig.advance(SECOND);
    assert_eq!(rig.metadata_count, count + 1, "used again: asked again");
    rig.answer(rig.connection(0), 0);
}

#[test]
fn metadata_that_lies_is_survived() {
    let mut rig = Rig::new(config());
    rig.is_manual = true;
    rig.engine.add_topic(TopicNumber(0), "t", rig.now);
    rig.pump();
    let partition = |partition_index, leader_id| MetadataPartition { partition_index, leader_id, ..Default::default() };
    let broker = |node_id, port, host: &str| MetadataBroker { node_id, host: host.into(), port, rack: None };
    let mut partitions = vec![partition(2, 1), partition(0, 1), partition(0, 2), partition(-1, 1)];
    partitions.extend([partition(i32::MIN, 1), partition(i32::MAX, 1), partition(2_000, 1), partition(5, 9)]);
    let topic = |partitions| MetadataTopic { name: Some("t".into()), partitions, ..Default::default() };
    let mut brokers = vec![broker(1, 9001, "host1"), broker(1, 9666, "again"), broker(2, 0, "x"), broker(3, -1, "x")];
    brokers.extend([broker(-7, 9001, "x"), broker(4, 9001, ""), broker(5, 9001, "a\nb"), broker(6, i32::MAX, "x")]);
    let foreign = MetadataTopic { name: Some("never asked".into()), ..Default::default() };
    let topics = vec![foreign, topic(partitions), topic(vec![partition(77, 1)])];
    let response = MetadataResponse { brokers, topics, ..Default::default() };
    while let Some(sent) = rig.asked.get_mut(&BOOT).and_then(VecDeque::pop_front) {
        if sent.api == ApiKey::Metadata {
            rig.reply(BOOT, &sent, |version, writer| response.encode(version, writer));
        } else {
            rig.serve(BOOT, &sent);
        }
        rig.pump();
    }
    assert_eq!(rig.partitions[&0].len(), 6, "0 to 5; what lies behind a large hole is ignored");
    assert_eq!(rig.connections.len(), 2, "one broker was fit to connect to");
    let led: Vec<_> = (0..6).map(|index| rig.connection(index) != BOOT).collect();
    assert_eq!(led, [true, false, true, false, false, false]);
    rig.send(0, 1);
    let last = rig.attempts.last().unwrap();
    assert_eq!((last.1.as_str(), last.2), ("host1", 9001), "the first of two with one id");
}

#[test]
fn too_many_partitions_are_refused_and_fewer_leave_the_rest_without_a_leader() {
    let mut rig = Rig::up(config(), &[1, 1, 1]);
    rig.topics.get_mut("t").unwrap().2.truncate(2);
    rig.advance(301 * SECOND);
    rig.engine.touch_topic(TopicNumber(0), rig.now);
    rig.send(2, 1);
    rig.advance(SECOND);
    assert_eq!((rig.partitions[&0].len(), rig.connection(2)), (3, BOOT), "a list never shrinks");
    rig.advance(121 * SECOND);
    assert_eq!(rig.end(2, 0), (Code::TIMED_OUT, 3, Outcome::NotWritten));
    rig.topics.insert("big".into(), ([7; 16], 0, vec![(1, 0); 1_000_000]));
    rig.engine.add_topic(TopicNumber(1), "big", rig.now);
    rig.pump();
    assert!(!rig.partitions.contains_key(&1));
    assert!(rig.logs.iter().any(|line| line.contains("1000000")));
}

#[test]
fn a_batch_that_still_fills_looks_for_the_new_leader_too() {
    // Nothing was in flight when the leader died, and what came since is not handed in while it would not go out:
    // it found out about the new leader when metadata had grown old, or never.
    let mut rig = Rig::up(config(), &[1]);
    let dead = rig.connection(0);
    rig.send(0, 1);
    rig.answer(dead, 0);
    rig.broken.insert(dead);
    rig.disconnect(dead);
    rig.elect(0, 2, 1);
    assert!(!rig.engine.may_take(rig.partition(0), rig.now), "not connected");
    rig.advance(SECOND);
    assert_ne!(rig.connection(0), dead, "{:?}", rig.attempts);
    let new = rig.connection(0);
    assert_eq!(rig.engine.poll_offered(new, rig.now), Some(rig.partition(0)));
}
