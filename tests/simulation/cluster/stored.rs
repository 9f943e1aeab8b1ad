//! The truth: what stands in the logs, record by record.

use kurier::protocol::compression::Codec;
use kurier::protocol::decompression::decompress;
use kurier::protocol::record::records;

use super::Cluster;
use super::replica::{Batch, Entry};

/// Most bytes that a batch may unpack to.
pub(crate) const UNPACKED_MAX: usize = 128 << 20;

/// A record in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    /// 0: the client's, 1: the broker's (LogAppendTime).
    pub(crate) timestamp_type: i8,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) sequence: i32,
    /// Number of the batch in which it was appended, over all partitions.
    pub(crate) batch: u64,
    /// Which creation of the topic it was written to; offsets begin again with each.
    pub(crate) incarnation: u32,
}

impl Cluster {
    /// The committed log of a partition: of the topic's deleted incarnations, in their order, then of the present one.
    /// What retention took is still here, for it was committed.
    pub(crate) fn log(&self, topic: &str, partition: i32) -> Vec<Stored> {
        let mut stored = Vec::new();
        for (key, one) in &self.partitions {
            if &*one.topic == topic && key.index == partition {
                one.truth.iter().for_each(|entry| read(entry, key.topic, &mut stored));
            }
        }
        stored
    }

    /// Were committed records taken away by an unclean election, by force or with their topic?
    pub(crate) fn lost(&self, topic: &str, partition: i32) -> bool {
        let of_it = |index: i32, name: &str| index == partition && name == topic;
        self.partitions.iter().any(|(key, one)| one.is_lost && of_it(key.index, &one.topic))
    }
}

/// The records of a batch, unpacked.
pub(crate) fn unpack(codec_bits: i16, payload: &[u8]) -> Result<Vec<u8>, String> {
    let codec = Codec::from_bits(codec_bits).ok_or_else(|| format!("no codec has the number {codec_bits}"))?;
    let mut unpacked = Vec::new();
    decompress(codec, payload, UNPACKED_MAX, &mut unpacked).map_err(|error| error.to_string())?;
    Ok(unpacked)
}

fn read(entry: &Entry, incarnation: u32, stored: &mut Vec<Stored>) {
    let Batch { header, payload, number, append_ms } = &*entry.batch;
    // What does not unpack was reported when it came.
    let unpacked = unpack(header.codec_bits(), payload).unwrap_or_default();
    for (index, record) in (0..).zip(records(&unpacked).map_while(Result::ok)) {
        let sequence = super::producers::sequence_after(header.base_sequence, index);
        let headers = record.headers.iter();
        stored.push(Stored {
            offset: entry.base_offset + i64::from(index),
            timestamp_ms: append_ms.unwrap_or(header.base_timestamp_ms.wrapping_add(record.timestamp_delta)),
            timestamp_type: i8::from(append_ms.is_some()),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: headers.map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec))).collect(),
            producer_id: header.producer_id,
            epoch: header.producer_epoch,
            sequence: if header.base_sequence < 0 { -1 } else { sequence },
            batch: *number,
            incarnation,
        });
    }
}
