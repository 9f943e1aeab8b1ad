//! Variable-length integers: how many bytes they take, and the zigzag mapping. Always minimal, as Kafka writes them.

/// Most bytes of an unsigned varint of 32 bits.
pub const BYTES_MAX_32: usize = 5;
/// Most bytes of an unsigned varint of 64 bits.
pub const BYTES_MAX_64: usize = 10;

/// Bytes of an unsigned varint (KIP-482).
#[inline]
#[must_use]
pub const fn uvarint_len(value: u64) -> usize {
    // 7 bits a byte; the factor 9/64 stands for 1/7 and is exact for 1 to 64 bits.
    let bits = 64 - (value | 1).leading_zeros();
    ((bits * 9 + 64) / 64) as usize
}

/// Bytes of a zigzag varint of 32 bits.
#[inline]
#[must_use]
pub const fn varint_len(value: i32) -> usize {
    uvarint_len(zigzag(value as i64))
}

/// Bytes of a zigzag varint of 64 bits.
#[inline]
#[must_use]
pub const fn varlong_len(value: i64) -> usize {
    uvarint_len(zigzag(value))
}

/// Small numbers of either sign become small unsigned ones: 0, -1, 1, -2, … become 0, 1, 2, 3, …
///
/// For a value of 32 bits the result is that of the 32-bit mapping.
#[inline]
#[must_use]
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The way back from [`zigzag`].
#[inline]
#[must_use]
pub const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_change_at_each_multiple_of_seven_bits() {
        assert_eq!(uvarint_len(0), 1);
        for bits in 1..=64u32 {
            let smallest = 1u64 << (bits - 1);
            let largest = smallest | (smallest - 1);
            let bytes = bits.div_ceil(7) as usize;
            assert_eq!((uvarint_len(smallest), uvarint_len(largest)), (bytes, bytes), "{bits} bits");
        }
    }

    #[test]
    fn zigzag_keeps_every_edge() {
        for value in [0, 1, -1, 63, 64, -64, -65, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
        assert_eq!([zigzag(0), zigzag(-1), zigzag(1), zigzag(i64::MIN)], [0, 1, 2, u64::MAX]);
        assert_eq!(zigzag(i64::from(i32::MIN)), u64::from(u32::MAX));
    }
}
