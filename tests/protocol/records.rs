//! Record batches, byte for byte as the `kafka-protocol` crate writes them, and compressed ones read by it.

use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use kurier::protocol::batch_header::{ATTRIBUTE_TRANSACTIONAL, BatchHeader, LEN_COUNTED, batches, seal_crc};
use kurier::protocol::compression::{Codec, Compressor};
use kurier::protocol::decompression::decompress;
use kurier::protocol::record::{Header, RecordBody, encode, record_bytes, records};
use proptest::prelude::*;

use crate::generate::*;

type Body = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>, i64);

/// Records as an application gives them: key, value, headers and milliseconds after the first possible.
fn bodies() -> BoxedStrategy<Vec<Body>> {
    let field = || proptest::option::of(bytes());
    let delay = prop_oneof![0..200i64, 0..1i64 << 45];
    list((field(), field(), list((text(), field())), delay)).prop_filter("at least one", |all| !all.is_empty()).boxed()
}

#[derive(Clone, Copy, Debug)]
struct Identity {
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    transactional: bool,
}

fn identity() -> BoxedStrategy<Identity> {
    let none = Identity { producer_id: -1, producer_epoch: -1, base_sequence: -1, transactional: false };
    let some = (0..i64::MAX, 0..i16::MAX, 0..i32::MAX - 1000, any::<bool>()).prop_map(
        |(producer_id, producer_epoch, base_sequence, transactional)| Identity {
            producer_id,
            producer_epoch,
            base_sequence,
            transactional,
        },
    );
    prop_oneof![Just(none), some].boxed()
}

const BASE_MS: i64 = 1_700_000_000_000;

/// Our batch. The base timestamp is the smallest, as the other implementation has it; a header name given twice is
/// left out, for it keeps headers in a map.
fn ours(all: &[Body], identity: Identity, codec: Codec) -> Vec<u8> {
    let times = || all.iter().map(|body| BASE_MS + body.3);
    let (first, last) = (times().min().unwrap(), times().max().unwrap());
    let mut plain = Vec::new();
    for (index, (key, value, headers, delay)) in all.iter().enumerate() {
        let headers: IndexMap<&str, Option<&[u8]>> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        let headers: Vec<_> =
            headers.into_iter().map(|(name, value)| Header { name: name.as_bytes(), value }).collect();
        let body = RecordBody { key: key.as_deref(), value: value.as_deref(), headers: &headers };
        let (fixed, delta, from) = (body.fixed_bytes(), BASE_MS + delay - first, plain.len());
        plain.resize(from + record_bytes(fixed, delta, index as u32), 0xEE);
        assert_eq!(encode(&body, fixed, delta, index as u32, &mut plain[from..]), plain.len() - from);
    }
    let mut payload = Vec::new();
    Compressor::new().compress(codec, codec.default_level(), &plain, &mut payload).unwrap();
    let header = BatchHeader {
        batch_length: (LEN_COUNTED + payload.len()) as i32,
        attributes: codec as i16 | if identity.transactional { ATTRIBUTE_TRANSACTIONAL } else { 0 },
        last_offset_delta: all.len() as i32 - 1,
        base_timestamp_ms: first,
        max_timestamp_ms: last,
        producer_id: identity.producer_id,
        producer_epoch: identity.producer_epoch,
        base_sequence: identity.base_sequence,
        records_count: all.len() as i32,
        ..BatchHeader::default()
    };
    let mut batch = header.encode().to_vec();
    seal_crc(&mut batch, &payload).unwrap();
    batch.extend_from_slice(&payload);
    batch
}

fn theirs(all: &[Body], identity: Identity) -> Vec<Record> {
    let record = |(index, (key, value, headers, delay)): (usize, &Body)| Record {
        transactional: identity.transactional,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: identity.producer_id,
        producer_epoch: identity.producer_epoch,
        timestamp_type: TimestampType::Creation,
        offset: index as i64,
        sequence: if identity.base_sequence < 0 { index as i32 - 1 } else { identity.base_sequence + index as i32 },
        timestamp: BASE_MS + delay,
        key: key.clone().map(Into::into),
        value: value.clone().map(Into::into),
        headers: headers.iter().map(|(name, value)| (string(name), value.clone().map(Into::into))).collect(),
    };
    all.iter().enumerate().map(record).collect()
}

fn compression(codec: Codec) -> Compression {
    match codec {
        Codec::None => Compression::None,
        Codec::Gzip => Compression::Gzip,
        Codec::Snappy => Compression::Snappy,
        Codec::Lz4 => Compression::Lz4,
        Codec::Zstd => Compression::Zstd,
    }
}

proptest! {
    #[test]
    fn batches_are_theirs_byte_for_byte(all in bodies(), identity in identity()) {
        let mut expected = Vec::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut expected, &theirs(&all, identity), &options).unwrap();
        prop_assert_eq!(ours(&all, identity, Codec::None), expected);
    }

    #[test]
    fn compressed_batches_are_read_by_the_other_side_either_way(all in bodies(), identity in identity()) {
        let plain = ours(&all, identity, Codec::None);
        let plain = batches(&plain).next().unwrap().unwrap().payload;
        for codec in Codec::ALL {
            let written = ours(&all, identity, *codec);
            let read = RecordBatchDecoder::decode(&mut written.as_slice()).unwrap();
            prop_assert_eq!(read.compression, compression(*codec));
            let wanted = theirs(&all, identity);
            prop_assert_eq!(read.records.len(), wanted.len());
            for (read, wanted) in read.records.iter().zip(&wanted) {
                prop_assert_eq!((&read.key, &read.value), (&wanted.key, &wanted.value));
                prop_assert_eq!(&read.headers, &wanted.headers);
                prop_assert_eq!((read.timestamp, read.offset), (wanted.timestamp, wanted.offset));
                let identity = |one: &Record| (one.producer_id, one.producer_epoch, one.transactional);
                prop_assert_eq!(identity(read), identity(wanted));
            }

            let mut written = Vec::new();
            let options = RecordEncodeOptions { version: 2, compression: compression(*codec) };
            RecordBatchEncoder::encode(&mut written, &wanted, &options).unwrap();
            let batch = batches(&written).next().unwrap().unwrap();
            prop_assert!(batch.is_crc_right());
            let mut payload = Vec::new();
            decompress(*codec, batch.payload, plain.len(), &mut payload).unwrap();
            prop_assert_eq!(payload.as_slice(), plain);
        }
    }

    #[test]
    fn records_with_repeated_headers_come_back_as_they_went(all in bodies()) {
        let mut payload = Vec::new();
        for (index, (key, value, headers, delay)) in all.iter().enumerate() {
            let headers: Vec<_> = headers
                .iter()
                .chain(headers)
                .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_deref() })
                .collect();
            let body = RecordBody { key: key.as_deref(), value: value.as_deref(), headers: &headers };
            let (fixed, from) = (body.fixed_bytes(), payload.len());
            payload.resize(from + record_bytes(fixed, -delay, index as u32), 0xEE);
            encode(&body, fixed, -delay, index as u32, &mut payload[from..]);
            let read = records(&payload[from..]).next().unwrap().unwrap();
            prop_assert_eq!((read.timestamp_delta, read.offset_delta), (-delay, index as i32));
            prop_assert_eq!(read.body(), body);
        }
        prop_assert_eq!(records(&payload).filter(Result::is_ok).count(), all.len());
    }
}
