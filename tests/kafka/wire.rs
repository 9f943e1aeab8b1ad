//! The one question put to a broker in its own language: whom do you know? (Metadata v1, raw bytes, so that readiness
//! does not depend on the code under test.)

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(1);

/// The ids of the live brokers that the broker at `port` knows, sorted; `None` if it does not answer (yet).
///
/// A broker answers after it has caught up with its own registration, and lists those that the controller has
/// unfenced: itself only from then on.
pub fn known_brokers(port: u16) -> Option<Vec<i32>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    // Key 3, version 1, correlation id 7, client id null, no topics.
    stream.write_all(&[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0]).ok()?;
    let mut size = [0; 4];
    stream.read_exact(&mut size).ok()?;
    let size = usize::try_from(i32::from_be_bytes(size)).ok().filter(|size| *size < 1 << 20)?;
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer).ok()?;
    parse(&answer)
}

fn parse(answer: &[u8]) -> Option<Vec<i32>> {
    let mut rest = answer;
    if int32(&mut rest)? != 7 {
        return None;
    }
    let mut ids = Vec::new();
    for _ in 0..int32(&mut rest)? {
        ids.push(int32(&mut rest)?);
        skip_string(&mut rest)?; // host
        int32(&mut rest)?; // port
        skip_string(&mut rest)?; // rack
    }
    ids.sort_unstable();
    Some(ids)
}

fn int32(rest: &mut &[u8]) -> Option<i32> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(i32::from_be_bytes(*head))
}

fn skip_string(rest: &mut &[u8]) -> Option<()> {
    let (head, tail) = rest.split_first_chunk::<2>()?;
    // -1 is null: nothing follows.
    let size = usize::try_from(i16::from_be_bytes(*head)).unwrap_or(0);
    *rest = tail.get(size..)?;
    Some(())
}
