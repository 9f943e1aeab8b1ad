//! Every error code through a real engine: each arm of each verdict is reached, and does what the table says.

use super::*;
use crate::engine::verdict::{Verdict, verdict};

const SECOND: Duration = Duration::from_secs(1);

/// What the protocol's table of produce errors asks for. Written down here a second time, so that a slip in the
/// engine's own table is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Delivered,
    DeliveredSomewhere,
    Retry,
    RetryElsewhere,
    Split,
    Fail(Code),
    End(Code),
    /// Only with sequences of ours; else the batch is refused.
    NewEpoch,
    /// The same, if the answer says where the log begins.
    NewEpochOrRetry,
}

const TABLE: &[(&[i16], Wanted)] = &[
    (&[0], Wanted::Delivered),
    (&[46], Wanted::DeliveredSomewhere),
    (&[2, 7, 14, 15, 16, 19, 20, 51, 75, 78, 88, 89], Wanted::Retry),
    (&[3, 5, 6, 9, 13, 56, 72, 74, 80, 83, 84, 100, 103], Wanted::RetryElsewhere),
    (&[10], Wanted::Split),
    (&[-1, 8, 17, 18, 21, 32, 42, 43, 44, 48, 76, 87, 120], Wanted::Fail(Code::REJECTED)),
    (&[29], Wanted::Fail(Code::NOT_AUTHORIZED)),
    (&[31, 53], Wanted::End(Code::NOT_AUTHORIZED)),
    (&[35], Wanted::End(Code::UNSUPPORTED)),
    (&[49], Wanted::End(Code::FATAL)),
    (&[90], Wanted::End(Code::FENCED)),
    (&[45, 47], Wanted::NewEpoch),
    (&[59], Wanted::NewEpochOrRetry),
];

/// The leader appends before it waits for its replicas, and before it learns that it leads no more.
const APPENDED_PERHAPS_WITH_ALL: &[i16] = &[3, 6, 100, 103];
const APPENDED_PERHAPS: &[i16] = &[-1, 7, 13, 20, 56];

fn listed(code: i16) -> Option<Wanted> {
    TABLE.iter().find(|(codes, _)| codes.contains(&code)).map(|(_, wanted)| *wanted)
}

/// A code that is not listed is treated as `UNKNOWN_SERVER_ERROR`: it can mean anything.
fn wanted(code: i16, idempotent: bool) -> Wanted {
    match listed(code) {
        Some(Wanted::NewEpoch | Wanted::NewEpochOrRetry) if !idempotent => Wanted::Fail(Code::REJECTED),
        Some(wanted) => wanted,
        None => Wanted::Fail(Code::REJECTED),
    }
}

/// What is known of a batch whose only answer was this error.
fn outcome(code: i16, acks: i16) -> Outcome {
    let is_open = APPENDED_PERHAPS.contains(&code)
        || (acks == -1 && APPENDED_PERHAPS_WITH_ALL.contains(&code))
        || listed(code).is_none();
    if is_open { Outcome::Unknown } else { Outcome::NotWritten }
}

fn codes() -> impl Iterator<Item = i16> {
    (-1..=140).chain([-2, 999, i16::MIN, i16::MAX])
}

/// A rig, idempotent or with `acks=1`, with a batch of `records` that was answered with this code.
fn answered(code: i16, idempotent: bool, records: u32, log_start_offset: i64) -> (Rig, ConnectionNumber) {
    let acks = if idempotent { -1 } else { 1 };
    let mut rig = Rig::up(EngineConfig { idempotent, acks, ..config() }, &[1]);
    // The first answer of a connection asks for nothing.
    rig.send(0, 1);
    let connection = rig.connection(0);
    rig.answer(connection, 0);
    rig.send(0, records);
    assert_eq!(rig.out(connection), [1]);
    rig.answer_with(connection, 0, |part| ProducePartitionResponse {
        error_code: code,
        base_offset: if code == 0 { part.first as i64 } else { -1 },
        log_start_offset,
        ..Default::default()
    });
    (rig, connection)
}

/// The batch is sent again, by itself, after the backoff; as it was, or under a new epoch.
fn sent_again(mut rig: Rig, connection: ConnectionNumber, idempotent: bool, stamp: (i16, i32), refresh: bool) {
    let asked = rig.metadata_count;
    assert!(rig.fate(0, 1).is_none() && rig.out(connection).is_empty(), "it waits");
    rig.advance(SECOND / 2);
    assert_eq!(rig.metadata_count > asked, refresh, "is the leader looked for?");
    assert_eq!(rig.out(connection), [1]);
    assert_eq!(rig.stamps(connection), [if idempotent { stamp } else { (-1, -1) }]);
    rig.answer(connection, 0);
    assert_eq!(rig.end(0, 1), (Code::OK, 0, Outcome::Written));
    assert_eq!(rig.fate(0, 1).unwrap().attempts, 2);
}

/// What comes after it goes on: with sequences under a new epoch if it left a gap.
fn goes_on(mut rig: Rig, connection: ConnectionNumber, stamp: Option<(i16, i32)>) {
    let first = rig.send(0, 1);
    rig.advance(2 * SECOND);
    assert_eq!(rig.out(connection), [first]);
    assert_eq!(rig.stamps(connection), [stamp.unwrap_or((-1, -1))]);
    rig.answer(connection, 0);
    assert_eq!(rig.end(0, first).2, Outcome::Written);
}

fn check(code: i16, idempotent: bool) {
    let acks = if idempotent { -1 } else { 1 };
    let stamp = |stamp| Some(stamp).filter(|_| idempotent);
    let (mut rig, connection) = answered(code, idempotent, 2, 0);
    match wanted(code, idempotent) {
        Wanted::Delivered | Wanted::DeliveredSomewhere => {
            let offset = if code == 0 { 1 } else { -1 };
            assert_eq!(rig.end(0, 1), (Code::OK, 0, Outcome::Written));
            assert_eq!(rig.fate(0, 1).unwrap().base_offset, offset);
            goes_on(rig, connection, stamp((0, 3)));
        }
        wanted @ (Wanted::Retry | Wanted::RetryElsewhere) => {
            sent_again(rig, connection, idempotent, (0, 1), wanted == Wanted::RetryElsewhere);
            let (mut rig, _) = answered(code, idempotent, 2, 0);
            rig.engine.purge(true, true, rig.now);
            rig.pump();
            assert_eq!(rig.end(0, 1), (Code::PURGED, 0, outcome(code, acks)), "given up while it waits");
        }
        Wanted::Split => {
            assert_eq!((rig.splits.len(), rig.fates.len()), (1, 1), "no fate for the whole");
            let (mut rig, connection) = answered(code, idempotent, 1, 0);
            assert!(rig.splits.is_empty());
            assert_eq!(rig.end(0, 1), (Code::RECORD_TOO_LARGE, code, Outcome::NotWritten));
            rig.pump();
            goes_on(rig, connection, stamp((1, 0)));
        }
        Wanted::Fail(ours) => {
            assert_eq!(rig.end(0, 1), (ours, code, outcome(code, acks)));
            assert!(rig.engine.status().is_none());
            goes_on(rig, connection, stamp((1, 0)));
        }
        Wanted::End(ours) => {
            assert_eq!(rig.end(0, 1), (ours, code, Outcome::NotWritten));
            let status = rig.engine.status().expect("the producer ends");
            assert!(status.fatal && status.broker_code == code);
            rig.send(0, 1);
            assert_eq!(rig.end(0, 3), (Code::FATAL, code, Outcome::NotWritten));
        }
        Wanted::NewEpoch => sent_again(rig, connection, idempotent, (1, 0), false),
        Wanted::NewEpochOrRetry => {
            sent_again(rig, connection, idempotent, (1, 0), false);
            let (rig, connection) = answered(code, idempotent, 2, -1);
            sent_again(rig, connection, idempotent, (0, 1), false);
        }
    }
}

#[test]
fn every_code_ends_as_the_protocol_asks() {
    for code in codes() {
        for idempotent in [true, false] {
            let result = std::panic::catch_unwind(|| check(code, idempotent));
            assert!(result.is_ok(), "code {code}, idempotent: {idempotent}");
        }
    }
}

/// The place of an arm. A new arm does not compile here, and has to be reached below.
fn arm(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Delivered => 0,
        Verdict::DeliveredBefore => 1,
        Verdict::Retry { refresh: false } => 2,
        Verdict::Retry { refresh: true } => 3,
        Verdict::Split => 4,
        Verdict::Fail(_) => 5,
        Verdict::OutOfOrder => 6,
        Verdict::Forgotten => 7,
        Verdict::Bump => 8,
        Verdict::Fatal(_) => 9,
    }
}

/// What the codes above lead to in the engine's own table: every arm, and both answers about the log for each `acks`.
#[test]
fn every_arm_of_every_verdict_is_reached_by_some_code() {
    let arms: BTreeSet<usize> = codes().map(|code| arm(verdict(code, true))).collect();
    assert_eq!(arms, (0..10).collect());
    let without: BTreeSet<usize> = codes().map(|code| arm(verdict(code, false))).collect();
    assert_eq!(without, [0, 1, 2, 3, 4, 5, 9].into(), "without sequences three answers make no sense");
    for (acks, perhaps) in [(-1, 9), (1, 5), (0, 5)] {
        let listed = codes().filter(|code| !matches!(code, 0 | 46) && listed(*code).is_some());
        let open = listed.filter(|code| crate::engine::verdict::may_be_appended(*code, acks)).count();
        assert_eq!(open, perhaps, "acks={acks}");
    }
    let fails: BTreeSet<i32> = codes()
        .filter_map(|code| match verdict(code, true) {
            Verdict::Fail(code) | Verdict::Fatal(code) => Some(code.0),
            _ => None,
        })
        .collect();
    let ours = [Code::REJECTED, Code::NOT_AUTHORIZED, Code::UNSUPPORTED, Code::FATAL, Code::FENCED];
    assert_eq!(fails, ours.iter().map(|code| code.0).collect());
}
