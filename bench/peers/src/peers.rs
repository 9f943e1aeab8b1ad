//! Whose programs are measured, and how they are started.

use std::collections::BTreeMap;

use crate::programs::{self, Client};

/// A client, or one of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    Client(Client),
    Replay,
    Socket,
    Codec,
}

impl Peer {
    pub fn name(self) -> &'static str {
        match self {
            Self::Client(client) => client.name(),
            Self::Replay => "replay",
            Self::Socket => "socket",
            Self::Codec => "codec",
        }
    }
}

/// The heap is that of Kafka's own ProducerPerformance; compilers and collector are Java's choice.
const JAVA: [&str; 1] = ["-Xmx512m"];

/// The programs that there are, or why one is missing.
#[derive(Debug)]
pub struct Peers {
    words: BTreeMap<Peer, Result<Vec<String>, String>>,
}

impl Peers {
    /// Builds what is wanted. `class_path` has Kafka's own producer, if there is one.
    pub fn build(wanted: impl Iterator<Item = Peer>, class_path: Option<&str>) -> Self {
        let build = |peer: Peer| {
            let own = || std::env::current_exe().map_err(|error| error.to_string());
            match (peer, class_path) {
                (Peer::Client(Client::Java), None) => Err("there are no jars".to_owned()),
                (Peer::Client(client), _) => {
                    programs::build(client, class_path.unwrap_or_default(), &JAVA).map(|program| program.words)
                }
                _ => own().map(|path| vec![path.display().to_string(), peer.name().to_owned()]),
            }
        };
        let words: BTreeMap<_, _> = wanted.map(|peer| (peer, ())).collect();
        let words = words.into_keys().map(|peer| (peer, build(peer))).collect();
        let peers = Self { words };
        for (peer, why) in peers.words.iter().filter_map(|(peer, words)| Some((peer, words.as_ref().err()?))) {
            println!("{} is missing: {why}", peer.name());
        }
        peers
    }

    /// Those that could not be built.
    pub fn missing(&self) -> impl Iterator<Item = Peer> {
        self.words.iter().filter(|(_, words)| words.is_err()).map(|(peer, _)| *peer)
    }

    /// The first words of its command line.
    pub fn words(&self, peer: Peer) -> Option<&[String]> {
        self.words.get(&peer)?.as_deref().ok()
    }
}
