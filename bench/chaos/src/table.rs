//! Figures as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::check::Figures;

/// Microseconds as milliseconds.
pub fn milliseconds(micros: u64) -> String {
    format!("{}.{} ms", micros / 1000, micros % 1000 / 100)
}

/// A run in one line.
pub fn line(figures: &Figures) -> String {
    let Figures { accepted, written, not_written, unknown, duplicates, lost, reordered, .. } = figures;
    let codes: Vec<String> = figures.codes.iter().map(|(code, count)| format!("{code}: {count}")).collect();
    format!(
        "{accepted} accepted, {written} written, {not_written} not written, {unknown} unknown [{}]; \
         {duplicates} duplicates, {lost} lost, {reordered} reordered; {} read; p99 {}, longest {}",
        codes.join(", "),
        figures.read,
        milliseconds(figures.latencies.permille(990.0)),
        milliseconds(figures.latencies.max()),
    )
}

/// Clients beside each other.
pub fn columns(clients: &[(&str, &Figures)]) -> String {
    type Row = (&'static str, fn(&Figures) -> String);
    let rows: [Row; 16] = [
        ("accepted", |f| f.accepted.to_string()),
        ("written", |f| f.written.to_string()),
        ("  of them without offset", |f| f.without_offset.to_string()),
        ("definitely not written", |f| f.not_written.to_string()),
        ("unknown", |f| f.unknown.to_string()),
        ("  of them in the log", |f| f.unknown_but_there.to_string()),
        ("read back", |f| f.read.to_string()),
        ("duplicates", |f| f.duplicates.to_string()),
        ("lost", |f| f.lost.to_string()),
        ("reordered", |f| f.reordered.to_string()),
        ("fatal errors", |f| f.fatals.to_string()),
        ("latency, median", |f| milliseconds(f.latencies.permille(500.0))),
        ("latency, 99 %", |f| milliseconds(f.latencies.permille(990.0))),
        ("latency, 99.9 %", |f| milliseconds(f.latencies.permille(999.0))),
        ("latency, longest", |f| milliseconds(f.latencies.max())),
        ("", |_| String::new()),
    ];
    let mut text = format!("{:26}", "");
    clients.iter().for_each(|(name, _)| write!(text, "{name:>16}").unwrap());
    for (name, value) in rows {
        write!(text, "\n{name:26}").unwrap();
        clients.iter().for_each(|(_, figures)| write!(text, "{:>16}", value(figures)).unwrap());
    }
    text
}

/// What was injected.
pub fn faults(counts: &BTreeMap<&'static str, u64>) -> String {
    let all: Vec<String> = counts.iter().map(|(what, count)| format!("{what}: {count}")).collect();
    format!("faults: {}", all.join("; "))
}
