//! Metadata asked for, and one produce request encoded beforehand, with the library's protocol module. Replay of
//! `bench/peers` and the probe of `bench/chaos` are made of this.

use std::io::{Read, Write};
use std::net::TcpStream;

use kurier::protocol::batch_header::{BatchHeader, seal_crc};
use kurier::protocol::compression::{Codec, Compressor};
use kurier::protocol::messages::ApiKey;
use kurier::protocol::messages::header::{PREFIX_BYTES, decode_response_header, request_frame};
use kurier::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use kurier::protocol::messages::produce::ProduceResponse;
use kurier::protocol::messages::produce_writer::ProduceWriter;
use kurier::protocol::record::{RecordBody, encode, record_bytes};
use kurier::protocol::wire::Reader;

const METADATA_VERSION: i16 = 7;
/// The newest with topics by name.
const PRODUCE_VERSION: i16 = 9;
const FRAME_MAX: usize = 1 << 26;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A broker and the partitions that it leads.
#[derive(Clone, Debug)]
pub struct Leader {
    pub address: String,
    pub partitions: Vec<i32>,
}

/// Reads one frame, without its length.
pub fn read_frame(stream: &mut impl Read) -> Result<Vec<u8>, Failure> {
    let mut prefix = [0; PREFIX_BYTES];
    stream.read_exact(&mut prefix)?;
    let length = kurier::protocol::messages::header::frame_length(prefix, FRAME_MAX)?;
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}

/// What a broker knows of these topics.
pub fn metadata(stream: &mut TcpStream, topics: &[&str]) -> Result<MetadataResponse, Failure> {
    let named = |topic: &&str| MetadataRequestTopic { name: Some((*topic).to_owned()), ..Default::default() };
    let topics = Some(topics.iter().map(named).collect());
    let request = MetadataRequest { topics, allow_auto_topic_creation: false };
    let frame = request_frame(ApiKey::Metadata, METADATA_VERSION, 1, Some("replay"), |version, writer| {
        request.encode(version, writer);
    });
    stream.write_all(&frame.map_err(|error| error.0)?)?;
    let answer = read_frame(stream)?;
    let mut reader = Reader::new(&answer);
    decode_response_header(ApiKey::Metadata, METADATA_VERSION, &mut reader)?;
    Ok(MetadataResponse::decode(METADATA_VERSION, &mut reader)?)
}

/// Who leads what of a topic.
pub fn leaders(bootstrap: &str, topic: &str) -> Result<Vec<Leader>, Failure> {
    let mut stream = TcpStream::connect(bootstrap.split(',').next().unwrap_or_default())?;
    let answer = metadata(&mut stream, &[topic])?;
    let partitions = answer.topics.first().map(|topic| topic.partitions.as_slice()).unwrap_or_default();
    let mut leaders: Vec<Leader> = answer
        .brokers
        .iter()
        .map(|broker| {
            let led = partitions.iter().filter(|partition| partition.leader_id == broker.node_id);
            let address = format!("{}:{}", broker.host, broker.port);
            Leader { address, partitions: led.map(|partition| partition.partition_index).collect() }
        })
        .collect();
    leaders.retain(|leader| !leader.partitions.is_empty());
    if leaders.is_empty() { Err(format!("nobody leads {topic}").into()) } else { Ok(leaders) }
}

/// Records of one batch, uncompressed, and how many.
pub fn encode_records(values: &[u8], value_bytes: usize, first: usize, bytes_max: usize) -> (Vec<u8>, u32) {
    let (mut payload, mut count) = (Vec::with_capacity(bytes_max), 0);
    for value in values.chunks_exact(value_bytes).cycle().skip(first) {
        let body = RecordBody { key: None, value: Some(value), headers: &[] };
        let size = record_bytes(body.fixed_bytes(), 0, count);
        let at = payload.len();
        if at + size > bytes_max && count > 0 {
            break;
        }
        payload.resize(at + size, 0);
        encode(&body, body.fixed_bytes(), 0, count, &mut payload[at..]);
        count += 1;
    }
    (payload, count)
}

/// A produce request with one batch for each partition, and how many records it carries.
pub fn produce(
    topic: &str,
    partitions: &[i32],
    acks: i16,
    codec: Codec,
    values: (&[u8], usize),
    request_bytes: usize,
) -> Result<(Vec<u8>, u64), Failure> {
    let now_ms = std::time::UNIX_EPOCH.elapsed()?.as_millis();
    let now_ms = i64::try_from(now_ms)?;
    let mut writer = ProduceWriter::new(PRODUCE_VERSION, 1, "replay", None, acks, 30_000, 1);
    let mut compressor = Compressor::new();
    let (mut payloads, mut records, mut first) = (Vec::new(), 0, 0);
    writer.topic(topic, [0; 16], partitions.len());
    for partition in partitions {
        let (plain, count) = encode_records(values.0, values.1, first, request_bytes / partitions.len());
        first += count as usize;
        records += u64::from(count);
        let mut payload = Vec::new();
        compressor.compress(codec, codec.default_level(), &plain, &mut payload)?;
        let header = BatchHeader {
            attributes: codec as i16,
            last_offset_delta: i32::try_from(count)? - 1,
            base_timestamp_ms: now_ms,
            max_timestamp_ms: now_ms,
            records_count: i32::try_from(count)?,
            ..BatchHeader::default()
        };
        writer.partition(*partition, &header, payload.len());
        payloads.push(payload);
    }
    writer.end_topic();
    let (frame, ends) = writer.finish().map_err(|error| error.0)?;
    let (mut request, mut from) = (Vec::new(), 0);
    for (end, payload) in ends.iter().zip(&payloads) {
        request.extend(&frame[from..*end]);
        seal_crc(&mut request, payload)?;
        request.extend(payload);
        from = *end;
    }
    request.extend(&frame[from..]);
    Ok((request, records))
}

/// The first error in an answer to it, if any.
pub fn error_of(answer: &[u8]) -> Result<Option<i16>, Failure> {
    let mut reader = Reader::new(answer);
    decode_response_header(ApiKey::Produce, PRODUCE_VERSION, &mut reader)?;
    let answer = ProduceResponse::decode(PRODUCE_VERSION, &mut reader)?;
    let mut codes = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
    Ok(codes.find(|code| *code != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurier::testcluster::Cluster;

    #[test]
    fn what_is_sent_again_is_taken_each_time_with_every_codec() {
        let cluster = Cluster::start(1).unwrap();
        for codec in Codec::ALL {
            let topic = codec.name();
            cluster.command(&format!("create {topic} 3")).unwrap();
            let leaders = leaders(&cluster.address(), topic).unwrap();
            assert_eq!((leaders.len(), leaders[0].partitions.len()), (1, 3));
            let values = (&[7; 1000][..], 100);
            let (request, count) = produce(topic, &leaders[0].partitions, -1, *codec, values, 3000).unwrap();
            let mut stream = TcpStream::connect(&leaders[0].address).unwrap();
            for _ in 0..2 {
                stream.write_all(&request).unwrap();
                assert_eq!(error_of(&read_frame(&mut stream).unwrap()).unwrap(), None);
            }
            let offsets = cluster.next_offsets(topic);
            assert_eq!(offsets.iter().sum::<i64>(), 2 * i64::try_from(count).unwrap());
            assert_eq!(cluster.records(topic)[0].value.as_deref(), Some(&[7; 100][..]));
        }
    }
}
