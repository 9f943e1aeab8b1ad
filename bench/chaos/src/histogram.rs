//! Latencies: counts by size, exact to 1/64.

const STEPS: usize = 64;

/// Microseconds, counted.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; STEPS * 34], total: 0, max: 0 }
    }
}

impl Histogram {
    pub fn add(&mut self, micros: u32) {
        let value = u64::from(micros);
        let place = place(value);
        self.counts[place] += 1;
        self.total += 1;
        self.max = self.max.max(value);
    }

    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(own, more)| *own += more);
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value that so many of a thousand do not exceed.
    pub fn permille(&self, permille: f64) -> u64 {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rank = (self.total as f64 * permille / 1000.0).ceil() as u64;
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return bound(place).min(self.max);
            }
        }
        self.max
    }
}

fn place(value: u64) -> usize {
    let value = usize::try_from(value).unwrap();
    if value < STEPS {
        return value;
    }
    let power = value.ilog2() as usize - 6;
    STEPS * (power + 1) + (value >> power) - STEPS
}

/// The largest value of a place.
fn bound(place: usize) -> u64 {
    if place < STEPS {
        return place as u64;
    }
    let power = place / STEPS - 1;
    (((place % STEPS + STEPS + 1) << power) - 1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_holds_what_belongs_there() {
        for value in (0..100_000).chain((0..4).map(|less| u64::from(u32::MAX) - less)) {
            let place = place(value);
            assert!(bound(place) >= value && (place == 0 || bound(place - 1) < value), "{value}");
        }
    }

    #[test]
    fn parts_of_a_thousand() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|value| histogram.add(value));
        assert_eq!(histogram.max(), 1000);
        assert!((500..=508).contains(&histogram.permille(500.0)));
        assert!((990..=1000).contains(&histogram.permille(990.0)));
    }
}
