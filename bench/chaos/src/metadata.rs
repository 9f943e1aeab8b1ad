//! Whom the cluster names: a Metadata request (version 1, raw bytes) to one broker, past every proxy.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_millis(500);
const ANSWER_MAX: usize = 1 << 20;

/// A connection that asks again and again.
#[derive(Debug)]
pub struct Asker {
    stream: TcpStream,
}

impl Asker {
    pub fn connect(port: u16) -> Option<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        Some(Self { stream })
    }

    /// The leader of each partition, -1 for none; `None` if the broker does not answer.
    pub fn leaders(&mut self, topic: &str) -> Option<Vec<i32>> {
        self.leaders_of(&[topic])?.remove(topic)
    }

    /// The same of several topics at one moment.
    pub fn leaders_of(&mut self, topics: &[&str]) -> Option<BTreeMap<String, Vec<i32>>> {
        // Key 3, version 1, correlation id 7, client id null.
        let mut request = vec![0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff];
        request.extend(u32::try_from(topics.len()).ok()?.to_be_bytes());
        for topic in topics {
            request.extend(u16::try_from(topic.len()).ok()?.to_be_bytes());
            request.extend(topic.as_bytes());
        }
        let size = u32::try_from(request.len()).ok()?;
        self.stream.write_all(&[&size.to_be_bytes()[..], &request].concat()).ok()?;
        let mut size = [0; 4];
        self.stream.read_exact(&mut size).ok()?;
        let size = usize::try_from(i32::from_be_bytes(size)).ok().filter(|size| *size <= ANSWER_MAX)?;
        let mut answer = vec![0; size];
        self.stream.read_exact(&mut answer).ok()?;
        parse(&answer)
    }
}

/// The leaders of `topic`, from the first of these brokers that answers with some.
pub fn leaders(ports: &[u16], topic: &str) -> Option<Vec<i32>> {
    let ask = |port: &u16| Asker::connect(*port)?.leaders(topic).filter(|leaders| !leaders.is_empty());
    ports.iter().find_map(ask)
}

fn parse(answer: &[u8]) -> Option<BTreeMap<String, Vec<i32>>> {
    let mut rest = answer;
    int32(&mut rest)?; // correlation id
    for _ in 0..int32(&mut rest)? {
        int32(&mut rest)?;
        string(&mut rest)?; // host
        int32(&mut rest)?; // port
        string(&mut rest)?; // rack
    }
    int32(&mut rest)?; // controller
    let mut topics = BTreeMap::new();
    for _ in 0..int32(&mut rest)? {
        int16(&mut rest)?; // its error
        let name = String::from_utf8(string(&mut rest)?.to_vec()).ok()?;
        rest = rest.get(1..)?; // internal
        topics.insert(name, partitions(&mut rest)?);
    }
    Some(topics)
}

fn partitions(rest: &mut &[u8]) -> Option<Vec<i32>> {
    let mut leaders = Vec::new();
    for _ in 0..int32(rest)? {
        int16(rest)?;
        let (index, leader) = (usize::try_from(int32(rest)?).ok()?, int32(rest)?);
        for _ in 0..2 {
            for _ in 0..int32(rest)? {
                int32(rest)?;
            }
        }
        if leaders.len() <= index {
            leaders.resize(index.min(1 << 16) + 1, -1);
        }
        *leaders.get_mut(index)? = leader;
    }
    Some(leaders)
}

fn int32(rest: &mut &[u8]) -> Option<i32> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(i32::from_be_bytes(*head))
}

fn int16(rest: &mut &[u8]) -> Option<i16> {
    let (head, tail) = rest.split_first_chunk::<2>()?;
    *rest = tail;
    Some(i16::from_be_bytes(*head))
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    // -1 is null: nothing follows.
    let size = usize::try_from(int16(rest)?).unwrap_or(0);
    let (text, tail) = rest.split_at_checked(size)?;
    *rest = tail;
    Some(text)
}
