//! Locks and atomics, the real ones or loom's (`--cfg loom`), and the append-only shelf that readers never lock.

#[cfg(not(loom))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};

/// Atomic integers and pointers.
pub(crate) mod atomic {
    #[cfg(loom)]
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, fence,
    };
    #[cfg(not(loom))]
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, fence,
    };
}

#[cfg(loom)]
pub(crate) use explored::{Condvar, Mutex, MutexGuard};

/// loom's locks in parking_lot's shape: no poison, so that the code under test is the code that ships.
#[cfg(loom)]
mod explored {
    use std::time::Duration;

    pub(crate) type MutexGuard<'a, T> = loom::sync::MutexGuard<'a, T>;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }
        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
        /// loom has no time: this only yields, and the caller looks again.
        pub(crate) fn wait_for<T>(&self, _guard: &mut MutexGuard<'_, T>, _span: Duration) {
            loom::thread::yield_now();
        }
    }
}

/// 8 · (2^29 − 1) elements: as many as a u32 numbers.
const SHELF_CHUNKS: usize = 29;

/// An append-only table: readers take no lock, what was put on it never moves and is never taken off.
///
/// Chunks double in size, so that no element is ever copied when it grows.
pub(crate) struct Shelf<T> {
    chunks: [std::sync::OnceLock<Box<[std::sync::OnceLock<T>]>>; SHELF_CHUNKS],
    length: std::sync::atomic::AtomicUsize,
    growing: parking_lot::Mutex<()>,
}

impl<T> Shelf<T> {
    const FIRST: usize = 8;

    pub(crate) fn new() -> Self {
        Self {
            chunks: [const { std::sync::OnceLock::new() }; SHELF_CHUNKS],
            length: std::sync::atomic::AtomicUsize::new(0),
            growing: parking_lot::Mutex::new(()),
        }
    }

    #[inline]
    fn place(index: usize) -> (usize, usize) {
        let shifted = index / Self::FIRST + 1;
        let chunk = shifted.ilog2() as usize;
        (chunk, index - Self::FIRST * ((1 << chunk) - 1))
    }

    /// The element, if there are so many.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        let (chunk, place) = Self::place(index);
        self.chunks.get(chunk)?.get()?.get(place)?.get()
    }

    /// How many elements can be read.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.length.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Puts one more on it and says where; `None` when the shelf is full.
    pub(crate) fn push(&self, value: T) -> Option<usize> {
        let _one_at_a_time = self.growing.lock();
        let index = self.len();
        let (chunk, place) = Self::place(index);
        let chunk_len = Self::FIRST << chunk;
        let slots =
            self.chunks.get(chunk)?.get_or_init(|| (0..chunk_len).map(|_| std::sync::OnceLock::new()).collect());
        slots.get(place)?.set(value).ok()?;
        self.length.store(index + 1, std::sync::atomic::Ordering::Release);
        Some(index)
    }

    /// All elements, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::Shelf;

    #[test]
    fn a_shelf_gives_back_what_was_put_on_it_and_never_moves_it() {
        let shelf = Shelf::new();
        let mut places = Vec::new();
        for number in 0..5_000_usize {
            assert_eq!(shelf.push(number), Some(number));
            places.push(std::ptr::from_ref(shelf.get(number).unwrap()) as usize);
        }
        assert_eq!(shelf.len(), 5_000);
        assert!(shelf.get(5_000).is_none());
        for (number, place) in places.iter().enumerate() {
            assert_eq!(shelf.get(number), Some(&number));
            assert_eq!(std::ptr::from_ref(shelf.get(number).unwrap()) as usize, *place);
        }
        assert!(shelf.iter().copied().eq(0..5_000));
    }
}
