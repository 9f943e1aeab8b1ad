//! Every decoder against input that lies: cut anywhere, changed anywhere, counts beyond the bytes. Nothing may panic,
//! and nothing may allocate more than a small multiple of what came in (`kafka-protocol` 0.18 asks for 412 GB for
//! nine bytes; librdkafka #5577 crashes before authentication).

#![allow(unsafe_code, reason = "an allocator that counts cannot be had without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use kurier::protocol::batch_header::{BatchHeader, LEN_COUNTED, batches};
use kurier::protocol::compression::{Codec, Compressor};
use kurier::protocol::decompression::decompress;
use kurier::protocol::messages::ApiKey;
use kurier::protocol::messages::api_versions::*;
use kurier::protocol::messages::describe_producers::*;
use kurier::protocol::messages::fetch::*;
use kurier::protocol::messages::header::{RequestHeader, decode_response_header, encode_response_header};
use kurier::protocol::messages::init_producer_id::*;
use kurier::protocol::messages::list_offsets::*;
use kurier::protocol::messages::metadata::*;
use kurier::protocol::messages::produce::*;
use kurier::protocol::record::{Header, RecordBody, encode, record_bytes, records};
use kurier::protocol::wire::{Malformed, Reader, TAGS_MAX, Writer};
use proptest::prelude::*;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

/// Counts what each thread asks for, ever.
struct Counting;

fn count(bytes: usize) {
    // A thread that is going away has no counter any more.
    let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + bytes));
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The bound: bytes asked for by one decoding, for each byte of input, and once.
const ALLOCATED_PER_BYTE: usize = 32;
const ALLOCATED_ONCE: usize = 64;

type Decode = fn(i16, &mut Reader<'_>) -> Result<(), Malformed>;

/// A decoder and a message that it takes.
struct Target {
    name: String,
    version: i16,
    decode: Decode,
    sample: Vec<u8>,
}

impl Target {
    fn run(&self, input: &[u8]) -> Result<(), Malformed> {
        let before = ALLOCATED.get();
        let result = (self.decode)(self.version, &mut Reader::new(input));
        let allocated = ALLOCATED.get() - before;
        let bound = ALLOCATED_PER_BYTE * input.len() + ALLOCATED_ONCE;
        assert!(allocated <= bound, "{}: {allocated} bytes for {}: {input:02x?}", self.name, input.len());
        result
    }
}

macro_rules! target {
    ($targets:ident, $api:ident, $message:ident, $value:expr) => {
        for version in ApiKey::$api.client_range() {
            let mut writer = Writer::new();
            $value.encode(version, &mut writer);
            $targets.push(Target {
                name: format!("{} {version}", stringify!($message)),
                version,
                decode: |version, reader| $message::decode(version, reader).map(drop),
                sample: writer.finish().unwrap(),
            });
        }
    };
}

fn produce_targets(targets: &mut Vec<Target>) {
    let request = ProduceRequest {
        transactional_id: Some("id"),
        topics: vec![
            ProduceTopic {
                name: "topic",
                topic_id: [1; 16],
                partitions: vec![(1, Some(b"records")), (2, None)]
            };
            2
        ],
        ..ProduceRequest::default()
    };
    target!(targets, Produce, ProduceRequest, request);
    let partition = ProducePartitionResponse {
        record_errors: vec![(3, Some("bad".to_owned())), (4, None)],
        error_message: Some("worse".to_owned()),
        current_leader: (1, 2),
        ..ProducePartitionResponse::default()
    };
    let node = NodeEndpoint { node_id: 1, host: "host".to_owned(), port: 9092, rack: None };
    let topic = ProduceTopicResponse { name: "topic".to_owned(), topic_id: [1; 16], partitions: vec![partition; 2] };
    let response = ProduceResponse { topics: vec![topic; 2], throttle_time_ms: 1, node_endpoints: vec![node; 2] };
    target!(targets, Produce, ProduceResponse, response);
}

fn metadata_targets(targets: &mut Vec<Target>) {
    let topic = MetadataRequestTopic { topic_id: [1; 16], name: Some("topic".to_owned()) };
    let request = MetadataRequest { topics: Some(vec![topic; 3]), allow_auto_topic_creation: true };
    target!(targets, Metadata, MetadataRequest, request);
    let partition = MetadataPartition {
        replica_nodes: vec![1, 2],
        isr_nodes: vec![1],
        offline_replicas: vec![2],
        ..MetadataPartition::default()
    };
    let topic =
        MetadataTopic { name: Some("topic".to_owned()), partitions: vec![partition; 3], ..MetadataTopic::default() };
    let broker = MetadataBroker { node_id: 1, host: "host".to_owned(), port: 1, rack: Some("r".to_owned()) };
    let response = MetadataResponse { brokers: vec![broker; 3], topics: vec![topic; 2], ..MetadataResponse::default() };
    target!(targets, Metadata, MetadataResponse, response);
}

fn reading_targets(targets: &mut Vec<Target>) {
    let topic = FetchTopic { name: "topic".to_owned(), partitions: vec![FetchPartition::default(); 2] };
    let forgotten_topics = vec![("old".to_owned(), vec![1, 2, 3]); 2];
    let request = FetchRequest { topics: vec![topic; 2], forgotten_topics, ..FetchRequest::default() };
    target!(targets, Fetch, FetchRequest, request);
    let partition = FetchPartitionResponse {
        aborted_transactions: Some(vec![(1, 2); 2]),
        current_leader: (1, 2),
        records: Some(b"records"),
        ..FetchPartitionResponse::default()
    };
    let topic = FetchTopicResponse { name: "topic".to_owned(), partitions: vec![partition; 2] };
    target!(
        targets,
        Fetch,
        FetchResponse,
        FetchResponse { topics: vec![topic.clone(); 2], ..FetchResponse::default() }
    );
    let topic = ListOffsetsTopic { name: "topic".to_owned(), partitions: vec![ListOffsetsPartition::default(); 2] };
    let request = ListOffsetsRequest { topics: vec![topic; 2], ..ListOffsetsRequest::default() };
    target!(targets, ListOffsets, ListOffsetsRequest, request);
    let partitions = vec![ListOffsetsPartitionResponse::default(); 2];
    let topic = ListOffsetsTopicResponse { name: "topic".to_owned(), partitions };
    let response = ListOffsetsResponse { throttle_time_ms: 1, topics: vec![topic; 2] };
    target!(targets, ListOffsets, ListOffsetsResponse, response);
}

fn describe_producers_targets(targets: &mut Vec<Target>) {
    let topic = DescribeProducersTopic { name: "topic".to_owned(), partition_indexes: vec![1, 2, 3] };
    let request = DescribeProducersRequest { topics: vec![topic; 2] };
    target!(targets, DescribeProducers, DescribeProducersRequest, request);
    let partition = DescribeProducersPartitionResponse {
        error_message: Some("why".to_owned()),
        active_producers: vec![ProducerState::default(); 3],
        ..DescribeProducersPartitionResponse::default()
    };
    let topic = DescribeProducersTopicResponse { name: "topic".to_owned(), partitions: vec![partition; 2] };
    let response = DescribeProducersResponse { throttle_time_ms: 1, topics: vec![topic; 2] };
    target!(targets, DescribeProducers, DescribeProducersResponse, response);
}

fn first_targets(targets: &mut Vec<Target>) {
    let request = ApiVersionsRequest { client_software_name: "n".to_owned(), client_software_version: "1".to_owned() };
    target!(targets, ApiVersions, ApiVersionsRequest, request);
    let response = ApiVersionsResponse {
        api_keys: vec![ApiRange::default(); 5],
        finalized_features_epoch: 7,
        finalized_features: vec![("transaction.version".to_owned(), 2, 1); 2],
        ..ApiVersionsResponse::default()
    };
    target!(targets, ApiVersions, ApiVersionsResponse, response);
    let request = InitProducerIdRequest {
        transactional_id: Some("id".to_owned()),
        transaction_timeout_ms: 1,
        producer_id: -1,
        producer_epoch: -1,
    };
    target!(targets, InitProducerId, InitProducerIdRequest, request);
    target!(targets, InitProducerId, InitProducerIdResponse, InitProducerIdResponse::default());
    let mut writer = Writer::new();
    RequestHeader { api_key: 0, api_version: 13, correlation_id: 1, client_id: Some("me") }.encode(&mut writer);
    let decode: Decode = |_, reader| RequestHeader::decode(reader).map(drop).and_then(|()| reader.end());
    targets.push(Target { name: "RequestHeader".to_owned(), version: 0, decode, sample: writer.finish().unwrap() });
    let mut writer = Writer::new();
    encode_response_header(ApiKey::Produce, 13, 1, &mut writer);
    let decode: Decode = |version, reader| {
        decode_response_header(ApiKey::Produce, version, reader).map(drop).and_then(|()| reader.end())
    };
    targets.push(Target { name: "ResponseHeader".to_owned(), version: 13, decode, sample: writer.finish().unwrap() });
}

/// One batch of three records.
fn batch() -> Vec<u8> {
    let headers = [Header { name: b"a", value: Some(b"1") }, Header { name: b"b", value: None }];
    let mut payload = Vec::new();
    for (index, key) in [None, Some(b"key".as_slice()), Some(b"")].into_iter().enumerate() {
        let body = RecordBody { key, value: Some(b"value"), headers: &headers[..index] };
        let (fixed, from) = (body.fixed_bytes(), payload.len());
        payload.resize(from + record_bytes(fixed, -70, index as u32), 0);
        encode(&body, fixed, -70, index as u32, &mut payload[from..]);
    }
    let batch_length = (LEN_COUNTED + payload.len()) as i32;
    [BatchHeader { batch_length, records_count: 3, ..BatchHeader::default() }.encode().to_vec(), payload].concat()
}

fn targets() -> Vec<Target> {
    let mut targets = Vec::new();
    first_targets(&mut targets);
    produce_targets(&mut targets);
    metadata_targets(&mut targets);
    reading_targets(&mut targets);
    describe_producers_targets(&mut targets);
    let decode: Decode = |_, reader| {
        let bytes = reader.take(reader.remaining())?;
        let mut count = 0;
        for batch in batches(bytes) {
            for record in records(batch?.payload) {
                record?;
                count += 1;
            }
        }
        if count > 0 { Ok(()) } else { Err(Malformed("no record")) }
    };
    targets.push(Target { name: "batch".to_owned(), version: 2, decode, sample: batch() });
    targets
}

#[test]
fn whatever_is_cut_short_is_refused() {
    for target in targets() {
        assert_eq!(target.run(&target.sample), Ok(()), "{}", target.name);
        for length in 0..target.sample.len() {
            assert!(target.run(&target.sample[..length]).is_err(), "{} cut at {length}", target.name);
        }
    }
}

/// Lengths and counts that are negative, zero, huge, or have no end, at every place.
const LIES: &[&[u8]] = &[
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xfe],
    &[0x80, 0x00, 0x00, 0x00],
    &[0x00, 0x01, 0x00, 0x00],
    &[0x00, 0x00, 0x00, 0x00],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xfe, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
    &[0x80, 0x00],
    &[0xff, 0x7f],
    &[0x7f, 0xff],
    &[0x7f],
    &[0xff],
];

#[test]
fn lengths_and_counts_that_lie_cost_nothing() {
    for target in targets() {
        for place in 0..target.sample.len() {
            for lie in LIES {
                for length in [0, lie.len()] {
                    // Put in place of some bytes, or pushed in between, with zeros behind that look like elements.
                    let rest = target.sample.get(place + length..).unwrap_or_default();
                    let zeros = [0; 64];
                    let input = [&target.sample[..place], lie, rest].concat();
                    let _ = target.run(&input);
                    let _ = target.run(&[&target.sample[..place], lie, &zeros[..], rest].concat());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn changed_bytes_never_panic_or_cost(
        target in 0..targets().len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        repeat in 0..4usize,
    ) {
        TARGETS.with(|targets| {
            let target = &targets[target];
            let mut input = target.sample.repeat(repeat.max(1));
            for (place, byte) in changes {
                if !input.is_empty() {
                    let place = place.index(input.len());
                    input[place] = byte;
                }
            }
            let _ = target.run(&input);
        });
    }

    #[test]
    fn noise_never_panics_or_costs(
        target in 0..targets().len(),
        input in proptest::collection::vec(prop_oneof![any::<u8>(), 0..4u8, Just(0xff)], 0..120),
    ) {
        TARGETS.with(|targets| targets[target].run(&input).is_ok());
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn noise_is_never_decompressed_beyond_its_limit(
        codec in 0..5usize,
        cut in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let codec = Codec::ALL[codec];
        let mut packed = Vec::new();
        Compressor::new().compress(codec, codec.default_level(), &batch().repeat(20), &mut packed).unwrap();
        packed.truncate(cut.index(packed.len() + 1));
        for (place, byte) in changes {
            if !packed.is_empty() {
                let place = place.index(packed.len());
                packed[place] = byte;
            }
        }
        let mut out = Vec::new();
        if decompress(codec, &packed, 1000, &mut out).is_ok() {
            prop_assert!(out.len() <= 1000);
        }
        prop_assert!(out.capacity() <= 2100, "{}", out.capacity());
    }
}

thread_local! {
    static TARGETS: Vec<Target> = targets();
}

/// A partition that many applications write to: what the decoder asks for is what the producers take, once.
#[test]
fn very_many_active_producers_cost_what_they_weigh() {
    let state = |producer_id| ProducerState { producer_id, ..ProducerState::default() };
    let partition = DescribeProducersPartitionResponse {
        active_producers: (0..50_000).map(state).collect(),
        ..DescribeProducersPartitionResponse::default()
    };
    let topic = DescribeProducersTopicResponse { name: "t".to_owned(), partitions: vec![partition] };
    let response = DescribeProducersResponse { throttle_time_ms: 0, topics: vec![topic] };
    let mut writer = Writer::new();
    response.encode(0, &mut writer);
    let bytes = writer.finish().unwrap();
    let before = ALLOCATED.get();
    let read = DescribeProducersResponse::decode(0, &mut Reader::new(&bytes)).unwrap();
    let allocated = ALLOCATED.get() - before;
    assert_eq!(read, response);
    assert!(allocated < bytes.len() + bytes.len() / 8, "{allocated} bytes for {}", bytes.len());
    // Its count says one more than there are: refused before anything is allocated for them.
    let at = bytes.windows(3).position(|three| three == [0xd1, 0x86, 0x03]).expect("the count, 50001 as a varint");
    let lie = [&bytes[..at], &[0xd2], &bytes[at + 1..]].concat();
    let before = ALLOCATED.get();
    assert!(DescribeProducersResponse::decode(0, &mut Reader::new(&lie)).is_err());
    assert!(ALLOCATED.get() - before < 1000, "{}", ALLOCATED.get() - before);
}

#[test]
fn a_section_of_tagged_fields_has_an_end() {
    for (count, fields) in [(TAGS_MAX, TAGS_MAX), (TAGS_MAX + 1, TAGS_MAX + 1), (u32::MAX, 5)] {
        let mut writer = Writer::new();
        writer.uvarint32(count);
        for tag in 0..fields {
            writer.uvarint32(tag);
            writer.uvarint32(0);
        }
        let bytes = writer.finish().unwrap();
        let mut reader = Reader::new(&bytes);
        reader.set_flexible(true);
        assert_eq!(reader.skip_tags().is_ok(), count == TAGS_MAX);
    }
    // Twice the same, and descending.
    for tags in [[5, 5], [5, 4]] {
        let bytes = [2, tags[0], 0, tags[1], 0];
        let mut reader = Reader::new(&bytes);
        reader.set_flexible(true);
        assert!(reader.skip_tags().is_err());
    }
}
