//! The packed word of a partition: everything that decides where the next record goes, in 64 bits.

/// `{sealed 1 | generation 16 | class 3 | count 20 | bytes 24}`, highest bit first.
///
/// It belongs to the partition, not to the batch: a thread that stops between reading it and its compare-exchange
/// finds another generation afterwards, never another partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

/// Blocks a partition may have open or waiting for their last publisher; slot = generation mod 4.
pub(crate) const SLOTS: usize = 4;
/// A shared batch ends below this: 24 bits.
pub(crate) const BYTES_MAX: usize = (1 << 24) - 1;
/// Records of a batch: an index needs at most 3 bytes.
pub(crate) const COUNT_MAX: u32 = (1 << 20) - 1;

impl Word {
    pub(crate) const SEALED: u64 = 1 << 63;
    const GENERATION_SHIFT: u32 = 47;
    const CLASS_SHIFT: u32 = 44;
    const COUNT_SHIFT: u32 = 24;

    /// Before the first batch: sealed and empty, so that the first append opens one.
    pub(crate) const fn start() -> Self {
        Self(Self::SEALED)
    }

    /// An open batch of the next generation that already holds its opener's record.
    pub(crate) fn opened(self, class: usize, bytes: usize) -> Self {
        let generation = u64::from(self.generation().wrapping_add(1)) << Self::GENERATION_SHIFT;
        Self(generation | (class as u64) << Self::CLASS_SHIFT | 1 << Self::COUNT_SHIFT | bytes as u64)
    }

    /// So many records more. The caller has checked that count and bytes stay in their fields.
    #[inline]
    pub(crate) fn with_records(self, records: u32, bytes: usize) -> Self {
        Self(self.0 + (u64::from(records) << Self::COUNT_SHIFT) + bytes as u64)
    }

    #[inline]
    pub(crate) fn is_sealed(self) -> bool {
        self.0 & Self::SEALED != 0
    }

    #[inline]
    pub(crate) fn generation(self) -> u16 {
        (self.0 >> Self::GENERATION_SHIFT) as u16
    }

    #[inline]
    pub(crate) fn slot(self) -> usize {
        usize::from(self.generation()) % SLOTS
    }

    #[inline]
    pub(crate) fn class(self) -> usize {
        (self.0 >> Self::CLASS_SHIFT) as usize & 7
    }

    #[inline]
    pub(crate) fn count(self) -> u32 {
        (self.0 >> Self::COUNT_SHIFT) as u32 & COUNT_MAX
    }

    #[inline]
    pub(crate) fn bytes(self) -> usize {
        self.0 as usize & BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_touch_each_other() {
        let mut word = Word::start();
        assert!(word.is_sealed());
        for round in 1..=70_000_u32 {
            word = Word(word.0 | Word::SEALED).opened(round as usize % 8, 17);
            assert!(!word.is_sealed());
            assert_eq!(u32::from(word.generation()), round & 0xffff);
            assert_eq!((word.class(), word.count(), word.bytes()), (round as usize % 8, 1, 17));
        }
        let class = word.class();
        let mut full = word;
        for _ in 1..941 {
            full = full.with_records(1, 16_000);
        }
        full = full.with_records(59, 59 * 16_000);
        assert_eq!((full.class(), full.count(), full.bytes()), (class, 1000, 17 + 999 * 16_000));
        assert_eq!(full.generation(), word.generation());
    }
}
