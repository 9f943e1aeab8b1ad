//! What stands around every call: panics and forks stop here, handles are checked, errors are written out.

use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::code::{Code, Error};

use super::text;
use super::types::{
    KURIER_CODE_INTERNAL, KURIER_CODE_INVALID_ARGUMENT, KURIER_CODE_OK, KURIER_ERROR_FATAL, KURIER_ERROR_RETRIABLE,
    kurier_code, kurier_error,
};

/// Why a call with a `kurier_error` failed: a bare code, which gets its own sentence, or a whole error.
pub(super) enum Failure {
    Code(Code),
    Error(Error),
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::Code(code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Failure {
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Code(code) => *code,
            Self::Error(error) => error.code,
        }
    }

    fn error(self) -> Error {
        match self {
            Self::Code(code) => Error::new(code, code.text().to_string_lossy()),
            Self::Error(error) => error,
        }
    }
}

/// For a call that answers with nothing but its code.
pub(super) fn guard(body: impl FnOnce() -> Result<(), Code>) -> kurier_code {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => KURIER_CODE_OK,
        Ok(Err(code)) => code.0,
        Err(panic) => {
            bury(panic);
            KURIER_CODE_INTERNAL
        }
    }
}

/// For a call that answers with no code: `fallback` after a panic.
pub(super) fn guard_value<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        bury(panic);
        fallback
    })
}

/// For a call that takes a `kurier_error`, which is written whatever happens.
///
/// # Safety
/// `error` is NULL or points to a struct of the size that stands in it.
pub(super) unsafe fn guard_error(error: *mut kurier_error, body: impl FnOnce() -> Result<(), Failure>) -> kurier_code {
    if !error.is_null() {
        // SAFETY: not NULL; the caller vouches for the first four bytes, wherever they lie.
        let size = unsafe { (&raw const (*error).size).read_unaligned() } as usize;
        if size != 0 && size < size_of::<kurier_error>() {
            return KURIER_CODE_INVALID_ARGUMENT;
        }
    }
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure.error()),
        Err(panic) => {
            let text = panic_text(&*panic).to_owned();
            bury(panic);
            Some(Error::new(Code::INTERNAL, format!("A defect in the library: {text}")))
        }
    };
    if !error.is_null() {
        // SAFETY: not NULL, and not smaller than the struct that is written.
        unsafe { write(error, failure.as_ref()) };
    }
    failure.map_or(KURIER_CODE_OK, |failure| failure.code.0)
}

/// # Safety
/// `error` points to 256 bytes.
unsafe fn write(error: *mut kurier_error, failure: Option<&Error>) {
    let (code, broker_code, flags, message) = failure.map_or((0, 0, 0, ""), |failure| {
        let retriable = if failure.retriable { KURIER_ERROR_RETRIABLE } else { 0 };
        let fatal = if failure.fatal { KURIER_ERROR_FATAL } else { 0 };
        (failure.code.0, i32::from(failure.broker_code), retriable | fatal, failure.message.as_str())
    });
    // SAFETY: a field of the struct that the caller gave.
    unsafe { (&raw mut (*error).code).write_unaligned(code) };
    // SAFETY: as above.
    unsafe { (&raw mut (*error).broker_code).write_unaligned(broker_code) };
    // SAFETY: as above.
    unsafe { (&raw mut (*error).flags).write_unaligned(flags) };
    // SAFETY: as above; bytes have no alignment.
    let message_at = unsafe { &raw mut (*error).message };
    // SAFETY: the array's own length.
    unsafe { text::write(message_at.cast(), size_of_val(&(*message_at)), message) };
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words")
}

/// A payload whose own drop panics would unwind into C: it is leaked instead.
fn bury(panic: Box<dyn Any + Send>) {
    let _ = ManuallyDrop::new(panic);
}

/// A type that C sees only as a pointer, and what is really behind it.
pub(super) trait Opaque {
    /// What the handle owns.
    type Body;
    /// The first word of a living handle of this type.
    const MAGIC: u64;
}

/// The first word of a handle that was destroyed, for as long as its memory stays as it was.
const DESTROYED: u64 = 0xdead_6b75_7269_6572;

/// `repr(C)`: the magic is the first word, so that a handle of another type is recognised.
#[repr(C)]
struct Handle<T> {
    magic: AtomicU64,
    forks: u32,
    body: T,
}

/// How many forks lie between the process that loaded the library and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Has every fork counted from now on. False if the system has no memory for it.
fn watch_forks() -> bool {
    static WATCHED: OnceLock<bool> = OnceLock::new();
    #[cfg(unix)]
    // SAFETY: the function touches one atomic, which is allowed in a child of a process with threads; the
    // library is never unloaded (-z nodelete), so it stays where it is.
    return *WATCHED.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(count_fork)) } == 0);
    #[cfg(not(unix))]
    return *WATCHED.get_or_init(|| true);
}

/// A new handle, owned by the caller until [`destroy`].
pub(super) fn create<H: Opaque>(body: H::Body) -> Result<*mut H, Code> {
    if !watch_forks() {
        return Err(Code::INTERNAL);
    }
    let handle = Handle { magic: AtomicU64::new(H::MAGIC), forks: FORKS.load(Ordering::Relaxed), body };
    Ok(Box::into_raw(Box::new(handle)).cast())
}

/// Finds out, as far as memory tells, that a pointer is a living handle of this process.
///
/// # Safety
/// `handle` is NULL or points to eight readable bytes.
unsafe fn check<H: Opaque>(handle: *const H) -> Result<*mut Handle<H::Body>, Code> {
    let handle = handle.cast::<Handle<H::Body>>();
    if handle.is_null() {
        return Err(Code::NULL_POINTER);
    }
    if !handle.is_aligned() {
        return Err(Code::INVALID_ARGUMENT);
    }
    // SAFETY: aligned, readable.
    let magic = unsafe { &(*handle).magic };
    if magic.load(Ordering::Relaxed) != H::MAGIC {
        return Err(Code::INVALID_ARGUMENT);
    }
    // SAFETY: its first word says that it is a handle made by `create`.
    let forks = unsafe { (*handle).forks };
    if forks != FORKS.load(Ordering::Relaxed) {
        return Err(Code::FORKED);
    }
    Ok(handle.cast_mut())
}

/// The body of a handle that several threads may use.
///
/// # Safety
/// `handle` is NULL or from [`create`], and nobody destroys it meanwhile.
pub(super) unsafe fn shared<'a, H: Opaque>(handle: *const H) -> Result<&'a H::Body, Code> {
    // SAFETY: the caller's promise.
    let handle = unsafe { check(handle) }?;
    // SAFETY: alive, as the magic says.
    Ok(unsafe { &(*handle).body })
}

/// The body of a handle that one thread uses at a time.
///
/// # Safety
/// As [`shared`], and nobody else uses it meanwhile.
pub(super) unsafe fn exclusive<'a, H: Opaque>(handle: *mut H) -> Result<&'a mut H::Body, Code> {
    // SAFETY: the caller's promise.
    let handle = unsafe { check(handle.cast_const()) }?;
    // SAFETY: alive, as the magic says, and the caller is alone.
    Ok(unsafe { &mut (*handle).body })
}

/// Frees a handle. What is no living handle of this process is left alone.
///
/// # Safety
/// As [`exclusive`], and nobody uses it afterwards.
pub(super) unsafe fn destroy<H: Opaque>(handle: *mut H) {
    // SAFETY: the caller's promise.
    let Ok(handle) = (unsafe { check(handle.cast_const()) }) else { return };
    // SAFETY: alive, as the magic says.
    let magic = unsafe { &(*handle).magic };
    if magic.swap(DESTROYED, Ordering::AcqRel) == H::MAGIC {
        // SAFETY: made by `Box::into_raw`, and the swap lets only one caller come here.
        drop(unsafe { Box::from_raw(handle) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Number;
    impl Opaque for Number {
        type Body = u32;
        const MAGIC: u64 = 0x6e75_6d62_6572_0001;
    }
    struct Other;
    impl Opaque for Other {
        type Body = u32;
        const MAGIC: u64 = 0x6f74_6865_7200_0001;
    }

    fn message(error: &kurier_error) -> String {
        let bytes: Vec<u8> = error.message.iter().map(|&c| c.cast_unsigned()).take_while(|&c| c != 0).collect();
        String::from_utf8(bytes).unwrap()
    }

    fn blank(size: u32) -> kurier_error {
        kurier_error { size, code: 7, broker_code: 7, flags: 7, message: [0x41; 240] }
    }

    #[test]
    fn a_panic_becomes_internal() {
        assert_eq!(guard(|| panic!("seven")), KURIER_CODE_INTERNAL);
        assert_eq!(guard_value(-1, || panic!("seven")), -1);
        let mut error = blank(0);
        // SAFETY: a struct of this frame.
        let code = unsafe { guard_error(&raw mut error, || panic!("seven of {}", 9)) };
        assert_eq!((code, error.code), (KURIER_CODE_INTERNAL, KURIER_CODE_INTERNAL));
        assert_eq!(message(&error), "A defect in the library: seven of 9");
    }

    #[test]
    fn a_payload_that_panics_when_dropped_stays_inside() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        assert_eq!(guard(|| std::panic::panic_any(Bomb)), KURIER_CODE_INTERNAL);
    }

    #[test]
    fn an_error_is_written_on_ok_too() {
        let mut error = blank(256);
        // SAFETY: a struct of this frame.
        assert_eq!(unsafe { guard_error(&raw mut error, || Ok(())) }, KURIER_CODE_OK);
        assert_eq!((error.size, error.code, error.broker_code, error.flags), (256, 0, 0, 0));
        assert_eq!(message(&error), "");
    }

    #[test]
    fn an_error_carries_everything() {
        let mut error = blank(0);
        let failure =
            Error { code: Code::FATAL, broker_code: -1, retriable: true, fatal: true, message: "é".repeat(200) };
        // SAFETY: a struct of this frame.
        let code = unsafe { guard_error(&raw mut error, || Err(failure.into())) };
        assert_eq!((code, error.code, error.broker_code, error.flags), (-15, -15, -1, 5));
        assert_eq!(message(&error), "é".repeat(119), "cut between characters, with room for the NUL");
    }

    #[test]
    fn an_error_of_another_size() {
        for size in [1, 16, 255] {
            let mut error = blank(size);
            // SAFETY: a struct of this frame.
            let code = unsafe { guard_error(&raw mut error, || unreachable!("nothing may be done")) };
            assert_eq!((code, error.code), (KURIER_CODE_INVALID_ARGUMENT, 7), "untouched");
        }
        #[repr(C)]
        struct Later {
            error: kurier_error,
            more: [u8; 64],
        }
        let mut later = Later { error: blank(320), more: [9; 64] };
        // SAFETY: a struct of this frame, which says how large it is.
        let code = unsafe { guard_error((&raw mut later).cast(), || Err(Code::CLOSED.into())) };
        assert_eq!((code, later.error.code, later.error.size), (-3, -3, 320));
        assert_eq!(later.more, [9; 64], "what this version does not know is not its own");
    }

    #[test]
    fn handles_are_told_apart() {
        let number = create::<Number>(5).unwrap();
        // SAFETY: just made.
        assert_eq!(unsafe { shared(number) }, Ok(&5));
        // SAFETY: a handle, though of another type.
        assert_eq!(unsafe { shared(number.cast::<Other>()) }, Err(Code::INVALID_ARGUMENT));
        // SAFETY: NULL is looked at only.
        assert_eq!(unsafe { shared(std::ptr::null::<Number>()) }, Err(Code::NULL_POINTER));
        // SAFETY: refused before it is read.
        assert_eq!(unsafe { shared(number.wrapping_byte_add(1)) }, Err(Code::INVALID_ARGUMENT));
        let zeros = [0u64; 4];
        // SAFETY: eight readable bytes.
        assert_eq!(unsafe { shared(zeros.as_ptr().cast::<Number>()) }, Err(Code::INVALID_ARGUMENT));
        // SAFETY: of another type, so left alone.
        unsafe { destroy(number.cast::<Other>()) };
        // SAFETY: not destroyed yet.
        assert_eq!(unsafe { exclusive(number) }, Ok(&mut 5));
        // SAFETY: the only one who has it.
        unsafe { destroy(number) };
    }
}
