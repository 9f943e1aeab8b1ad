//! Connections lost and found, purge, the end, idleness.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn bootstrap_addresses_are_tried_in_turn_and_the_backoff_law_holds() {
    // 20 connects a second that ignore the backoff, 97 log lines in 5 s (librdkafka).
    let bootstrap = vec![("a".into(), 1), ("b".into(), 2), ("c".into(), 3)];
    let mut rig = Rig::new(EngineConfig { bootstrap, ..config() });
    rig.broken.insert(BOOT);
    rig.engine.add_topic(TopicNumber(0), "t", rig.now);
    let start = rig.now;
    rig.pump();
    let hosts = |rig: &Rig| rig.attempts.iter().map(|attempt| attempt.1.clone()).collect::<Vec<_>>();
    assert_eq!(hosts(&rig), ["a", "b", "c"], "each once without waiting");
    assert_eq!(rig.engine.status().unwrap().code, Code::UNREACHABLE);
    rig.advance(60 * SECOND);
    assert_eq!(hosts(&rig)[3..6], ["a", "b", "c"]);
    assert!((50..90).contains(&rig.attempts.len()), "{} attempts in 60 s", rig.attempts.len());
    assert!(rig.logs.len() < 10, "{:?}", rig.logs);
    assert!(rig.attempts[3].3 >= start + Duration::from_millis(40));
    rig.broken.clear();
    rig.topics.insert("t".into(), ([1; 16], 0, vec![(1, 0)]));
    rig.advance(2 * SECOND);
    assert!(rig.engine.status().is_none(), "it lasts only while it lasts");
    assert_eq!(rig.send(0, 1), 0);
    assert_eq!(rig.out(rig.connection(0)), [0]);
}

#[test]
fn a_broker_that_closes_after_every_request_is_not_stormed() {
    let mut rig = Rig::up(config(), &[1]);
    rig.is_manual = true;
    let connection = rig.connection(0);
    rig.send(0, 1);
    let start = rig.now;
    for _ in 0..10 {
        rig.disconnect(connection);
        rig.pump();
        while rig.asked.get(&connection).is_none_or(VecDeque::is_empty) {
            rig.now = rig.engine.poll_timeout(connection).max(rig.now);
            rig.pump();
        }
        let sent = rig.asked.get_mut(&connection).unwrap().pop_front().unwrap();
        rig.serve(connection, &sent);
        rig.pump();
    }
    assert!(rig.now.since(start) > 4 * SECOND, "handshakes alone do not make it a good broker");
}

#[test]
fn pipelined_requests_on_a_lost_connection_come_again_in_order() {
    let mut rig = Rig::up(config(), &[1]);
    let connection = rig.connection(0);
    rig.send(0, 1);
    rig.answer(connection, 0);
    for _ in 0..7 {
        rig.send(0, 1);
    }
    assert_eq!(rig.disconnect(connection).len(), 5);
    rig.advance(2 * SECOND);
    for first in 1..6 {
        assert_eq!((rig.out(connection), rig.stamps(connection)), (vec![first], vec![(0, first as i32)]));
        rig.answer(connection, 0);
    }
    assert_eq!(rig.out(connection), [6, 7]);
    rig.answer(connection, 0);
    rig.answer(connection, 0);
    assert!((0..8).all(|first| rig.end(0, first).2 == Outcome::Written));
    assert_eq!(rig.released, 13, "every request gave its bytes back");
}

#[test]
fn purge_tells_what_was_never_sent_from_what_may_be_written() {
    let mut rig = Rig::up(config(), &[1, 1]);
    let connection = rig.connection(0);
    for _ in 0..3 {
        rig.send(0, 2);
    }
    let early = rig.batch(1, 4);
    rig.engine.handle_batch(rig.partition(1), 5, early, rig.now);
    assert_eq!(rig.engine.purge(true, false, rig.now), 8);
    rig.pump();
    assert_eq!(rig.end(0, 2), (Code::PURGED, 0, Outcome::NotWritten));
    assert_eq!(rig.end(1, 0), (Code::PURGED, 0, Outcome::NotWritten));
    assert!(rig.fate(0, 0).is_none());
    assert_eq!(rig.engine.purge(false, true, rig.now), 2);
    rig.pump();
    assert_eq!(rig.end(0, 0), (Code::PURGED, 0, Outcome::Unknown));
    assert_eq!(rig.released, 0, "CVE-2026-35554: the request still holds its bytes");
    rig.send(0, 1);
    assert_eq!(rig.out(connection), [0], "unresolved");
    rig.answer(connection, 0);
    assert_eq!((rig.released, rig.stamps(connection)), (1, vec![(0, 2)]), "the late answer says it was written");
    assert_eq!(rig.fates.len(), 4);
}

#[test]
fn a_purged_batch_that_was_refused_before_leaves_a_gap() {
    let mut rig = Rig::up(config(), &[1]);
    let connection = rig.connection(0);
    rig.send(0, 1);
    rig.answer(connection, 19);
    rig.engine.purge(true, true, rig.now);
    rig.pump();
    assert_eq!(rig.end(0, 0), (Code::PURGED, 0, Outcome::NotWritten));
    rig.send(0, 1);
    rig.advance(SECOND);
    assert_eq!(rig.stamps(connection), [(1, 0)]);
}

#[test]
fn a_fatal_error_gives_everything_its_fate_and_stays() {
    let mut rig = Rig::up(config(), &[1, 2, -1]);
    for index in 0..3 {
        rig.send(index, 1);
        rig.send(index, 1);
    }
    rig.answer(rig.connection(0), 53);
    assert_eq!(rig.end(0, 0), (Code::NOT_AUTHORIZED, 53, Outcome::NotWritten));
    assert_eq!(rig.end(0, 1), (Code::FATAL, 53, Outcome::NotWritten));
    assert_eq!(rig.end(1, 0), (Code::FATAL, 53, Outcome::Unknown));
    assert_eq!(rig.end(1, 1), (Code::FATAL, 53, Outcome::NotWritten));
    assert_eq!(rig.end(2, 0), (Code::FATAL, 53, Outcome::NotWritten));
    let status = rig.engine.status().unwrap();
    assert!(status.fatal && status.code == Code::FATAL && status.broker_code == 53);
    rig.answer(rig.connection(1), 0);
    rig.send(0, 1);
    rig.advance(1_000 * SECOND);
    assert_eq!(rig.end(0, 2), (Code::FATAL, 53, Outcome::NotWritten));
    assert!(rig.engine.may_take(rig.partition(0), rig.now), "hand it in: it gets its fate at once");
    assert_eq!(rig.fates.len(), 7);
}

#[test]
fn producer_ids_are_retried_or_end_the_producer() {
    for (code, is_fatal) in [(15, false), (51, false), (7, false), (-1, false), (31, true), (35, true), (53, true)] {
        let mut rig = Rig::new(config());
        rig.is_manual = true;
        rig.topics.insert("t".into(), ([9; 16], 0, vec![(1, 0)]));
        rig.engine.add_topic(TopicNumber(0), "t", rig.now);
        rig.pump();
        let mut asked = 0;
        for _ in 0..20 {
            for connection in rig.connections.clone() {
                while let Some(sent) = rig.asked.get_mut(&connection).and_then(VecDeque::pop_front) {
                    if sent.api == ApiKey::InitProducerId && asked < 3 {
                        asked += 1;
                        let response = InitProducerIdResponse { error_code: code, ..Default::default() };
                        rig.reply(connection, &sent, |version, writer| response.encode(version, writer));
                    } else {
                        rig.serve(connection, &sent);
                    }
                    rig.pump();
                }
            }
            rig.advance(SECOND / 4);
        }
        assert_eq!(rig.engine.status().is_some_and(|status| status.fatal), is_fatal, "code {code}");
        assert_eq!(asked, if is_fatal { 1 } else { 3 });
        assert_eq!(rig.engine.identity.current.is_some(), !is_fatal);
    }
}

#[test]
fn a_broker_without_producer_ids_is_told_plainly() {
    let mut rig = Rig::new(config());
    rig.versions.pop();
    rig.engine.add_topic(TopicNumber(0), "t", rig.now);
    rig.pump();
    assert!(rig.engine.status().unwrap().message.contains("enable.idempotence"));
    let mut rig = Rig::new(EngineConfig { idempotent: false, ..config() });
    rig.versions.pop();
    rig.topics.insert("t".into(), ([9; 16], 0, vec![(1, 0)]));
    rig.engine.add_topic(TopicNumber(0), "t", rig.now);
    rig.pump();
    rig.send(0, 1);
    assert_eq!(rig.out(rig.connection(0)), [0]);
}

#[test]
fn idle_connections_close_and_nothing_spins() {
    let mut rig = Rig::up(config(), &[1]);
    let connection = rig.connection(0);
    rig.send(0, 1);
    rig.answer(connection, 0);
    rig.advance(600 * SECOND);
    assert!(rig.closed.iter().any(|(number, reason)| *number == connection && reason.code == Code::OK));
    assert!(rig.logs.is_empty(), "idleness is no news: {:?}", rig.logs);
    rig.send(0, 1);
    assert_eq!(rig.out(connection), [1], "no backoff after idleness");
}

#[test]
fn ten_thousand_partitions_cost_no_scans() {
    // librdkafka #1700 again; here: bookkeeping per batch, not per partition.
    let mut rig = Rig::up(EngineConfig { request_bytes_max: 1 << 30, ..config() }, &vec![1; 10_000]);
    for index in 0..10_000 {
        let batch = rig.batch(index, 1);
        rig.hand_in(index, batch);
    }
    rig.pump();
    let connection = rig.connection(0);
    assert_eq!(rig.wire[&connection].iter().map(|sent| sent.parts.len()).sum::<usize>(), 10_000);
    assert_eq!(rig.engine.connections[connection.0 as usize].timers.len(), 10_000);
    rig.answer(connection, 0);
    assert_eq!(rig.fates.len(), 10_000);
    let connection = &rig.engine.connections[connection.0 as usize];
    assert_eq!((connection.timers.len(), connection.ready.len(), connection.busy), (0, 0, 0));
}
