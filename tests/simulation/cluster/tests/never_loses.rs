//! Under any faults but those that take records away, what was acknowledged is in the log where the answer said.

use std::collections::BTreeMap;

use super::client::{MS, Peer, SECOND, Spec};
use crate::cluster::{Cluster, Fault, Kind, Profile};
use crate::random::Random;

/// Kinds that take records away, or say what is not so.
const OTHERS: [Kind; 4] = [Kind::UncleanElect, Kind::PowerLoss, Kind::Recreate, Kind::Lie];

/// One seed: a careless client that sends each batch to whoever may lead, once, and notes what it was promised.
fn play(seed: u64) -> (Cluster, BTreeMap<(i32, i64), i64>) {
    let mut random = Random::new(seed);
    let mut profile = Profile::draw(&mut random);
    profile.topics.truncate(1);
    profile.topics[0].name = "t".to_owned();
    profile.topics[0].exists = true;
    profile.message_bytes_max = 1 << 20;
    profile.kinds = Kind::ALL.iter().map(|(kind, _)| *kind).filter(|kind| !OTHERS.contains(kind)).collect();
    let (brokers, partitions) = (profile.brokers, profile.topics[0].partitions);
    let mut peer = Peer::with_seed(profile, random.next());
    peer.version = peer.version.min(7);
    let mut promised = BTreeMap::new();
    let mut next: BTreeMap<i32, i32> = BTreeMap::new();
    for mark in 0..120 {
        if random.chance(30)
            && let Some(fault) = Fault::draw(&peer.cluster, &mut random)
        {
            peer.cluster.inject(&fault, peer.now);
        }
        let index = random.below(partitions as u64) as i32;
        let node = random.range(1..=u64::from(brokers)) as i32;
        let node = if random.chance(80) {
            peer.cluster.controller.image.topics["t"].partitions[index as usize].leader
        } else {
            node
        };
        if !peer.cluster.accept(node, mark as u64 + 1_000, peer.now) {
            peer.pass(random.millis(1..=2_000));
            continue;
        }
        let first = *next.get(&index).unwrap_or(&0);
        let batch = Spec { id: 7, epoch: 0, first, count: 2, mark };
        peer.timeout_ms = random.range(1..=5_000) as i32;
        peer.send(mark as u64 + 1_000, &[(index, batch)]);
        if let Some(answer) = peer.answer_within(mark as u64 + 1_000, random.millis(1..=10_000)) {
            let answer = &answer.topics[0].partitions[0];
            if answer.error_code == 0 {
                promised.insert((index, answer.base_offset), i64::from(first));
                next.insert(index, first + 2);
            }
        }
        peer.cluster.close(mark as u64 + 1_000, peer.now);
        peer.pass(random.millis(0..=200));
    }
    peer.cluster.heal(peer.now);
    peer.pass(20 * SECOND);
    assert_settled(&peer.cluster, seed);
    (peer.cluster, promised)
}

/// All replicas are in sync, have the same log, and all of it is committed.
fn assert_settled(cluster: &Cluster, seed: u64) {
    for (name, key) in cluster.present() {
        let image = cluster.controller.image.partition(&name, key).unwrap();
        assert_eq!(image.isr.len(), image.replicas.len(), "seed {seed}, {key:?}: {image:?}");
        let partition = &cluster.partitions[&key];
        for replica in &partition.replicas {
            let ends = (replica.end(), replica.same_as(&partition.truth), replica.entries.len());
            let truth = partition.truth.len();
            assert_eq!(
                ends,
                (partition.truth.last().map_or(0, |last| last.end()), truth, truth),
                "seed {seed}, {key:?}"
            );
        }
    }
}

#[test]
fn what_was_promised_is_there_whatever_fails() {
    let mut faults = BTreeMap::new();
    let mut promises = 0;
    for seed in 0..300 {
        let (cluster, promised) = play(seed);
        promises += promised.len();
        for ((index, offset), first) in promised {
            assert!(!cluster.lost("t", index), "seed {seed}");
            let log = cluster.log("t", index);
            let record = log.iter().find(|record| record.offset == offset);
            let found = record.map(|record| i64::from(record.sequence));
            assert_eq!(found, Some(first), "seed {seed}: partition {index}, offset {offset} of {}", log.len());
        }
        let counts = cluster.counts();
        assert_eq!(counts.get("committed records lost by a clean election"), None, "seed {seed}");
        for (name, count) in counts {
            *faults.entry(name.clone()).or_insert(0) += count;
        }
    }
    assert!(promises > 5_000, "{promises} promises: {faults:#?}");
    for (name, least) in [
        ("batches appended by a leader that is none any more", 20),
        ("answered 6", 50),
        ("answered 7", 50),
        ("answered 19", 5),
        ("answered 45", 20),
        ("repeats recognized", 20),
        ("crashes after the append", 20),
        ("replicas out of sync", 20),
    ] {
        assert!(faults.get(name).is_some_and(|count| *count >= least), "{name}: {faults:#?}");
    }
}

#[test]
fn the_same_seed_does_the_same() {
    for seed in 0..10 {
        let (first, promised) = play(seed);
        let (again, promised_again) = play(seed);
        assert_eq!(promised, promised_again);
        assert_eq!(first.counts(), again.counts());
        assert_eq!(first.log("t", 0), again.log("t", 0));
        assert_eq!(first.violations(), again.violations());
    }
}

#[test]
fn every_kind_of_fault_can_be_drawn_and_endured() {
    let mut random = Random::new(3);
    for (kind, _) in Kind::ALL {
        for _ in 0..20 {
            let mut peer = Peer::with_seed(Profile::draw(&mut random), random.next());
            let fault = Fault::draw_of(kind, &peer.cluster, &mut random);
            peer.cluster.inject(&fault, peer.now);
            peer.pass(random.millis(0..=20_000));
            peer.cluster.heal(peer.now);
            peer.pass(10 * SECOND + MS);
            let image = &peer.cluster.controller.image;
            assert_eq!(image.alive.len(), peer.cluster.profile().brokers as usize, "{fault:?}");
            assert_settled(&peer.cluster, 0);
        }
    }
}
