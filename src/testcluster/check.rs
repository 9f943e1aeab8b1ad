//! Whether a broker would take a batch, as far as its header tells. Records are not decoded.
//!
//! Source: `ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords` and `LogValidator` of
//! Apache Kafka 4.2. The order of the checks is theirs.

use crate::protocol::batch_header::{ATTRIBUTE_CONTROL, ATTRIBUTE_TRANSACTIONAL, Batch, BatchHeader, LEN};
use crate::protocol::broker_code::{
    CORRUPT_MESSAGE, INVALID_RECORD, INVALID_TXN_STATE, MESSAGE_TOO_LARGE, UNSUPPORTED_COMPRESSION_TYPE,
};
use crate::protocol::wire::Reader;

const MAGIC_AT: usize = 16;
const MAGIC: u8 = 2;
const ZSTD: i16 = 4;
/// From this version of Produce on (KIP-110).
const ZSTD_FROM: i16 = 7;
/// Length, attributes, two deltas, two lengths and a count, of one byte each.
const RECORD_BYTES_MIN: usize = 7;

/// A code and a sentence.
pub(super) type Refusal = (i16, &'static str);

/// What is looked at before it is known whether the partition is there: exactly one batch, whole, of magic 2,
/// of a codec that the version allows.
pub(super) fn check_form(records: Option<&[u8]>, version: i16) -> Result<Batch<'_>, Refusal> {
    let records = records.unwrap_or_default();
    let Some((header_bytes, payload)) = records.split_first_chunk::<LEN>() else {
        return Err((INVALID_RECORD, "a produce request carries exactly one batch per partition"));
    };
    if header_bytes.get(MAGIC_AT) != Some(&MAGIC) {
        return Err((INVALID_RECORD, "a produce request carries batches of magic 2"));
    }
    let Ok(header) = BatchHeader::decode(&mut Reader::new(header_bytes)) else {
        return Err((CORRUPT_MESSAGE, "the batch has an impossible length or count"));
    };
    if payload.len() < header.payload_bytes() {
        return Err((INVALID_RECORD, "the batch is not whole"));
    }
    if payload.len() > header.payload_bytes() {
        return Err((INVALID_RECORD, "a produce request carries exactly one batch per partition"));
    }
    if header.codec_bits() > ZSTD || (header.codec_bits() == ZSTD && version < ZSTD_FROM) {
        return Err((UNSUPPORTED_COMPRESSION_TYPE, "the codec is not known, or not in this version of the request"));
    }
    Ok(Batch { header, header_bytes, payload })
}

/// What the leader of the partition looks at.
pub(super) fn check_content(batch: &Batch<'_>, max_message_bytes: usize) -> Result<(), Refusal> {
    let header = &batch.header;
    if header.base_offset != 0 {
        return Err((INVALID_RECORD, "the base offset of a batch is not zero"));
    }
    if LEN + batch.payload.len() > max_message_bytes {
        return Err((MESSAGE_TOO_LARGE, "the batch is larger than max.message.bytes"));
    }
    if !batch.is_crc_right() {
        return Err((CORRUPT_MESSAGE, "the checksum does not fit the batch"));
    }
    if header.records_count < 1 || header.last_offset_delta != header.records_count - 1 {
        return Err((INVALID_RECORD, "the last offset delta does not fit the number of records"));
    }
    let records_min = usize::try_from(header.records_count).unwrap_or(usize::MAX).saturating_mul(RECORD_BYTES_MIN);
    if header.codec_bits() == 0 && records_min > batch.payload.len() {
        return Err((INVALID_RECORD, "fewer records than the batch says"));
    }
    if header.producer_id >= 0 && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err((INVALID_RECORD, "a producer id without epoch or sequence"));
    }
    if header.attributes & ATTRIBUTE_CONTROL != 0 {
        return Err((INVALID_RECORD, "clients do not write control records"));
    }
    if header.attributes & ATTRIBUTE_TRANSACTIONAL != 0 {
        return Err((INVALID_TXN_STATE, "the embedded cluster has no transactions"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::batch_header::seal_crc;

    fn batch(change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
        let payload = [1u8; 21];
        let mut header = BatchHeader {
            batch_length: (LEN - 12 + payload.len()) as i32,
            last_offset_delta: 2,
            records_count: 3,
            ..BatchHeader::default()
        };
        change(&mut header);
        let mut bytes = header.encode().to_vec();
        seal_crc(&mut bytes, &payload).expect("a header");
        bytes.extend_from_slice(&payload);
        bytes
    }

    fn code(bytes: &[u8], version: i16) -> i16 {
        match check_form(Some(bytes), version).and_then(|batch| check_content(&batch, 1000)) {
            Ok(()) => 0,
            Err((code, _)) => code,
        }
    }

    #[test]
    fn what_a_broker_takes_and_what_not() {
        assert_eq!(code(&batch(|_| {}), 9), 0);
        assert_eq!(check_form(None, 9).err().map(|refusal| refusal.0), Some(87));
        assert_eq!(code(&[], 9), 87);
        assert_eq!(code(&batch(|header| header.base_offset = 1), 9), 87);
        assert_eq!(code(&batch(|header| header.last_offset_delta = 3), 9), 87);
        assert_eq!(code(&batch(|header| (header.records_count, header.last_offset_delta) = (0, -1)), 9), 87);
        assert_eq!(code(&batch(|header| (header.records_count, header.last_offset_delta) = (4, 3)), 9), 87);
        assert_eq!(code(&batch(|header| header.batch_length = 10), 9), 2);
        assert_eq!(code(&batch(|header| header.batch_length += 1), 9), 87);
        assert_eq!(code(&batch(|header| header.batch_length -= 1), 9), 87);
        assert_eq!(code(&batch(|header| header.producer_id = 5), 9), 87);
        assert_eq!(code(&batch(|header| header.attributes = 0x20), 9), 87);
        assert_eq!(code(&batch(|header| header.attributes = 0x10), 9), 48);
        assert_eq!(code(&batch(|header| header.attributes = 5), 9), 76);
        assert_eq!((code(&batch(|header| header.attributes = 4), 6), code(&batch(|h| h.attributes = 4), 7)), (76, 0));
        let two = [batch(|_| {}), batch(|_| {})].concat();
        assert_eq!(code(&two, 9), 87);
        let whole = batch(|_| {});
        let form = check_form(Some(&whole), 9).expect("well formed");
        assert_eq!(check_content(&form, whole.len()), Ok(()));
        assert_eq!(check_content(&form, whole.len() - 1).err().map(|refusal| refusal.0), Some(10));
    }

    #[test]
    fn every_changed_byte_that_the_checksum_covers_is_noticed() {
        let whole = batch(|_| {});
        for place in 17..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 0x40;
            assert_ne!(code(&changed, 9), 0, "byte {place}");
        }
        let mut magic = whole.clone();
        magic[16] = 1;
        assert_eq!(code(&magic, 9), 87);
    }
}
