//! The seeded bugs of the append (`crate::mutant`), as far as they need code of their own.

use super::Accumulator;
use super::partition::Partition;
use super::run::Span;
use super::word::Word;
use crate::mutant::{self, Stop};
use crate::sync::atomic::Ordering;
use std::sync::Arc;

impl Partition {
    /// The word of a later batch looks as that of the sender's own did: the records count there, and their bytes go
    /// into the old block.
    pub(super) fn append_elsewhere(&self, house: &Accumulator, seen: Word, span: Span) -> bool {
        let state = self.state.lock();
        let Some(block) = state.open.clone() else { return false };
        let now = self.word();
        let looks_same = (now.count(), now.bytes(), now.class()) == (seen.count(), seen.bytes(), seen.class());
        if now.is_sealed() || now.generation() == seen.generation() || !looks_same {
            return false;
        }
        if !self.exchange(now, now.with_records(span.records, span.bytes)) {
            return false;
        }
        drop(state);
        if block.publish(span.bytes) {
            self.close(house, now.generation());
        }
        true
    }

    /// The span counts as written, and the sender is stopped before it writes.
    pub(super) fn publish_early(&self, house: &Accumulator, word: Word, bytes: usize) {
        mutant::stop(Stop::BeforeWrite);
        let block = self.state.lock().open.as_ref().map(Arc::clone);
        if block.is_some_and(|block| block.publish(bytes)) {
            self.close(house, word.generation());
        }
        mutant::stop(Stop::BeforePublish);
    }

    fn exchange(&self, from: Word, to: Word) -> bool {
        self.word.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}
