//! Kafka producers beside each other, and beside what the broker and the socket can take. See README.md.

#![allow(dead_code, reason = "the modules of tests/kafka are used in part")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark; it runs by the wall clock")]

mod child;
mod cluster;
#[path = "../../../tests/kafka/mod.rs"]
mod kafka;
mod limits;
mod load;
mod machine;
mod measure;
mod peers;
mod picture;
#[path = "../../programs.rs"]
mod programs;
mod report;
#[path = "../../request.rs"]
mod request;
mod rows;
mod samples;
mod sinks;
mod verdict;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

use load::{Load, Payload};
use measure::{Bench, Measured, Pace};
use peers::{Peer, Peers};
use report::About;
use request::Failure;
use rows::Row;
use sinks::{Kind, Program, Sink};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["cluster"] => cluster::run(),
        ["discard"] => limits::discard(),
        [name @ ("replay" | "socket" | "codec"), ref words @ ..] => limits::run(name, words),
        _ => bench(&words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures all rows, or those that are named.
fn bench(words: &[&str]) -> Result<(), Failure> {
    let is_short = words.first() == Some(&"short");
    let names = if is_short { &words[1..] } else { words };
    let mut rows = rows::all();
    if let Some(unknown) = names.iter().find(|name| rows.iter().all(|row| row.name != **name)) {
        let known: Vec<&str> = rows.iter().map(|row| row.name).collect();
        return Err(format!("there is no row {unknown}; rows: {}", known.join(" ")).into());
    }
    rows.retain(|row| names.is_empty() || names.contains(&row.name));
    for payload in [Payload::Random, Payload::Payment] {
        payload.write(Load::PLAIN.bytes)?;
    }
    let wanted = rows.iter().flat_map(|row| row.entries.iter().map(|entry| entry.peer));
    // Replay warms the brokers, whoever is measured.
    let wanted = wanted.chain([Peer::Replay]);
    let pace = if is_short { Pace::SHORT } else { Pace::FULL };
    let peers = Peers::build(wanted, kafka::class_path().as_deref());
    let mut about = About {
        command: ["bench/run.sh"].iter().chain(words).copied().collect::<Vec<_>>().join(" "),
        pace,
        load: machine::load(),
        versions: BTreeMap::new(),
        missing: peers.missing().map(|peer| peer.name().to_owned()).collect(),
        library_bytes: library_bytes(),
    };
    // Only a whole run is worth being kept.
    let directory = root().join(if words.is_empty() { "bench" } else { "target/tmp/peers" });
    let mut bench = Bench { peers, discard: Program::start("discard")?, pace, topics: 0, versions: BTreeMap::new() };
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.sink == kind).collect();
        if !rows.is_empty() {
            if !measure(&mut bench, kind, &rows, &mut all)? {
                about.missing.push(kind.name().to_owned());
            }
            about.versions.clone_from(&bench.versions);
            report::write(&directory, &about, &all)?;
        }
    }
    println!("written: {}", directory.strip_prefix(root()).unwrap_or(&directory).join("RESULTS.md").display());
    Ok(())
}

fn root() -> &'static Path {
    Path::new(env!("KURIER_ROOT"))
}

/// Bytes of the library that was measured, without symbols.
fn library_bytes() -> Option<u64> {
    let stripped = root().join("target/tmp/peers/libkurier.stripped");
    let library = root().join("examples-c/build/libkurier.so");
    Command::new("strip").arg("-o").arg(&stripped).arg(library).status().ok().filter(ExitStatus::success)?;
    Some(std::fs::metadata(stripped).ok()?.len())
}

/// The rows of one sink; `false`: it is missing.
fn measure(bench: &mut Bench, kind: Kind, rows: &[&Row], all: &mut Vec<Measured>) -> Result<bool, Failure> {
    let Some(mut sink) = Sink::start(kind)? else {
        println!("{} is missing", kind.name());
        return Ok(false);
    };
    if kind != Kind::Embedded {
        bench.warm(&rows[0].entries[0].load, &mut sink)?;
    }
    for row in rows {
        let measured = bench.row(row, &mut sink)?;
        print!("{}", verdict::lines(&measured));
        all.push(measured);
    }
    Ok(true)
}
