//! Which of the application's callbacks this thread is inside, so that a call that would wait for itself is refused.

use crate::code::Code;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The application's callbacks, by what may be done inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Everything that does not wait.
    Delivery,
    /// Names, counts and `wake`.
    Other,
}

thread_local! {
    /// Producers whose callbacks this thread is inside, the innermost last.
    static INSIDE: RefCell<Vec<(u64, Kind)>> = const { RefCell::new(Vec::new()) };
    /// How many those are: what every send looks at.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Leaves the callback, by return or by panic.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        INSIDE.with_borrow_mut(|inside| {
            inside.pop();
            DEPTH.set(inside.len());
        });
    }
}

/// Runs a callback of producer `id`.
pub(super) fn call<R>(id: u64, kind: Kind, callback: impl FnOnce() -> R) -> R {
    INSIDE.with_borrow_mut(|inside| {
        inside.push((id, kind));
        DEPTH.set(inside.len());
    });
    let _leave = Leave;
    callback()
}

/// Runs a callback that is only told something. Its panic ends there: it stands between a decision and what is still to
/// be done about it, the fates of other records among that.
pub(super) fn tell(id: u64, callback: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(|| call(id, Kind::Other, callback)));
}

/// What this thread is inside of for producer `id`.
#[inline(always)]
fn inside(id: u64) -> Option<Kind> {
    if DEPTH.get() == 0 { None } else { inside_of(id) }
}

#[cold]
fn inside_of(id: u64) -> Option<Kind> {
    INSIDE.with_borrow(|inside| {
        let kinds = inside.iter().filter(|(other, _)| *other == id).map(|(_, kind)| *kind);
        kinds.max_by_key(|kind| *kind == Kind::Other)
    })
}

/// Whether this thread is inside any callback of any producer.
#[must_use]
pub fn inside_callback() -> bool {
    DEPTH.get() > 0
}

/// A call that sends: inside the delivery callback it must not wait (`Ok(true)`), inside others it does not work.
#[inline(always)]
pub(super) fn check_send(id: u64) -> Result<bool, Code> {
    match inside(id) {
        None => Ok(false),
        Some(Kind::Delivery) => Ok(true),
        Some(Kind::Other) => Err(Code::WRONG_THREAD),
    }
}

/// A call that does not wait but does more than read: not inside partitioners, serializers, logs, ready callbacks.
pub(super) fn check_act(id: u64) -> Result<(), Code> {
    check_send(id).map(|_| ())
}

/// A call that only waits.
pub(super) fn check_wait(id: u64) -> Result<(), Code> {
    if inside(id).is_some() { Err(Code::WRONG_THREAD) } else { Ok(()) }
}

/// A call that works everywhere, but waits only outside.
pub(super) fn may_wait(id: u64) -> bool {
    inside(id).is_none()
}
