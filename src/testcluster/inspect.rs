//! What a test may look at from inside: records as they are stored, and what clients asked for.

use std::sync::atomic::Ordering;

use super::versions::{APIS, index_of_number};
use super::{Cluster, records};
use crate::protocol::messages::ApiKey;

/// A record as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredRecord {
    /// Partition number.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp: the producer's, or the broker's where the topic says so.
    pub timestamp_ms: i64,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The headers: name and value, in order.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Cluster {
    /// The records of a topic that are kept, by partition and offset; none for a topic that is not there. A batch
    /// whose records cannot be read, which a broker would have refused, gives none.
    #[must_use]
    pub fn records(&self, topic: &str) -> Vec<StoredRecord> {
        let partitions = self.shared.state.lock().topics.get(topic).map(|topic| topic.partitions.clone());
        let mut stored = Vec::new();
        for (index, partition) in (0..).zip(partitions.unwrap_or_default()) {
            // Copied first: decoding takes long, and the brokers go on meanwhile.
            let batches: Vec<Vec<u8>> = partition.lock().log.batches_from(0).map(|(_, bytes)| bytes.to_vec()).collect();
            for batch in batches {
                records::for_each(&batch, |offset, timestamp_ms, record| {
                    stored.push(StoredRecord {
                        partition: index,
                        offset,
                        timestamp_ms,
                        key: record.key.map(<[u8]>::to_vec),
                        value: record.value.map(<[u8]>::to_vec),
                        headers: record
                            .headers
                            .iter()
                            .map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec)))
                            .collect(),
                    });
                });
            }
        }
        stored
    }

    /// The next offset of each partition of a topic: how many records were ever appended.
    #[must_use]
    pub fn next_offsets(&self, topic: &str) -> Vec<i64> {
        let state = self.shared.state.lock();
        let partitions = state.topics.get(topic).map(|topic| topic.partitions.as_slice()).unwrap_or_default();
        partitions.iter().map(|partition| partition.lock().log.next_offset()).collect()
    }

    /// The batches of a partition that are kept, as they are stored.
    #[must_use]
    pub fn batches(&self, topic: &str, partition: i32) -> Vec<Vec<u8>> {
        let state = self.shared.state.lock();
        let place = usize::try_from(partition).ok();
        let found = state.topics.get(topic).and_then(|topic| topic.partitions.get(place?)).cloned();
        drop(state);
        let Some(found) = found else { return Vec::new() };
        let found = found.lock();
        found.log.batches_from(0).map(|(_, bytes)| bytes.to_vec()).collect()
    }

    /// How many bytes of batches each partition of a topic keeps.
    #[must_use]
    pub fn stored_bytes(&self, topic: &str) -> Vec<usize> {
        let state = self.shared.state.lock();
        let partitions = state.topics.get(topic).map(|topic| topic.partitions.as_slice()).unwrap_or_default();
        partitions.iter().map(|partition| partition.lock().log.bytes()).collect()
    }

    /// Leader and leader epoch of each partition of a topic.
    #[must_use]
    pub fn leaders(&self, topic: &str) -> Vec<(i32, i32)> {
        let state = self.shared.state.lock();
        let partitions = state.topics.get(topic).map(|topic| topic.partitions.as_slice()).unwrap_or_default();
        let leader = |partition: &super::state::Partition| (partition.leader, partition.leader_epoch);
        partitions.iter().map(|partition| leader(&partition.lock())).collect()
    }

    /// How many requests of an API came in, since the start.
    #[must_use]
    pub fn requests(&self, api: ApiKey) -> u64 {
        let count = index_of_number(api as i16).and_then(|index| self.shared.counters.requests.get(index));
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// How many batches all produce requests carried, whatever became of them.
    #[must_use]
    pub fn produce_batches(&self) -> u64 {
        self.shared.counters.produce_batches.load(Ordering::Relaxed)
    }

    /// The version of the last request of each API that was asked.
    #[must_use]
    pub fn last_versions(&self) -> Vec<(ApiKey, i16)> {
        let versions = self.shared.counters.versions.iter().map(|version| version.load(Ordering::Relaxed));
        APIS.iter().map(|(api, _)| *api).zip(versions).filter(|(_, version)| *version >= 0).collect()
    }

    /// The producer ids that were given out, in order.
    #[must_use]
    pub fn producer_ids(&self) -> Vec<i64> {
        self.shared.state.lock().producer_ids().collect()
    }

    /// What a partition remembers of producers: id, epoch and last sequence of each, by id.
    #[must_use]
    pub fn last_sequences(&self, topic: &str, partition: i32) -> Vec<(i64, i16, i32)> {
        let state = self.shared.state.lock();
        let place = usize::try_from(partition).ok();
        let found = state.topics.get(topic).and_then(|topic| topic.partitions.get(place?));
        let last = |(producer_id, epoch, last_sequence, _)| (producer_id, epoch, last_sequence);
        found.map(|partition| partition.lock().producers.states(0).map(last).collect()).unwrap_or_default()
    }

    /// How many connections are open, over all brokers.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.brokers.lock().iter().map(super::broker::Broker::connections).sum()
    }
}
