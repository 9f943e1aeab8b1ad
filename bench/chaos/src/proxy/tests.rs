//! The proxy between a client and a broker of a few lines.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use super::{Cut, PRODUCE, Proxy, Way};
use crate::kafka::{Port, free_ports};

/// Answers every request with its correlation id and 100 bytes.
fn broker() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut front = [0; 12];
                while stream.read_exact(&mut front).is_ok() {
                    let mut answer = vec![0, 0, 0, 104];
                    answer.extend(&front[8..12]);
                    answer.extend([7; 100]);
                    let _gone = stream.write_all(&answer);
                }
            });
        }
    });
    port
}

struct Client {
    stream: TcpStream,
}

impl Client {
    fn connect(port: u16) -> Self {
        let connect = |_| {
            std::thread::sleep(Duration::from_millis(5));
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        };
        let stream = (0..1000).find_map(connect).expect("the proxy listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream }
    }

    fn ask(&mut self, number: u8) {
        let api = PRODUCE.to_be_bytes();
        self.stream.write_all(&[0, 0, 0, 8, api[0], api[1], 0, 9, 0, 0, 0, number]).unwrap();
    }

    /// Everything that comes until the end, or until a whole answer is there.
    fn answer(&mut self) -> Vec<u8> {
        let (mut all, mut some) = (Vec::new(), [0; 200]);
        while all.len() < 108 {
            match self.stream.read(&mut some) {
                Ok(count) if count > 0 => all.extend(&some[..count]),
                _ => break,
            }
        }
        all
    }
}

/// A proxy, and its port, which nobody else takes while connections are refused.
fn start() -> (Proxy, Port) {
    let port = free_ports(1).remove(0);
    (Proxy::start(port.number, broker()), port)
}

#[test]
fn what_is_left_alone_passes() {
    let (_proxy, port) = start();
    let mut client = Client::connect(port.number);
    for number in 0..50 {
        client.ask(number);
        let answer = client.answer();
        assert_eq!((answer.len(), answer[7]), (108, number));
    }
}

#[test]
fn an_answer_is_cut_at_the_chosen_byte() {
    for is_reset in [false, true] {
        let (proxy, port) = start();
        let mut client = Client::connect(port.number);
        proxy.cut(Cut { way: Way::Answers, api: PRODUCE, permille: 500, is_reset });
        client.ask(1);
        let answer = client.answer();
        assert!(answer.len() == 54 || is_reset && answer.len() < 54, "RST may overtake: {}", answer.len());
        assert_eq!(proxy.counts()["cuts inside an answer"], 1);
        let mut again = Client::connect(port.number);
        again.ask(2);
        assert_eq!(again.answer().len(), 108, "one cut is one cut");
    }
}

#[test]
fn a_request_that_is_cut_is_not_answered() {
    let (proxy, port) = start();
    let mut client = Client::connect(port.number);
    proxy.cut(Cut { way: Way::Requests, api: PRODUCE, permille: 900, is_reset: false });
    client.ask(1);
    assert_eq!(client.answer().len(), 0);
}

#[test]
fn what_is_withheld_comes_later_and_what_is_cut_never() {
    let (proxy, port) = start();
    let (mut first, mut second) = (Client::connect(port.number), Client::connect(port.number));
    proxy.hold(true);
    first.ask(1);
    first.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(first.answer().len(), 0);
    first.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    proxy.hold(false);
    assert_eq!(first.answer().len(), 108);
    proxy.hold(true);
    second.ask(2);
    proxy.cut_all(false);
    proxy.hold(false);
    assert_eq!(second.answer().len(), 0);
}

#[test]
fn a_silent_connection_stays_and_says_nothing() {
    let (proxy, port) = start();
    let mut client = Client::connect(port.number);
    client.ask(1);
    assert_eq!(client.answer().len(), 108);
    proxy.swallow(true);
    proxy.swallow(false);
    client.ask(2);
    client.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let error = client.stream.read(&mut [0; 1]).unwrap_err();
    assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{error}");
    let mut other = Client::connect(port.number);
    other.ask(3);
    assert_eq!(other.answer().len(), 108);
}

#[test]
fn connections_are_refused_for_a_while() {
    let (proxy, port) = start();
    drop(Client::connect(port.number));
    proxy.refuse(true);
    let refused = |_| {
        std::thread::sleep(Duration::from_millis(5));
        TcpStream::connect((Ipv4Addr::LOCALHOST, port.number)).err()
    };
    let error = (0..1000).find_map(refused).expect("it stops listening");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    proxy.repair();
    drop(Client::connect(port.number));
}

#[test]
fn a_lie_is_told_once() {
    let (proxy, port) = start();
    let mut client = Client::connect(port.number);
    proxy.lie(1);
    for expected in [1 ^ 0x55, 1] {
        client.ask(1);
        assert_eq!(client.answer()[7], expected);
    }
}
