//! A proxy in front of one broker that understands where requests and answers begin, and does to them what a network
//! may do: cut at any byte, delay, withhold, swallow, refuse; and what only a broken broker does, lie.

mod link;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use link::Link;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the broker.
    Requests,
    /// From the broker to the client.
    Answers,
}

/// Produce, the API whose requests and answers are worth cutting.
pub const PRODUCE: i16 = 0;

/// Cuts the connection inside the next request or answer of an API.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub way: Way,
    pub api: i16,
    /// Where, in thousandths of its bytes: 0 before the first, 1000 behind the last.
    pub permille: u64,
    /// With RST instead of FIN.
    pub is_reset: bool,
}

/// What is done at the moment.
#[derive(Debug, Default)]
struct Rules {
    /// Nobody listens.
    refuse: bool,
    /// New connections are silent from their first byte.
    swallow: bool,
    /// Answers wait until this is over.
    hold: bool,
    request_delay: Duration,
    answer_delay: Duration,
    cut: Option<Cut>,
    /// So many of the next Produce answers get a wrong correlation id.
    lies: u32,
    counts: BTreeMap<&'static str, u64>,
}

#[derive(Debug)]
struct Shared {
    broker: u16,
    rules: Mutex<Rules>,
    changed: Condvar,
    links: Mutex<Vec<Weak<Link>>>,
    ended: AtomicBool,
}

/// One broker's proxy; ends with this.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// How soon the acceptor sees a change.
const LOOK_EVERY: Duration = Duration::from_millis(2);

impl Proxy {
    /// Listens on `port` for the broker behind `broker`.
    pub fn start(port: u16, broker: u16) -> Self {
        let shared = Arc::new(Shared {
            broker,
            rules: Mutex::default(),
            changed: Condvar::new(),
            links: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let listening = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || accept(&listening, port));
        Self { shared, acceptor: Some(acceptor) }
    }

    /// Cuts every connection, with what is queued in it.
    pub fn cut_all(&self, is_reset: bool) {
        for link in self.links() {
            self.shared.count(if is_reset { "connections reset" } else { "connections cut" });
            link.end(is_reset);
        }
    }

    /// Cuts inside the next request or answer that fits.
    pub fn cut(&self, cut: Cut) {
        self.shared.change(|rules| rules.cut = Some(cut));
    }

    /// Delays what goes one way; zero ends it.
    pub fn delay(&self, way: Way, by: Duration) {
        self.shared.change(|rules| match way {
            Way::Requests => rules.request_delay = by,
            Way::Answers => rules.answer_delay = by,
        });
    }

    /// Withholds answers, or lets them go.
    pub fn hold(&self, is_held: bool) {
        self.shared.change(|rules| rules.hold = is_held);
    }

    /// Makes every connection half-open: it stays, takes everything, and says nothing more. New ones too, until
    /// `swallow(false)`; those that have become silent stay so.
    pub fn swallow(&self, is_silent: bool) {
        self.shared.change(|rules| rules.swallow = is_silent);
        if is_silent {
            for link in self.links() {
                self.shared.count("connections made silent");
                link.silence();
            }
        }
    }

    /// Closes the listener, or opens it again; connections stay.
    pub fn refuse(&self, is_refused: bool) {
        self.shared.change(|rules| rules.refuse = is_refused);
    }

    /// Gives the next Produce answers wrong correlation ids.
    pub fn lie(&self, count: u32) {
        self.shared.change(|rules| rules.lies = count);
    }

    /// As in the beginning; silent connections are cut.
    pub fn repair(&self) {
        self.shared.change(|rules| *rules = Rules { counts: std::mem::take(&mut rules.counts), ..Rules::default() });
        self.links().iter().filter(|link| link.is_silent()).for_each(|link| link.end(true));
    }

    /// What was done, and how often.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.shared.rules().counts.clone()
    }

    fn links(&self) -> Vec<Arc<Link>> {
        let mut links = self.shared.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|link| link.strong_count() > 0);
        links.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(acceptor) = self.acceptor.take() {
            let _panicked = acceptor.join();
        }
        self.links().iter().for_each(|link| link.end(true));
    }
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, how: impl FnOnce(&mut Rules)) {
        how(&mut self.rules());
        self.changed.notify_all();
    }

    fn count(&self, what: &'static str) {
        *self.rules().counts.entry(what).or_default() += 1;
    }
}

/// The listener is gone while connections are refused, so the client gets a real refusal.
fn accept(shared: &Arc<Shared>, port: u16) {
    let mut listener = None;
    while !shared.ended.load(Ordering::Relaxed) {
        if shared.rules().refuse {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
            if let Some(listener) = &listener {
                listener.set_nonblocking(true).unwrap();
            }
        }
        match listener.as_ref().map(TcpListener::accept) {
            Some(Ok((client, _))) => connect(shared, client),
            _ => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// A broker that cannot be reached is a connection that ends at once.
fn connect(shared: &Arc<Shared>, client: TcpStream) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, shared.broker));
    let limit = Duration::from_secs(1);
    let Ok(broker) = TcpStream::connect_timeout(&address, limit) else { return };
    if client.set_nonblocking(false).is_err() {
        return;
    }
    let link = Link::new(client, broker);
    shared.links.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&link));
    if shared.rules().swallow {
        shared.count("connections made silent");
        link.silence();
    }
    link.start(shared);
}
