//! Whether a target was met.

use std::fmt::Write as _;

use crate::measure::Measured;
use crate::rows::{Bound, Target};
use crate::samples::{Metric, Samples};

/// A target and what came of it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What is to be reached, in words.
    pub target: String,
    /// What was reached; empty: one of the two is missing.
    pub reached: String,
    /// `None`: one of the two is missing.
    pub is_met: Option<bool>,
}

impl Verdict {
    pub fn word(&self) -> &'static str {
        match self.is_met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "not measured",
        }
    }
}

impl Measured {
    /// The runs of the entry with this label.
    pub fn of(&self, label: &str) -> Option<&Samples> {
        let mut pairs = self.row.entries.iter().zip(&self.samples);
        pairs.find(|(entry, _)| entry.label == label)?.1.as_ref()
    }

    pub fn verdicts(&self) -> Vec<Verdict> {
        self.row.targets.iter().map(|target| self.verdict(target)).collect()
    }

    fn verdict(&self, target: &Target) -> Verdict {
        let Target { metric, of, against, bound } = *target;
        let median = |label: &str| Some(self.of(label)?.figure(metric)?.median);
        let figure = match against {
            Some(other) => median(of).zip(median(other)).map(|(own, other)| own / other),
            None => median(of),
        };
        let (sign, limit) = match bound {
            Bound::AtLeast(limit) => ("≥", limit),
            Bound::AtMost(limit) => ("≤", limit),
        };
        let is_met = figure.map(|figure| match bound {
            Bound::AtLeast(limit) => figure >= limit,
            Bound::AtMost(limit) => figure <= limit,
        });
        let name = metric.name();
        let target = match against {
            Some(other) => format!("{of}: {name} {sign} {} × {other}", times(limit)),
            None => format!("{of}: {name} {sign} {}", metric.text(limit)),
        };
        let reached = match (figure, against) {
            (Some(figure), Some(_)) => format!("{} ×", times(figure)),
            (Some(figure), None) => metric.text(figure),
            (None, _) => String::new(),
        };
        Verdict { target, reached, is_met }
    }
}

/// A ratio: small ones as a fraction of one.
fn times(ratio: f64) -> String {
    if ratio > 0.0 && ratio < 0.4 { format!("1/{:.1}", 1.0 / ratio).replace(".0", "") } else { format!("{ratio:.2}") }
}

/// A row for the terminal.
pub fn lines(measured: &Measured) -> String {
    let mut text = String::new();
    for (entry, samples) in measured.row.entries.iter().zip(&measured.samples) {
        let Some(samples) = samples else {
            writeln!(text, "  {:<26} missing", entry.label).unwrap();
            continue;
        };
        let figures = Metric::ALL.iter().filter_map(|metric| {
            let figure = samples.figure(*metric)?;
            let [median, min, max] = [figure.median, figure.min, figure.max].map(|value| metric.text(value));
            Some(format!("{} {median} ({min}..{max})", metric.name()))
        });
        let figures: Vec<String> = figures.collect();
        write!(text, "  {:<26} {}", entry.label, figures.join(", ")).unwrap();
        let failures = if samples.failures > 0 { format!(", {} runs FAILED", samples.failures) } else { String::new() };
        writeln!(text, "{failures}").unwrap();
    }
    for verdict in measured.verdicts() {
        writeln!(text, "  {:<8} {}: {}", verdict.word(), verdict.target, verdict.reached).unwrap();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows;
    use crate::samples::Sample;

    fn measured(kurier: f64, librdkafka: f64) -> Measured {
        let row = rows::all().into_iter().find(|row| row.name == "keyed-4").unwrap();
        let samples = |value| Samples { runs: vec![Sample::from([(Metric::Cpu, value)])], failures: 0 };
        let all = [Some(samples(kurier)), Some(samples(librdkafka)), None, None];
        Measured { row, samples: all.into() }
    }

    #[test]
    fn a_ratio_is_met_or_not_or_not_measured() {
        let words = |measured: Measured| measured.verdicts().iter().map(Verdict::word).collect::<Vec<_>>();
        assert_eq!(words(measured(100.0, 500.0)), ["not measured", "met"]);
        assert_eq!(words(measured(101.0, 500.0)), ["not measured", "NOT MET"]);
        assert_eq!(measured(100.0, 1000.0).verdicts()[1].reached, "1/10 ×");
    }

    #[test]
    fn targets_speak_of_entries_that_there_are() {
        for row in rows::all() {
            let has = |label: &str| row.entries.iter().any(|entry| entry.label == label);
            let all = row.targets.iter().flat_map(|target| [Some(target.of), target.against]).flatten();
            assert!(all.clone().all(has), "{}", row.name);
        }
    }
}
