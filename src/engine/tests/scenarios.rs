//! What the Java client's own tests ask of its sender, as far as nothing else here does (`docs/java-scenarios.md`).

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A partition with its first batch written, and `count` batches of one record in flight.
fn in_flight(config: EngineConfig, count: usize) -> (Rig, ConnectionNumber) {
    let mut rig = Rig::up(config, &[1]);
    rig.send(0, 1);
    let connection = rig.connection(0);
    rig.answer(connection, 0);
    for _ in 0..count {
        rig.send(0, 1);
    }
    assert_eq!(rig.out(connection).len(), count);
    (rig, connection)
}

#[test]
fn with_one_request_in_flight_nothing_overtakes_a_batch_that_is_sent_again() {
    for idempotent in [true, false] {
        let mut rig = Rig::up(EngineConfig { idempotent, in_flight_max: 1, ..config() }, &[1]);
        let connection = rig.connection(0);
        for _ in 0..4 {
            rig.send(0, 1);
        }
        let mut order = Vec::new();
        for code in [0, 19, 7, 0, 6, 0, 0] {
            rig.advance(2 * SECOND);
            let out = rig.out(connection);
            assert_eq!(out.len(), 1, "one at a time");
            order.extend(out);
            rig.answer(connection, code);
        }
        assert_eq!(order, [0, 1, 1, 1, 2, 2, 3], "idempotent: {idempotent}");
    }
}

#[test]
fn while_a_batch_that_expired_is_still_out_the_next_one_waits() {
    for idempotent in [true, false] {
        let timeouts = EngineConfig { request_timeout: 300 * SECOND, ..config() };
        let mut rig = Rig::up(EngineConfig { idempotent, in_flight_max: 1, ..timeouts }, &[1]);
        let connection = rig.connection(0);
        rig.send(0, 1);
        rig.advance(100 * SECOND);
        rig.send(0, 1);
        rig.advance(21 * SECOND);
        assert_eq!(rig.end(0, 0), (Code::TIMED_OUT, 0, Outcome::Unknown));
        assert_eq!(rig.out(connection), [0], "the order would be lost with its answer");
        rig.answer(connection, 0);
        assert_eq!(rig.out(connection), [1]);
    }
}

#[test]
fn an_expired_batch_is_not_sent_again_whatever_becomes_of_its_request() {
    for answer in [Some(19), Some(6), Some(10), Some(0), None] {
        let (mut rig, connection) = in_flight(EngineConfig { request_timeout: 300 * SECOND, ..config() }, 1);
        rig.advance(121 * SECOND);
        assert_eq!(rig.end(0, 1), (Code::TIMED_OUT, 0, Outcome::Unknown));
        match answer {
            Some(code) => drop(rig.answer(connection, code)),
            None => drop(rig.disconnect(connection)),
        }
        rig.advance(5 * SECOND);
        assert!(rig.out(connection).is_empty() && rig.splits.is_empty(), "{answer:?}");
        assert_eq!(rig.fates.len(), 2);
        let next = rig.send(0, 1);
        rig.advance(2 * SECOND);
        assert_eq!(rig.out(connection), [next], "{answer:?}: and it holds nothing up");
    }
}

#[test]
fn out_of_order_for_the_only_batch_in_flight_takes_a_new_epoch() {
    let (mut rig, connection) = in_flight(config(), 1);
    assert_eq!(rig.stamps(connection), [(0, 1)]);
    rig.answer(connection, 45);
    rig.advance(2 * SECOND);
    assert_eq!((rig.out(connection), rig.stamps(connection)), (vec![1], vec![(1, 0)]));
    rig.answer(connection, 0);
    assert_eq!(rig.end(0, 1).2, Outcome::Written);
}

#[test]
fn when_all_that_was_in_flight_has_expired_the_next_goes_under_a_new_epoch() {
    let (mut rig, connection) = in_flight(EngineConfig { request_timeout: 300 * SECOND, ..config() }, 3);
    rig.advance(121 * SECOND);
    for first in 1..4 {
        assert_eq!(rig.end(0, first), (Code::TIMED_OUT, 0, Outcome::Unknown));
    }
    rig.send(0, 1);
    assert_eq!(rig.out(connection), [1, 2, 3], "nothing new while an old one may still be written");
    rig.disconnect(connection);
    rig.advance(2 * SECOND);
    assert_eq!((rig.out(connection), rig.stamps(connection)), (vec![4], vec![(1, 0)]));
}

#[test]
fn unknown_producer_id_takes_all_that_is_in_flight_to_one_new_epoch_in_order() {
    let (mut rig, connection) = in_flight(config(), 4);
    for _ in 0..4 {
        rig.answer(connection, 59);
    }
    for first in 1..5 {
        rig.advance(2 * SECOND);
        assert_eq!(rig.out(connection)[0], first);
        assert_eq!(rig.stamps(connection)[0], (1, first as i32 - 1));
        rig.answer(connection, 0);
    }
    assert!((1..5).all(|first| rig.end(0, first).2 == Outcome::Written));
}

#[test]
fn the_end_does_not_wait_for_a_new_epoch_that_is_not_there_yet() {
    // The last epoch is used up, and nobody gives a producer id.
    for is_forced in [false, true] {
        let mut rig = Rig::new(config());
        rig.identity = (77, i16::MAX);
        let mut rig = rig.start(&[1]);
        let connection = rig.connection(0);
        rig.send(0, 1);
        rig.is_manual = true;
        rig.answer(connection, 87);
        rig.send(0, 1);
        rig.advance(SECOND);
        assert!(rig.out(connection).is_empty(), "it waits for an id");
        if is_forced {
            assert_eq!(rig.engine.purge(true, true, rig.now), 1);
            rig.pump();
            assert_eq!(rig.end(0, 1), (Code::PURGED, 0, Outcome::NotWritten));
            continue;
        }
        rig.is_manual = false;
        rig.identity = (78, 0);
        let sent = rig.asked.get_mut(&BOOT).and_then(VecDeque::pop_front).expect("an id is asked for");
        rig.serve(BOOT, &sent);
        rig.pump();
        rig.answer(connection, 0);
        assert_eq!(rig.end(0, 1).2, Outcome::Written);
    }
}

#[test]
fn batches_of_many_partitions_expire_each_at_its_time() {
    let mut rig = Rig::up(config(), &[-1; 50]);
    let start = rig.now;
    for index in 0..50 {
        rig.send(index, 1);
        rig.advance(SECOND);
        rig.send(index, 1);
    }
    // Two of each partition, a second apart; the first of all is two minutes old at `due`.
    let due = start + 120 * SECOND;
    for second in 0..=50u32 {
        rig.advance((due + second * SECOND - Duration::from_millis(1)).since(rig.now));
        assert_eq!(rig.fates.len(), 2 * second as usize - usize::from(second > 0), "second {second}: too early");
        rig.advance(Duration::from_millis(1));
        assert_eq!(rig.fates.len(), 2 * second as usize + usize::from(second < 50), "second {second}: too late");
    }
    assert!(rig.fates.values().all(|fates| fates.len() == 1 && fates[0].1.code == Code::TIMED_OUT));
    assert!(rig.engine.connections.iter().all(|connection| connection.timers.is_empty()));
}

#[test]
fn a_delivery_timeout_without_end_never_comes() {
    let mut rig = Rig::up(EngineConfig { delivery_timeout: Duration::MAX, ..config() }, &[-1]);
    rig.send(0, 1);
    for _ in 0..100 {
        rig.advance(3_600 * SECOND);
    }
    assert!(rig.fate(0, 0).is_none());
}

#[test]
fn a_connection_whose_partitions_all_went_elsewhere_has_nothing_to_do() {
    let mut rig = Rig::up(config(), &[1]);
    let old = rig.connection(0);
    rig.send(0, 1);
    rig.answer(old, 0);
    rig.elect(0, 2, 1);
    rig.send(0, 1);
    rig.answer(old, 6);
    rig.advance(SECOND);
    assert_ne!(rig.connection(0), old);
    assert!(rig.engine.poll_transmit(old, rig.now).is_none() && rig.engine.poll_offered(old, rig.now).is_none());
    assert_eq!(rig.engine.partitions_in_need(old), 0);
    let quiet_until = rig.engine.poll_timeout(old);
    assert!(quiet_until > rig.now + 500 * SECOND, "only its idleness ends");
}

#[test]
fn the_records_of_a_batch_have_one_fate_though_its_request_is_answered_twice() {
    let (mut rig, connection) = in_flight(config(), 2);
    let first = rig.wire[&connection][0].clone();
    rig.answer(connection, 0);
    let again = ProduceResponse {
        topics: vec![ProduceTopicResponse {
            name: "t".into(),
            partitions: vec![ProducePartitionResponse { error_code: 19, ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    };
    rig.reply(connection, &first, |version, writer| again.encode(version, writer));
    rig.pump();
    assert_eq!(rig.end(0, 1).2, Outcome::Written);
    assert_eq!(rig.closed.len(), 1, "who answers twice is not believed any more");
    rig.advance(2 * SECOND);
    assert_eq!(rig.out(connection), [2]);
}
