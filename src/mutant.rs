//! Seeded bugs and stops, for the programme that proves that the simulation finds bugs (feature `simulation`).
//! A normal build has none of them: [`is`] is `false` there, and [`stop`] is nothing.

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A bug that can be switched on, one at a time, while the program runs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Mutant {
            /// Not a bug: what is chosen when none is.
            None = 0,
            $($(#[$doc])* $name,)*
        }

        impl Mutant {
            /// All bugs.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

mutants! {
    /// A partition asks for a new epoch where it should ask the broker first (rule 15).
    BumpBeforeAsking,
    /// A batch that the broker has is sent again under a new epoch.
    ResendAfterWritten,
    /// "The broker has it" is believed before the batch is known to be replicated.
    WrittenWithoutProof,
    /// A partition that needs a new epoch takes it for the whole producer (librdkafka issue 4953).
    ProducerWideBump,
    /// Sequences go below zero after 2^31-1.
    SequenceWrap,
    /// A batch that comes back goes to the end of the queue.
    RetryReorders,
    /// A retry gives a batch another delivery timeout.
    DeadlineRestarts,
    /// A late answer gives a second fate.
    DoubleFate,
    /// More than one request is out before a leader has accepted one (franz-go issue 223).
    PipelineBeforeAccepted,
    /// A new leader is sent batches while the old one still has some.
    NewLeaderAtOnce,
    /// After a batch without a known outcome those behind it are moved down.
    SequencesMoveDown,
    /// The sequences of an expired batch are given to the next one.
    SequenceReuse,
    /// A batch that expires while a request holds it counts as not written.
    ExpiryMeansNotWritten,
    /// An answer like `NOT_ENOUGH_REPLICAS_AFTER_APPEND` counts as a refusal.
    AppendedMeansRefused,
    /// A partition that a response leaves out counts as written.
    OmittedMeansWritten,
    /// The halves of a split change places.
    SplitSwaps,
    /// The second half of a split gets no fate.
    SplitLosesTail,
    /// Eight requests of a partition are out at once.
    EightInFlight,
    /// A broker may silence a connection for as long as it likes.
    ThrottleForever,
    /// The answers of a response are taken in the order of the request.
    AnswersByPlace,
    /// The broker's timestamp of a `LogAppendTime` topic is dropped.
    AppendTimeDropped,
    /// A lingered batch that could not go out at once is forgotten.
    OfferForgotten,
    /// The packed word counts in its batch only: a sender that stood still takes a later batch for its own.
    WordInBatch,
    /// A span is published before it is written.
    PublishBeforeWrite,
    /// Whoever seals a batch waits for the senders that are still inside.
    SealerWaits,
    /// Timestamps count from the base of another batch.
    BaseOfAnother,
    /// The application's serializer runs while the sender holds a span.
    SpanHeldBySerializer,
    /// A batch that has failed gives its bytes away, although a request may still be writing them.
    ReuseOnExpiry,
    /// Memory of the reserve is never counted back.
    ReserveLeaks,
    /// A flush does not wait for the second half of a split (KAFKA-19479).
    SplitNotPending,
    /// A quiet record gets no delivery even when it failed.
    QuietSwallowsErrors,
    /// Who lists a partition wakes the thread only if its list was empty, and a thread without a connection leaves its
    /// list as it is.
    WakeWasEmpty,
    /// A network thread goes to sleep without saying so.
    LostWakeUp,
    /// The engine is not told that a batch never comes.
    GapNotTold,
    /// While a request is being written nothing is read.
    WriteDoesNotRead,
    /// The rest of a request goes out on the next connection.
    OutputKept,
    /// The beginning of an answer is kept for the next connection.
    InputKept,
}

/// Where a sender can be made to stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The application's serializer runs, which may take as long as it likes: only with `Mutant::SpanHeldBySerializer`.
    Serializer,
    /// It has read the partition's word and has not exchanged it yet.
    BeforeExchange,
    /// It has its span and has not written it yet.
    BeforeWrite,
    /// It has written its span and has not published it yet.
    BeforePublish,
    /// It has published and has not listed the partition yet.
    BeforeList,
}

#[cfg(feature = "simulation")]
mod chosen {
    use super::{Mutant, Stop};
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicU8, Ordering};

    static CHOSEN: AtomicU8 = AtomicU8::new(0);

    /// Switches a bug on, for the whole process.
    pub fn choose(mutant: Mutant) {
        CHOSEN.store(mutant as u8, Ordering::Relaxed);
    }

    pub(crate) fn is(mutant: Mutant) -> bool {
        CHOSEN.load(Ordering::Relaxed) == mutant as u8
    }

    /// A thread waits for another without sleeping. That never ends where one thread runs at a time.
    pub(crate) fn spin(what: &str) -> ! {
        panic!("a thread spins for ever: {what}");
    }

    type Hook = Box<dyn FnMut(Stop)>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// What this thread does at every [`Stop`]: the simulation lets it stand there for a while.
    pub fn at_stops(hook: Option<Hook>) {
        HOOK.with(|here| *here.borrow_mut() = hook);
    }

    pub(crate) fn stop(stop: Stop) {
        let hook = HOOK.with(|here| here.borrow_mut().take());
        if let Some(mut hook) = hook {
            hook(stop);
            HOOK.with(|here| *here.borrow_mut() = Some(hook));
        }
    }
}

#[cfg(feature = "simulation")]
pub use chosen::{at_stops, choose};
#[cfg(feature = "simulation")]
pub(crate) use chosen::{is, spin, stop};

/// Is this bug switched on?
#[cfg(not(feature = "simulation"))]
#[inline(always)]
pub(crate) const fn is(_mutant: Mutant) -> bool {
    false
}

/// A thread may be made to stand still here.
#[cfg(not(feature = "simulation"))]
#[inline(always)]
pub(crate) const fn stop(_stop: Stop) {}
