//! Frames, versions, lies, and what the sniffer sees.

use kurier::protocol::broker_code as code;
use kurier::protocol::messages::ApiKey;
use kurier::protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use kurier::protocol::messages::header::{correlation_id, decode_response_header};
use kurier::protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use kurier::protocol::wire::{Reader, Writer};

use super::client::{MS, Peer, SECOND, Spec, spec};
use crate::cluster::lies::Lie;
use crate::cluster::versions::RELEASES;
use crate::cluster::{Fault, Profile};

fn offers(peer: &mut Peer, version: i16) -> ApiVersionsResponse {
    let connection = peer.connect(1);
    let request = ApiVersionsRequest { client_software_name: "a".to_owned(), client_software_version: "1".to_owned() };
    let frame = peer.request(ApiKey::ApiVersions, version, |version, writer| request.encode(version, writer));
    peer.raw(connection, &frame);
    let frame = peer.frame_within(connection, SECOND).unwrap();
    let mut reader = Reader::new(&frame);
    decode_response_header(ApiKey::ApiVersions, version, &mut reader).unwrap();
    ApiVersionsResponse::decode(version, &mut reader).unwrap()
}

#[test]
fn each_release_offers_what_it_had() {
    let range = |offered: &ApiVersionsResponse, api: i16| {
        offered.api_keys.iter().find(|range| range.api_key == api).map(|range| (range.min_version, range.max_version))
    };
    let mut peer = Peer::new(Profile { release: &RELEASES[0], ..Profile::plain(1, 1, 1) });
    let offered = offers(&mut peer, 3);
    assert_eq!((offered.error_code, offered.api_keys.len()), (code::UNSUPPORTED_VERSION, 0));
    let offered = offers(&mut peer, 0);
    assert_eq!((range(&offered, 0), range(&offered, 61)), (Some((0, 7)), None));
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let offered = offers(&mut peer, 4);
    assert_eq!((range(&offered, 0), range(&offered, 61)), (Some((0, 13)), Some((0, 0))));
    assert_eq!(peer.cluster.violations(), &[] as &[String]);
}

#[test]
fn a_rolling_restart_can_bring_another_release() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let roll = Fault::Rolling { clean: true, down: SECOND, release: Some(&RELEASES[0]) };
    peer.cluster.inject(&roll, peer.now);
    peer.pass(3 * SECOND);
    assert_eq!(offers(&mut peer, 0).api_keys.iter().map(|range| range.max_version).max(), Some(7));
    let connection = peer.connect(1);
    let version = peer.version;
    peer.send(connection, &[(0, spec(0, 1))]);
    assert_eq!(peer.closed.last(), None);
    peer.pass(SECOND);
    assert_eq!(peer.closed.last(), Some(&connection), "version {version} is not spoken any more");
    assert!(peer.cluster.violations()[0].contains("API 0 in version 12 to a 201 broker"));
}

#[test]
fn requests_come_cut_anywhere_and_are_answered_one_after_the_other() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let connection = peer.connect(1);
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        producer_id: -1,
        producer_epoch: -1,
    };
    let mut bytes = peer.request(ApiKey::InitProducerId, 4, |version, writer| request.encode(version, writer));
    bytes.extend(peer.request(ApiKey::InitProducerId, 4, |version, writer| request.encode(version, writer)));
    for byte in bytes {
        peer.raw(connection, &[byte]);
    }
    let mut ids = Vec::new();
    for expected in 1..=2 {
        let frame = peer.frame_within(connection, SECOND).unwrap();
        let mut reader = Reader::new(&frame);
        assert_eq!(decode_response_header(ApiKey::InitProducerId, 4, &mut reader), Ok(expected));
        let response = InitProducerIdResponse::decode(4, &mut reader).unwrap();
        assert_eq!((response.error_code, response.producer_epoch), (0, 0));
        ids.push(response.producer_id);
    }
    assert_ne!(ids[0], ids[1]);
}

fn last_sequence(peer: &mut Peer, connection: u64) -> Option<(i64, i32, i32)> {
    let mut frame = Writer::new();
    frame.raw(&[0, 61, 0, 0, 0, 0, 0, 9, 0xFF, 0xFF, 0]);
    frame.set_flexible(true);
    frame.array(&["t"], |writer, name| {
        writer.string(name);
        writer.array(&[0], |writer, index| writer.int32(*index));
        writer.no_tags();
    });
    frame.no_tags();
    let body = frame.finish().unwrap();
    let mut bytes = (body.len() as i32).to_be_bytes().to_vec();
    bytes.extend(body);
    peer.raw(connection, &bytes);
    let frame = peer.frame_within(connection, SECOND).unwrap();
    let mut reader = Reader::new(&frame);
    assert_eq!(reader.int32(), Ok(9));
    reader.set_flexible(true);
    reader.skip_tags().unwrap();
    reader.int32().unwrap();
    let mut found = Vec::new();
    reader
        .array(3, |reader| {
            assert_eq!(reader.string(), Ok("t"));
            reader.array(9, |reader| {
                assert_eq!((reader.int32(), reader.int16(), reader.string_or_null()), (Ok(0), Ok(0), Ok(None)));
                found = reader.array(30, |reader| {
                    let producer = (reader.int64()?, reader.int32()?, reader.int32()?);
                    reader.take(8 + 4 + 8)?;
                    reader.skip_tags()?;
                    Ok(producer)
                })?;
                reader.skip_tags()
            })?;
            reader.skip_tags()
        })
        .unwrap();
    reader.skip_tags().unwrap();
    reader.end().unwrap();
    found.first().copied()
}

#[test]
fn describe_producers_tells_the_last_sequence_even_after_a_restart() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let connection = peer.connect(1);
    assert_eq!(last_sequence(&mut peer, connection), None);
    for at in 0..4 {
        peer.store(connection, spec(at * 10, 10));
    }
    assert_eq!(last_sequence(&mut peer, connection), Some((7, 0, 39)));
    peer.cluster.inject(&Fault::Stop { node: 1, down: SECOND }, peer.now);
    peer.pass(2 * SECOND);
    let connection = peer.connect(1);
    assert_eq!(last_sequence(&mut peer, connection), Some((7, 0, 39)));
}

#[test]
fn every_lie_leaves_the_log_as_it_is() {
    for lie in Lie::ALL {
        let mut peer = Peer::new(Profile::plain(1, 1, 2));
        let connection = peer.connect(1);
        peer.cluster.inject(&Fault::Lie { node: 1, lie }, peer.now);
        peer.send(connection, &[(0, spec(0, 1)), (1, spec(0, 1))]);
        match lie {
            Lie::WrongCorrelation => {
                let frame = peer.frame_within(connection, SECOND).unwrap();
                assert_ne!(correlation_id(&frame), Ok(1));
            }
            Lie::PartitionLeftOut | Lie::ForeignPartition | Lie::PartitionTwice | Lie::ForeignTopic => {
                let response = peer.answer_within(connection, SECOND).unwrap();
                let count: usize = response.topics.iter().map(|topic| topic.partitions.len()).sum();
                assert_eq!(count, if lie == Lie::PartitionLeftOut { 1 } else { 3 });
            }
            Lie::CutFrame => {
                peer.pass(SECOND);
                assert_eq!(peer.closed, [connection]);
            }
            Lie::ShortMessage | Lie::LongMessage => assert!(peer.frame_within(connection, SECOND).is_some()),
            Lie::HugeLength | Lie::NegativeLength => peer.pass(SECOND),
        }
        assert_eq!((peer.log().len(), peer.cluster.log("t", 1).len()), (1, 1), "{lie:?}");
    }
}

#[test]
fn throttled_connections_are_muted_but_not_for_a_month() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let connection = peer.connect(1);
    peer.cluster.inject(&Fault::Throttle { node: 1, throttle_ms: 700, times: 1 }, peer.now);
    peer.send(connection, &[(0, spec(0, 1))]);
    assert_eq!(peer.answer_within(connection, SECOND).unwrap().throttle_time_ms, 700);
    let began = peer.now;
    peer.store(connection, spec(1, 1));
    assert!(peer.now.since(began) >= 700 * MS);
    peer.cluster.inject(&Fault::Throttle { node: 1, throttle_ms: i32::MAX, times: 1 }, peer.now);
    peer.store(connection, spec(2, 1));
    assert_eq!(peer.store(connection, spec(3, 1)), (0, 3));
}

/// What each kind of illegal traffic is called, and what it is.
#[test]
fn the_sniffer_sees_what_is_illegal() {
    type Play = fn(&mut Peer, u64);
    let plays: [(&str, Play); 7] = [
        ("twice in a produce request", |peer, one| peer.send(one, &[(0, spec(0, 1)), (0, spec(1, 1))])),
        ("where 1 comes next", |peer, one| {
            peer.store(one, spec(0, 1));
            peer.send(one, &[(0, spec(2, 1))]);
        }),
        ("is not what was sent before", |peer, one| {
            peer.store(one, spec(0, 1));
            peer.send(one, &[(0, Spec { mark: 1, ..spec(0, 1) })]);
        }),
        ("is not what was sent before as 0..1", |peer, one| {
            peer.store(one, spec(0, 2));
            peer.send(one, &[(0, spec(0, 1))]);
        }),
        ("after epoch Some(1) began", |peer, one| {
            peer.store(one, spec(0, 1));
            peer.store(one, Spec { epoch: 1, ..spec(0, 1) });
            peer.send(one, &[(0, spec(1, 1))]);
        }),
        ("6 batches unanswered", |peer, one| {
            peer.store(one, spec(0, 1));
            (1..7).for_each(|first| peer.send(one, &[(0, spec(first, 1))]));
        }),
        ("(rule 10)", |peer, one| (0..2).for_each(|first| peer.send(one, &[(0, spec(first, 1))]))),
    ];
    for (what, play) in plays {
        let mut peer = Peer::new(Profile::plain(1, 1, 1));
        let connection = peer.connect(1);
        play(&mut peer, connection);
        let violations = peer.cluster.violations();
        assert!(violations.len() == 1 && violations[0].contains(what), "{what}: {violations:?}");
    }
}

#[test]
fn a_new_leader_gets_nothing_while_the_old_one_owes_an_answer() {
    for abandons in [false, true] {
        let mut peer = Peer::new(Profile::plain(2, 2, 1));
        let (leader, other) = (peer.leader(), peer.other());
        let (one, two) = (peer.connect(leader), peer.connect(other));
        peer.send(one, &[(0, spec(0, 1))]);
        if abandons {
            peer.cluster.abandon(one);
        }
        peer.send(two, &[(0, spec(0, 1))]);
        let found = peer.cluster.violations().iter().any(|violation| violation.contains("(rule 11)"));
        assert_eq!(found, !abandons);
    }
}

#[test]
fn a_changed_byte_is_seen() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let connection = peer.connect(1);
    let mut bytes = super::client::batch(spec(0, 1));
    *bytes.last_mut().unwrap() ^= 1;
    let topic = kurier::protocol::messages::produce::ProduceTopic {
        name: "t",
        topic_id: [0; 16],
        partitions: vec![(0, Some(&bytes))],
    };
    let request = kurier::protocol::messages::produce::ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 1,
        topics: vec![topic],
    };
    let frame = peer.request(ApiKey::Produce, 12, |version, writer| request.encode(version, writer));
    peer.raw(connection, &frame);
    assert_eq!(peer.answer(connection).error_code, code::CORRUPT_MESSAGE);
    assert!(peer.cluster.violations()[0].contains("a wrong checksum"));
}

/// Batches can be lost with a connection before they arrive; what stood behind them then comes first.
#[test]
fn a_gap_is_excused_by_a_connection_that_ended_and_filled_only_once() {
    let mut peer = Peer::new(Profile::plain(1, 1, 1));
    let first = peer.connect(1);
    peer.store(first, spec(0, 1));
    peer.cluster.close(first, peer.now);
    let connection = peer.connect(1);
    peer.store(connection, spec(3, 1));
    peer.store(connection, spec(1, 2));
    assert_eq!(peer.cluster.violations(), &[] as &[String]);
    peer.store(connection, spec(5, 1));
    assert!(peer.cluster.violations()[0].contains("5..5 where 4 comes next"));
}
