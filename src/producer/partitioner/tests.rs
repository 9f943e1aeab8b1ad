//! Golden vectors of other clients, and the sticky choice alone and under threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{Partitioner, PartitionerClass, Partitioning, Picked, Random, Sticky, TopicPartitioner};
use super::{choose, crc32, fnv1a, murmur2};
use crate::code::Code;

#[test]
fn murmur2_is_javas_and_librdkafkas() {
    // Apache Kafka: UtilsTest.testMurmur2.
    for (key, hash) in [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ] {
        assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
    }
    // librdkafka: the vectors of its own unit test, each checked there against Java.
    for (key, hash) in [
        ("kafka", 0xd067_cf64),
        ("giberish123456789", 0x8f55_2b0c),
        ("1234", 0x9fc9_7b14),
        ("234", 0xe7c0_09ca),
        ("34", 0x8739_30da),
        ("4", 0x5a4b_5ca1),
        ("PreAmbleWillBeRemoved,ThePrePartThatIs", 0x7842_4f1c),
        ("reAmbleWillBeRemoved,ThePrePartThatIs", 0x4a62_b377),
        ("eAmbleWillBeRemoved,ThePrePartThatIs", 0xe0e4_e09e),
        ("AmbleWillBeRemoved,ThePrePartThatIs", 0x62b8_b43f),
        ("", 0x106e_08d9),
    ] {
        assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
    }
}

#[test]
fn fnv1a_is_librdkafkas_with_its_absolute_value() {
    for (key, hash) in [
        ("kafka", 0x0d33_c4e1),
        ("giberish123456789", 0x77a5_8295),
        ("1234", 0x023b_dd03),
        ("234", 0x2dea_3cd2),
        ("34", 0x740f_a83e),
        ("4", 0x310c_a263),
        ("PreAmbleWillBeRemoved,ThePrePartThatIs", 0x65cb_d69c),
        ("reAmbleWillBeRemoved,ThePrePartThatIs", 0x6e49_c79a),
        ("eAmbleWillBeRemoved,ThePrePartThatIs", 0x69ee_d356),
        ("AmbleWillBeRemoved,ThePrePartThatIs", 0x6abc_c023),
        ("", 0x7ee3_623b),
    ] {
        assert_eq!(fnv1a(key.as_bytes()), hash, "{key}");
    }
}

#[test]
fn crc32_is_zlibs() {
    for (key, hash) in [
        ("", 0),
        ("123456789", 0xcbf4_3926),
        ("23456", 0xb1b4_51d7),
        ("this is another string with more length to it perhaps", 0xb015_0df7),
        ("hejsan", 0xd077_037e),
    ] {
        assert_eq!(crc32(key.as_bytes()), hash, "{key}");
    }
}

fn rules(class: PartitionerClass) -> Partitioning {
    Partitioning { class, ignore_keys: false, own: None }
}

/// librdkafka's test 0048: five keys (null, empty and three) through each of its partitioners; `None`: not the key's.
#[test]
fn every_class_places_keys_as_librdkafka_does() {
    use PartitionerClass as P;
    let keys =
        [None, Some(""), Some("23456"), Some("this is another string with more length to it perhaps"), Some("hejsan")];
    let table: &[(P, [Option<u32>; 5])] = &[
        (P::Random, [None; 5]),
        (P::RoundRobin, [None; 5]),
        (P::Consistent, [Some(0), Some(0), Some(0xb1b4_51d7), Some(0xb015_0df7), Some(0xd077_037e)]),
        (P::ConsistentRandom, [None, None, Some(0xb1b4_51d7), Some(0xb015_0df7), Some(0xd077_037e)]),
        (P::Murmur2, [Some(0x106e_08d9), Some(0x106e_08d9), Some(0x058d_780f), Some(0x4f77_03da), Some(0x5ec1_9395)]),
        (P::Murmur2Random, [None, Some(0x106e_08d9), Some(0x058d_780f), Some(0x4f77_03da), Some(0x5ec1_9395)]),
        (P::Default, [None, Some(0x106e_08d9), Some(0x058d_780f), Some(0x4f77_03da), Some(0x5ec1_9395)]),
        (P::Fnv1a, [Some(0x7ee3_623b), Some(0x7ee3_623b), Some(0x27e6_f469), Some(0x155e_3e5f), Some(0x17b1_e27a)]),
        (P::Fnv1aRandom, [None, Some(0x7ee3_623b), Some(0x27e6_f469), Some(0x155e_3e5f), Some(0x17b1_e27a)]),
    ];
    for (class, hashes) in table {
        for count in [1_u32, 2, 7, 17, 1000, 2_147_483_647] {
            for (key, hash) in keys.iter().zip(hashes) {
                let topic = TopicPartitioner::new(1);
                let key = key.map(str::as_bytes);
                let signed = i32::try_from(count).unwrap();
                let picked = topic.pick(&rules(*class), 1, key, signed, |_| Some(0)).unwrap();
                assert!((0..signed).contains(&picked.partition));
                match hash {
                    Some(hash) => {
                        assert_eq!(picked.partition.cast_unsigned(), hash % count, "{class:?} {key:?} {count}");
                        assert!(!picked.sticky);
                    }
                    None if *class == P::RoundRobin => assert!(!picked.sticky),
                    None => assert_eq!(picked.sticky, key.is_none() || *class == P::ConsistentRandom, "{class:?}"),
                }
            }
        }
    }
}

#[test]
fn a_key_stays_where_it_is_without_a_leader() {
    let topic = TopicPartitioner::new(1);
    let with = topic.pick(&rules(PartitionerClass::Default), 1, Some(b"abc"), 10, |_| Some(0));
    let without = topic.pick(&rules(PartitionerClass::Default), 1, Some(b"abc"), 10, |_| None);
    assert_eq!(with, without);
    assert_eq!(with, Ok(Picked { partition: 479_470_107 % 10, sticky: false }));
}

#[test]
fn keys_are_ignored_only_by_the_default_and_on_demand() {
    let topic = TopicPartitioner::new(1);
    let mut rules = rules(PartitionerClass::Default);
    rules.ignore_keys = true;
    assert!(topic.pick(&rules, 1, Some(b"abc"), 10, |_| Some(0)).unwrap().sticky);
    rules.class = PartitionerClass::Murmur2;
    assert!(!topic.pick(&rules, 1, Some(b"abc"), 10, |_| Some(0)).unwrap().sticky);
}

#[test]
fn round_robin_takes_turns_and_spreads_those_of_the_absent() {
    let topic = TopicPartitioner::new(1);
    let rules = rules(PartitionerClass::RoundRobin);
    let next = |available: &dyn Fn(i32) -> bool| {
        topic.pick(&rules, 1, Some(b"same"), 4, |partition| available(partition).then_some(0)).unwrap().partition
    };
    assert_eq!((0..8).map(|_| next(&|_| true)).collect::<Vec<_>>(), [0, 1, 2, 3, 0, 1, 2, 3]);
    let mut counts = [0; 4];
    for _ in 0..1200 {
        counts[next(&|partition| partition != 1) as usize] += 1;
    }
    assert_eq!(counts, [400, 0, 400, 400]);
    // None available: as if all were, so that their batches wait.
    assert_eq!((0..4).map(|_| next(&|_| false)).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn random_draws_once_more_where_there_is_no_leader() {
    let topic = TopicPartitioner::new(9);
    let rules = rules(PartitionerClass::Random);
    let mut counts = [0_u32; 4];
    for _ in 0..16_000 {
        let picked = topic.pick(&rules, 1, Some(b"k"), 4, |partition| (partition != 2).then_some(0)).unwrap();
        counts[picked.partition as usize] += 1;
    }
    // 1/4 * 1/4 for the one without leader, 5/16 for the others.
    assert!((800..1200).contains(&counts[2]), "{counts:?}");
    assert!([0, 1, 3].iter().all(|at| (4600..5400).contains(&counts[*at])), "{counts:?}");
}

#[test]
fn an_applications_partitioner_is_asked_first_and_checked() {
    let topic = TopicPartitioner::new(1);
    let pick = |answer: i32, key: Option<&[u8]>| {
        let own: Partitioner = Arc::new(move |topic, _, count| {
            assert_eq!((topic, count), (42, 10));
            answer
        });
        let rules = Partitioning { own: Some(own), ..rules(PartitionerClass::Default) };
        topic.pick(&rules, 42, key, 10, |_| Some(0))
    };
    assert_eq!(pick(0, None), Ok(Picked { partition: 0, sticky: false }));
    assert_eq!(pick(9, Some(b"abc")), Ok(Picked { partition: 9, sticky: false }));
    assert_eq!(pick(-1, Some(b"abc")), Ok(Picked { partition: 7, sticky: false }));
    assert!(pick(-1, None).unwrap().sticky);
    for refused in [10, -2, i32::MAX, i32::MIN] {
        assert_eq!(pick(refused, None), Err(Code::UNKNOWN_PARTITION));
    }
    for count in [0, -1, i32::MIN] {
        let none = topic.pick(&rules(PartitionerClass::Default), 1, None, count, |_| Some(0));
        assert_eq!(none, Err(Code::UNKNOWN_PARTITION));
    }
}

fn shares(count: i32, load: impl Fn(i32) -> Option<u32> + Copy) -> Vec<f64> {
    const DRAWS: u32 = 40_000;
    let random = Random::new(7);
    let mut counts = vec![0_u32; count as usize];
    for _ in 0..DRAWS {
        counts[choose(load, count, random.next()) as usize] += 1;
    }
    counts.into_iter().map(|count| f64::from(count) / f64::from(DRAWS)).collect()
}

fn near(shares: &[f64], expected: &[f64]) {
    let close = shares.iter().zip(expected).all(|(share, expected)| (share - expected).abs() < 0.015);
    assert!(close && shares.len() == expected.len(), "{shares:?} {expected:?}");
}

#[test]
fn the_choice_weighs_queues_as_kip_794_does() {
    near(&shares(4, |_| Some(0)), &[0.25; 4]);
    near(&shares(4, |_| Some(1_000_000)), &[0.25; 4]);
    // Java's own example: queues 0 3 1 become 4 1 3.
    near(&shares(3, |partition| Some([0, 3, 1][partition as usize])), &[4.0 / 8.0, 1.0 / 8.0, 3.0 / 8.0]);
    near(&shares(3, |partition| [Some(0), None, Some(1)][partition as usize]), &[2.0 / 3.0, 0.0, 1.0 / 3.0]);
    near(&shares(3, |partition| [Some(u32::MAX), Some(0), None][partition as usize]), &[0.0, 1.0, 0.0]);
    near(&shares(3, |_| None), &[1.0 / 3.0; 3]);
    near(&shares(1, |_| None), &[1.0]);
    assert_eq!(choose(|_| Some(0), 0, 1), 0);
}

#[test]
fn of_many_partitions_a_sample_is_looked_at() {
    let asked = AtomicU32::new(0);
    let chosen = choose(
        |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            Some(0)
        },
        1_000_000,
        3,
    );
    assert!((0..1_000_000).contains(&chosen));
    assert_eq!(asked.load(Ordering::Relaxed), 64);
    // All alike over 640 partitions, and nothing beyond them.
    let shares = shares(640, |_| Some(5));
    let largest = shares.iter().copied().fold(0.0, f64::max);
    assert!(largest < 3.0 / 640.0 && shares.iter().all(|share| *share > 0.0), "{largest}");
    // One available among many is found though no sample may hold it.
    for random in 0..200 {
        assert_eq!(choose(|partition| (partition == 777).then_some(3), 5000, random), 777);
    }
}

#[test]
fn the_sticky_partition_moves_at_a_boundary_once_enough_went_there() {
    let sticky = Sticky::new();
    let never = || panic!("nothing to choose");
    assert_eq!(sticky.current(|| 3), 3);
    assert_eq!(sticky.current(never), 3);
    assert_eq!(sticky.moved(3, 10_000, 16_384, never), 3);
    assert_eq!(sticky.moved(3, 6_383, 16_384, never), 3);
    assert_eq!(sticky.moved(3, 1, 16_384, || 5), 5);
    assert_eq!(sticky.current(never), 5);
    // Who still comes from the old one takes the winner's choice, and counts nothing.
    assert_eq!(sticky.moved(3, 1_000_000, 16_384, never), 5);
    assert_eq!(sticky.moved(5, 16_383, 16_384, never), 5);
    // The same again is a choice too; the count begins anew.
    assert_eq!(sticky.moved(5, 1, 16_384, || 5), 5);
    assert_eq!(sticky.moved(5, 16_383, 16_384, never), 5);
    assert_eq!(sticky.moved(5, usize::MAX, 16_384, || 0), 0);
    assert_eq!(sticky.moved(0, usize::MAX, usize::MAX, never), 0, "the sum saturates");
}

#[test]
fn four_threads_move_together() {
    const BYTES_MIN: usize = 1000;
    const BOUNDARIES: usize = 20_000;
    let sticky = Sticky::new();
    let random = Random::new(3);
    let counted: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
    let chosen = AtomicU64::new(0);
    std::thread::scope(|threads| {
        let movers = [(); 4].map(|()| {
            threads.spawn(|| {
                for _ in 0..BOUNDARIES {
                    let from = sticky.current(|| choose(|_| Some(0), 8, random.next()));
                    counted[from as usize].fetch_add(100, Ordering::Relaxed);
                    let to = sticky.moved(from, 100, BYTES_MIN, || {
                        chosen.fetch_add(1, Ordering::Relaxed);
                        choose(|_| Some(0), 8, random.next())
                    });
                    assert!((0..8).contains(&to));
                }
            })
        });
        // ThreadSanitizer sees a join; the end of a scope, which is inside the standard library, it does not.
        movers.into_iter().for_each(|mover| mover.join().unwrap());
    });
    // A choice needs 1000 bytes counted by ten boundaries of its partition; a loser may have drawn in vain, at most
    // the three others for each.
    let terms = 4 * BOUNDARIES as u64 * 100 / BYTES_MIN as u64;
    let chosen = chosen.load(Ordering::Relaxed);
    assert!(chosen <= 4 * terms, "{chosen} {terms}");
    assert!(chosen > terms / 20, "it moves: {chosen} {terms}");
    assert!(counted.iter().all(|bytes| bytes.load(Ordering::Relaxed) > 0));
}

#[test]
fn one_threads_terms_are_exact() {
    let sticky = Sticky::new();
    let mut moves = 0;
    let mut partition = sticky.current(|| 0);
    for _ in 0..1000 {
        partition = sticky.moved(partition, 100, 1000, || {
            moves += 1;
            moves % 8
        });
    }
    assert_eq!(moves, 100);
}
