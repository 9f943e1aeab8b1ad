//! The one place where the embedded cluster starts a thread.

use std::io;
use std::thread::JoinHandle;

use crate::thread;

/// Starts a thread named `kurier-cluster-…`. A panic ends it after `on_panic`.
pub(super) fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
    on_panic: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::start(format!("kurier-cluster-{name}"), body, on_panic)
}
