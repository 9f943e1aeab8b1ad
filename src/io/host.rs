//! Where connections live: each in a thread of its own, or wherever the simulation lets them.

use super::network::Network;
use super::wake::Wake;
use crate::engine::ConnectionNumber;
use parking_lot::Mutex;
use std::io;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// Gives connections a life.
pub trait Host: Send + Sync {
    /// How the next connection's wait is ended; it need not have been started yet.
    fn waker(&self) -> Box<dyn Fn() + Send + Sync>;
    /// Starts a connection's [`Life`](super::Life).
    ///
    /// # Errors
    /// The system has no thread for it.
    fn start(&self, network: &Arc<Network>, connection: ConnectionNumber) -> io::Result<()>;
    /// The network is stopping: ends all waits, and waits until every connection has ended.
    fn join(&self);
}

/// The real one.
#[derive(Default)]
pub(super) struct Threads {
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// By connection; each is set before its thread starts.
    wakes: Mutex<Vec<Arc<OnceLock<Wake>>>>,
}

impl Host for Threads {
    fn waker(&self) -> Box<dyn Fn() + Send + Sync> {
        let wake: Arc<OnceLock<Wake>> = Arc::default();
        self.wakes.lock().push(Arc::clone(&wake));
        Box::new(move || wake.get().map_or((), Wake::set))
    }

    fn start(&self, network: &Arc<Network>, connection: ConnectionNumber) -> io::Result<()> {
        let wake = Wake::new()?;
        if let Some(place) = self.wakes.lock().get(connection.0 as usize) {
            let _ = place.set(wake.clone());
        }
        let (body, on_panic) = (Arc::clone(network), Arc::clone(network));
        let thread = crate::thread::start(
            format!("kurier-io-{}", connection.0),
            move || super::connection::run(&body, connection, &wake),
            move || on_panic.fail("a network thread panicked"),
        )?;
        self.threads.lock().push(thread);
        Ok(())
    }

    fn join(&self) {
        loop {
            for wake in self.wakes.lock().iter().filter_map(|wake| wake.get()) {
                wake.set();
            }
            let Some(thread) = self.threads.lock().pop() else { break };
            // A thread that ends by a panic has been dealt with where it panicked.
            let _ = thread.join();
        }
    }
}
