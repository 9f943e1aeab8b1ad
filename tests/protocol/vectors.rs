//! Batches written by the Java client (see `vectors/README.md`): read, and written again byte for byte.

use kurier::protocol::batch_header::{self, BatchHeader, batches, seal_crc};
use kurier::protocol::compression::Codec;
use kurier::protocol::decompression::decompress;
use kurier::protocol::record::{self, DecodedRecord, Header, records};

const BASE_MS: i64 = 1_700_000_000_000;

macro_rules! vector {
    ($name:literal) => {
        ($name, include_bytes!(concat!("vectors/", $name, ".bin")).as_slice())
    };
}

const VECTORS: [(&str, &[u8]); 7] = [
    vector!("none"),
    vector!("none-idempotent"),
    vector!("none-transactional"),
    vector!("gzip"),
    vector!("snappy"),
    vector!("lz4"),
    vector!("zstd"),
];

fn check_records(all: &[DecodedRecord<'_>]) {
    assert_eq!(all.len(), 100);
    for (index, record) in all.iter().enumerate() {
        assert_eq!((record.offset_delta, record.attributes), (index as i32, 0));
    }
    let is = |index: usize, delta: i64, key: Option<&str>, value: Option<&str>, headers: &[(&str, Option<&str>)]| {
        let record = &all[index];
        assert_eq!(record.timestamp_delta, delta);
        assert_eq!((record.key, record.value), (key.map(str::as_bytes), value.map(str::as_bytes)));
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.map(str::as_bytes) })
            .collect();
        assert_eq!(record.headers, headers);
    };
    is(0, 0, Some("key"), Some("value"), &[]);
    is(1, -1, None, Some("earlier than the first"), &[]);
    is(2, 64, Some(""), Some(""), &[]);
    is(3, 1_000_000, Some("tombstone"), None, &[("h", Some("1")), ("h", Some("2"))]);
    is(4, -10_000_000_000, None, None, &[("", None), ("größe", Some(""))]);
    is(5, 0, Some(&"x".repeat(10_000)), Some("after a long key"), &[]);
    for index in 6..100 {
        let (key, value) = (format!("k{}", index % 7), format!("value number {index}"));
        is(index, index as i64 * 37, Some(&key), Some(&value), &[]);
    }
}

#[test]
fn every_codec_of_the_java_client_is_read() {
    for (name, bytes) in VECTORS {
        let mut walk = batches(bytes);
        let batch = walk.next().unwrap().unwrap();
        assert!(walk.next().is_none());
        assert!(batch.is_crc_right(), "{name}");
        let codec = Codec::from_bits(batch.header.codec_bits()).unwrap();
        assert!(name.starts_with(codec.name()));
        let with_identity = name.contains('-');
        let expected = BatchHeader {
            attributes: codec as i16 | if name.ends_with("transactional") { 0x10 } else { 0 },
            last_offset_delta: 99,
            base_timestamp_ms: BASE_MS,
            max_timestamp_ms: BASE_MS + 1_000_000,
            producer_id: if with_identity { 4711 } else { -1 },
            producer_epoch: if with_identity { 12 } else { -1 },
            base_sequence: if with_identity { i32::MAX - 3 } else { -1 },
            records_count: 100,
            // These two are checked by reading and by the checksum.
            batch_length: batch.header.batch_length,
            crc: batch.header.crc,
            ..BatchHeader::default()
        };
        assert_eq!(batch.header, expected, "{name}");
        let mut payload = Vec::new();
        decompress(codec, batch.payload, 1 << 20, &mut payload).unwrap();
        check_records(&records(&payload).collect::<Result<Vec<_>, _>>().unwrap());
    }
}

#[test]
fn batches_that_are_not_compressed_come_out_byte_for_byte() {
    for (name, bytes) in VECTORS.into_iter().filter(|(name, _)| name.starts_with("none")) {
        let batch = batches(bytes).next().unwrap().unwrap();
        let mut payload = Vec::new();
        for record in records(batch.payload).map(Result::unwrap) {
            let (fixed, index) = (record.body().fixed_bytes(), record.offset_delta as u32);
            let from = payload.len();
            payload.resize(from + record::record_bytes(fixed, record.timestamp_delta, index), 0);
            record::encode(&record.body(), fixed, record.timestamp_delta, index, &mut payload[from..]);
        }
        let mut again = BatchHeader { crc: 0, ..batch.header }.encode();
        seal_crc(&mut again, &payload).unwrap();
        assert!(again == bytes[..batch_header::LEN], "{name}");
        assert!(payload == bytes[batch_header::LEN..], "{name}");
    }
}
