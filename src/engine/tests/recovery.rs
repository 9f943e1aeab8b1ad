//! Whom the producer asks when nobody it knows answers (KIP-899, KIP-1102), and outages that last for hours.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Where connection 0 was tried, in order, from attempt `from` on.
fn asked(rig: &Rig, from: usize) -> Vec<&str> {
    let attempts = rig.attempts.iter().filter(|attempt| attempt.0 == BOOT);
    attempts.skip(from).map(|attempt| attempt.1.as_str()).collect()
}

/// The connection that asks is lost, cannot be made again, and is needed.
fn lose_it(rig: &mut Rig) {
    rig.broken.insert(BOOT);
    rig.disconnect(BOOT);
    rig.engine.add_topic(TopicNumber(1), "other", rig.now);
}

/// Answers the metadata request that is out on connection 0 with this error for the whole.
fn refuse_metadata(rig: &mut Rig, error_code: i16) {
    let asked = rig.asked.get_mut(&BOOT).expect("nothing was asked");
    let place = asked.iter().position(|sent| sent.api == ApiKey::Metadata).expect("no metadata request");
    let sent = asked.remove(place).unwrap();
    let response = MetadataResponse { error_code, ..Default::default() };
    rig.reply(BOOT, &sent, |version, writer| response.encode(version, writer));
    rig.pump();
}

#[test]
fn without_a_known_broker_the_bootstrap_addresses_take_over_and_then_in_turn() {
    // KIP-899. Known brokers have their turn again, so that stale bootstrap names are no dead end.
    let bootstrap = vec![("boot".into(), 1), ("boat".into(), 2)];
    let mut rig = Rig::up(EngineConfig { bootstrap, ..config() }, &[1]);
    lose_it(&mut rig);
    rig.advance(20 * SECOND);
    let hosts = asked(&rig, 1);
    let known: BTreeSet<_> = hosts[..2].iter().copied().collect();
    assert_eq!(known, BTreeSet::from(["host1", "host2"]), "each known broker once: {hosts:?}");
    assert_eq!(hosts[2..4], ["boat", "boot"], "{hosts:?}");
    assert_eq!(hosts[4..6].iter().copied().collect::<BTreeSet<_>>(), known, "{hosts:?}");
    assert_eq!(hosts[6..8], ["boat", "boot"], "{hosts:?}");
    let told = rig.logs.iter().filter(|line| line.contains("bootstrap addresses")).count();
    assert!((1..=4).contains(&told), "{:?}", rig.logs);
}

#[test]
fn with_strategy_none_only_known_brokers_are_asked() {
    let mut rig = Rig::up(EngineConfig { rebootstrap_after: None, ..config() }, &[1]);
    assert_eq!(asked(&rig, 0), ["boot"]);
    lose_it(&mut rig);
    rig.advance(60 * SECOND);
    let hosts = asked(&rig, 1);
    assert!(hosts.len() > 20 && !hosts.contains(&"boot"), "{hosts:?}");
    assert_eq!(hosts.iter().collect::<BTreeSet<_>>().len(), 2, "all of them: {hosts:?}");
    rig.broken.clear();
    rig.topics.insert("other".into(), ([3; 16], 0, vec![(1, 0)]));
    rig.advance(2 * SECOND);
    assert!(rig.partitions.contains_key(&1), "and they are believed when they are back");
}

#[test]
fn before_the_first_metadata_both_strategies_ask_the_bootstrap_addresses() {
    for rebootstrap_after in [None, Some(SECOND)] {
        let bootstrap = vec![("a".into(), 1), ("b".into(), 2)];
        let mut rig = Rig::new(EngineConfig { bootstrap, rebootstrap_after, ..config() });
        rig.broken.insert(BOOT);
        rig.engine.add_topic(TopicNumber(0), "t", rig.now);
        rig.advance(10 * SECOND);
        assert!(asked(&rig, 0).chunks(2).all(|round| round == ["a", "b"] || round == ["a"]));
        assert!(rig.logs.iter().all(|line| !line.contains("bootstrap addresses")), "nothing to go back from");
    }
}

#[test]
fn an_idle_connection_is_made_again_to_a_known_broker() {
    let mut rig = Rig::up(config(), &[1]);
    rig.advance(3_000 * SECOND);
    assert_eq!(rig.engine.connections[0].link, connection::Link::Down);
    rig.engine.touch_topic(TopicNumber(0), rig.now);
    rig.pump();
    assert!(asked(&rig, 1).iter().all(|host| host.starts_with("host")), "{:?}", asked(&rig, 0));
    assert!(rig.metadata_count > 1);
}

#[test]
fn metadata_that_does_not_come_for_long_brings_the_bootstrap_addresses_back() {
    // KIP-1102: a broker that can be connected to and never answers.
    let bootstrap = vec![("boot".into(), 1), ("boat".into(), 2)];
    let timeouts = EngineConfig { request_timeout: 1_000 * SECOND, ..config() };
    let mut rig = Rig::up(EngineConfig { bootstrap, rebootstrap_after: Some(20 * SECOND), ..timeouts }, &[1]);
    rig.is_manual = true;
    let start = rig.now;
    rig.engine.add_topic(TopicNumber(1), "other", rig.now);
    rig.advance(19 * SECOND);
    assert_eq!(asked(&rig, 0), ["boot"], "not yet");
    rig.advance(2 * SECOND);
    assert_eq!(asked(&rig, 0), ["boot", "boat"], "the one that was silent is not the next");
    let last = rig.attempts.iter().rfind(|attempt| attempt.0 == BOOT).unwrap();
    assert!(last.3.since(start) >= 20 * SECOND);
    assert_eq!(rig.closed.iter().filter(|(number, _)| *number == BOOT).count(), 1);
    let versions = rig.asked.get_mut(&BOOT).and_then(VecDeque::pop_front).expect("a handshake");
    rig.serve(BOOT, &versions);
    // The clock does not run at a bootstrap address: that one has all of request.timeout.ms.
    rig.advance(100 * SECOND);
    assert_eq!(asked(&rig, 0).len(), 2);
}

#[test]
fn a_trigger_of_zero_still_gets_its_answer() {
    let mut rig = Rig::up(EngineConfig { rebootstrap_after: Some(Duration::ZERO), ..config() }, &[1]);
    let before = rig.metadata_count;
    rig.topics.insert("other".into(), ([3; 16], 0, vec![(1, 0)]));
    rig.engine.add_topic(TopicNumber(1), "other", rig.now);
    rig.advance(SECOND);
    assert!(rig.partitions.contains_key(&1));
    assert!(rig.metadata_count > before && asked(&rig, 0).len() <= 3, "{:?}", asked(&rig, 0));
}

#[test]
fn an_answer_stops_the_clock() {
    let mut rig = Rig::up(EngineConfig { rebootstrap_after: Some(20 * SECOND), ..config() }, &[1]);
    for _ in 0..40 {
        rig.engine.touch_topic(TopicNumber(0), rig.now);
        rig.advance(30 * SECOND);
    }
    assert_eq!(asked(&rig, 0), ["boot"], "{:?}", rig.logs);
    assert!(rig.closed.is_empty());
}

#[test]
fn error_129_forgets_all_known_brokers() {
    // KIP-1102. Only version 13 has it.
    let mut rig = Rig::up(config(), &[1]);
    rig.is_manual = true;
    rig.engine.add_topic(TopicNumber(1), "other", rig.now);
    rig.pump();
    refuse_metadata(&mut rig, 129);
    rig.is_manual = false;
    rig.advance(SECOND);
    assert_eq!(asked(&rig, 0), ["boot", "boot"]);
    assert!(rig.errors.iter().any(|(topic, _)| *topic == TopicNumber(1)), "asked again there");
    assert!(rig.logs.iter().any(|line| line.contains("a broker asks for it")), "{:?}", rig.logs);
}

#[test]
fn brokers_that_answer_129_for_ever_are_not_stormed() {
    let bootstrap = vec![("boot".into(), 1), ("boat".into(), 2)];
    let mut rig = Rig::up(EngineConfig { bootstrap, ..config() }, &[1]);
    rig.is_manual = true;
    rig.engine.add_topic(TopicNumber(1), "other", rig.now);
    for _ in 0..600 {
        rig.advance(SECOND / 10);
        while let Some(sent) = rig.asked.get_mut(&BOOT).and_then(VecDeque::pop_front) {
            assert!(asked(&rig, 0).len() < 1_000, "a storm");
            if sent.api == ApiKey::Metadata {
                rig.asked.entry(BOOT).or_default().push_front(sent);
                refuse_metadata(&mut rig, 129);
            } else {
                rig.serve(BOOT, &sent);
                rig.pump();
            }
        }
    }
    let count = asked(&rig, 0).len();
    assert!((40..90).contains(&count), "{count} connections in a minute");
    assert!(rig.logs.len() < 30, "{:?}", rig.logs);
}

#[test]
fn error_129_means_nothing_with_strategy_none() {
    let mut rig = Rig::up(EngineConfig { rebootstrap_after: None, ..config() }, &[1]);
    rig.is_manual = true;
    rig.engine.add_topic(TopicNumber(1), "other", rig.now);
    rig.pump();
    for _ in 0..20 {
        refuse_metadata(&mut rig, 129);
        rig.advance(2 * SECOND);
    }
    assert_eq!(asked(&rig, 0), ["boot"], "the connection stays");
    assert!(rig.closed.is_empty());
    rig.is_manual = false;
    rig.topics.insert("other".into(), ([3; 16], 0, vec![(1, 0)]));
    let sent = rig.asked.get_mut(&BOOT).and_then(VecDeque::pop_front).expect("asked with backoff");
    rig.serve(BOOT, &sent);
    rig.pump();
    assert!(rig.partitions.contains_key(&1));
}

/// Everything that the engine keeps: queues, timers, lists, what waits to be done.
fn kept(rig: &Rig) -> usize {
    let engine = &rig.engine;
    let connections = engine.connections.iter().map(|connection| {
        connection.timers.len()
            + connection.ready.len()
            + connection.offered.len()
            + connection.in_flight.len()
            + connection.answered.len()
    });
    let partitions = engine.partitions.iter().map(|partition| partition.queue.len() + partition.arriving.len());
    connections.sum::<usize>() + partitions.sum::<usize>() + engine.actions.len() + engine.connections.len()
}

#[test]
fn a_producer_without_any_broker_for_hours_stays_small_and_quiet_and_resumes() {
    // 97 log lines in 5 s and 20 connects a second that ignore the backoff (librdkafka, broker down).
    let mut rig = Rig::up(config(), &[1, 2, 1]);
    for index in 0..3 {
        rig.send(index, 1);
        rig.answer(rig.connection(index), 0);
    }
    let connections: Vec<_> = rig.connections.iter().copied().collect();
    for connection in &connections {
        rig.broken.insert(*connection);
        rig.disconnect(*connection);
    }
    let (start, attempts_before) = (rig.now, rig.attempts.len());
    let mut small = Vec::new();
    let minutes = 6 * 60;
    for minute in 0..minutes {
        for index in 0..3 {
            rig.send(index, 1);
        }
        rig.advance(MINUTE);
        if minute >= 5 {
            small.push(kept(&rig));
        }
    }
    assert!(small.iter().max() <= small.iter().min().map(|least| least + 6).as_ref(), "it grows: {small:?}");
    // Each ended after delivery.timeout.ms, and says what is known of it.
    let ended = (0..3).flat_map(|index| (1..minutes as u64 - 3).map(move |first| (index, first)));
    for (index, first) in ended {
        assert_eq!(rig.end(index, first), (Code::TIMED_OUT, 0, Outcome::NotWritten), "{index} {first}");
    }
    for connection in &connections {
        let times: Vec<_> = rig.attempts[attempts_before..]
            .iter()
            .filter(|attempt| attempt.0 == *connection)
            .map(|attempt| attempt.3)
            .collect();
        let seconds = rig.now.since(start).as_secs() as usize;
        assert!(times.len() <= seconds * 10 / 8, "{connection:?}: {} attempts in {seconds} s", times.len());
        assert!(times.len() >= seconds / 2, "{connection:?}: {} attempts in {seconds} s", times.len());
        let late = &times[10..];
        let close = late.windows(2).map(|pair| pair[1].since(pair[0])).min().unwrap();
        assert!(close >= Duration::from_millis(800), "{connection:?}: again after {close:?}");
    }
    assert!(rig.logs.len() < 120, "{} lines: {:?}", rig.logs.len(), rig.logs);
    assert!(rig.engine.status().is_some_and(|status| status.code == Code::UNREACHABLE && !status.fatal));
    rig.broken.clear();
    let back = rig.now;
    while (0..3).any(|index| rig.out(rig.connection(index)).is_empty()) {
        rig.advance(SECOND / 10);
        assert!(rig.now.since(back) < 4 * SECOND, "it does not resume");
    }
    for _ in 0..10 {
        for index in 0..3 {
            if !rig.out(rig.connection(index)).is_empty() {
                rig.answer(rig.connection(index), 0);
            }
        }
        rig.advance(SECOND / 10);
    }
    for index in 0..3 {
        assert_eq!(rig.end(index, minutes as u64).2, Outcome::Written, "the last one goes");
    }
    assert!(rig.engine.status().is_none());
}

/// Hands in a batch with one record, still to be compressed, for each of these partitions.
fn compressed(rig: &mut Rig, indexes: &[usize]) -> Vec<Arc<AtomicBool>> {
    let batches = indexes.iter().map(|&index| {
        let batch = TestBatch { codec: 1, prepared: Arc::default(), ..rig.batch(index, 1) };
        let prepared = Arc::clone(&batch.prepared);
        rig.hand_in(index, batch);
        rig.pump();
        prepared
    });
    batches.collect()
}

fn prepared(batches: &[Arc<AtomicBool>]) -> Vec<bool> {
    batches.iter().map(|prepared| prepared.load(Ordering::Relaxed)).collect()
}

#[test]
fn copies_for_a_broker_that_cannot_be_reached_are_dropped() {
    // With compression, one dead broker must not take the reserve from the others.
    let mut rig = Rig::up(config(), &[1, 2]);
    let dead = rig.connection(0);
    let batches = compressed(&mut rig, &[0, 0, 1]);
    assert_eq!(prepared(&batches), [true, false, true], "what was sent");
    rig.broken.insert(dead);
    rig.disconnect(dead);
    rig.pump();
    assert_eq!(prepared(&batches), [true, false, true], "a connection that breaks may be back at once");
    rig.advance(SECOND);
    assert_eq!(prepared(&batches), [false, false, true], "it is not back");
    rig.broken.clear();
    rig.advance(2 * SECOND);
    assert_eq!((rig.out(dead), prepared(&batches)), (vec![0], vec![true, false, true]), "compressed again");
    rig.answer(dead, 0);
    assert_eq!(rig.end(0, 0).2, Outcome::Written);
}

#[test]
fn copies_are_dropped_while_a_partition_has_no_leader() {
    // Nothing is tried then, so no attempt fails; with the first the leader is lost while the batch waits, with the
    // second while it is out.
    let mut rig = Rig::up(config(), &[1, 2]);
    let (old, other) = (rig.connection(0), rig.connection(1));
    let batches = compressed(&mut rig, &[0, 1]);
    assert_eq!(prepared(&batches), [true, true], "what was sent");
    rig.topics.get_mut("t").unwrap().2 = vec![(-1, 1), (-1, 1)];
    rig.answer(old, 6);
    rig.advance(SECOND);
    assert_eq!(rig.connection(0), BOOT, "metadata came");
    assert_eq!(prepared(&batches), [false, true], "it waits; the other is out still");
    rig.disconnect(other);
    rig.pump();
    assert_eq!(prepared(&batches), [false, false]);
    rig.topics.get_mut("t").unwrap().2 = vec![(1, 2), (2, 2)];
    rig.advance(SECOND);
    assert_eq!(prepared(&batches), [true, true], "compressed again");
    rig.answer(old, 0);
    rig.answer(other, 0);
    assert_eq!((rig.end(0, 0).2, rig.end(1, 0).2), (Outcome::Written, Outcome::Written));
}

#[test]
fn a_broker_that_says_nothing_is_left_for_another_soon_and_later_each_time() {
    // A broker that was stopped (SIGSTOP) accepts connections. Metadata can come from any of them.
    let bootstrap = vec![("boot".into(), 1), ("boat".into(), 2)];
    let config = EngineConfig { bootstrap, patience_min: SECOND, request_timeout: 10 * SECOND, ..config() };
    let mut rig = Rig::up(config, &[1]);
    rig.is_manual = true;
    let start = rig.now;
    rig.engine.add_topic(TopicNumber(1), "other", rig.now);
    rig.advance(60 * SECOND);
    let attempts = rig.attempts.iter().filter(|attempt| attempt.0 == BOOT).skip(1);
    let waits: Vec<u64> = attempts.map(|attempt| attempt.3.since(start).as_secs()).collect();
    assert!((1..=2).contains(&waits[0]), "{waits:?}");
    assert!((3..10).contains(&waits.len()), "twice as long each time, then as long as any request: {waits:?}");
}
