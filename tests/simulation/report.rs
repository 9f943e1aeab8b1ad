//! What happened in one seed, or in many.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) seeds: u64,
    pub(crate) events: u64,
    pub(crate) counts: BTreeMap<String, u64>,
}

impl Report {
    pub(crate) fn count(&mut self, what: &str, by: u64) {
        if let Some(count) = self.counts.get_mut(what) {
            *count += by;
        } else {
            self.counts.insert(what.to_owned(), by);
        }
    }

    pub(crate) fn get(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        for (what, count) in &other.counts {
            self.count(what, *count);
        }
    }

    /// Everything in a few columns.
    pub(crate) fn show(&self) -> String {
        let mut text = format!("{} seeds, {} events\n", self.seeds, self.events);
        let mut column = 0;
        for (what, count) in &self.counts {
            text.push_str(&format!("{:<38}{:>10}   ", what, count));
            column += 1;
            if column % 3 == 0 {
                text.push('\n');
            }
        }
        text
    }
}
