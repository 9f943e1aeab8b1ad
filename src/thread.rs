//! Every thread of the library starts here: named, with all signals blocked, and with a panic caught at its top.

#![expect(unsafe_code, reason = "a signal mask is set by a system call")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

/// Starts a thread. If `body` panics, `on_panic` runs in its place.
///
/// Signals belong to the host's own threads: a gathering write to a closed socket from a `cdylib` would else end a C
/// host by SIGPIPE (measured: exit 141).
#[expect(clippy::disallowed_methods, reason = "this is the one place that starts threads")]
pub(crate) fn start(
    name: String,
    body: impl FnOnce() + Send + 'static,
    on_panic: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name(name).spawn(move || {
        block_signals();
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            // A second panic, while the pieces are picked up, must not leave this thread either.
            let _ = catch_unwind(AssertUnwindSafe(on_panic));
        }
    })
}

#[cfg(unix)]
fn block_signals() {
    // SAFETY: a zeroed sigset_t is plain memory that sigfillset then fills; the calls touch nothing else.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}

#[cfg(not(unix))]
fn block_signals() {}
