//! Names to addresses. The system's resolver blocks for as long as it likes, so a thread of its own asks it.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use parking_lot::Mutex;

/// Addresses in the order in which they are tried, each with the name that it was found under.
pub(super) type Addresses = Vec<(String, SocketAddr)>;

/// The answer, when it is there.
pub(super) type Answer = Arc<Mutex<Option<Result<Addresses, String>>>>;

/// So many addresses of one name are looked up backwards: each may take the resolver seconds.
const CANONICAL_MAX: usize = 16;

/// Asks for all addresses of a name (KIP-602) and calls `done` when the answer is there. An address is its own answer,
/// unless `canonical`: then the canonical names of all addresses take the place of the name.
pub(super) fn resolve(host: &str, port: u16, canonical: bool, done: impl Fn() + Send + 'static) -> Answer {
    let answer: Answer = Arc::new(Mutex::new(None));
    if let (Ok(address), false) = (host.parse::<IpAddr>(), canonical) {
        *answer.lock() = Some(Ok(vec![(host.to_owned(), SocketAddr::new(address, port))]));
        return answer;
    }
    let (place, name) = (Arc::clone(&answer), host.to_owned());
    let ask = move || {
        let found = addresses(&name, port).map(|found| if canonical { canonized(found, port) } else { found });
        *place.lock() = Some(found);
        done();
    };
    let failed = Arc::clone(&answer);
    if let Err(error) = crate::thread::start("kurier-resolve".into(), ask, || ()) {
        *failed.lock() = Some(Err(format!("no thread to resolve {host}: {error}")));
    }
    answer
}

fn addresses(name: &str, port: u16) -> Result<Addresses, String> {
    let found = (name, port).to_socket_addrs().map_err(|error| format!("{name} cannot be resolved: {error}"))?;
    Ok(found.map(|address| (name.to_owned(), address)).collect())
}

/// Every address under its canonical name, by way of which it is looked up again. One without such a name stays.
fn canonized(found: Addresses, port: u16) -> Addresses {
    let mut all = Addresses::new();
    for (name, address) in found.into_iter().take(CANONICAL_MAX) {
        let forward = dns_lookup::lookup_addr(&address.ip()).ok().and_then(|name| addresses(&name, port).ok());
        for one in forward.unwrap_or_else(|| vec![(name, address)]) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    all
}
