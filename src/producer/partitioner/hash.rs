//! The hashes of keys that other clients use: a key must come to the same partition from all of them.

/// Java's `Utils.murmur2`: `MurmurHash2` with Kafka's seed.
#[must_use]
pub fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    // Java's length is 32 bits, and no key is longer.
    let mut hash = SEED ^ (key.len() & 0xffff_ffff) as u32;
    let (words, rest) = key.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(M);
        mixed = (mixed ^ (mixed >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ mixed;
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// CRC-32 (IEEE), as zlib's; librdkafka's `consistent` takes it unsigned.
#[must_use]
pub fn crc32(key: &[u8]) -> u32 {
    crc32fast::hash(key)
}

/// 32-bit FNV-1a as librdkafka and Sarama have it: read as a signed number, its absolute value.
#[must_use]
pub fn fnv1a(key: &[u8]) -> u32 {
    let hash = key.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.cast_signed().unsigned_abs()
}
