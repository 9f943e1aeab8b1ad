//! Memory goes back to the system, not only to the allocator.

use super::memory::Memory;
use super::pool::{Classes, Pool};
use std::ops::Range;

/// What is mapped in this process.
fn mappings() -> Vec<Range<usize>> {
    let text = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let address = |hex: &str| usize::from_str_radix(hex, 16).ok();
    let range = |line: &str| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        Some(address(start)?..address(end)?)
    };
    text.lines().filter_map(range).collect()
}

#[test]
fn after_a_burst_blocks_are_the_systems_again_though_the_allocator_would_keep_them() {
    const BLOCKS: usize = 64;
    // From now on glibc's malloc takes what is smaller than this out of its arenas.
    drop(vec![1_u8; 8 << 20]);
    for batch_size in [64_000, 1_000_000] {
        let classes = Classes::new(batch_size, 61);
        let top = classes.top();
        let pool = Pool::new(classes, 256 << 20, 1 << 20, Box::new(|| ()));
        let mut blocks: Vec<Memory> = Vec::new();
        // Something small behind each, which stays.
        let mut small: Vec<Box<[u8; 100]>> = Vec::new();
        for _ in 0..BLOCKS {
            let (memory, class) = pool.take(top, 100).unwrap();
            assert_eq!(class, top);
            blocks.push(memory);
            small.push(Box::new([0; 100]));
        }
        let starts: Vec<usize> = blocks.iter().map(|memory| memory.start().addr()).collect();
        let mapped = || {
            let mappings = mappings();
            starts.iter().filter(|start| mappings.iter().any(|range| range.contains(start))).count()
        };
        assert_eq!(mapped(), BLOCKS);
        blocks.into_iter().for_each(|memory| pool.give_back(memory));
        assert_eq!(mapped(), BLOCKS, "a block is kept warm");
        pool.trim();
        // Other tests run beside this one, and may be given the same addresses.
        let left = mapped();
        assert!(left < BLOCKS / 2, "{left} blocks of {batch_size} bytes are still there");
        drop(small);
    }
}
