//! Stored batches taken apart, for those who look into them; brokers do not.

use crate::protocol::batch_header::{ATTRIBUTE_LOG_APPEND_TIME, Batch, batches};
use crate::protocol::compression::Codec;
use crate::protocol::decompression::decompress;
use crate::protocol::record::{DecodedRecord, records};

/// No batch is unpacked beyond this.
const PAYLOAD_BYTES_MAX: usize = 512 << 20;

/// Calls with offset, timestamp and record for every record of these batches, as far as they can be read.
pub(super) fn for_each(bytes: &[u8], mut each: impl FnMut(i64, i64, &DecodedRecord<'_>)) {
    for batch in batches(bytes).map_while(Result::ok) {
        let mut unpacked = Vec::new();
        let payload = match Codec::from_bits(batch.header.codec_bits()) {
            Some(Codec::None) => batch.payload,
            Some(codec) if decompress(codec, batch.payload, PAYLOAD_BYTES_MAX, &mut unpacked).is_ok() => &unpacked,
            _ => continue,
        };
        for record in records(payload).map_while(Result::ok) {
            let offset = batch.header.base_offset.saturating_add(i64::from(record.offset_delta));
            each(offset, timestamp_ms(&batch, &record), &record);
        }
    }
}

fn timestamp_ms(batch: &Batch<'_>, record: &DecodedRecord<'_>) -> i64 {
    if batch.header.attributes & ATTRIBUTE_LOG_APPEND_TIME != 0 {
        return batch.header.max_timestamp_ms;
    }
    batch.header.base_timestamp_ms.saturating_add(record.timestamp_delta)
}
