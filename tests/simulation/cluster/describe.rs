//! DescribeProducers (61, version 0; KIP-664): what a leader knows of its producers. Read and written here by hand.

use kurier::protocol::broker_code as code;
use kurier::protocol::wire::{Malformed, Reader, Writer};

use super::Cluster;
use super::network::{Header, Outcome};
use super::partition::Key;
use super::refusals::Oddity;
use super::replica::Replica;
use super::timers::Event;

/// A producer on a partition, or why the leader does not tell.
struct Described {
    index: i32,
    error_code: i16,
    /// Id, epoch, last sequence, last timestamp.
    producers: Vec<(i64, i32, i32, i64)>,
}

fn decode(reader: &mut Reader<'_>) -> Result<Vec<(String, Vec<i32>)>, Malformed> {
    let topics = reader.array(3, |reader| {
        let name = reader.string()?.to_owned();
        let indexes = reader.array(4, Reader::int32)?;
        reader.skip_tags()?;
        Ok((name, indexes))
    })?;
    reader.skip_tags()?;
    reader.end()?;
    Ok(topics)
}

fn encode(topics: &[(String, Vec<Described>)], throttle_ms: i32, writer: &mut Writer) {
    writer.int32(throttle_ms);
    writer.array(topics, |writer, (name, partitions)| {
        writer.string(name);
        writer.array(partitions, |writer, partition| {
            writer.int32(partition.index);
            writer.int16(partition.error_code);
            writer.string_or_null(None);
            writer.array(&partition.producers, |writer, (id, epoch, last_sequence, last_timestamp)| {
                writer.int64(*id);
                writer.int32(*epoch);
                writer.int32(*last_sequence);
                writer.int64(*last_timestamp);
                // Neither a coordinator's epoch nor a transaction.
                writer.int32(-1);
                writer.int64(-1);
                writer.no_tags();
            });
            writer.no_tags();
        });
        writer.no_tags();
    });
    writer.no_tags();
}

impl Cluster {
    pub(super) fn describe_producers(&mut self, node: i32, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let Ok(asked) = decode(body) else {
            self.sniffer.violation("a DescribeProducers request that cannot be read".to_owned());
            return Outcome::Close;
        };
        let mut topics = Vec::with_capacity(asked.len());
        for (name, indexes) in asked {
            let mut described: Vec<Described> =
                indexes.iter().map(|index| self.describe(node, &name, *index)).collect();
            if described.iter().any(|one| !one.producers.is_empty()) {
                self.twist(&name, &mut described);
            }
            topics.push((name, described));
        }
        let throttle_ms = self.throttle(node, true);
        Outcome::Answer(header.frame(|writer| encode(&topics, throttle_ms, writer)))
    }

    /// Something odd about the answer, if a fault says so.
    fn twist(&mut self, name: &str, described: &mut Vec<Described>) {
        let Some(oddity) = self.refusals.oddities.pop() else { return };
        self.count(&format!("DescribeProducers: {oddity:?}"));
        match oddity {
            Oddity::LeftOut => described.clear(),
            Oddity::LaterEpoch => {
                let producers = described.iter_mut().flat_map(|one| &mut one.producers);
                producers.for_each(|(_, epoch, ..)| *epoch += 1);
            }
            Oddity::Anew => {
                self.delete_topic(name);
                self.timers.set(self.now, Event::CreateTopic { name: name.to_owned() }, None);
            }
        }
    }

    fn describe(&mut self, node: i32, name: &str, index: i32) -> Described {
        let mut described = Described { index, error_code: 0, producers: Vec::new() };
        if let Some(error_code) = self.refusals.describe.take() {
            described.error_code = error_code;
            self.count(&format!("DescribeProducers answered {error_code}"));
            return described;
        }
        let Some(broker) = self.brokers.get(&node) else { return described };
        let topic = broker.image.topics.get(name);
        let number = topic.filter(|topic| (0..topic.partitions.len() as i32).contains(&index)).map(|one| one.number);
        let Some(number) = number else {
            described.error_code = code::UNKNOWN_TOPIC_OR_PARTITION;
            return described;
        };
        let partition = self.partitions.get(&Key { topic: number, index });
        let leader = partition.and_then(|partition| partition.replica(node));
        match leader.filter(|replica: &&Replica| replica.leadership().is_some()) {
            Some(replica) if self.now < replica.offline_until => described.error_code = code::KAFKA_STORAGE_ERROR,
            // What followers do not have yet counts, too: the leader may be none any more.
            Some(replica) => {
                for (id, known) in replica.producers.iter() {
                    let last = known.batches.back();
                    let sequence = last.map_or(-1, |last| last.last);
                    let timestamp_ms = last.map_or(-1, |last| last.timestamp_ms);
                    described.producers.push((id, i32::from(known.epoch), sequence, timestamp_ms));
                }
            }
            None => described.error_code = code::NOT_LEADER_OR_FOLLOWER,
        }
        described
    }
}
