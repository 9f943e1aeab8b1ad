//! What the releases of Apache Kafka speak, and where their brokers behave differently towards a producer.

use std::ops::RangeInclusive;

pub(crate) const PRODUCE: i16 = 0;
pub(crate) const METADATA: i16 = 3;
pub(crate) const API_VERSIONS: i16 = 18;
pub(crate) const INIT_PRODUCER_ID: i16 = 22;
pub(crate) const DESCRIBE_PRODUCERS: i16 = 61;

/// A release: its number and the highest version of each API (from the message definitions at its tag).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// 201 is 2.1.
    pub(crate) number: u32,
    produce: i16,
    metadata: i16,
    api_versions: i16,
    init_producer_id: i16,
}

const fn release(number: u32, produce: i16, metadata: i16, api_versions: i16, init_producer_id: i16) -> Release {
    Release { number, produce, metadata, api_versions, init_producer_id }
}

pub(crate) const RELEASES: [Release; 13] = [
    release(201, 7, 7, 2, 1),
    release(203, 7, 8, 2, 1),
    release(204, 8, 9, 3, 2),
    release(205, 8, 9, 3, 3),
    release(207, 8, 9, 3, 4),
    release(208, 9, 11, 3, 4),
    release(301, 9, 12, 3, 4),
    release(306, 9, 12, 3, 4),
    release(307, 10, 12, 3, 4),
    release(308, 11, 12, 3, 5),
    release(400, 12, 13, 4, 5),
    release(401, 13, 13, 4, 5),
    release(402, 13, 13, 4, 5),
];

impl Release {
    /// The versions that a broker of this release answers; `None`: it does not know the API.
    pub(crate) fn range(&self, api: i16) -> Option<RangeInclusive<i16>> {
        match api {
            // KIP-896 took away the versions below 3.
            PRODUCE if self.number >= 400 => Some(3..=self.produce),
            PRODUCE => Some(0..=self.produce),
            METADATA => Some(0..=self.metadata),
            API_VERSIONS => Some(0..=self.api_versions),
            INIT_PRODUCER_ID => Some(0..=self.init_producer_id),
            DESCRIBE_PRODUCERS if self.has_describe_producers() => Some(0..=0),
            _ => None,
        }
    }

    /// What its answer to ApiVersions says: 4.0 and later claim Produce 0 to 2, too, which they do not speak, because
    /// librdkafka looked for them.
    pub(crate) fn offers(&self) -> Vec<(i16, i16, i16)> {
        let apis = [PRODUCE, METADATA, API_VERSIONS, INIT_PRODUCER_ID, DESCRIBE_PRODUCERS];
        let ranges = apis.into_iter().filter_map(|api| Some((api, self.range(api)?)));
        ranges.map(|(api, range)| (api, if api == PRODUCE { 0 } else { *range.start() }, *range.end())).collect()
    }

    /// KIP-664.
    pub(crate) fn has_describe_producers(&self) -> bool {
        self.number >= 208
    }

    /// KIP-516.
    pub(crate) fn has_topic_ids(&self) -> bool {
        self.number >= 208
    }

    /// Until KIP-360 (2.5) a producer that the broker did not know had to begin at sequence 0, and whose records
    /// retention took away was forgotten: UNKNOWN_PRODUCER_ID.
    pub(crate) fn refuses_unknown_producers(&self) -> bool {
        self.number < 205
    }

    /// KIP-966: the high watermark stands still while fewer replicas are in sync than the topic demands.
    pub(crate) fn holds_watermark(&self) -> bool {
        self.number >= 307
    }

    /// KIP-511: an ApiVersions request of a version too high is answered with the range of that API.
    pub(crate) fn lists_on_unsupported(&self) -> bool {
        self.number >= 204
    }
}
