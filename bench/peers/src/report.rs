//! RESULTS.md and the pictures beside it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::load::Load;
use crate::machine;
use crate::measure::{Measured, Pace};
use crate::picture;
use crate::samples::{Metric, Samples};
use crate::verdict::Verdict;

/// What stands above the figures.
#[derive(Clone, Debug)]
pub struct About {
    /// As it was typed.
    pub command: String,
    pub pace: Pace,
    /// Runnable tasks before the first run.
    pub load: String,
    /// Version of each peer.
    pub versions: BTreeMap<&'static str, String>,
    /// Peers and sinks that are not there.
    pub missing: Vec<String>,
    /// Bytes of the stripped library.
    pub library_bytes: Option<u64>,
}

const LIBRARY_BYTES_MAX: u64 = 4_000_000;
/// What stands in the way of rows that are not met, by row: written by people, from profiles.
const WHY: &str = include_str!("../why.md");
const PICTURES: [(&str, &str); 3] = [
    ("throughput.svg", "Records per second (median; the line is from the slowest run to the fastest)"),
    ("cpu.svg", "CPU of the client per record (median; the line is from the least to the most)"),
    ("latency.svg", "Latency, from the intended moment of sending to the delivery"),
];

/// Writes the text and the pictures into `directory`.
pub fn write(directory: &Path, about: &About, all: &[Measured]) -> std::io::Result<()> {
    let [(throughput, throughput_title), (cpu, cpu_title), (latency, latency_title)] = PICTURES;
    let pictures = [
        (throughput, picture::bars(all, Metric::Throughput, throughput_title)),
        (cpu, picture::bars(all, Metric::Cpu, cpu_title)),
        (latency, picture::percentiles(all, latency_title)),
    ];
    let mut drawn = Vec::new();
    for (name, svg) in pictures {
        if let Some(svg) = svg {
            std::fs::write(directory.join(name), svg)?;
            drawn.push(name);
        }
    }
    std::fs::write(directory.join("RESULTS.md"), text(about, all, &drawn))
}

fn text(about: &About, all: &[Measured], drawn: &[&str]) -> String {
    let mut text = String::from("# Results\n\nMade by the benchmark in `peers/`; its README says how it measures.\n\n");
    writeln!(text, "    {}\n", about.command).unwrap();
    machine(&mut text, about);
    targets(&mut text, about, all);
    for name in drawn {
        writeln!(text, "![{}]({name})\n", name.trim_end_matches(".svg")).unwrap();
    }
    all.iter().for_each(|measured| section(&mut text, measured));
    text
}

fn machine(text: &mut String, about: &About) {
    text.push_str("| | |\n|---|---|\n");
    writeln!(text, "| date | {} |", machine::date()).unwrap();
    for (name, value) in machine::describe() {
        writeln!(text, "| {name} | {value} |").unwrap();
    }
    writeln!(text, "| runnable tasks before | {} |", about.load).unwrap();
    for (peer, version) in &about.versions {
        writeln!(text, "| {peer} | {version} |").unwrap();
    }
    writeln!(text, "| Kafka brokers | {} |", crate::kafka::VERSIONS[0]).unwrap();
    let Pace { repetitions, seconds, .. } = about.pace;
    writeln!(text, "| repetitions | {repetitions}, of about {seconds} s each |").unwrap();
    let missing = if about.missing.is_empty() { "nothing".into() } else { about.missing.join(", ") };
    writeln!(text, "| missing | {missing} |\n").unwrap();
}

fn targets(text: &mut String, about: &About, all: &[Measured]) {
    text.push_str("## Targets\n\n| row | target | reached | |\n|---|---|---|---|\n");
    for measured in all {
        for verdict in &measured.verdicts() {
            let Verdict { target, reached, .. } = verdict;
            let word = verdict.word();
            let word = if verdict.is_met == Some(false) { format!("**{word}**") } else { word.to_owned() };
            writeln!(text, "| {} | {target} | {reached} | {word} |", measured.row.name).unwrap();
        }
    }
    if let Some(bytes) = about.library_bytes {
        let word = if bytes <= LIBRARY_BYTES_MAX { "met" } else { "**NOT MET**" };
        #[allow(clippy::cast_precision_loss, reason = "a library is small")]
        let size = bytes as f64 / 1e6;
        writeln!(text, "| library | stripped, ≤ 4 MB (so far without TLS) | {size:.2} MB | {word} |").unwrap();
    }
    text.push('\n');
    let is_missed = |measured: &&Measured| measured.verdicts().iter().any(|verdict| verdict.is_met == Some(false));
    for name in all.iter().filter(is_missed).map(|measured| measured.row.name) {
        let why = WHY.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        writeln!(text, "- **{name}** {}", why.unwrap_or("is not explained yet.")).unwrap();
    }
    text.push('\n');
}

/// One row: its entries by what was measured of them.
fn section(text: &mut String, measured: &Measured) {
    let row = &measured.row;
    writeln!(text, "## {}\n\n{}; sink: {}.\n", row.name, row.title, row.sink.name()).unwrap();
    let has = |metric: &Metric| measured.samples.iter().flatten().any(|samples| samples.figure(*metric).is_some());
    let metrics: Vec<Metric> = Metric::ALL.into_iter().filter(has).collect();
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name()).collect();
    writeln!(text, "| | {} |", names.join(" | ")).unwrap();
    writeln!(text, "|---|{}", "---|".repeat(metrics.len())).unwrap();
    for (entry, samples) in row.entries.iter().zip(&measured.samples) {
        let cells: Vec<String> = metrics.iter().map(|metric| cell(samples.as_ref(), *metric)).collect();
        let failures = samples.as_ref().map_or(0, |samples| samples.failures);
        let failed = if failures > 0 { format!(" ({failures} runs failed)") } else { String::new() };
        writeln!(text, "| {}{failed} | {} |", entry.label, cells.join(" | ")).unwrap();
    }
    text.push('\n');
    for (place, entry) in row.entries.iter().enumerate() {
        let words = words(&entry.load);
        let is_alone = row.entries.iter().all(|other| self::words(&other.load) == words);
        match (is_alone, place) {
            (true, 0) => writeln!(text, "    {words}").unwrap(),
            (true, _) => {}
            (false, _) => writeln!(text, "    {}: {words}", entry.label).unwrap(),
        }
    }
    row.commands.iter().for_each(|command| writeln!(text, "    cluster: {command}").unwrap());
    text.push('\n');
}

/// A driver's words but for those of the place: where to, and the file of values.
fn words(load: &Load) -> String {
    let mut words = load.words("", "");
    words.retain(|word| !["bootstrap=", "topic=", "payload="].iter().any(|name| word.starts_with(name)));
    format!("{} payload={}", words.join(" "), load.payload.name())
}

fn cell(samples: Option<&Samples>, metric: Metric) -> String {
    match samples {
        None => "missing".into(),
        Some(samples) => samples.figure(metric).map_or_else(
            || "–".into(),
            |figure| {
                let [median, min, max] = [figure.median, figure.min, figure.max].map(|value| metric.text(value));
                format!("{median} ({min} … {max})")
            },
        ),
    }
}
