//! Memory for what is counted: every allocation costs the same, whatever was allocated and freed before.
//!
//! The C library's allocator looks for room, cuts and joins; what that takes depends on all that happened since the
//! start, so an allocation more in one place would move the counts of every other. Here a size is rounded up to a power
//! of two, and each of those has a list of free pieces. Nothing is given back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

/// Pieces of 16 bytes to 8 MiB; what is larger is the system's.
const CLASSES: usize = 20;
const SMALLEST_BITS: u32 = 4;
/// Enough for whatever is asked for here.
const ALIGNMENT_MAX: usize = 4096;

struct Piece {
    next: Option<NonNull<Piece>>,
}

/// See the file's first line.
pub struct Heap {
    taken: AtomicBool,
    free: UnsafeCell<[Option<NonNull<Piece>>; CLASSES]>,
}

// SAFETY: the lists are touched only by who has taken the heap.
unsafe impl Sync for Heap {}

impl Heap {
    /// Nothing is free yet.
    pub const fn new() -> Self {
        Self { taken: AtomicBool::new(false), free: UnsafeCell::new([None; CLASSES]) }
    }

    fn class(layout: Layout) -> Option<usize> {
        let bits = layout.size().max(layout.align()).next_power_of_two().trailing_zeros();
        let class = bits.saturating_sub(SMALLEST_BITS) as usize;
        (class < CLASSES && layout.align() <= ALIGNMENT_MAX).then_some(class)
    }

    fn with<R>(&self, work: impl FnOnce(&mut [Option<NonNull<Piece>>; CLASSES]) -> R) -> R {
        while self.taken.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        // SAFETY: taken, so nobody else has them; `work` does not allocate.
        let result = work(unsafe { &mut *self.free.get() });
        self.taken.store(false, Ordering::Release);
        result
    }
}

// SAFETY: a piece has at least the size and alignment that was asked for (its class's), and is in one hand or one list.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = Self::class(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        };
        let found = self.with(|free| {
            let piece = free[class]?;
            // SAFETY: what is in the list is a piece.
            free[class] = unsafe { piece.as_ref() }.next;
            Some(piece)
        });
        if let Some(piece) = found {
            return piece.as_ptr().cast();
        }
        let bytes = 1 << (class as u32 + SMALLEST_BITS);
        match Layout::from_size_align(bytes, bytes.min(ALIGNMENT_MAX)) {
            // SAFETY: not of size 0.
            Ok(layout) => unsafe { System.alloc(layout) },
            Err(_) => null_mut(),
        }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        match (Self::class(layout), NonNull::new(place.cast::<Piece>())) {
            (Some(class), Some(piece)) => self.with(|free| {
                // SAFETY: the caller's no more; at least 16 bytes, aligned.
                unsafe { piece.write(Piece { next: free[class] }) };
                free[class] = Some(piece);
            }),
            // SAFETY: the system's own, as `alloc` says.
            _ => unsafe { System.dealloc(place, layout) },
        }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let class = Self::class(layout);
        if class.is_some() && class == Self::class(wanted) {
            return place;
        }
        // SAFETY: the caller's promise.
        let other = unsafe { self.alloc(wanted) };
        if !other.is_null() {
            // SAFETY: both are of that size, and the new one is nobody else's.
            unsafe { place.copy_to_nonoverlapping(other, size.min(layout.size())) };
            // SAFETY: the caller's promise.
            unsafe { self.dealloc(place, layout) };
        }
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_that_was_freed_is_used_again() {
        let heap = Heap::new();
        let (small, large) = (Layout::from_size_align(17, 1).unwrap(), Layout::from_size_align(33, 64).unwrap());
        // SAFETY: sizes are not 0, and each piece is freed once with its layout.
        unsafe {
            let (first, second) = (heap.alloc(small), heap.alloc(small));
            assert_ne!(first, second);
            heap.dealloc(first, small);
            let other = heap.alloc(large);
            assert!(other != first && other.addr() % 64 == 0, "of another class");
            assert_eq!(heap.alloc(small), first);
            heap.dealloc(second, small);
        }
    }

    #[test]
    fn bytes_move_along_when_a_piece_becomes_too_small() {
        let heap = Heap::new();
        let layout = Layout::from_size_align(20, 4).unwrap();
        // SAFETY: as above.
        unsafe {
            let first = heap.alloc(layout);
            first.write_bytes(7, 20);
            assert_eq!(heap.realloc(first, layout, 32), first, "it has room");
            let second = heap.realloc(first, Layout::from_size_align(32, 4).unwrap(), 33);
            assert_ne!(second, first);
            assert_eq!(std::slice::from_raw_parts(second, 20), [7; 20]);
            assert_eq!(heap.alloc(layout), first, "it was freed");
        }
    }

    #[test]
    fn what_is_too_large_is_the_systems() {
        assert_eq!(Heap::class(Layout::from_size_align(8 << 20, 1).unwrap()), Some(CLASSES - 1));
        assert_eq!(Heap::class(Layout::from_size_align((8 << 20) + 1, 1).unwrap()), None);
        assert_eq!(Heap::class(Layout::from_size_align(1, 8192).unwrap()), None);
        assert_eq!(Heap::class(Layout::from_size_align(0, 1).unwrap()), Some(0));
    }
}
