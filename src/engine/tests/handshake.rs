//! Handshakes, hostile frames, throttling and timeouts of a connection.

use super::*;
use crate::engine::connection::fallback;

const SECOND: Duration = Duration::from_secs(1);

/// A rig whose bootstrap connection has asked for versions and waits.
fn asking() -> (Rig, Sent) {
    let mut rig = Rig::new(config());
    rig.is_manual = true;
    rig.engine.add_topic(TopicNumber(0), "t", rig.now);
    rig.pump();
    let sent = rig.asked.get_mut(&BOOT).unwrap().pop_front().unwrap();
    (rig, sent)
}

fn refuse(rig: &mut Rig, sent: &Sent, error_code: i16, api_keys: Vec<ApiRange>) -> Option<Sent> {
    let response = ApiVersionsResponse { error_code, api_keys, ..Default::default() };
    rig.reply(BOOT, sent, |_, writer| response.encode(0, writer));
    rig.pump();
    rig.asked.get_mut(&BOOT).and_then(VecDeque::pop_front)
}

#[test]
fn versions_fall_back_to_what_is_listed_or_to_0() {
    for (listed, expected) in [
        (vec![range(ApiKey::ApiVersions, 0, 2)], 2),
        (Vec::new(), 0),
        (vec![range(ApiKey::ApiVersions, 0, 4)], 0),
        (vec![range(ApiKey::ApiVersions, 0, -1)], 0),
        (vec![range(ApiKey::ApiVersions, 0, i16::MAX)], 0),
    ] {
        let (mut rig, sent) = asking();
        assert_eq!((sent.api, sent.version), (ApiKey::ApiVersions, 4));
        let again = refuse(&mut rig, &sent, 35, listed).expect("asked again");
        assert_eq!((again.api, again.version), (ApiKey::ApiVersions, expected));
    }
}

#[test]
fn a_downgrade_loop_ends() {
    // franz-go's TestAuditApiVersionsDowngradeLoopTerminates.
    let (mut rig, mut sent) = asking();
    for expected in [2, 0] {
        sent = refuse(&mut rig, &sent, 35, vec![range(ApiKey::ApiVersions, 0, 2)]).unwrap();
        assert_eq!(sent.version, expected);
    }
    assert!(rig.closed.is_empty());
    refuse(&mut rig, &sent, 35, vec![range(ApiKey::ApiVersions, 0, 2)]);
    assert_eq!(rig.closed.len(), 1, "refused in version 0 too");
    let all = vec![range(ApiKey::ApiVersions, 0, 3)];
    assert_eq!((fallback(4, 35, &all), fallback(3, 35, &all), fallback(0, 35, &all)), (Some(3), Some(0), None));
    assert_eq!(fallback(4, 42, &all), None, "another error closes");
}

#[test]
fn what_does_not_speak_kafka_is_left() {
    let (mut rig, sent) = asking();
    let mut hostile = vec![
        Vec::new(),
        vec![0; 3],
        vec![0xff; 64],
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        (sent.correlation_id + 1).to_be_bytes().to_vec(),
    ];
    let mut huge = sent.correlation_id.to_be_bytes().to_vec();
    huge.extend_from_slice(&[0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    hostile.push(huge);
    for frame in hostile {
        let (mut rig, _) = asking();
        let error = rig.engine.handle_frame(BOOT, &frame, rig.now).unwrap_err();
        assert_eq!(error.code, Code::UNREACHABLE);
        assert!(rig.engine.handle_frame(BOOT, &frame, rig.now).is_ok(), "closing: nothing is read any more");
        rig.pump();
        assert_eq!(rig.closed.len(), 1);
        assert_eq!(rig.engine.status().unwrap().code, Code::UNREACHABLE);
        assert!(rig.engine.status().unwrap().retriable);
    }
    let api_keys = vec![range(ApiKey::Metadata, 90, 99)];
    let response = ApiVersionsResponse { api_keys, ..Default::default() };
    rig.reply(BOOT, &sent, |version, writer| response.encode(version, writer));
    rig.pump();
    assert_eq!(rig.closed[0].1.code, Code::UNSUPPORTED, "no version in common");
}

#[test]
fn answers_out_of_order_unknown_or_repeated_close_the_connection() {
    let mut rig = Rig::up(config(), &[1]);
    rig.send(0, 1);
    let connection = rig.connection(0);
    rig.answer(connection, 0);
    rig.send(0, 1);
    rig.send(0, 1);
    let second = rig.wire[&connection][1].clone();
    rig.reply(connection, &second, |version, writer| ProduceResponse::default().encode(version, writer));
    assert_eq!(rig.engine.in_flight(connection), 2, "nothing was taken for an answer");
    rig.pump();
    assert_eq!(rig.closed.len(), 1);
    rig.advance(2 * SECOND);
    assert_eq!(rig.out(connection), [1], "both are sent again, in order");
}

#[test]
fn who_omits_or_invents_parts_is_not_believed_any_more() {
    let mut rig = Rig::up(config(), &[1, 1]);
    for index in [0, 1] {
        let batch = rig.batch(index, 1);
        rig.hand_in(index, batch);
    }
    rig.pump();
    let connection = rig.connection(0);
    let sent = rig.wire.get_mut(&connection).unwrap().pop_front().unwrap();
    let part = |index, base_offset| ProducePartitionResponse { index, base_offset, ..Default::default() };
    let topic = |name: &str, partitions| ProduceTopicResponse { name: name.into(), partitions, ..Default::default() };
    let response = ProduceResponse {
        topics: vec![
            topic("t", vec![part(1, 70), part(1, 80), part(9, 1), part(-1, 1), part(i32::MAX, 1)]),
            topic("other", vec![part(0, 5)]),
        ],
        ..Default::default()
    };
    rig.reply(connection, &sent, |version, writer| response.encode(version, writer));
    rig.pump();
    assert_eq!(rig.fate(1, 0).unwrap().base_offset, 70, "what was asked and answered holds");
    assert!(rig.fate(0, 0).is_none());
    assert_eq!((rig.closed.len(), rig.closed[0].0), (1, connection), "a new connection");
    rig.advance(2 * SECOND);
    assert_eq!(rig.stamps(connection), [(0, 0)], "sent again under the same sequence");
    rig.answer(connection, 45);
    assert_eq!(rig.end(0, 0).2, Outcome::Unknown, "an omitted answer is an open end");
}

#[test]
fn an_answer_before_the_request_is_written_keeps_the_bytes() {
    let mut rig = Rig::up(config(), &[1]);
    rig.is_stuck = true;
    rig.send(0, 1);
    let connection = rig.connection(0);
    rig.answer(connection, 0);
    assert_eq!(rig.end(0, 0).2, Outcome::Written);
    let released = rig.released;
    rig.is_stuck = false;
    rig.engine.handle_written(connection, 1, rig.now);
    rig.drain();
    assert_eq!((released, rig.released), (1, 2), "the request's own hold ends with its last byte");
}

#[test]
fn throttling_mutes_for_at_most_its_limit_and_does_not_count_as_waiting() {
    let mut rig = Rig::up(config(), &[1]);
    let connection = rig.connection(0);
    rig.send(0, 1);
    rig.answer_with(connection, 0, |_| ProducePartitionResponse::default());
    rig.send(0, 1);
    rig.send(0, 1);
    rig.advance(20 * SECOND);
    rig.answer_with(connection, 15_000, |_| ProducePartitionResponse::default());
    rig.send(0, 1);
    assert_eq!(rig.out(connection), [2], "muted");
    rig.advance(14 * SECOND);
    assert_eq!(rig.out(connection), [2]);
    assert!(rig.closed.is_empty(), "34 s, 14 of them muted");
    rig.advance(2 * SECOND);
    assert_eq!(rig.out(connection), [2, 3]);
    rig.answer_with(connection, i32::MAX, |_| ProducePartitionResponse::default());
    rig.answer_with(connection, -5, |_| ProducePartitionResponse::default());
    rig.send(0, 1);
    rig.advance(31 * SECOND);
    assert_eq!(rig.out(connection), [4], "2^31-1 ms is 30 s here");
}

#[test]
fn an_unanswered_request_closes_its_connection_and_only_then_its_batches_move() {
    let mut rig = Rig::up(config(), &[1]);
    let connection = rig.connection(0);
    rig.send(0, 1);
    let start = rig.now;
    while rig.engine.poll_close(connection, rig.now).is_none() {
        rig.now = rig.engine.poll_timeout(connection);
    }
    assert_eq!(rig.now, start + config().request_timeout);
    assert_eq!(rig.engine.in_flight(connection), 1);
    rig.topics.get_mut("t").unwrap().2 = vec![(2, 1)];
    rig.pump();
    assert_eq!(rig.closed[0].1.code, Code::TIMED_OUT);
    rig.advance(SECOND);
    assert_ne!(rig.connection(0), connection, "the leader was asked for");
    assert_eq!(rig.out(rig.connection(0)), [0]);
}

#[test]
fn a_handshake_that_hangs_is_given_up() {
    let (mut rig, _) = asking();
    let start = rig.now;
    rig.advance(13 * SECOND);
    assert_eq!(rig.closed.len(), 1);
    let setup = rig.attempts[1].3.since(start);
    assert!((8 * SECOND..12 * SECOND + SECOND).contains(&setup), "10 s +- 20 %, then a backoff: {setup:?}");
}

#[test]
fn a_topic_id_answers_for_its_topic_in_version_13() {
    let mut rig = Rig::new(config());
    rig.versions[0] = range(ApiKey::Produce, 3, 13);
    rig.topics.insert("t".into(), ([9; 16], 0, vec![(1, 0)]));
    rig.topics.insert("without".into(), ([0; 16], 0, vec![(1, 0)]));
    rig.engine.add_topic(TopicNumber(0), "t", rig.now);
    rig.pump();
    rig.send(0, 1);
    let connection = rig.connection(0);
    let sent = &rig.wire[&connection][0];
    assert_eq!((sent.version, sent.parts[0].topic_id), (13, [9; 16]));
    // The topic is recreated while the request is out: its answer still counts.
    rig.topics.get_mut("t").unwrap().0 = [8; 16];
    rig.advance(301 * SECOND);
    rig.send(0, 1);
    rig.advance(SECOND);
    rig.answer(connection, 0);
    assert!(rig.fates.values().any(|fates| fates[0].1.outcome == Outcome::Written));
    rig.engine.add_topic(TopicNumber(1), "without", rig.now);
    rig.pump();
    let partition = rig.partitions[&1][0];
    let batch = rig.batch(0, 1);
    rig.engine.handle_batch(partition, 0, batch, rig.now);
    rig.pump();
    assert_eq!(rig.wire[&connection].back().unwrap().version, 12, "a topic without an id");
}

#[test]
fn zstandard_needs_produce_7() {
    let mut rig = Rig::new(config());
    rig.versions[0] = range(ApiKey::Produce, 0, 6);
    rig.topics.insert("t".into(), ([9; 16], 0, vec![(1, 0)]));
    rig.engine.add_topic(TopicNumber(0), "t", rig.now);
    rig.pump();
    let batch = TestBatch { codec: 4, ..rig.batch(0, 1) };
    rig.hand_in(0, batch);
    rig.pump();
    assert_eq!(rig.end(0, 0), (Code::UNSUPPORTED, 76, Outcome::NotWritten));
    rig.send(0, 1);
    assert_eq!(rig.wire[&rig.connection(0)][0].version, 6);
}
