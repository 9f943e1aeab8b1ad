//! What who waits for memory is promised: nobody stands in line for something that cannot come, or came already.

#![allow(clippy::disallowed_methods, reason = "a test has threads of its own")]

use super::*;
use crate::protocol::record::RecordBody;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

const SMALL: usize = 1 << 10;
const FOREVER: Duration = Duration::from_secs(3_600);
/// Ends a test that hangs.
const PATIENCE: Duration = Duration::from_secs(20);

fn house(memory_bytes: usize, freed: Signal) -> Arc<Accumulator> {
    let limits = Limits {
        memory_bytes,
        reserve_bytes: 0,
        batch_bytes: 4 << 10,
        linger: Duration::from_secs(60),
        delivery_timeout: Duration::from_secs(120),
        compresses: false,
    };
    let house = Accumulator::new(&limits, freed);
    house.add_inbox(Arc::new(Inbox::new(Box::new(|| ()))));
    Arc::new(house)
}

fn record(value: &[u8]) -> NewRecord<'_> {
    NewRecord::new(RecordBody { key: None, value: Some(value), headers: &[] }, 1, 1, 0)
}

fn now() -> Time {
    Time(1)
}

/// Takes all memory that appenders may have.
fn fill(house: &Accumulator) -> Vec<super::memory::Memory> {
    std::iter::from_fn(|| house.pool.take_exact(SMALL).ok()).collect()
}

/// Appends and waits as a sender does; the answer comes through the channel.
fn send(house: &Arc<Accumulator>, partition: &Arc<Partition>, value_bytes: usize) -> mpsc::Receiver<()> {
    let (done, answer) = mpsc::channel();
    let (house, partition) = (Arc::clone(house), Arc::clone(partition));
    std::thread::spawn(move || {
        let value = vec![7; value_bytes];
        let record = record(&value);
        while let Err(stall) = house.append(&partition, &record, false, &now) {
            house.wait(&partition, stall, &record, FOREVER);
        }
        house.leave_line(&partition);
        let _ = done.send(());
    });
    answer
}

fn waiting(house: &Accumulator) -> bool {
    house.is_short()
}

/// The record shares batches, record and entry together look as if it did not.
#[test]
fn a_record_that_just_fits_into_batch_size_gets_the_block_that_it_waited_for() {
    let house = house(64 << 10, Box::new(|| ()));
    let partition = house.add_partition(1, 0).unwrap();
    let most = house.pool.classes.records_bytes_max;
    let bytes_of = |value: usize| record(&vec![0; value]).bytes();
    let value_bytes = (0..=most).rev().find(|value| bytes_of(*value) <= most).unwrap();
    assert!(house.pool.classes.shares(bytes_of(value_bytes)));
    let taken = fill(&house);
    let answer = send(&house, &partition, value_bytes);
    while !waiting(&house) {
        std::thread::yield_now();
    }
    taken.into_iter().for_each(|memory| house.pool.give_back(memory));
    answer.recv_timeout(PATIENCE).expect("it has its block");
}

#[test]
fn who_stands_for_a_place_that_another_thread_used_is_not_left_standing() {
    let house = house(64 << 10, Box::new(|| ()));
    let mut taken = fill(&house);
    let ticket = house.pool.enroll(0, 100, false);
    house.pool.give_back(taken.pop().unwrap());
    assert!(ticket.is_granted());
    // A thread that came later uses it, before the one that stands there begins to wait.
    assert!(house.pool.redeem(&ticket, 100).is_some());
    let (done, answer) = mpsc::channel();
    std::thread::spawn(move || {
        house.pool.wait(&ticket, FOREVER);
        let _ = done.send(());
    });
    answer.recv_timeout(PATIENCE).expect("there is nothing to wait for");
}

#[test]
fn a_small_record_does_not_spend_the_place_of_a_large_one_of_its_partition() {
    let house = house(64 << 10, Box::new(|| ()));
    let partition = house.add_partition(1, 0).unwrap();
    let taken = fill(&house);
    let large = vec![7; 10_000];
    let answer = send(&house, &partition, large.len());
    while !waiting(&house) {
        std::thread::yield_now();
    }
    let small = send(&house, &partition, 10);
    taken.into_iter().for_each(|memory| house.pool.give_back(memory));
    answer.recv_timeout(PATIENCE).expect("the large one has its block");
    small.recv_timeout(PATIENCE).expect("and so has the small one");

    // The same without chance: the large one's place is granted, and the small one comes first.
    let ticket = house.pool.enroll(0, 20_000, true);
    assert!(ticket.is_granted());
    partition.seal(&house);
    {
        let mut state = partition.state.lock();
        (state.ticket, state.standing) = (Some(Arc::clone(&ticket)), true);
    }
    assert_eq!(house.append(&partition, &record(b"small"), false, &now), Err(Stall::Memory));
    assert!(ticket.is_granted(), "it still has its place");
}

#[test]
fn who_went_away_without_memory_is_told_when_a_place_is_given_up() {
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let house = house(64 << 10, Box::new(move || _ = count.fetch_add(1, Ordering::SeqCst)));
    let partition = house.add_partition(1, 0).unwrap();
    let mut taken = fill(&house);
    let ticket = house.pool.enroll(0, 100, false);
    house.pool.give_back(taken.pop().unwrap());
    assert!(ticket.is_granted());
    house.want_memory(&partition, &record(b"x"));
    assert_eq!(told.load(Ordering::SeqCst), 0, "there is none");
    house.pool.cancel(&ticket);
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

/// A flush seals every open batch; one that is just being opened is not open yet, but the flush waits for it.
#[test]
fn a_batch_that_is_opened_while_a_flush_begins_does_not_linger() {
    let house = house(64 << 10, Box::new(|| ()));
    let partition = house.add_partition(1, 0).unwrap();
    let clock = || {
        house.unfated.raise();
        house.seal_all();
        Time(1)
    };
    house.append(&partition, &record(b"x"), false, &clock).unwrap();
    assert!(partition.collect(&house, Time(1)).due <= Time(1));
}

/// A linger of a minute must not become a minute's wait for memory.
#[test]
fn a_batch_that_is_opened_while_somebody_begins_to_wait_for_memory_wakes_its_thread() {
    let house = house(64 << 10, Box::new(|| ()));
    let partition = house.add_partition(1, 0).unwrap();
    let woken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&woken);
    let inbox = Arc::new(Inbox::new(Box::new(move || _ = count.fetch_add(1, Ordering::SeqCst))));
    house.add_inbox(Arc::clone(&inbox));
    partition.set_leader(1);
    let clock = || {
        // The thread has seen that memory is short, has found nothing to seal, and sleeps again.
        house.pool.enroll(0, 1 << 20, true);
        inbox.take(&mut Vec::new());
        assert!(inbox.fall_asleep(Time(2)));
        Time(1)
    };
    house.append(&partition, &record(b"x"), false, &clock).unwrap();
    assert_eq!(woken.load(Ordering::SeqCst), 1);
}

/// Two records of other partitions, the later one so small that it would fit: memory goes to who came first.
#[test]
fn memory_goes_to_who_came_first_though_a_later_one_needs_less() {
    let house = house(64 << 10, Box::new(|| ()));
    let mut taken = fill(&house);
    let first = house.pool.enroll(0, 8 * SMALL, true);
    let second = house.pool.enroll(0, SMALL, true);
    house.pool.give_back(taken.pop().unwrap());
    house.pool.give_back(taken.pop().unwrap());
    assert!(!first.is_granted() && !second.is_granted(), "what is free is the first one's");
    while !first.is_granted() {
        assert!(!second.is_granted(), "out of turn");
        house.pool.give_back(taken.pop().unwrap());
    }
    house.pool.give_back(taken.pop().unwrap());
    house.pool.give_back(taken.pop().unwrap());
    assert!(second.is_granted());
}

/// Who waits for memory when the producer ends hears of it at once.
#[test]
fn the_end_wakes_who_waits_for_memory() {
    let house = house(64 << 10, Box::new(|| ()));
    let partition = house.add_partition(1, 0).unwrap();
    let other = house.add_partition(1, 1).unwrap();
    let taken = fill(&house);
    let (done, answer) = mpsc::channel();
    for partition in [&partition, &partition, &other] {
        let (house, partition, done) = (Arc::clone(&house), Arc::clone(partition), done.clone());
        std::thread::spawn(move || {
            let record = record(b"waits");
            loop {
                match house.append(&partition, &record, false, &now) {
                    Err(Stall::Closed) => break,
                    Err(stall) => house.wait(&partition, stall, &record, FOREVER),
                    Ok(()) => return,
                }
            }
            let _ = done.send(());
        });
    }
    while !waiting(&house) {
        std::thread::yield_now();
    }
    house.shut();
    for _ in 0..3 {
        answer.recv_timeout(PATIENCE).expect("it is told, and accepted nothing");
    }
    drop(taken);
}
