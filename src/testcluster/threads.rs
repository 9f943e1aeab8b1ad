//! The one place where the embedded cluster starts a thread.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread named `kurier-cluster-…`.
pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(format!("kurier-cluster-{name}")).spawn(run)
}
