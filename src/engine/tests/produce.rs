//! Sending, pipelining, retrying: what goes out and how batches end.

use super::*;

#[test]
fn a_batch_goes_out_with_identity_and_comes_back_written() {
    let mut rig = Rig::up(config(), &[1]);
    let first = rig.send(0, 3);
    let sent = &rig.wire[&rig.connection(0)][0];
    assert_eq!(sent.version, 12);
    let part = &sent.parts[0];
    assert_eq!((part.producer_id, part.epoch, part.sequence, part.records), (4000, 0, 0, 3));
    rig.answer(rig.connection(0), 0);
    let fate = rig.fate(0, first).unwrap();
    assert_eq!((fate.code, fate.outcome, fate.base_offset, fate.attempts), (Code::OK, Outcome::Written, 0, 1));
    assert_eq!((rig.released, rig.engine.queue_length(rig.partition(0))), (1, 0));
}

#[test]
fn one_in_flight_until_the_leader_has_accepted_one_then_five() {
    // franz-go #223: of two first requests to a new leader only the second may be appended.
    let mut rig = Rig::up(config(), &[1]);
    for _ in 0..8 {
        rig.send(0, 1);
    }
    let connection = rig.connection(0);
    assert_eq!(rig.out(connection), [0]);
    rig.answer(connection, 0);
    assert_eq!(rig.out(connection), [1, 2, 3, 4, 5]);
    assert_eq!(rig.stamps(connection), [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]);
    for _ in 0..7 {
        rig.answer(connection, 0);
    }
    assert_eq!(rig.fates.len(), 8);
}

#[test]
fn many_partitions_share_a_request() {
    // librdkafka #1700: one partition per request.
    let mut rig = Rig::up(config(), &[1; 100]);
    for index in 0..100 {
        let batch = rig.batch(index, 1);
        rig.hand_in(index, batch);
    }
    rig.pump();
    assert_eq!(rig.wire[&rig.connection(0)].len(), 1);
    assert_eq!(rig.wire[&rig.connection(0)][0].parts.len(), 100);
}

#[test]
fn a_request_takes_no_more_than_its_size_and_partitions_take_turns() {
    let mut rig = Rig::up(EngineConfig { request_bytes_max: 70_000, in_flight_max: 1, ..config() }, &[1; 3]);
    for index in [0, 0, 1, 1, 2, 2] {
        let mut batch = rig.batch(index, 1);
        batch.bytes = 60_000;
        rig.hand_in(index, batch);
    }
    rig.pump();
    let mut order = Vec::new();
    for _ in 0..6 {
        order.push(rig.answer(rig.connection(0), 0).parts.iter().map(|part| part.index).collect::<Vec<_>>());
    }
    assert_eq!(order, [[0], [1], [2], [0], [1], [2]]);
}

#[test]
fn a_retry_goes_alone_and_in_order() {
    let mut rig = Rig::up(config(), &[1]);
    let connection = rig.connection(0);
    rig.send(0, 1);
    rig.answer(connection, 0);
    for _ in 0..4 {
        rig.send(0, 2);
    }
    assert_eq!(rig.out(connection), [1, 3, 5, 7]);
    rig.answer(connection, 19);
    rig.advance(Duration::from_secs(2));
    assert_eq!(rig.out(connection), [3, 5, 7], "not beside those that are still out");
    rig.answer(connection, 45);
    rig.answer(connection, 45);
    rig.answer(connection, 45);
    assert_eq!(rig.out(connection), [0; 0], "backoff");
    rig.advance(Duration::from_secs(2));
    assert_eq!(rig.out(connection), [1], "the first alone");
    for first in [1, 3, 5, 7] {
        assert_eq!(rig.out(connection), [first]);
        assert_eq!(rig.stamps(connection), [(0, first as i32)], "sequences stay");
        rig.answer(connection, 0);
    }
    assert_eq!(rig.fate(0, 7).unwrap().attempts, 2);
}

#[test]
fn the_answer_to_a_repeat_does_not_change_the_timestamps() {
    // Seen on Kafka 4.2.0 with an answer cut off: the success of the repeat carries the largest timestamp of the batch
    // as its log append time, though the topic keeps the producer's timestamps.
    let mut rig = Rig::up(config(), &[1]);
    let connection = rig.connection(0);
    let success = |log_append_time_ms| ProducePartitionResponse { log_append_time_ms, ..Default::default() };
    for (first, repeats, told, expected) in [(0, false, 2_000, 2_000), (1, true, 2_000, -1), (2, true, 2_500, 2_500)] {
        rig.send(0, 1);
        if repeats {
            rig.answer(connection, 7);
            rig.advance(Duration::from_secs(2));
        }
        rig.answer_with(connection, 0, |_| success(told));
        assert_eq!(rig.fate(0, first).unwrap().log_append_time_ms, expected, "batch {first}");
    }
}

#[test]
fn every_verdict_ends_as_the_table_says() {
    use Outcome::{NotWritten, Unknown, Written};
    for (answer, code, outcome) in [
        (0, Code::OK, Written),
        (46, Code::OK, Written),
        (-1, Code::REJECTED, Unknown),
        (999, Code::REJECTED, Unknown),
        (8, Code::REJECTED, NotWritten),
        (17, Code::REJECTED, NotWritten),
        (18, Code::REJECTED, NotWritten),
        (21, Code::REJECTED, NotWritten),
        (32, Code::REJECTED, NotWritten),
        (42, Code::REJECTED, NotWritten),
        (43, Code::REJECTED, NotWritten),
        (44, Code::REJECTED, NotWritten),
        (48, Code::REJECTED, NotWritten),
        (76, Code::REJECTED, NotWritten),
        (87, Code::REJECTED, NotWritten),
        (120, Code::REJECTED, NotWritten),
        (10, Code::RECORD_TOO_LARGE, NotWritten),
        (29, Code::NOT_AUTHORIZED, NotWritten),
        (31, Code::NOT_AUTHORIZED, NotWritten),
        (53, Code::NOT_AUTHORIZED, NotWritten),
        (35, Code::UNSUPPORTED, NotWritten),
        (49, Code::FATAL, NotWritten),
        (90, Code::FENCED, NotWritten),
    ] {
        let mut rig = Rig::up(config(), &[1, 1]);
        rig.send(0, 1);
        rig.answer(rig.connection(0), answer);
        assert_eq!(rig.end(0, 0), (code, if matches!(answer, 0 | 46) { 0 } else { answer }, outcome), "code {answer}");
        let is_fatal = matches!(answer, 31 | 35 | 49 | 53 | 90);
        assert_eq!(rig.engine.status().is_some_and(|status| status.fatal), is_fatal, "code {answer}");
        // Rule 14: one refused record does not end the producer.
        rig.send(0, 1);
        if is_fatal {
            assert_eq!(rig.end(0, 1), (Code::FATAL, answer, NotWritten));
        } else {
            rig.advance(Duration::from_secs(2));
            rig.answer(rig.connection(0), 0);
            assert_eq!(rig.fate(0, 1).unwrap().code, Code::OK, "code {answer}");
        }
    }
}

#[test]
fn every_retriable_error_is_retried_until_the_delivery_timeout() {
    for (answer, outcome) in [
        (2, Outcome::NotWritten),
        (3, Outcome::Unknown),
        (5, Outcome::NotWritten),
        (6, Outcome::Unknown),
        (7, Outcome::Unknown),
        (9, Outcome::NotWritten),
        (13, Outcome::Unknown),
        (14, Outcome::NotWritten),
        (15, Outcome::NotWritten),
        (16, Outcome::NotWritten),
        (19, Outcome::NotWritten),
        (20, Outcome::Unknown),
        (51, Outcome::NotWritten),
        (56, Outcome::Unknown),
        (72, Outcome::NotWritten),
        (74, Outcome::NotWritten),
        (75, Outcome::NotWritten),
        (78, Outcome::NotWritten),
        (80, Outcome::NotWritten),
        (83, Outcome::NotWritten),
        (84, Outcome::NotWritten),
        (88, Outcome::NotWritten),
        (89, Outcome::NotWritten),
        (100, Outcome::Unknown),
        (103, Outcome::Unknown),
    ] {
        let mut rig = Rig::up(config(), &[1]);
        let connection = rig.connection(0);
        rig.send(0, 1);
        let mut tries = 0;
        while rig.fate(0, 0).is_none() {
            if !rig.out(connection).is_empty() {
                rig.answer(connection, answer);
                tries += 1;
            }
            rig.advance(Duration::from_millis(50));
        }
        assert_eq!(rig.end(0, 0), (Code::TIMED_OUT, answer, outcome), "code {answer}");
        assert!((100..250).contains(&tries), "{tries} tries in two minutes at up to a second each");
        assert!(rig.now.since(Time(1_000_000_000)) <= Duration::from_millis(120_100));
        rig.send(0, 1);
        rig.advance(Duration::from_secs(2));
        rig.answer(connection, 0);
        assert_eq!(rig.fate(0, 1).unwrap().code, Code::OK, "code {answer}");
    }
}

#[test]
fn retries_have_a_limit_if_asked_for() {
    let mut rig = Rig::up(EngineConfig { retries: 2, ..config() }, &[1]);
    rig.send(0, 1);
    for _ in 0..3 {
        rig.answer(rig.connection(0), 19);
        rig.advance(Duration::from_secs(2));
    }
    assert_eq!(rig.end(0, 0), (Code::REJECTED, 19, Outcome::NotWritten));
    assert_eq!(rig.fate(0, 0).unwrap().attempts, 3);
}

#[test]
fn record_errors_name_the_records() {
    // KIP-467: one entry has the batch's code, several have INVALID_RECORD each.
    for (indices, expected) in [(vec![1], vec![(1, 32)]), (vec![2, 0, 2, 9, -1], vec![(0, 87), (2, 87)])] {
        let mut rig = Rig::up(config(), &[1]);
        rig.send(0, 3);
        rig.answer_with(rig.connection(0), 0, |_| ProducePartitionResponse {
            error_code: 32,
            record_errors: indices.iter().map(|index| (*index, None)).collect(),
            ..Default::default()
        });
        assert_eq!(rig.fate(0, 0).unwrap().record_codes, expected);
    }
}

#[test]
fn acks_0_ends_when_written() {
    let mut rig = Rig::up(EngineConfig { acks: 0, ..config() }, &[1]);
    rig.send(0, 2);
    assert_eq!(rig.end(0, 0), (Code::OK, 0, Outcome::Unknown));
    assert_eq!(rig.fate(0, 0).unwrap().base_offset, -1);
    rig.is_stuck = true;
    rig.send(0, 1);
    assert!(rig.fate(0, 2).is_none());
    rig.advance(Duration::from_secs(31));
    assert_eq!(rig.closed[0].1.code, Code::TIMED_OUT, "a write that does not end is a request that does not end");
    rig.is_stuck = false;
    rig.disconnect(rig.connection(0));
    rig.advance(Duration::from_secs(2));
    assert_eq!(rig.end(0, 2), (Code::OK, 0, Outcome::Unknown));
    let frame = [0, 0, 0, 9];
    assert!(rig.engine.handle_frame(rig.connection(0), &frame, rig.now).is_err(), "nothing is answered");
}

#[test]
fn without_idempotence_more_may_be_in_flight_and_nothing_has_a_sequence() {
    let mut rig = Rig::up(EngineConfig { idempotent: false, acks: 1, in_flight_max: 9, ..config() }, &[1]);
    for _ in 0..12 {
        rig.send(0, 1);
    }
    let connection = rig.connection(0);
    assert_eq!(rig.out(connection).len(), 9);
    assert!(rig.wire[&connection].iter().flat_map(|sent| &sent.parts).all(|part| part.sequence == -1));
    assert!(rig.wire[&connection].iter().flat_map(|sent| &sent.parts).all(|part| part.producer_id == -1));
    rig.answer(connection, 45);
    assert_eq!(rig.end(0, 0), (Code::REJECTED, 45, Outcome::NotWritten));
    let lost = rig.disconnect(connection);
    assert_eq!(lost.len(), 9);
    rig.advance(Duration::from_secs(2));
    assert_eq!(rig.out(connection), (1..10).collect::<Vec<_>>(), "again, in order");
}

#[test]
fn batches_handed_in_out_of_order_go_out_in_order() {
    let mut rig = Rig::up(config(), &[1]);
    let made: Vec<_> = (0..4).map(|_| rig.batch(0, 1)).collect();
    let partition = rig.partition(0);
    for number in [2, 0] {
        rig.engine.handle_batch(partition, number, made[number as usize].clone(), rig.now);
    }
    rig.pump();
    rig.answer(rig.connection(0), 0);
    assert_eq!(rig.out(rig.connection(0)), [0; 0], "batch 1 is missing");
    rig.engine.handle_gap(partition, 1, rig.now);
    rig.pump();
    assert_eq!(rig.out(rig.connection(0)), [2]);
    assert_eq!(rig.stamps(rig.connection(0)), [(0, 1)], "a gap uses no sequence");
    rig.engine.handle_batch(partition, 2, made[3].clone(), rig.now);
    rig.pump();
    assert_eq!(rig.end(0, 3).0, Code::INTERNAL, "a number that was here before");
}

#[test]
fn what_is_not_compressed_is_asked_for_and_left_out_if_it_cannot_be() {
    let mut rig = Rig::up(config(), &[1, 1]);
    rig.send(0, 1);
    rig.answer(rig.connection(0), 0);
    for index in [0, 1] {
        let batch = rig.batch(index, 1);
        batch.prepared.store(index == 0, Ordering::Relaxed);
        rig.hand_in(index, batch);
    }
    let connection = rig.connection(0);
    let Some(Transmit::Prepare(raw)) = rig.engine.poll_transmit(connection, rig.now) else { panic!() };
    assert_eq!(raw.len(), 1);
    let Some(Transmit::Request(request)) = rig.engine.poll_transmit(connection, rig.now) else { panic!() };
    assert_eq!(request.batches.len(), 1, "the other one goes without it");
    assert!(matches!(rig.engine.poll_transmit(connection, rig.now), Some(Transmit::Prepare(_))));
    raw[0].prepared.store(true, Ordering::Relaxed);
    assert!(matches!(rig.engine.poll_transmit(connection, rig.now), Some(Transmit::Request(_))));
}

#[test]
fn a_request_is_filled_with_what_is_compressed_while_another_one_is_out() {
    // Raw, one of these batches fills a request; compressed, four of them do.
    let mut rig = Rig::up(EngineConfig { request_bytes_max: 400_000, ..config() }, &[1; 8]);
    for index in 0..8 {
        let batch = TestBatch { bytes: 90_000, codec: 3, prepared: Arc::default(), ..rig.batch(index, 1) };
        rig.hand_in(index, batch);
    }
    rig.pump();
    let sizes = |rig: &Rig| rig.wire[&rig.connection(0)].iter().map(|sent| sent.parts.len()).collect::<Vec<_>>();
    assert_eq!(sizes(&rig), [1, 4, 3], "nothing is waited for where nothing is out");
}

#[test]
fn may_take_says_when_a_lingered_batch_would_go() {
    let mut rig = Rig::up(config(), &[1]);
    let (partition, connection) = (rig.partition(0), rig.connection(0));
    assert!(!rig.engine.may_take(partition, rig.now), "not connected yet");
    rig.pump();
    assert!(!rig.attempts.iter().all(|attempt| attempt.0 == BOOT), "the offer made it connect");
    assert_eq!(rig.engine.poll_offered(connection, rig.now), Some(partition));
    assert_eq!(rig.engine.poll_offered(connection, rig.now), None);
    assert!(rig.engine.may_take(partition, rig.now));
    rig.send(0, 1);
    assert!(!rig.engine.may_take(partition, rig.now), "the first one is alone");
    assert_eq!(rig.engine.poll_offered(connection, rig.now), None);
    rig.answer(connection, 0);
    assert_eq!(rig.engine.poll_offered(connection, rig.now), Some(partition));
}
