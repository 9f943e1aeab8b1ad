//! What a record of the simulation carries: bytes that tell where it belongs, and that nobody else could have made.

use crate::random::Random;
use kurier::protocol::record::{Header, RecordBody};

/// A record as it is made from its number alone, so that it can be made once more to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Bytes of an [`identity`].
const IDENTITY_BYTES: usize = 32;

/// Where a record belongs, under a keyed hash: magic, number, topic and partition, hash.
fn identity(secret: u64, number: u64, topic: u32, partition: i32) -> [u8; IDENTITY_BYTES] {
    let mut bytes = [0; IDENTITY_BYTES];
    bytes[..8].copy_from_slice(b"\x00record\xff");
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    bytes[16..20].copy_from_slice(&topic.to_le_bytes());
    bytes[20..24].copy_from_slice(&partition.to_le_bytes());
    let hash = keyed_hash(secret, &bytes[..24]);
    bytes[24..].copy_from_slice(&hash.to_le_bytes());
    bytes
}

fn keyed_hash(secret: u64, bytes: &[u8]) -> u64 {
    let mut hash = secret;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = Random::new(hash ^ u64::from_le_bytes(word)).next();
    }
    hash
}

/// How large the records of a seed are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Usual bytes of a value beside its identity.
    pub(crate) value_max: u64,
    /// One in a hundred is as large as this.
    pub(crate) large: u64,
}

impl Content {
    /// The record of this number: the same whenever it is asked for.
    pub(crate) fn make(secret: u64, number: u64, topic: u32, partition: i32, sizes: Sizes) -> Self {
        let mut random = Random::new(keyed_hash(secret, &number.to_le_bytes()));
        let identity = identity(secret, number, topic, partition).to_vec();
        let bytes = |random: &mut Random, count: u64| {
            let mut bytes = Vec::with_capacity(count as usize + 8);
            // Half of it repeats, so that compression has something to do.
            let word = random.next().to_le_bytes();
            while bytes.len() < count as usize {
                let piece = if random.chance(50) { word } else { random.next().to_le_bytes() };
                bytes.extend_from_slice(&piece);
            }
            bytes.truncate(count as usize);
            bytes
        };
        let size = if random.chance(1) { random.below(sizes.large + 1) } else { random.below(sizes.value_max + 1) };
        let (mut key, mut value, mut headers) = (None, None, Vec::new());
        for header in 0..[0, 0, 0, 1, 2, 5][random.below(6) as usize] {
            let name = if header % 2 == 0 { b"twice".to_vec() } else { Vec::new() };
            headers.push((name, random.chance(70).then(|| random.next().to_le_bytes().to_vec())));
        }
        match random.below(10) {
            // The key tells; no value, or an empty one.
            0 => key = Some(identity),
            1 => (key, value) = (Some(identity), Some(Vec::new())),
            // A header tells.
            2 => headers.push((b"identity".to_vec(), Some(identity))),
            3 => {
                (key, value) = {
                    headers.insert(0, (identity, None));
                    (Some(Vec::new()), Some(bytes(&mut random, size)))
                }
            }
            // The value tells; with a key or without.
            place => {
                let mut all = identity;
                all.extend(bytes(&mut random, size));
                value = Some(all);
                key = (place < 7).then(|| bytes(&mut random, place * 5));
            }
        }
        Self { key, value, headers }
    }

    /// Lends it to an append.
    pub(crate) fn lend<R>(&self, call: impl FnOnce(RecordBody<'_>) -> R) -> R {
        let headers: Vec<Header<'_>> =
            self.headers.iter().map(|(name, value)| Header { name, value: value.as_deref() }).collect();
        call(RecordBody { key: self.key.as_deref(), value: self.value.as_deref(), headers: &headers })
    }

    /// The number that a record found in a log tells, if it tells one; its hash is looked at by who compares.
    pub(crate) fn number(&self) -> Option<u64> {
        let of = |bytes: &[u8]| {
            let bytes = bytes.get(..IDENTITY_BYTES)?;
            bytes.starts_with(b"\x00record\xff").then(|| u64::from_le_bytes(bytes[8..16].try_into().unwrap()))
        };
        let fields = [self.value.as_deref(), self.key.as_deref()].into_iter().flatten();
        let headers = self.headers.iter().flat_map(|(name, value)| [Some(name.as_slice()), value.as_deref()]);
        fields.chain(headers.flatten()).find_map(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_tells_its_number_and_no_two_are_alike() {
        let sizes = Sizes { value_max: 100, large: 5_000 };
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..2_000 {
            let content = Content::make(7, number, 1, 2, sizes);
            assert_eq!(content.number(), Some(number));
            assert_eq!(content, Content::make(7, number, 1, 2, sizes));
            assert!(seen.insert(format!("{content:?}")));
            assert_ne!(content, Content::make(8, number, 1, 2, sizes));
        }
    }
}
