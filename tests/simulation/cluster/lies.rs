//! Answers that are not what was asked. The log is the truth all the same.

use kurier::protocol::messages::produce::{ProducePartitionResponse, ProduceResponse, ProduceTopicResponse};

use super::Cluster;
use super::tickets::Ticket;

/// What is wrong with an answer to a produce request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// A correlation id that was never used, or was used long ago.
    WrongCorrelation,
    PartitionLeftOut,
    /// A partition that was not asked for.
    ForeignPartition,
    ForeignTopic,
    /// The second answer contradicts the first.
    PartitionTwice,
    /// The message ends before its end; its length says so, too.
    ShortMessage,
    /// The connection ends in the middle.
    CutFrame,
    /// More bytes than the message has.
    LongMessage,
    HugeLength,
    NegativeLength,
}

impl Lie {
    pub(crate) const ALL: [Self; 10] = [
        Self::WrongCorrelation,
        Self::PartitionLeftOut,
        Self::ForeignPartition,
        Self::ForeignTopic,
        Self::PartitionTwice,
        Self::ShortMessage,
        Self::CutFrame,
        Self::LongMessage,
        Self::HugeLength,
        Self::NegativeLength,
    ];

    /// Is it a message at all, of the request that it claims to answer?
    fn is_readable(self) -> bool {
        matches!(self, Self::PartitionLeftOut | Self::ForeignPartition | Self::ForeignTopic | Self::PartitionTwice)
    }

    /// Changes the message.
    fn twist(self, response: &mut ProduceResponse) {
        let untrue = |index: i32| ProducePartitionResponse { index, base_offset: 77, ..Default::default() };
        let partitions = response.topics.first_mut().map(|topic| &mut topic.partitions);
        match (self, partitions) {
            (Self::PartitionLeftOut, Some(partitions)) => {
                partitions.pop();
                response.topics.retain(|topic| !topic.partitions.is_empty());
            }
            (Self::ForeignPartition, Some(partitions)) => {
                let highest = partitions.iter().map(|partition| partition.index).max().unwrap_or(0);
                partitions.push(untrue(highest + 1_000));
            }
            (Self::PartitionTwice, Some(partitions)) => {
                let again = partitions.first().map_or(0, |first| first.index);
                partitions.push(untrue(again));
            }
            (Self::ForeignTopic, _) => response.topics.push(ProduceTopicResponse {
                name: "nobody asked".to_owned(),
                topic_id: [0xEE; 16],
                partitions: vec![untrue(0)],
            }),
            _ => {}
        }
    }

    /// Changes the bytes; answers whether the connection ends with them.
    fn bend(self, frame: &mut Vec<u8>) -> bool {
        let length = frame.len().saturating_sub(4) as i32;
        let mut prefix = |length: i32| {
            if let Some(prefix) = frame.first_chunk_mut() {
                *prefix = length.to_be_bytes();
            }
        };
        match self {
            Self::ShortMessage => {
                prefix(length - 3);
                frame.truncate(frame.len() - 3);
            }
            Self::LongMessage => {
                prefix(length + 2);
                frame.extend_from_slice(&[1, 2]);
            }
            Self::CutFrame => {
                frame.truncate(frame.len() / 2);
                return true;
            }
            Self::HugeLength => prefix(i32::MAX - 7),
            Self::NegativeLength => prefix(-2),
            _ => {}
        }
        false
    }
}

impl Cluster {
    /// Sends the answer to a produce request, true or not.
    pub(super) fn send_produce(
        &mut self,
        ticket: &Ticket,
        mut response: ProduceResponse,
        codes: Vec<((String, i32), i16)>,
    ) {
        let mut header = ticket.header;
        response.throttle_time_ms = self.throttle(ticket.node, header.version >= 6);
        self.mute(ticket.connection, response.throttle_time_ms);
        let lie = self.brokers.get_mut(&ticket.node).and_then(|broker| broker.lies.pop());
        if let Some(lie) = lie {
            self.count(&format!("lies: {lie:?}"));
            lie.twist(&mut response);
            if lie == Lie::WrongCorrelation {
                let off = *self.random.pick(&[1, -1, 1_000_000]).unwrap_or(&1);
                header.correlation_id = header.correlation_id.wrapping_add(off);
            }
        }
        // What a message that can be read says truly, a client may believe.
        if lie.is_none_or(Lie::is_readable) {
            let said = |(name, index): &(String, i32)| {
                let id = ticket.topics.iter().find(|(topic, _)| topic == name).map(|(_, id)| *id);
                let mut topics = response.topics.iter();
                topics.any(|topic| {
                    (topic.name == *name && Some(topic.topic_id) == id)
                        && topic.partitions.iter().any(|partition| partition.index == *index)
                })
            };
            let codes = codes.into_iter().filter(|(key, _)| said(key)).collect();
            self.sniffer.will_answer(ticket.connection, codes);
        }
        let mut bytes = header.frame(|writer| response.encode(header.version, writer));
        let ends = lie.is_some_and(|lie| lie.bend(&mut bytes));
        self.reply(ticket.connection, ticket.node, bytes, ends);
    }
}
