//! Senders on threads of their own, of which one at a time runs: so that one can stand still in the middle of an append
//! while everything else goes on, the same way whenever the seed is run.

use crate::application::Sender;
#[cfg(feature = "simulation")]
use crate::random::Random;
use std::time::Duration;

/// What a sender did with its turn.
pub(crate) enum Acted {
    /// It goes on after so long; `None`: it is done.
    Next(Option<Duration>),
    /// It stands still in the middle of an append for so long.
    #[cfg_attr(not(feature = "simulation"), expect(dead_code, reason = "nothing stops there"))]
    Stopped {
        span: Duration,
        /// With a span of a batch that nobody can close without it.
        is_inside: bool,
    },
}

/// A sender and where it runs.
pub(crate) enum Runner {
    Inline(Box<Sender>),
    #[cfg(feature = "simulation")]
    Threaded(baton::Threaded),
}

impl Runner {
    /// Its next turn.
    pub(crate) fn act(&mut self) -> Acted {
        match self {
            Self::Inline(sender) => Acted::Next(sender.act()),
            #[cfg(feature = "simulation")]
            Self::Threaded(threaded) => threaded.act(),
        }
    }

    /// On a thread of its own that stands still at so many percent of the places where it can.
    #[cfg(feature = "simulation")]
    pub(crate) fn threaded(sender: Sender, percent: u64, longest: Duration, random: Random) -> Self {
        Self::Threaded(baton::Threaded::start(sender, percent, longest, random))
    }
}

#[cfg(feature = "simulation")]
mod baton {
    use super::Acted;
    use crate::application::Sender;
    use crate::random::Random;
    use kurier::mutant::Stop;
    use std::sync::{Arc, Condvar, Mutex};
    use std::thread::JoinHandle;
    use std::time::Duration;

    enum Holder {
        World(Option<Acted>),
        Sender,
        /// The sender panicked, and will never hand over again.
        Panicked,
        /// Nobody asks any more.
        Nobody,
    }

    /// Who runs: the world, or the sender.
    struct Baton {
        holder: Mutex<Holder>,
        changed: Condvar,
    }

    impl Baton {
        /// The sender's side: hands over, and waits for its next turn. False: there is none.
        fn hand_over(&self, acted: Acted) -> bool {
            let mut holder = self.holder.lock().unwrap();
            if matches!(*holder, Holder::Nobody) {
                return false;
            }
            *holder = Holder::World(Some(acted));
            self.changed.notify_all();
            self.wait(holder)
        }

        fn wait(&self, mut holder: std::sync::MutexGuard<'_, Holder>) -> bool {
            loop {
                match *holder {
                    Holder::Sender => return true,
                    Holder::Nobody | Holder::Panicked => return false,
                    Holder::World(_) => holder = self.changed.wait(holder).unwrap(),
                }
            }
        }
    }

    pub(crate) struct Threaded {
        baton: Arc<Baton>,
        thread: Option<JoinHandle<()>>,
    }

    impl Threaded {
        #[expect(clippy::disallowed_methods, reason = "a thread of the test, not of the library")]
        pub(super) fn start(mut sender: Sender, percent: u64, longest: Duration, mut random: Random) -> Self {
            let baton = Arc::new(Baton { holder: Mutex::new(Holder::World(None)), changed: Condvar::new() });
            let (its, stops) = (Arc::clone(&baton), Arc::clone(&baton));
            let body = move || {
                kurier::mutant::at_stops(Some(Box::new(move |stop| {
                    let is_inside = stop != Stop::Serializer;
                    if random.chance(percent) {
                        let most = if random.chance(80) { Duration::from_millis(3) } else { longest };
                        let span = Duration::from_nanos(random.below(most.as_nanos() as u64));
                        stops.hand_over(Acted::Stopped { span, is_inside });
                    }
                })));
                let turns = std::panic::AssertUnwindSafe(|| {
                    let mut goes_on = its.wait(its.holder.lock().unwrap());
                    while goes_on {
                        let next = sender.act();
                        goes_on = its.hand_over(Acted::Next(next)) && next.is_some();
                    }
                });
                if std::panic::catch_unwind(turns).is_err() {
                    *its.holder.lock().unwrap() = Holder::Panicked;
                    its.changed.notify_all();
                }
            };
            Self { baton, thread: Some(std::thread::spawn(body)) }
        }

        pub(super) fn act(&self) -> Acted {
            let mut holder = self.baton.holder.lock().unwrap();
            *holder = Holder::Sender;
            self.baton.changed.notify_all();
            loop {
                match &mut *holder {
                    Holder::World(acted) => return acted.take().unwrap_or(Acted::Next(None)),
                    Holder::Panicked => {
                        drop(holder);
                        panic!("a sender panicked");
                    }
                    Holder::Sender | Holder::Nobody => {}
                }
                holder = self.baton.changed.wait(holder).unwrap();
            }
        }
    }

    impl Drop for Threaded {
        fn drop(&mut self) {
            *self.baton.holder.lock().unwrap() = Holder::Nobody;
            self.baton.changed.notify_all();
            if let Some(thread) = self.thread.take() {
                let _ = thread.join();
            }
        }
    }
}
