//! What a broker's error code means for a batch: one table.

use crate::code::Code;

/// What to do about a batch after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is in the log.
    Delivered,
    /// It is in the log, at an offset that this broker has forgotten.
    DeliveredBefore,
    /// Send it again; `refresh`: the leader may be another one.
    Retry { refresh: bool },
    /// Make two of it; with one record only it fails with `RECORD_TOO_LARGE`.
    Split,
    /// This batch ends here with this code.
    Fail(Code),
    /// `OUT_OF_ORDER_SEQUENCE_NUMBER`: rule 5 decides.
    OutOfOrder,
    /// `UNKNOWN_PRODUCER_ID`: rule 6 decides.
    Forgotten,
    /// `INVALID_PRODUCER_EPOCH`: the partition needs a new epoch.
    Bump,
    /// This batch ends here with this code, and so does the producer.
    Fatal(Code),
}

/// The table of produce errors. A code that is not in it is treated as `UNKNOWN_SERVER_ERROR`.
pub(super) fn verdict(code: i16, idempotent: bool) -> Verdict {
    match code {
        0 => Verdict::Delivered,
        46 => Verdict::DeliveredBefore,
        2 | 7 | 14 | 15 | 16 | 19 | 20 | 51 | 75 | 78 | 88 | 89 => Verdict::Retry { refresh: false },
        3 | 5 | 6 | 9 | 13 | 56 | 72 | 74 | 80 | 83 | 84 | 100 | 103 => Verdict::Retry { refresh: true },
        10 => Verdict::Split,
        29 => Verdict::Fail(Code::NOT_AUTHORIZED),
        31 | 53 => Verdict::Fatal(Code::NOT_AUTHORIZED),
        35 => Verdict::Fatal(Code::UNSUPPORTED),
        49 => Verdict::Fatal(Code::FATAL),
        90 => Verdict::Fatal(Code::FENCED),
        // Without a sequence of ours these three answers make no sense; nothing would change by repeating.
        45 if idempotent => Verdict::OutOfOrder,
        47 if idempotent => Verdict::Bump,
        59 if idempotent => Verdict::Forgotten,
        // 8, 17, 18, 21, 32, 42, 43, 44, 48, 76, 87, 120, -1 and whatever is not known here.
        _ => Verdict::Fail(Code::REJECTED),
    }
}

/// Can the batch be in the log although the answer was this error?
///
/// 7 and 20 say so themselves; -1, 13, 56 and unknown codes can mean anything. With `acks=all` the broker
/// appends first and waits for its replicas then; when it loses the partition while it waits, it answers
/// 3, 6, 100 or 103 for a batch that its replicas, one of them the new leader, may already have.
pub(super) fn may_be_appended(code: i16, acks: i16) -> bool {
    match code {
        3 | 6 | 100 | 103 => acks == -1,
        7 | 13 | 20 | 56 => true,
        2 | 5 | 8..=10 | 14..=19 | 21 | 29 | 31 | 32 | 35 | 42..=45 | 47..=49 | 51 | 53 | 59 => false,
        72 | 74..=76 | 78 | 80 | 83 | 84 | 87..=90 | 120 => false,
        _ => true,
    }
}

/// May `InitProducerId` be asked again after this error? The others end an idempotent producer.
pub(super) fn is_identity_retriable(code: i16) -> bool {
    matches!(code, -1 | 2 | 3 | 5 | 6 | 7 | 9 | 13 | 14 | 15 | 16 | 19 | 20 | 41 | 51 | 56 | 72 | 89)
}
