//! The lock-free parts, every interleaving of them: `RUSTFLAGS="--cfg loom" cargo test --release --lib explored`.
//!
//! One place per rule, two or three threads, batches of one or two records. [`crate::sync::Touch`] stands for a
//! block's bytes: loom fails if a reader could see a block before its last writer is out.

use super::*;
use crate::protocol::record::{RecordBody, records};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn house() -> Arc<Accumulator> {
    let limits = Limits {
        memory_bytes: 64 << 10,
        reserve_bytes: 4 << 10,
        batch_bytes: 1 << 10,
        linger: Duration::from_millis(5),
        delivery_timeout: Duration::from_secs(120),
        compresses: false,
    };
    let house = Accumulator::new(&limits, Box::new(|| ()));
    house.add_inbox(Arc::new(Inbox::new(Box::new(|| ()))));
    Arc::new(house)
}

fn send(house: &Accumulator, partition: &Partition, opaque: u64, bytes: usize) -> bool {
    let value = vec![opaque as u8; bytes];
    let body = RecordBody { key: None, value: Some(&value), headers: &[] };
    let new = NewRecord::new(body, 1_000 + opaque as i64, opaque, 0);
    loop {
        match house.append(partition, &new, false, &|| Time(1)) {
            Ok(()) => return true,
            Err(Stall::Busy) => thread::yield_now(),
            Err(Stall::Closed) => return false,
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// A run, its opaques one after the other.
fn send_run(house: &Accumulator, partition: &Partition, opaques: std::ops::Range<u64>, bytes: usize) -> u64 {
    let values: Vec<_> = opaques.clone().map(|opaque| vec![opaque as u8; bytes]).collect();
    let bodies = values.iter().map(|value| RecordBody { key: None, value: Some(value), headers: &[] });
    let records: Vec<_> =
        opaques.zip(bodies).map(|(opaque, body)| NewRecord::new(body, 1_000 + opaque as i64, opaque, 0)).collect();
    let mut accepted = 0;
    while accepted < records.len() {
        match house.append_run(partition, &records[accepted..], false, &|| Time(1)) {
            Ok(appended) => accepted += appended,
            Err(Stall::Busy) => thread::yield_now(),
            Err(Stall::Closed) => break,
            Err(other) => panic!("{other:?}"),
        }
    }
    accepted as u64
}

/// Opaques of everything that can be taken, each record checked against its entry.
fn drain(house: &Accumulator, partition: &Partition) -> Vec<u64> {
    let mut opaques = Vec::new();
    for batch in partition.collect(house, Time(2)).batches {
        for (index, record) in records(batch.plain()).enumerate() {
            let record = record.expect("a whole record");
            let opaque = batch.entry(index as u32).opaque;
            assert!(record.value.is_some_and(|value| value.iter().all(|byte| *byte == opaque as u8)));
            assert_eq!(batch.base_timestamp_ms() + record.timestamp_delta, 1_000 + opaque as i64);
            opaques.push(opaque);
        }
        house.unfated.done(batch.epoch());
    }
    opaques
}

/// Rules 1 to 4 and 10: two writers, one sealer; the batch closes once, whole, whoever is last.
#[test]
fn a_sealed_batch_closes_once_and_whole() {
    explore(4, || {
        let house = house();
        let partition = house.add_partition(1, 0).unwrap();
        assert!(send(&house, &partition, 1, 1));
        let (there, same) = (Arc::clone(&house), Arc::clone(&partition));
        let writer = thread::spawn(move || assert!(send(&there, &same, 2, 1)));
        partition.seal(&house);
        // Taken while the writer may still be inside: what is not closed must not come.
        let mut opaques = drain(&house, &partition);
        writer.join().unwrap();
        partition.seal(&house);
        opaques.extend(drain(&house, &partition));
        opaques.sort_unstable();
        assert_eq!(opaques, [1, 2]);
    });
}

/// Rule 6: a run is published as a whole; beside a single record and a sealer the batch closes once, whole.
#[test]
fn a_run_is_in_one_batch_beside_others() {
    explore(3, || {
        let house = house();
        let partition = house.add_partition(1, 0).unwrap();
        assert!(send(&house, &partition, 1, 1));
        let (there, same) = (Arc::clone(&house), Arc::clone(&partition));
        let writer = thread::spawn(move || assert_eq!(send_run(&there, &same, 10..12, 1), 2));
        assert!(send(&house, &partition, 2, 1));
        partition.seal(&house);
        // Taken while the run may still be written: what is not closed must not come.
        let mut opaques = drain(&house, &partition);
        writer.join().unwrap();
        partition.seal(&house);
        opaques.extend(drain(&house, &partition));
        assert!(opaques.iter().position(|opaque| *opaque == 10) < opaques.iter().position(|opaque| *opaque == 11));
        opaques.sort_unstable();
        assert_eq!(opaques, [1, 2, 10, 11]);
    });
}

/// The same where both are runs, and the second one's block is full.
#[test]
fn runs_hand_over_where_a_block_ends() {
    explore(3, || {
        let house = house();
        let partition = house.add_partition(1, 0).unwrap();
        let (there, same) = (Arc::clone(&house), Arc::clone(&partition));
        let writer = thread::spawn(move || assert_eq!(send_run(&there, &same, 10..12, 300), 2));
        assert_eq!(send_run(&house, &partition, 20..22, 300), 2);
        writer.join().unwrap();
        partition.seal(&house);
        let opaques = drain(&house, &partition);
        let of = |first: u64| opaques.iter().copied().filter(|opaque| opaque / 10 == first).collect::<Vec<_>>();
        assert_eq!((of(1), of(2)), (vec![10, 11], vec![20, 21]));
        assert_eq!(house.memory_used().0, 0);
    });
}

/// Rules 8 and 13: two openers at once, and a block that is full for the second record.
#[test]
fn blocks_that_fill_up_hand_over_in_order() {
    explore(3, || {
        let house = house();
        let partition = house.add_partition(1, 0).unwrap();
        let threads: Vec<_> = [10_u64, 20]
            .into_iter()
            .map(|first| {
                let (there, same) = (Arc::clone(&house), Arc::clone(&partition));
                thread::spawn(move || {
                    assert!(send(&there, &same, first, 700));
                    assert!(send(&there, &same, first + 1, 1));
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        partition.seal(&house);
        let opaques = drain(&house, &partition);
        let of = |first: u64| opaques.iter().copied().filter(|opaque| opaque / 10 == first).collect::<Vec<_>>();
        assert_eq!((of(1), of(2)), (vec![10, 11], vec![20, 21]));
        assert_eq!(house.memory_used().0, 0);
    });
}

/// Rule 38: what was exchanged before the shut is sealed, exactly; what comes later is refused.
#[test]
fn shut_accepts_exactly_what_was_exchanged_before() {
    explore(4, || {
        let house = house();
        let partition = house.add_partition(1, 0).unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (there, same, count) = (Arc::clone(&house), Arc::clone(&partition), Arc::clone(&accepted));
        let writer = thread::spawn(move || {
            let accepted = u64::from(send(&there, &same, 1, 1)) + send_run(&there, &same, 2..4, 1);
            count.store(accepted as usize, Ordering::Relaxed);
        });
        house.shut();
        writer.join().unwrap();
        assert_eq!(drain(&house, &partition).len(), accepted.load(Ordering::Relaxed));
    });
}

/// Rule 28: a thread that falls asleep sees what was listed, or is woken for it.
#[test]
fn no_wake_up_is_lost() {
    explore(4, || {
        let woken = Arc::new(AtomicUsize::new(0));
        let wakes = Arc::clone(&woken);
        let house = house();
        let inbox = Arc::new(Inbox::new(Box::new(move || drop(wakes.fetch_add(1, Ordering::SeqCst)))));
        let partition = house.add_partition(1, 0).unwrap();
        let (other, same) = (Arc::clone(&inbox), Arc::clone(&partition));
        let lister = thread::spawn(move || other.list(&same, Time(5)));
        let asleep = inbox.fall_asleep(Time(1_000));
        lister.join().unwrap();
        let mut listed = Vec::new();
        inbox.take(&mut listed);
        assert_eq!(listed, [0]);
        assert!(!asleep || woken.load(Ordering::SeqCst) == 1, "asleep with something to do");
    });
}

/// The same for what stands in no list.
#[test]
fn no_nudge_is_lost() {
    explore(4, || {
        let woken = Arc::new(AtomicUsize::new(0));
        let wakes = Arc::clone(&woken);
        let inbox = Arc::new(Inbox::new(Box::new(move || drop(wakes.fetch_add(1, Ordering::SeqCst)))));
        let other = Arc::clone(&inbox);
        let nudger = thread::spawn(move || other.nudge());
        let asleep = inbox.fall_asleep(Time::NEVER);
        nudger.join().unwrap();
        assert!(!asleep || woken.load(Ordering::SeqCst) == 1, "asleep with something to do");
    });
}

/// Rule 27: the flag is cleared before the look, so what comes after the look is listed again.
#[test]
fn what_comes_after_a_look_is_listed_again() {
    explore(4, || {
        let house = house();
        let partition = house.add_partition(1, 0).unwrap();
        let (there, same) = (Arc::clone(&house), Arc::clone(&partition));
        let writer = thread::spawn(move || assert!(send(&there, &same, 1, 2_000)));
        let inbox = Arc::clone(house.inbox(0).unwrap());
        let mut seen = 0;
        let look = |seen: &mut usize| {
            let mut listed = Vec::new();
            inbox.take(&mut listed);
            for _ in listed {
                partition.unlist();
                *seen += drain(&house, &partition).len();
            }
        };
        look(&mut seen);
        writer.join().unwrap();
        look(&mut seen);
        assert_eq!(seen, 1);
    });
}
