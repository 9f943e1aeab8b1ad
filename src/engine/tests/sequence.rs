//! Sequences, epochs, splits: the rules that keep a record from being lost or written twice.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A partition with its first batch written and four of two records in flight.
fn pipelined(leaders: &[i32]) -> Rig {
    let mut rig = Rig::up(config(), leaders);
    rig.send(0, 1);
    rig.answer(rig.connection(0), 0);
    for _ in 0..4 {
        rig.send(0, 2);
    }
    assert_eq!(rig.out(rig.connection(0)), [1, 3, 5, 7]);
    rig
}

#[test]
fn a_refused_batch_leaves_a_gap_and_the_rest_goes_on_under_a_new_epoch() {
    // Rule 14; librdkafka #3584, #4438: the instance must not need to be rebuilt.
    let mut rig = pipelined(&[1]);
    let connection = rig.connection(0);
    rig.answer(connection, 87);
    assert_eq!(rig.end(0, 1), (Code::REJECTED, 87, Outcome::NotWritten));
    rig.send(0, 1);
    assert_eq!(rig.out(connection), [3, 5, 7], "nothing new before the others have ended");
    for _ in 0..3 {
        rig.answer(connection, 45);
    }
    rig.advance(2 * SECOND);
    assert_eq!((rig.out(connection), rig.stamps(connection)), (vec![3], vec![(1, 0)]));
    rig.answer(connection, 0);
    assert_eq!(rig.stamps(connection), [(1, 2), (1, 4), (1, 6)]);
    for _ in 0..3 {
        rig.answer(connection, 0);
    }
    assert!([3, 5, 7, 9].iter().all(|first| rig.end(0, *first).2 == Outcome::Written));
    assert!(rig.engine.status().is_none());
}

#[test]
fn out_of_order_for_the_next_expected_batch_that_was_refused_each_time_is_rewritten() {
    let mut rig = pipelined(&[1]);
    let connection = rig.connection(0);
    rig.answer(connection, 0);
    for _ in 0..3 {
        rig.answer(connection, 45);
    }
    rig.advance(2 * SECOND);
    assert_eq!((rig.out(connection), rig.stamps(connection)), (vec![3], vec![(1, 0)]));
    for _ in 0..3 {
        rig.answer(connection, 0);
    }
    assert_eq!(rig.fates.len(), 5);
    assert!(rig.fates.values().all(|fates| fates[0].1.outcome == Outcome::Written));
}

#[test]
fn out_of_order_after_an_unanswered_attempt_is_never_a_silent_second_copy() {
    // A restarted broker remembers only the last batch: Java 4.2.0 wrote 2,801 of 310,000 records twice.
    let mut rig = pipelined(&[1]);
    let connection = rig.connection(0);
    rig.disconnect(connection);
    rig.advance(2 * SECOND);
    assert_eq!((rig.out(connection), rig.stamps(connection)), (vec![1], vec![(0, 1)]), "the same sequence, alone");
    rig.send(0, 1);
    rig.answer(connection, 45);
    for first in [1, 3, 5, 7] {
        assert_eq!(rig.end(0, first), (Code::REJECTED, 45, Outcome::Unknown));
    }
    rig.advance(2 * SECOND);
    assert_eq!((rig.out(connection), rig.stamps(connection)), (vec![9], vec![(1, 0)]), "what was never sent goes on");
}

#[test]
fn a_leader_that_loses_the_partition_may_have_appended_already() {
    // librdkafka #4953: duplicates on a leader change. With acks=all the broker appends, waits for its
    // replicas, and answers 6 when it loses the partition meanwhile.
    let mut rig = Rig::up(config(), &[1]);
    let connection = rig.connection(0);
    rig.send(0, 1);
    rig.answer(connection, 6);
    rig.advance(2 * SECOND);
    rig.answer(connection, 45);
    assert_eq!(rig.end(0, 0), (Code::REJECTED, 45, Outcome::Unknown));
}

#[test]
fn a_bump_is_the_partitions_own() {
    // librdkafka #4953: a bump for the whole producer resends what other partitions may have written.
    let mut rig = Rig::up(config(), &[1, 2]);
    let (one, two) = (rig.connection(0), rig.connection(1));
    for index in [0, 1] {
        rig.send(index, 1);
        rig.answer(rig.connection(index), 0);
        rig.send(index, 1);
    }
    rig.answer(one, 87);
    rig.send(0, 1);
    rig.send(1, 1);
    assert_eq!(rig.stamps(one), [(1, 0)]);
    assert_eq!(rig.stamps(two), [(0, 1)], "keeps its epoch and sends nothing new");
    let lost = rig.disconnect(two);
    assert_eq!(lost.len(), 1);
    rig.advance(2 * SECOND);
    assert_eq!((rig.out(two), rig.stamps(two)), (vec![1], vec![(0, 1)]), "resent under its old epoch");
    rig.answer(two, 0);
    assert_eq!((rig.out(two), rig.stamps(two)), (vec![2], vec![(1, 0)]), "then it takes the new one from 0");
}

#[test]
fn a_second_partition_takes_the_epoch_that_the_first_has_made() {
    let mut rig = Rig::up(config(), &[1, 2]);
    for index in [0, 1] {
        rig.send(index, 1);
        rig.answer(rig.connection(index), 87);
        rig.send(index, 1);
    }
    assert_eq!(rig.stamps(rig.connection(0)), [(1, 0)]);
    assert_eq!(rig.engine.identity.current.map(|identity| identity.epoch), Some(2), "each had bumped its own");
    rig.answer(rig.connection(0), 87);
    rig.send(0, 1);
    assert_eq!(rig.stamps(rig.connection(0)), [(2, 0)], "newer than its own: no third bump");
}

#[test]
fn the_last_epoch_is_followed_by_a_new_producer_id() {
    let mut rig = Rig::new(config());
    rig.identity = (77, i16::MAX);
    rig.topics.insert("t".into(), ([9; 16], 0, vec![(1, 0)]));
    rig.engine.add_topic(TopicNumber(0), "t", rig.now);
    rig.pump();
    rig.send(0, 1);
    rig.answer(rig.connection(0), 87);
    rig.send(0, 1);
    rig.identity.1 = 0;
    rig.advance(SECOND);
    let part = &rig.wire[&rig.connection(0)][0].parts[0];
    assert_eq!((part.producer_id, part.epoch, part.sequence), (78, i16::MAX, 0), "what the broker gave then");
}

#[test]
fn sequences_wrap() {
    let mut rig = pipelined(&[1]);
    let connection = rig.connection(0);
    for _ in 0..4 {
        rig.answer(connection, 0);
    }
    rig.engine.partitions[0].line.next = i32::MAX - 1;
    rig.engine.partitions[0].line.acked = Some(i32::MAX - 2);
    for _ in 0..3 {
        rig.send(0, 2);
    }
    assert_eq!(rig.stamps(connection), [(0, i32::MAX - 1), (0, 0), (0, 2)]);
    // The first expires, the second comes back written: resolved across the wrap, no bump.
    rig.answer(connection, 0);
    rig.answer(connection, 0);
    rig.disconnect(connection);
    rig.advance(200 * SECOND);
    rig.send(0, 1);
    rig.advance(SECOND);
    assert_eq!(rig.stamps(connection), [(1, 0)], "the third expired unresolved: a new epoch");
}

#[test]
fn unknown_producer_id_is_retried_or_bumped() {
    for (log_start_offset, stamp) in [(-1, (0, 1)), (5, (1, 0))] {
        let mut rig = Rig::up(config(), &[1]);
        let connection = rig.connection(0);
        rig.send(0, 1);
        rig.answer(connection, 0);
        rig.send(0, 1);
        rig.answer_with(connection, 0, |_| ProducePartitionResponse {
            error_code: 59,
            log_start_offset,
            ..Default::default()
        });
        rig.advance(2 * SECOND);
        assert_eq!(rig.stamps(connection), [stamp]);
    }
}

#[test]
fn a_fenced_epoch_is_bumped_unless_an_attempt_is_open() {
    let mut rig = Rig::up(config(), &[1]);
    let connection = rig.connection(0);
    rig.send(0, 1);
    rig.answer(connection, 47);
    rig.advance(2 * SECOND);
    assert_eq!(rig.stamps(connection), [(1, 0)], "refused on its first attempt: rewritten");
    rig.answer(connection, 7);
    rig.advance(2 * SECOND);
    rig.answer(connection, 47);
    assert_eq!(rig.end(0, 0), (Code::REJECTED, 47, Outcome::Unknown));
}

#[test]
fn expiry_before_the_first_send_uses_no_sequence() {
    let mut rig = Rig::up(config(), &[1]);
    let connection = rig.connection(0);
    rig.send(0, 1);
    rig.answer(connection, 0);
    rig.disconnect(connection);
    rig.broken.insert(connection);
    rig.send(0, 1);
    rig.advance(121 * SECOND);
    assert_eq!(rig.end(0, 1), (Code::TIMED_OUT, 0, Outcome::NotWritten));
    assert_eq!(rig.fate(0, 1).unwrap().attempts, 0);
    rig.broken.clear();
    rig.send(0, 1);
    rig.advance(2 * SECOND);
    assert_eq!(rig.stamps(connection), [(0, 1)]);
}

#[test]
fn an_expired_batch_that_was_sent_leaves_the_sequence_unresolved_until_the_rest_has_ended() {
    // KAFKA-19012: the fate is decided while its request is out; the request keeps its bytes.
    let mut rig = Rig::up(EngineConfig { request_timeout: 300 * SECOND, ..config() }, &[1]);
    let connection = rig.connection(0);
    rig.send(0, 1);
    rig.answer(connection, 0);
    let released = rig.released;
    rig.send(0, 1);
    rig.advance(60 * SECOND);
    rig.send(0, 1);
    rig.advance(61 * SECOND);
    assert_eq!(rig.end(0, 1), (Code::TIMED_OUT, 0, Outcome::Unknown));
    assert_eq!(rig.released, released, "its request still holds it");
    rig.send(0, 1);
    assert_eq!(rig.out(connection), [1, 2], "nothing new while it is unresolved");
    rig.answer(connection, 0);
    assert_eq!(rig.released, released + 1);
    rig.answer(connection, 0);
    assert_eq!(rig.stamps(connection), [(0, 3)], "a late success resolves it: no bump");
    // The same, but the late answer is an error: the one behind it is refused and rewritten.
    rig.answer(connection, 0);
    rig.send(0, 1);
    rig.advance(60 * SECOND);
    rig.send(0, 1);
    rig.advance(61 * SECOND);
    rig.answer(connection, 19);
    rig.answer(connection, 45);
    rig.advance(2 * SECOND);
    assert_eq!((rig.out(connection), rig.stamps(connection)), (vec![5], vec![(1, 0)]));
}

#[test]
fn too_large_batches_are_halved_and_halved_again() {
    // KAFKA-8350 (halves, not batch.size), KAFKA-19479 (children are waited for), rule 13.
    let mut rig = pipelined(&[1]);
    let connection = rig.connection(0);
    rig.answer(connection, 10);
    for _ in 0..3 {
        rig.answer(connection, 45);
    }
    let (partition, parent) = rig.splits.pop_front().unwrap();
    assert_eq!((parent.first, parent.records), (1, 2));
    let half = |first| TestBatch { first, records: 1, bytes: 10, ..parent.clone() };
    assert!(rig.fates.len() == 1, "no fate for the parent");
    rig.engine.handle_split(partition, half(1), half(2), rig.now);
    rig.advance(2 * SECOND);
    for (first, sequence) in [(1, 1), (2, 2), (3, 3), (5, 5), (7, 7)] {
        assert_eq!((rig.out(connection), rig.stamps(connection)), (vec![first], vec![(0, sequence)]));
        if first == 2 {
            rig.answer(connection, 10);
            assert_eq!(rig.end(0, 2), (Code::RECORD_TOO_LARGE, 10, Outcome::NotWritten));
            break;
        }
        rig.answer(connection, 0);
    }
    rig.advance(2 * SECOND);
    assert_eq!((rig.out(connection), rig.stamps(connection)), (vec![3], vec![(1, 0)]), "the gap is rule 14's");
}

#[test]
fn one_split_at_a_time_and_each_keeps_its_order() {
    let mut rig = pipelined(&[1]);
    let connection = rig.connection(0);
    for _ in 0..4 {
        rig.answer(connection, 10);
    }
    for first in [1, 3, 5, 7] {
        assert_eq!(rig.splits.len(), 1);
        let (partition, parent) = rig.splits.pop_front().unwrap();
        assert_eq!(parent.first, first);
        let half = |first| TestBatch { first, records: 1, bytes: 10, ..parent.clone() };
        rig.engine.handle_split(partition, half(first), half(first + 1), rig.now);
        rig.pump();
    }
    for first in 1..9 {
        assert_eq!((rig.out(connection), rig.stamps(connection)), (vec![first], vec![(0, first as i32)]));
        rig.answer(connection, 0);
    }
}

#[test]
fn a_half_that_is_too_large_again_waits_for_the_split_that_is_under_way() {
    // Found by the random scripts: two splits asked for at once, and the halves taken for each other.
    let mut rig = Rig::up(config(), &[1]);
    let connection = rig.connection(0);
    rig.send(0, 1);
    rig.answer(connection, 0);
    rig.send(0, 4);
    rig.send(0, 2);
    rig.answer(connection, 10);
    rig.answer(connection, 10);
    let (partition, parent) = rig.splits.pop_front().unwrap();
    let half = |parent: &TestBatch, first, records| TestBatch { first, records, bytes: 10, ..parent.clone() };
    rig.engine.handle_split(partition, half(&parent, 1, 2), half(&parent, 3, 2), rig.now);
    rig.pump();
    let (_, later) = rig.splits.pop_front().unwrap();
    assert_eq!((later.first, rig.out(connection)), (5, vec![1]));
    rig.answer(connection, 10);
    assert!(rig.splits.is_empty(), "one at a time");
    rig.engine.handle_split(partition, half(&later, 5, 1), half(&later, 6, 1), rig.now);
    rig.pump();
    assert_eq!(rig.splits.pop_front().unwrap().1.first, 1);
}

#[test]
fn expired_and_purged_batches_are_not_split() {
    // Java's SenderTest: "expired batch does not split".
    let mut rig = Rig::up(EngineConfig { request_timeout: 300 * SECOND, ..config() }, &[1, 1]);
    let connection = rig.connection(0);
    rig.send(0, 2);
    rig.answer(connection, 10);
    let (partition, parent) = rig.splits.pop_front().unwrap();
    assert_eq!(rig.engine.purge(true, true, rig.now), 2);
    rig.pump();
    assert!(rig.fates.is_empty(), "it is being split: the halves get the fate");
    let half = |first| TestBatch { first, records: 1, bytes: 10, ..parent.clone() };
    rig.engine.handle_split(partition, half(0), half(1), rig.now);
    rig.pump();
    assert_eq!(rig.end(0, 0), (Code::PURGED, 0, Outcome::NotWritten));
    assert_eq!(rig.end(0, 1), (Code::PURGED, 0, Outcome::NotWritten));
    rig.send(1, 2);
    rig.advance(Duration::from_millis(119_999));
    rig.now = rig.now + Duration::from_millis(2);
    rig.answer(connection, 10);
    assert_eq!(rig.end(1, 0).0, Code::TIMED_OUT);
    assert!(rig.splits.is_empty());
}

#[test]
fn a_batch_that_cannot_be_split_fails() {
    let mut rig = Rig::up(config(), &[1]);
    rig.send(0, 2);
    rig.answer(rig.connection(0), 10);
    let (partition, _) = rig.splits.pop_front().unwrap();
    rig.engine.handle_split_failed(partition, rig.now);
    rig.pump();
    assert_eq!(rig.end(0, 0), (Code::RECORD_TOO_LARGE, 10, Outcome::NotWritten));
}
