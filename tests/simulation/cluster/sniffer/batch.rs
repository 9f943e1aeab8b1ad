//! A batch on the wire: is it one, and whole?

use kurier::protocol::batch_header::{self, ATTRIBUTE_CODEC, Batch};
use kurier::protocol::record::records;

use crate::cluster::producers::sequence_after;
use crate::cluster::stored::unpack;

/// What of a batch must never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) first: i32,
    pub(crate) last: i32,
    /// Over identity and content.
    pub(crate) crc: u32,
}

impl Seen {
    pub(crate) fn identity(&self) -> (i64, i16, i32) {
        (self.producer_id, self.epoch, self.first)
    }
}

fn only(bytes: &[u8]) -> Result<Batch<'_>, String> {
    let mut batches = batch_header::batches(bytes);
    match (batches.next(), batches.next()) {
        (Some(Ok(batch)), None) => Ok(batch),
        (Some(Err(error)), _) => Err(error.to_string()),
        (None, _) => Err("no batch".to_owned()),
        (Some(Ok(_)), Some(_)) => Err("more than one batch".to_owned()),
    }
}

/// Reads a batch's header and checks what every producer must keep to.
pub(crate) fn read(version: i16, bytes: &[u8]) -> Result<Seen, String> {
    let batch = only(bytes)?;
    let header = &batch.header;
    let fault = |what: &str| Err(format!("{what}: {header:?}"));
    if !batch.is_crc_right() {
        return fault("a wrong checksum");
    }
    if header.records_count < 1 || header.last_offset_delta != header.records_count - 1 {
        return fault("counts that do not fit");
    }
    if header.base_offset != 0 || header.partition_leader_epoch != -1 {
        return fault("an offset or a leader's epoch from a producer");
    }
    if header.attributes & !ATTRIBUTE_CODEC != 0 {
        return fault("attributes that are none of a producer's");
    }
    if header.codec_bits() == 4 && version < 7 {
        return fault("Zstandard below Produce version 7");
    }
    let identity = (header.producer_id, header.producer_epoch, header.base_sequence);
    if identity != (-1, -1, -1) && (identity.0 < 0 || identity.1 < 0 || identity.2 < 0) {
        return fault("half an identity");
    }
    Ok(Seen {
        producer_id: header.producer_id,
        epoch: header.producer_epoch,
        first: header.base_sequence,
        last: sequence_after(header.base_sequence, header.records_count - 1),
        crc: header.crc,
    })
}

/// Looks at the records: as many as the header says, numbered, the largest timestamp the header's.
pub(crate) fn look_inside(bytes: &[u8]) -> Result<(), String> {
    let batch = only(bytes)?;
    let header = &batch.header;
    let unpacked = unpack(header.codec_bits(), batch.payload)?;
    let (mut count, mut max_timestamp_ms) = (0, i64::MIN);
    for record in records(&unpacked) {
        let record = record.map_err(|error| format!("record {count}: {error}"))?;
        if record.offset_delta != count || record.attributes != 0 {
            return Err(format!("record {count} has the number {}", record.offset_delta));
        }
        max_timestamp_ms = max_timestamp_ms.max(header.base_timestamp_ms.wrapping_add(record.timestamp_delta));
        count += 1;
    }
    if (count, max_timestamp_ms) != (header.records_count, header.max_timestamp_ms) {
        return Err(format!("{count} records up to timestamp {max_timestamp_ms} under {header:?}"));
    }
    Ok(())
}
