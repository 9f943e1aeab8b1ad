//! A request read back from its bytes, as a broker reads it.

use super::*;

/// A batch on the wire, as its bytes tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct SentPart {
    pub(in crate::engine) topic: String,
    pub(in crate::engine) topic_id: TopicUuid,
    pub(in crate::engine) index: i32,
    pub(in crate::engine) first: u64,
    pub(in crate::engine) records: u32,
    pub(in crate::engine) producer_id: i64,
    pub(in crate::engine) epoch: i16,
    pub(in crate::engine) sequence: i32,
}

/// A request on the wire.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Sent {
    pub(in crate::engine) correlation_id: i32,
    pub(in crate::engine) api: ApiKey,
    pub(in crate::engine) version: i16,
    pub(in crate::engine) parts: Vec<SentPart>,
    pub(in crate::engine) body: Vec<u8>,
}

impl Sent {
    pub(in crate::engine) fn firsts(&self) -> Vec<u64> {
        self.parts.iter().map(|part| part.first).collect()
    }
}

/// Puts a request's bytes together as the thread does and reads them as a broker does.
pub(in crate::engine) fn read(request: &Request<TestBatch>) -> Sent {
    let mut frame = request.frame.clone();
    let mut whole = Vec::new();
    let mut from = 0;
    for (end, batch) in &request.batches {
        let mut payload = batch.first.to_be_bytes().to_vec();
        payload.resize(batch.bytes, 0);
        seal_crc(&mut frame[..*end], &payload).unwrap();
        whole.extend_from_slice(&frame[from..*end]);
        whole.extend_from_slice(&payload);
        from = *end;
    }
    whole.extend_from_slice(&frame[from..]);
    let length = i32::from_be_bytes(whole[..4].try_into().unwrap());
    assert_eq!(length as usize, whole.len() - 4);
    let mut reader = Reader::new(&whole[4..]);
    let header = RequestHeader::decode(&mut reader).unwrap();
    assert_eq!(header.correlation_id, request.correlation_id);
    let api = ApiKey::from_number(header.api_key).unwrap();
    let body = whole[4 + reader.position()..].to_vec();
    let mut sent =
        Sent { correlation_id: request.correlation_id, api, version: header.api_version, parts: Vec::new(), body };
    if api == ApiKey::Produce {
        let body = sent.body.clone();
        let mut reader = Reader::new(&body);
        reader.set_flexible(api.is_flexible(sent.version));
        let produce = ProduceRequest::decode(sent.version, &mut reader).unwrap();
        for topic in produce.topics {
            for (index, records) in topic.partitions {
                let batch = batches(records.unwrap()).next().unwrap().unwrap();
                assert!(batch.is_crc_right());
                sent.parts.push(SentPart {
                    topic: topic.name.into(),
                    topic_id: topic.topic_id,
                    index,
                    first: u64::from_be_bytes(batch.payload[..8].try_into().unwrap()),
                    records: batch.header.records_count as u32,
                    producer_id: batch.header.producer_id,
                    epoch: batch.header.producer_epoch,
                    sequence: batch.header.base_sequence,
                });
            }
        }
    }
    sent
}
