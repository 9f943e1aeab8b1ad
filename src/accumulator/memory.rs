//! The bytes of a block: from the system, and back to it.

#![expect(unsafe_code, reason = "the memory that writers share is raw")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// Of a cache.
#[cfg(target_arch = "x86_64")]
const LINE_BYTES: usize = 64;

/// Bytes from the system, zeroed when new, warm when used before.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(super) start: NonNull<u8>,
    pub(super) capacity: usize,
    /// A mapping of its own, which goes back to the system as it is dropped.
    #[cfg(unix)]
    is_mapped: bool,
}

// SAFETY: `Memory` is the only owner of its bytes; they do not belong to a thread.
unsafe impl Send for Memory {}
// SAFETY: through a shared `Memory` only `Block` reaches bytes: spans keep its writers apart, readers come after.
unsafe impl Sync for Memory {}

impl Memory {
    const ALIGN: usize = 16;

    /// `None` if the system has no more, or for no bytes at all.
    pub(crate) fn new(capacity: usize) -> Option<Self> {
        let layout = Layout::from_size_align(capacity, Self::ALIGN).ok().filter(|layout| layout.size() > 0)?;
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Self {
            start,
            capacity,
            #[cfg(unix)]
            is_mapped: false,
        })
    }

    /// As [`Self::new`], but what is dropped is the system's again, whatever else was allocated meanwhile. For many
    /// large ones at once: an allocator that has seen large ones come and go keeps them for itself (glibc's moves its
    /// `M_MMAP_THRESHOLD`, mallopt(3)), and one small thing behind them holds them all.
    #[cfg(unix)]
    pub(crate) fn mapped(capacity: usize) -> Option<Self> {
        if capacity == 0 {
            return None;
        }
        let (read_write, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, wherever there is room for it.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), capacity, read_write, private, -1, 0) };
        if start == libc::MAP_FAILED {
            // The system has no memory, or counts mappings (vm.max_map_count): the allocator may still have some.
            return Self::new(capacity);
        }
        Some(Self { start: NonNull::new(start.cast())?, capacity, is_mapped: true })
    }

    /// Elsewhere it is for the allocator to say.
    #[cfg(not(unix))]
    pub(crate) fn mapped(capacity: usize) -> Option<Self> {
        Self::new(capacity)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    #[cfg(test)]
    pub(super) fn start(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// Has the processor fetch the lines that come after `records_end` and below `entries_start`, for writing.
    ///
    /// Where records go to many partitions in turn, a block's next line is out of the caches each time, and a processor
    /// guesses a few sequences of lines only: over 64 partitions a record took 229 ns of CPU without this, 150 with it.
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables, reason = "elsewhere there is no such hint yet"))]
    #[inline(always)]
    pub(super) fn expect_writes(&self, records_end: usize, entries_start: usize) {
        #[cfg(target_arch = "x86_64")]
        for offset in [records_end + LINE_BYTES, records_end + 2 * LINE_BYTES, entries_start.wrapping_sub(LINE_BYTES)] {
            use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
            // SAFETY: a hint reads and writes nothing, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(self.start.as_ptr().wrapping_add(offset).cast()) }
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        #[cfg(unix)]
        if self.is_mapped {
            // SAFETY: mapped in `mapped` with this very size, and nobody else's.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.capacity) };
            return;
        }
        if let Ok(layout) = Layout::from_size_align(self.capacity, Self::ALIGN) {
            // SAFETY: allocated in `new` with this very layout.
            unsafe { dealloc(self.start.as_ptr(), layout) }
        }
    }
}
