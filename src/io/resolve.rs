//! Names to addresses. The system's resolver blocks for as long as it likes, so a thread of its own asks it.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use parking_lot::Mutex;

/// The answer, when it is there.
pub(super) type Answer = Arc<Mutex<Option<Result<Vec<SocketAddr>, String>>>>;

/// Asks for all addresses of a name (KIP-602) and calls `done` when the answer is there. An address is its own answer.
pub(super) fn resolve(host: &str, port: u16, done: impl Fn() + Send + 'static) -> Answer {
    let answer: Answer = Arc::new(Mutex::new(None));
    if let Ok(address) = host.parse::<IpAddr>() {
        *answer.lock() = Some(Ok(vec![SocketAddr::new(address, port)]));
        return answer;
    }
    let (place, name) = (Arc::clone(&answer), host.to_owned());
    let ask = move || {
        let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect);
        *place.lock() = Some(found.map_err(|error| format!("{name} cannot be resolved: {error}")));
        done();
    };
    let failed = Arc::clone(&answer);
    if let Err(error) = crate::thread::start("kurier-resolve".into(), ask, || ()) {
        *failed.lock() = Some(Err(format!("no thread to resolve {host}: {error}")));
    }
    answer
}
