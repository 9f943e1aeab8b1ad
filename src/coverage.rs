//! Which arms of the engine's decisions a run has reached (feature `simulation`): the simulation demands all of them.
//! A normal build keeps no such record: [`reached`] is nothing there.

macro_rules! arms {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A place where the engine decides something that it decides nowhere else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Arm {
            $($(#[$doc])* $name,)*
        }

        impl Arm {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

arms! {
    // An answer about one batch.
    /// It is in the log.
    Delivered,
    /// It is in the log, and its fate was decided before.
    DeliveredLate,
    /// `DUPLICATE_SEQUENCE_NUMBER`: it is in the log, at an offset that nobody knows.
    DeliveredBefore,
    /// The same, and its fate was decided before.
    DeliveredBeforeLate,
    /// An error for a batch whose fate was decided before.
    RefusedLate,
    /// The same, and the producer ends.
    FatalLate,
    /// The error leaves open whether it was appended.
    MayBeAppended,
    /// The error says that it was not.
    NotAppended,
    /// Again, to the same leader.
    Retry,
    /// Again, perhaps to another leader.
    RetryElsewhere,
    /// Too large: two halves.
    Split,
    /// Too large, and its time is over.
    SplitTooLate,
    /// Too large, and it may be in the log whole.
    SplitOpen,
    /// Too large, and one record only.
    SplitSingle,
    /// Out of order, and nothing before it is unfinished.
    OutOfOrderFirst,
    /// Out of order, and it was to prove what is before it.
    OutOfOrderProof,
    /// Out of order behind something unfinished.
    OutOfOrderBehind,
    /// Out of order although the leader had told that it would fit.
    OutOfOrderContradicts,
    /// `UNKNOWN_PRODUCER_ID` with the offset where the log begins.
    Forgotten,
    /// `UNKNOWN_PRODUCER_ID` from a broker that does not know that either.
    ForgottenUnsure,
    /// `INVALID_PRODUCER_EPOCH`.
    Bump,
    /// `TOPIC_AUTHORIZATION_FAILED`.
    FailNotAuthorized,
    /// Any other refusal for good.
    FailRejected,
    /// An answer about sequences to somebody who sent none.
    FailUnsequenced,
    /// The refusal names one record.
    FailOneRecord,
    /// The refusal names several records.
    FailSomeRecords,
    /// `CLUSTER_AUTHORIZATION_FAILED`, `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`.
    FatalNotAuthorized,
    /// `UNSUPPORTED_VERSION`.
    FatalUnsupported,
    /// `INVALID_PRODUCER_ID_MAPPING`.
    FatalMapping,
    /// `PRODUCER_FENCED`.
    FatalFenced,

    // A batch without an answer.
    /// Its connection has ended.
    Unanswered,
    /// The same, and its fate was decided before.
    UnansweredLate,
    /// The answer leaves it out.
    Omitted,
    /// The answer has what was not asked for.
    Foreign,

    // A batch that is to be sent again.
    /// Its time is over.
    RetryTooLate,
    /// Its retries are over, and no broker ever told why.
    RetriesOverUnanswered,
    /// Its retries are over.
    RetriesOver,
    /// It goes to another leader, without a wait.
    RetryMoved,
    /// It waits, each time longer.
    RetryWaits,
    /// The leader does not know yet that it is one: it waits only shortly.
    RetryUnaware,

    // Halves.
    /// They came.
    Halves,
    /// They came, and their fate was decided meanwhile.
    HalvesDoomed,
    /// They cannot be made.
    HalvesFailed,
    /// They cannot be made, and the fate of the whole was decided meanwhile.
    HalvesFailedDoomed,

    // The end of a batch.
    /// It is being split: its halves end.
    EndSplitting,
    /// It never had a sequence.
    EndUnsequenced,
    /// An attempt has left open what became of it.
    EndOpen,
    /// A request holds it.
    EndFlying,
    /// It is not in the log, and nobody will fill its gap (rule 14).
    EndNotWritten,

    // What a written batch says about its partition's sequences.
    /// It is the last one now.
    SequenceNext,
    /// It is of an older epoch.
    SequenceOfOldEpoch,
    /// A later one was known to be written.
    SequenceKnown,
    /// Its offset says that the log was cut.
    SequenceTorn,

    // Nothing of a partition is on the wire (rules 7, 8, 14 and 15).
    /// An unknown outcome turned out well: everything is written.
    ResolveComplete,
    /// Batches with an open end are in the log, for one behind them is.
    ResolveOvertaken,
    /// The leader is asked.
    ResolveAsk,
    /// It is not: a sequence in the log would not say that those before are there.
    ResolveTorn,
    /// It is not: it tells one thing and does another.
    ResolveContradicted,
    /// It is not: no outcome depends on it.
    ResolveNothingOpen,

    // A new epoch.
    /// What is open ends with an unknown outcome.
    BumpOpen,
    /// What is open is sent again: the application has chosen that.
    BumpResends,
    /// The next one.
    BumpNext,
    /// The one that another partition has taken before.
    BumpFollows,
    /// There is none left: another producer id.
    BumpNewId,

    // What is asked about producers (rule 15), and what comes of the question.
    /// Before 2.8 no broker can be asked.
    AskUnsupported,
    /// The answer comes when nobody asks any more.
    AskStale,
    /// The answer leaves the partition out.
    AskOmitted,
    /// The connection has ended.
    AskUnanswered,
    /// An error: once more.
    AskRefusedOnce,
    /// An error that will be the same the next time.
    AskRefused,
    /// It is asked again.
    AskAgain,
    /// It would be asked again, but no outcome depends on it any more.
    AskNoMore,

    // What the leader has.
    /// Nothing of this producer.
    HasNone,
    /// Something of this producer, but nothing under this epoch.
    HasOlderEpoch,
    /// Something of a later epoch: somebody else uses this producer id.
    HasLaterEpoch,
    /// A last sequence.
    HasLast,
    /// Less than what was acknowledged: that is not believed at once.
    HasLostPerhaps,
    /// The last sequence is one of our batches.
    HasOurs,
    /// The sequence before our first batch.
    HasNoneOfOurs,
    /// Everything that was given out.
    HasAll,
    /// Something lower, and all after it was refused.
    HasGapRefused,
    /// Less than what was acknowledged, again and again.
    HasLost,
    /// Anything else.
    HasGap,
    /// The proof came.
    Proof,
    /// The proof came with an offset that denies it.
    ProofTorn,

    // The answer to `InitProducerId`.
    /// A producer id.
    IdentityGiven,
    /// Not now.
    IdentityRetry,
    /// Never.
    IdentityRefused,
    /// A producer id that is none.
    IdentityInvalid,

    // The answer about a topic.
    /// Nobody has it.
    TopicUnknown,
    /// It is being made.
    TopicBeingMade,
    /// Its name is not allowed.
    TopicInvalid,
    /// It is not allowed.
    TopicNotAuthorized,
    /// Anything else.
    TopicRefused,
    /// A topic of the same name, but another one.
    TopicAnew,
    /// A partition's leader of an older epoch than the one that is known.
    LeaderOlder,
    /// The same, as everybody says for long: it is so.
    LeaderOlderBelieved,
    /// A produce answer tells of the new leader (KIP-951).
    LeaderTold,
    /// The same leader was elected again.
    LeaderAgain,
}

#[cfg(feature = "simulation")]
mod record {
    use super::Arm;
    use std::cell::Cell;

    const _: () = assert!(Arm::ALL.len() <= u128::BITS as usize);

    thread_local! {
        static REACHED: Cell<u128> = const { Cell::new(0) };
    }

    pub(crate) fn reached(arm: Arm) {
        REACHED.with(|record| record.set(record.get() | 1 << arm as u8));
    }

    /// What this thread has reached since the last call: a simulation lives on one thread, and is not alone.
    #[must_use]
    pub fn take_reached() -> Vec<Arm> {
        let record = REACHED.with(Cell::take);
        Arm::ALL.iter().copied().filter(|arm| record & 1 << *arm as u8 != 0).collect()
    }
}

#[cfg(feature = "simulation")]
pub(crate) use record::reached;
#[cfg(feature = "simulation")]
pub use record::take_reached;

/// The engine has come by here.
#[cfg(not(feature = "simulation"))]
#[inline(always)]
pub(crate) const fn reached(_arm: Arm) {}
