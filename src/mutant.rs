//! Seeded bugs and stops, for the programme that proves that the simulation finds bugs (feature `simulation`).
//! A normal build has none of them: [`is`] is `false` there, and [`stop`] is nothing.

/// A bug that can be switched on, one at a time, while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Mutant {
    /// A partition asks for a new epoch where it should ask the broker first (rule 15).
    BumpBeforeAsking = 1,
    /// A batch that the broker has is sent again under a new epoch.
    ResendAfterWritten,
    /// "The broker has it" is believed before the batch is known to be replicated.
    WrittenWithoutProof,
}

/// Where a sender can be made to stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
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

    /// Switches a bug on, for the whole process; `None`: none.
    pub fn choose(mutant: Option<Mutant>) {
        CHOSEN.store(mutant.map_or(0, |mutant| mutant as u8), Ordering::Relaxed);
    }

    pub(crate) fn is(mutant: Mutant) -> bool {
        CHOSEN.load(Ordering::Relaxed) == mutant as u8
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
pub(crate) use chosen::{is, stop};

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
