//! Figures of several runs: the median of each, its smallest and its largest.

use std::collections::BTreeMap;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Records per second, from the first send to the last delivery.
    Throughput,
    /// Nanoseconds of the client's CPU per record.
    Cpu,
    /// Nanoseconds of the sink's CPU per record.
    SinkCpu,
    /// Peak of resident bytes.
    Peak,
    /// Microseconds from the intended moment of sending to the delivery.
    P50,
    P99,
    P999,
    Max,
    /// Microseconds from making the producer to the first delivery.
    First,
    /// Produce requests per thousand records.
    Requests,
    /// Resident bytes per queued record, beyond its encoded ones.
    Memory,
    /// Resident bytes of a producer that has sent one record.
    Quiet,
    /// Resident bytes some time after a burst, in those of before.
    Kept,
    /// Voluntary context switches per second, while there is nothing to do.
    Wakeups,
}

impl Metric {
    pub const ALL: [Self; 14] = [
        Self::Throughput,
        Self::Cpu,
        Self::SinkCpu,
        Self::P50,
        Self::P99,
        Self::P999,
        Self::Max,
        Self::First,
        Self::Requests,
        Self::Memory,
        Self::Wakeups,
        Self::Quiet,
        Self::Kept,
        Self::Peak,
    ];
    pub const LATENCIES: [Self; 4] = [Self::P50, Self::P99, Self::P999, Self::Max];

    pub fn name(self) -> &'static str {
        match self {
            Self::Throughput => "records/s",
            Self::Cpu => "CPU/record",
            Self::SinkCpu => "CPU/record of the sink",
            Self::Peak => "peak memory",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Max => "max",
            Self::First => "first acknowledgement",
            Self::Requests => "requests per 1000 records",
            Self::Memory => "bytes/record beyond encoded",
            Self::Wakeups => "wake-ups/s",
            Self::Quiet => "resident before",
            Self::Kept => "resident after, in those of before",
        }
    }

    /// A figure for people.
    pub fn text(self, value: f64) -> String {
        match self {
            Self::Throughput if value >= 1e6 => format!("{:.2} M", value / 1e6),
            Self::Throughput => format!("{:.0} k", value / 1e3),
            Self::Cpu | Self::SinkCpu if value >= 1e4 => format!("{:.1} µs", value / 1e3),
            Self::Cpu | Self::SinkCpu => format!("{value:.0} ns"),
            Self::Peak => format!("{:.0} MB", value / 1e6),
            Self::Quiet => format!("{:.1} MB", value / 1e6),
            Self::Kept => format!("{value:.2} ×"),
            Self::P50 | Self::P99 | Self::P999 | Self::Max | Self::First if value >= 1e6 => {
                format!("{:.2} s", value / 1e6)
            }
            Self::P50 | Self::P99 | Self::P999 | Self::Max | Self::First if value >= 1e4 => {
                format!("{:.1} ms", value / 1e3)
            }
            Self::P50 | Self::P99 | Self::P999 | Self::Max | Self::First => format!("{value:.0} µs"),
            Self::Requests => format!("{value:.2}"),
            Self::Memory | Self::Wakeups => format!("{value:.1}"),
        }
    }
}

/// One run.
pub type Sample = BTreeMap<Metric, f64>;

/// Of several runs.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

/// All runs of an entry.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    pub runs: Vec<Sample>,
    /// Runs that did not end as they should.
    pub failures: usize,
}

impl Samples {
    pub fn figure(&self, metric: Metric) -> Option<Figure> {
        let mut values: Vec<f64> = self.runs.iter().filter_map(|run| run.get(&metric).copied()).collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (half, is_even) = (values.len() / 2, values.len().is_multiple_of(2));
        let median = if is_even { f64::midpoint(values[half - 1], values[half]) } else { values[half] };
        Some(Figure { median, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        let samples = |values: &[f64]| Samples {
            runs: values.iter().map(|value| Sample::from([(Metric::Cpu, *value)])).collect(),
            failures: 0,
        };
        let figure = samples(&[9.0, 1.0, 2.0]).figure(Metric::Cpu).unwrap();
        assert_eq!((figure.min, figure.median, figure.max), (1.0, 2.0, 9.0));
        assert_eq!(samples(&[1.0, 4.0]).figure(Metric::Cpu).unwrap().median, 2.5);
        assert!(samples(&[]).figure(Metric::Cpu).is_none());
    }
}
