//! The 61 bytes in front of the records of a batch (magic 2), and the checksum over both.

use super::checksum::{crc32c, crc32c_append};
use super::wire::{Malformed, Reader};

/// Bytes of the header.
pub const LEN: usize = 61;
/// Bytes of the header that `batch_length` counts: all but the base offset and itself.
pub const LEN_COUNTED: usize = LEN - 12;
/// Where the checksum stands.
const CRC_AT: usize = 17;
/// The checksum covers everything from here to the end of the records.
const CRC_FROM: usize = 21;

/// Attribute bits of the codec.
pub const ATTRIBUTE_CODEC: i16 = 0x07;
/// Attribute bit: the broker's clock, not the producer's, gave the timestamps.
pub const ATTRIBUTE_LOG_APPEND_TIME: i16 = 0x08;
/// Attribute bit: part of a transaction.
pub const ATTRIBUTE_TRANSACTIONAL: i16 = 0x10;
/// Attribute bit: written by the broker, not for applications.
pub const ATTRIBUTE_CONTROL: i16 = 0x20;

/// A record batch's header, without its magic byte, which is 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// 0 from a producer; the broker puts the real one.
    pub base_offset: i64,
    /// Bytes after this field: [`LEN_COUNTED`] and the records.
    pub batch_length: i32,
    /// -1 from a producer.
    pub partition_leader_epoch: i32,
    /// CRC-32C from the attributes to the end of the records; 0 until [`seal_crc`].
    pub crc: u32,
    /// Codec, timestamp type, transactional, control: the `ATTRIBUTE_` constants.
    pub attributes: i16,
    /// Number of records - 1.
    pub last_offset_delta: i32,
    /// Timestamp of the first record.
    pub base_timestamp_ms: i64,
    /// Largest timestamp.
    pub max_timestamp_ms: i64,
    /// -1 if not idempotent.
    pub producer_id: i64,
    /// -1 if not idempotent.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 if not idempotent.
    pub base_sequence: i32,
    /// Number of records.
    pub records_count: i32,
}

impl Default for BatchHeader {
    /// What a producer without identity sends around no records at all.
    fn default() -> Self {
        Self {
            base_offset: 0,
            batch_length: LEN_COUNTED as i32,
            partition_leader_epoch: -1,
            crc: 0,
            attributes: 0,
            last_offset_delta: -1,
            base_timestamp_ms: 0,
            max_timestamp_ms: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            records_count: 0,
        }
    }
}

impl BatchHeader {
    /// The wire form.
    #[must_use]
    pub fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let mut rest = bytes.as_mut_slice();
        let mut put = |field: &[u8]| {
            if let Some((head, tail)) = std::mem::take(&mut rest).split_at_mut_checked(field.len()) {
                head.copy_from_slice(field);
                rest = tail;
            }
        };
        put(&self.base_offset.to_be_bytes());
        put(&self.batch_length.to_be_bytes());
        put(&self.partition_leader_epoch.to_be_bytes());
        put(&[2]);
        put(&self.crc.to_be_bytes());
        put(&self.attributes.to_be_bytes());
        put(&self.last_offset_delta.to_be_bytes());
        put(&self.base_timestamp_ms.to_be_bytes());
        put(&self.max_timestamp_ms.to_be_bytes());
        put(&self.producer_id.to_be_bytes());
        put(&self.producer_epoch.to_be_bytes());
        put(&self.base_sequence.to_be_bytes());
        put(&self.records_count.to_be_bytes());
        bytes
    }

    /// Reads one header; the records stay in the reader. Refuses other magics, a length below the header's and a
    /// negative count of records; everything else stands as it was sent.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let base_offset = reader.int64()?;
        let batch_length = reader.int32()?;
        let partition_leader_epoch = reader.int32()?;
        if reader.int8()? != 2 {
            return Err(Malformed("a record batch of another magic than 2"));
        }
        let header = Self {
            base_offset,
            batch_length,
            partition_leader_epoch,
            crc: reader.uint32()?,
            attributes: reader.int16()?,
            last_offset_delta: reader.int32()?,
            base_timestamp_ms: reader.int64()?,
            max_timestamp_ms: reader.int64()?,
            producer_id: reader.int64()?,
            producer_epoch: reader.int16()?,
            base_sequence: reader.int32()?,
            records_count: reader.int32()?,
        };
        if header.batch_length < LEN_COUNTED as i32 {
            return Err(Malformed("a record batch shorter than its header"));
        }
        if header.records_count < 0 {
            return Err(Malformed("a negative number of records"));
        }
        Ok(header)
    }

    /// Bytes of the records as `batch_length` tells them.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        usize::try_from(self.batch_length).unwrap_or(0).saturating_sub(LEN_COUNTED)
    }

    /// The codec's number in the attributes, 0 to 7.
    #[must_use]
    pub fn codec_bits(&self) -> i16 {
        self.attributes & ATTRIBUTE_CODEC
    }
}

/// A batch as it stands in a log or a request: its header's fields and bytes, and its records.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The fields.
    pub header: BatchHeader,
    /// The same, as bytes.
    pub header_bytes: &'a [u8; LEN],
    /// The records, compressed if the attributes say so.
    pub payload: &'a [u8],
}

impl Batch<'_> {
    /// Does the checksum fit the bytes?
    #[must_use]
    pub fn is_crc_right(&self) -> bool {
        crc_of(self.header_bytes, self.payload) == self.header.crc
    }
}

/// The batches of a "records" field, one after the other; after an error there are no more.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

/// Walks the batches of a "records" field. Checksums are not looked at.
#[must_use]
pub fn batches(records: &[u8]) -> Batches<'_> {
    Batches { rest: records }
}

impl<'a> Batches<'a> {
    fn one(&mut self) -> Result<Batch<'a>, Malformed> {
        let rest = std::mem::take(&mut self.rest);
        let (header_bytes, after) = rest.split_first_chunk::<LEN>().ok_or(Malformed("ends inside a batch header"))?;
        let header = BatchHeader::decode(&mut Reader::new(header_bytes))?;
        let (payload, after) =
            after.split_at_checked(header.payload_bytes()).ok_or(Malformed("fewer records than announced"))?;
        self.rest = after;
        Ok(Batch { header, header_bytes, payload })
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() { None } else { Some(self.one()) }
    }
}

fn crc_of(header: &[u8; LEN], payload: &[u8]) -> u32 {
    let (_, covered) = header.split_at(CRC_FROM);
    crc32c_append(crc32c(covered), payload)
}

/// Puts the checksum over the header and `payload` into the batch header that ends `bytes` (its last [`LEN`] bytes; so
/// `bytes` may be the header itself, or a frame up to where the header ends).
pub fn seal_crc(bytes: &mut [u8], payload: &[u8]) -> Result<(), Malformed> {
    let header = bytes.last_chunk_mut::<LEN>().ok_or(Malformed("no room for a batch header"))?;
    let crc = crc_of(header, payload);
    if let Some(place) = header.get_mut(CRC_AT..CRC_FROM) {
        place.copy_from_slice(&crc.to_be_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(payload: &[u8]) -> BatchHeader {
        BatchHeader {
            base_offset: 0x0102_0304_0506_0708,
            batch_length: (LEN_COUNTED + payload.len()) as i32,
            partition_leader_epoch: 0x1112_1314,
            crc: 0,
            attributes: 0x2122,
            last_offset_delta: 0x3132_3334,
            base_timestamp_ms: 0x4142_4344_4546_4748,
            max_timestamp_ms: 0x5152_5354_5556_5758,
            producer_id: 0x6162_6364_6566_6768,
            producer_epoch: 0x7172,
            base_sequence: 0x0182_8384,
            records_count: 0x0192_9394,
        }
    }

    #[test]
    fn every_field_has_its_place() {
        let bytes = header(b"").encode();
        assert_eq!((bytes[0], &bytes[8..12], bytes[12]), (0x01, [0, 0, 0, 49].as_slice(), 0x11));
        assert_eq!((bytes[16], bytes[21], bytes[23], bytes[27], bytes[35]), (2, 0x21, 0x31, 0x41, 0x51));
        assert_eq!((bytes[43], bytes[51], bytes[53], bytes[57], bytes[60]), (0x61, 0x71, 0x01, 0x01, 0x94));
        assert_eq!(BatchHeader::decode(&mut Reader::new(&bytes)), Ok(header(b"")));
    }

    #[test]
    fn a_sealed_batch_notices_any_changed_byte_that_the_checksum_covers() {
        let payload = b"records";
        let mut whole = header(payload).encode().to_vec();
        seal_crc(&mut whole, payload).unwrap();
        whole.extend_from_slice(payload);
        assert!(batches(&whole).next().unwrap().unwrap().is_crc_right());
        for place in CRC_AT..whole.len() {
            whole[place] ^= 0x10;
            let right = batches(&whole).next().unwrap().is_ok_and(|batch| batch.is_crc_right());
            assert!(!right, "byte {place}");
            whole[place] ^= 0x10;
        }
    }

    #[test]
    fn sealing_inside_a_frame_touches_nothing_but_the_checksum() {
        let mut frame = vec![0xEE; 40];
        frame.extend_from_slice(&header(b"x").encode());
        let mut alone = header(b"x").encode();
        seal_crc(&mut frame, b"x").unwrap();
        seal_crc(&mut alone, b"x").unwrap();
        assert_eq!((&frame[..40], &frame[40..]), ([0xEE; 40].as_slice(), alone.as_slice()));
        assert!(seal_crc(&mut frame[..60], b"x").is_err());
    }

    #[test]
    fn lengths_that_lie_are_refused_and_end_the_walk() {
        for length in [i32::MIN, -1, 0, LEN_COUNTED as i32 - 1, LEN_COUNTED as i32 + 1, i32::MAX] {
            let bytes = BatchHeader { batch_length: length, ..header(b"") }.encode();
            let mut walk = batches(&bytes);
            assert!(walk.next().is_some_and(|batch| batch.is_err()), "{length}");
            assert!(walk.next().is_none());
        }
    }
}
