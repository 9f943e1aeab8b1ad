//! Answers to Metadata, ApiVersions and InitProducerId: what a broker knows, which may be old.

use kurier::protocol::broker_code as code;
use kurier::protocol::messages::api_versions::{ApiRange, ApiVersionsRequest, ApiVersionsResponse};
use kurier::protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use kurier::protocol::messages::metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataTopic,
};
use kurier::protocol::wire::Reader;

use super::Cluster;
use super::controller::{Image, PartitionImage, TopicImage};
use super::network::{Header, Outcome};
use super::timers::Event;
use super::versions::{API_VERSIONS, Release};

impl Cluster {
    pub(super) fn metadata(&mut self, node: i32, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let Ok(request) = MetadataRequest::decode(header.version, body) else { return Outcome::Close };
        let Some(image) = self.brokers.get(&node).map(|broker| broker.image.clone()) else { return Outcome::Close };
        let mut response = MetadataResponse {
            throttle_time_ms: self.throttle(node, header.version >= 6),
            cluster_id: Some("model".to_owned()),
            controller_id: image.alive.first().copied().unwrap_or(-1),
            ..MetadataResponse::default()
        };
        if header.version >= 13 && self.refusals.metadata.left > 0 {
            response.error_code = self.refusals.metadata.take().unwrap_or(0);
            self.count(&format!("metadata answered {}", response.error_code));
            return Outcome::Answer(header.frame(|writer| response.encode(header.version, writer)));
        }
        response.brokers = image.alive.iter().filter_map(|alive| self.address(*alive)).collect();
        match &request.topics {
            None => {
                for (name, topic) in &image.topics {
                    response.topics.push(describe(name, topic, &image));
                }
            }
            Some(topics) => {
                for topic in topics {
                    let may_create = request.allow_auto_topic_creation;
                    response.topics.push(self.topic(topic, may_create, &image));
                }
            }
        }
        Outcome::Answer(header.frame(|writer| response.encode(header.version, writer)))
    }

    fn address(&self, node: i32) -> Option<MetadataBroker> {
        let broker = self.brokers.get(&node)?;
        let (host, port) = (broker.host.clone(), i32::from(broker.port));
        Some(MetadataBroker { node_id: node, host, port, rack: None })
    }

    fn topic(&mut self, asked: &MetadataRequestTopic, may_create: bool, image: &Image) -> MetadataTopic {
        let missing = |error_code: i16| MetadataTopic {
            error_code,
            name: asked.name.clone(),
            topic_id: asked.topic_id,
            ..MetadataTopic::default()
        };
        let Some(name) = &asked.name else {
            return match image.by_id(asked.topic_id) {
                Some((name, topic)) => describe(name, topic, image),
                None => missing(code::UNKNOWN_TOPIC_ID),
            };
        };
        let refused = self.refusals.metadata_topics.iter_mut().find(|(topic, few)| topic == name && few.left > 0);
        if let Some(error_code) = refused.and_then(|(_, few)| few.take()) {
            self.count(&format!("metadata answered {error_code}"));
            return missing(error_code);
        }
        if let Some(topic) = image.topics.get(name) {
            return describe(name, topic, image);
        }
        let is_to_come = self.profile.topics.iter().any(|topic| topic.name == *name && !topic.exists);
        if may_create && is_to_come && !self.controller.image.topics.contains_key(name) {
            if self.controller.coming.insert(name.clone()) {
                let delay = self.random.millis(0..=800);
                self.timers.set(self.now + delay, Event::CreateTopic { name: name.clone() }, None);
                self.count("topics created on demand");
            }
            // Older brokers answered the one while they created a topic, newer ones the other.
            let is_old = self.profile.release.number < 208;
            return missing(if is_old { code::LEADER_NOT_AVAILABLE } else { code::UNKNOWN_TOPIC_OR_PARTITION });
        }
        missing(code::UNKNOWN_TOPIC_OR_PARTITION)
    }

    /// How long the client shall leave this broker alone, if a fault says so.
    pub(super) fn throttle(&mut self, node: i32, is_told: bool) -> i32 {
        let Some(broker) = self.brokers.get_mut(&node).filter(|broker| broker.throttles > 0 && is_told) else {
            return 0;
        };
        broker.throttles -= 1;
        let throttle_ms = broker.throttle_ms;
        self.count("answers throttled");
        throttle_ms
    }

    pub(super) fn api_versions(&mut self, release: &Release, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let Ok(request) = ApiVersionsRequest::decode(header.version, body) else { return Outcome::Close };
        let is_named = |name: &str| {
            let plain = |letter: u8| letter.is_ascii_alphanumeric();
            let within = |letter: u8| plain(letter) || matches!(letter, b'-' | b'.');
            name.bytes().all(within) && [name.bytes().next(), name.bytes().last()].into_iter().flatten().all(plain)
        };
        let named = [&request.client_software_name, &request.client_software_version];
        if header.version >= 3 && named.iter().any(|name| name.is_empty() || !is_named(name)) {
            self.sniffer.violation(format!("client software name or version is not allowed: {named:?}"));
        }
        let mut response = ApiVersionsResponse { api_keys: ranges(release), ..ApiVersionsResponse::default() };
        if release.number >= 400 {
            response.finalized_features_epoch = 7;
            response.finalized_features = vec![("transaction.version".to_owned(), 2, 2)];
        }
        Outcome::Answer(header.frame(|writer| response.encode(header.version, writer)))
    }

    /// ApiVersions in a version that this broker does not know: an error that every client can read.
    pub(super) fn unsupported(&mut self, release: &Release, header: &Header) -> Outcome {
        self.count("ApiVersions of an unknown version");
        let mut api_keys = Vec::new();
        if release.lists_on_unsupported() {
            api_keys = ranges(release).into_iter().filter(|range| range.api_key == API_VERSIONS).collect();
        }
        let error_code = code::UNSUPPORTED_VERSION;
        let response = ApiVersionsResponse { error_code, api_keys, ..ApiVersionsResponse::default() };
        let header = Header { version: 0, ..*header };
        Outcome::Answer(header.frame(|writer| response.encode(0, writer)))
    }

    pub(super) fn init_producer_id(&mut self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        if InitProducerIdRequest::decode(header.version, body).is_err() {
            return Outcome::Close;
        }
        let mut response = InitProducerIdResponse { producer_id: -1, producer_epoch: -1, ..Default::default() };
        if let Some(error_code) = self.refusals.init.take() {
            response.error_code = error_code;
            self.count(&format!("InitProducerId answered {error_code}"));
        } else {
            // Every broker gives numbers out of blocks of its own.
            self.next_producer_id += self.random.range(1..=1_000) as i64;
            response.producer_id = self.next_producer_id;
            response.producer_epoch = self.profile.first_epoch;
            self.count("producer ids given");
        }
        Outcome::Answer(header.frame(|writer| response.encode(header.version, writer)))
    }
}

fn ranges(release: &Release) -> Vec<ApiRange> {
    let offers = release.offers().into_iter();
    offers.map(|(api_key, min_version, max_version)| ApiRange { api_key, min_version, max_version }).collect()
}

fn describe(name: &str, topic: &TopicImage, image: &Image) -> MetadataTopic {
    let partitions = (0..).zip(&topic.partitions).map(|(index, one)| partition(index, one, image)).collect();
    MetadataTopic { name: Some(name.to_owned()), topic_id: topic.id, partitions, ..MetadataTopic::default() }
}

fn partition(index: i32, one: &PartitionImage, image: &Image) -> MetadataPartition {
    let has_leader = image.alive.contains(&one.leader);
    MetadataPartition {
        error_code: if has_leader { 0 } else { code::LEADER_NOT_AVAILABLE },
        partition_index: index,
        leader_id: if has_leader { one.leader } else { -1 },
        leader_epoch: one.epoch,
        replica_nodes: one.replicas.clone(),
        isr_nodes: one.isr.clone(),
        offline_replicas: one.replicas.iter().copied().filter(|node| !image.alive.contains(node)).collect(),
    }
}
