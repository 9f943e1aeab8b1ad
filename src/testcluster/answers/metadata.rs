//! Metadata: brokers, topics, leaders; a topic that is missing is created on first use.

use super::Reply;
use crate::protocol::broker_code::{
    LEADER_NOT_AVAILABLE, REBOOTSTRAP_REQUIRED, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION,
};
use crate::protocol::messages::TopicUuid;
use crate::protocol::messages::metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
};
use crate::protocol::wire::Reader;
use crate::testcluster::connection::Request;
use crate::testcluster::faults::Failure;
use crate::testcluster::hostile;
use crate::testcluster::state::{PARTITIONS_ON_FIRST_USE, State};

const CLUSTER_ID: &str = "kurier-embedded-cluster";
const HOST: &str = "127.0.0.1";
const REPLICAS_MAX: usize = 3;

pub(super) fn answer(request: &Request<'_>, reader: &mut Reader<'_>) -> Reply {
    let Ok(asked) = MetadataRequest::decode(request.version, reader) else { return Reply::Close };
    let mut state = request.shared.state.lock();
    let mut response = describe(&mut state, &asked);
    response.throttle_time_ms = request.plan.throttle_ms;
    fail(&mut state, request, &mut response);
    drop(state);
    hostile::spoil_metadata(request.plan.hostile, &mut response.topics);
    request.reply(|version, writer| response.encode(version, writer))
}

fn describe(state: &mut State, asked: &MetadataRequest) -> MetadataResponse {
    let topics = match &asked.topics {
        None => state.topics.keys().cloned().collect::<Vec<_>>().iter().map(|name| topic(state, name, false)).collect(),
        Some(topics) => topics
            .iter()
            .map(|wanted| match &wanted.name {
                Some(name) => topic(state, name, asked.allow_auto_topic_creation),
                None => topic_by_id(state, wanted.topic_id),
            })
            .collect(),
    };
    let broker = |id, port| MetadataBroker { node_id: id, host: HOST.into(), port: i32::from(port), rack: None };
    MetadataResponse {
        throttle_time_ms: 0,
        brokers: state.live().map(|node| broker(node.id, node.port)).collect(),
        cluster_id: Some(CLUSTER_ID.into()),
        controller_id: state.live_by_turn(0),
        topics,
        error_code: 0,
    }
}

fn topic_by_id(state: &mut State, id: TopicUuid) -> MetadataTopic {
    match state.names.get(&id).cloned() {
        Some(name) => topic(state, &name, false),
        None => MetadataTopic { error_code: UNKNOWN_TOPIC_ID, topic_id: id, ..MetadataTopic::default() },
    }
}

fn topic(state: &mut State, name: &str, may_create: bool) -> MetadataTopic {
    let refused = |error_code| MetadataTopic { error_code, name: Some(name.to_owned()), ..MetadataTopic::default() };
    if !state.topics.contains_key(name) {
        if !may_create {
            return refused(UNKNOWN_TOPIC_OR_PARTITION);
        }
        if let Err(code) = state.create(name, PARTITIONS_ON_FIRST_USE, false, None) {
            return refused(code);
        }
    }
    let Some(topic) = state.topics.get(name) else { return refused(UNKNOWN_TOPIC_OR_PARTITION) };
    let partitions = (0..).zip(&topic.partitions).map(|(index, partition)| {
        let (leader, leader_epoch) = {
            let partition = partition.lock();
            (partition.leader, partition.leader_epoch)
        };
        describe_partition(state, index, leader, leader_epoch)
    });
    MetadataTopic {
        error_code: 0,
        name: Some(name.to_owned()),
        topic_id: topic.id,
        is_internal: false,
        partitions: partitions.collect(),
    }
}

/// Any broker can lead any partition; up to three are named as replicas, the leader first.
fn describe_partition(state: &State, index: i32, leader: i32, leader_epoch: i32) -> MetadataPartition {
    let led = state.nodes.iter().filter(|node| node.id == leader);
    let others = state.nodes.iter().filter(|node| node.id != leader);
    let replicas: Vec<_> = led.chain(others).take(REPLICAS_MAX).collect();
    MetadataPartition {
        error_code: if leader == -1 { LEADER_NOT_AVAILABLE } else { 0 },
        partition_index: index,
        leader_id: leader,
        leader_epoch,
        replica_nodes: replicas.iter().map(|node| node.id).collect(),
        isr_nodes: replicas.iter().filter(|node| node.live).map(|node| node.id).collect(),
        offline_replicas: replicas.iter().filter(|node| !node.live).map(|node| node.id).collect(),
    }
}

/// Puts in the errors that were ordered: at the whole answer, at a topic, or at a partition.
fn fail(state: &mut State, request: &Request<'_>, response: &mut MetadataResponse) {
    let rebootstrap = |failure: &Failure| failure.api == request.api_index && failure.code == REBOOTSTRAP_REQUIRED;
    let failures = &mut state.faults.failures;
    if let Some(failure) = failures.iter_mut().find(|failure| rebootstrap(failure)) {
        failure.left -= 1;
        failures.retain(|failure| failure.left > 0);
        response.error_code = REBOOTSTRAP_REQUIRED;
        return;
    }
    let names: Vec<_> = response.topics.iter().map(|topic| topic.name.clone().unwrap_or_default()).collect();
    let targets: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
    let hits = state.faults.fail(request.api_index, &targets);
    for (topic, failure) in response.topics.iter_mut().zip(hits) {
        let Some(failure) = failure else { continue };
        let Some(wanted) = failure.partition else {
            topic.error_code = failure.code;
            topic.partitions.clear();
            continue;
        };
        for partition in topic.partitions.iter_mut().filter(|partition| partition.partition_index == wanted) {
            partition.error_code = failure.code;
            partition.leader_id = -1;
        }
    }
}
