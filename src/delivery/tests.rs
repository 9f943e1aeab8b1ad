//! What readers, waiters and flushes are promised, over real batches of a real accumulator.

#![allow(clippy::disallowed_methods, reason = "a test has threads of its own")]

use super::*;
use crate::accumulator::{Inbox, Limits, NewRecord, Partition, Stall};
use crate::protocol::record::RecordBody;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

struct House {
    accumulator: Arc<Accumulator>,
    deliveries: Deliveries,
    partition: Arc<Partition>,
    ready: Arc<AtomicUsize>,
}

fn house(by_callback: bool) -> House {
    let limits = Limits {
        memory_bytes: 1 << 20,
        reserve_bytes: 1 << 16,
        batch_bytes: 4 << 10,
        linger: Duration::ZERO,
        delivery_timeout: Duration::from_secs(1),
        compresses: false,
    };
    let accumulator = Arc::new(Accumulator::new(&limits, Box::new(|| ())));
    accumulator.add_inbox(Arc::new(Inbox::new(Box::new(|| ()))));
    let partition = accumulator.add_partition(7, 0).unwrap();
    let ready = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ready);
    let callback: ReadyCallback = Arc::new(move || _ = count.fetch_add(1, Ordering::SeqCst));
    let deliveries = Deliveries::new(Arc::clone(&accumulator), Some(callback), by_callback);
    House { accumulator, deliveries, partition, ready }
}

impl House {
    /// One batch of records with these opaques and flags, completed with this code.
    fn complete(&self, records: &[(u64, u8)], code: Code, base_offset: i64) {
        for (opaque, flags) in records {
            let body = RecordBody { key: None, value: Some(b"v"), headers: &[] };
            let new = NewRecord::new(body, 1_000 + *opaque as i64, *opaque, *flags);
            // Batches stay charged until they are read, and a reader may be slower than we are.
            while let Err(stall) = self.accumulator.append(&self.partition, &new, false, &|| Time(1)) {
                assert_eq!(stall, Stall::Memory);
                std::thread::yield_now();
            }
        }
        self.partition.seal(&self.accumulator);
        let batch = self.partition.collect(&self.accumulator, Time(2)).batches.remove(0);
        let outcome = if code == Code::OK { Outcome::Written } else { Outcome::NotWritten };
        self.deliveries.complete(Completed {
            batch,
            topic: 7,
            partition: 0,
            code,
            broker_code: 0,
            outcome,
            base_offset,
            log_append_time_ms: -1,
            attempts: 1,
            record_codes: Vec::new(),
        });
    }

    /// What a poll that does not wait finds.
    fn poll(&self, room: usize) -> Option<Vec<(u64, i64)>> {
        let mut deliveries = vec![Delivery::default(); room];
        match self.deliveries.poll(&mut deliveries, Time::ZERO, &|| Time(1), &mut Vec::new()) {
            Polled::Count(count) => Some(deliveries[..count].iter().map(|d| (d.opaque, d.offset)).collect()),
            Polled::Ended => None,
        }
    }
}

#[test]
fn deliveries_come_in_order_with_offsets_and_timestamps_whatever_the_room() {
    let house = house(false);
    house.complete(&[(1, 0), (2, 0), (3, 0)], Code::OK, 40);
    house.complete(&[(4, 0)], Code::TIMED_OUT, -1);
    assert_eq!(house.deliveries.pending(), 4);
    assert_eq!(house.poll(2), Some(vec![(1, 40), (2, 41)]));
    assert_eq!(house.deliveries.pending(), 2);
    let mut rest = vec![Delivery::default(); 8];
    let polled = house.deliveries.poll(&mut rest, Time::ZERO, &|| Time(1), &mut Vec::new());
    assert_eq!(polled, Polled::Count(2));
    assert_eq!((rest[0].timestamp_ms, rest[0].topic, rest[0].code), (1_003, 7, 0));
    assert_eq!((rest[1].opaque, rest[1].offset, Code(rest[1].code)), (4, -1, Code::TIMED_OUT));
    assert_eq!(house.deliveries.pending(), 0);
    assert_eq!(house.accumulator.memory_used(), (0, 0));
}

#[test]
fn quiet_records_are_delivered_only_if_they_fail() {
    let house = house(false);
    house.complete(&[(1, QUIET), (2, QUIET)], Code::OK, 0);
    assert_eq!((house.poll(9), house.deliveries.pending()), (Some(vec![]), 0));
    assert_eq!(house.accumulator.memory_used(), (0, 0), "nobody has to read for it");
    house.complete(&[(3, QUIET), (4, 0)], Code::OK, 5);
    assert_eq!(house.poll(9), Some(vec![(4, 6)]));
    house.complete(&[(5, QUIET)], Code::REJECTED, -1);
    assert_eq!(house.poll(9), Some(vec![(5, -1)]));
    assert_eq!(house.deliveries.pending(), 0);
}

#[test]
fn a_waiter_alone_gets_its_delivery_with_its_own_opaque() {
    let house = house(false);
    let waiter = house.deliveries.wait_for(99);
    let gone = house.deliveries.wait_for(98).number();
    house.complete(&[(1, 0), (waiter.number(), WAITER), (gone, WAITER)], Code::OK, 10);
    let delivery = waiter.wait(Duration::ZERO).unwrap();
    assert_eq!((delivery.opaque, delivery.offset), (99, 11));
    assert_eq!(house.poll(9), Some(vec![(1, 10)]));
    assert_eq!(house.deliveries.pending(), 0);
}

#[test]
fn wake_returns_one_poll_and_the_end_comes_after_the_last_delivery() {
    let house = house(false);
    house.deliveries.wake();
    assert_eq!(house.ready.load(Ordering::SeqCst), 1);
    assert_eq!(house.poll(1), Some(vec![]));
    house.complete(&[(1, 0), (2, 0)], Code::PURGED, -1);
    house.deliveries.end();
    assert_eq!(house.poll(1), Some(vec![(1, -1)]));
    assert_eq!(house.poll(1), Some(vec![(2, -1)]));
    assert_eq!(house.poll(1), None);
}

#[test]
fn a_flush_waits_for_the_return_of_the_callback() {
    let house = house(true);
    house.complete(&[(1, 0), (2, QUIET)], Code::OK, 0);
    let epoch = house.accumulator.unfated.raise();
    let (mut buffer, mut epochs) = (vec![Delivery::default(); 9], Vec::new());
    let polled = house.deliveries.poll(&mut buffer, Time::ZERO, &|| Time(1), &mut epochs);
    assert_eq!((polled, epochs.len()), (Polled::Count(1), 1));
    assert!(!house.accumulator.unfated.wait(epoch, Duration::ZERO), "the callback has not returned");
    house.deliveries.finish(1);
    house.deliveries.end_batch(epochs[0]);
    assert!(house.accumulator.unfated.wait(epoch, Duration::ZERO));
    assert_eq!(house.deliveries.pending(), 0);
}

#[test]
fn every_delivery_goes_to_one_of_several_readers() {
    let house = house(false);
    let total: u64 = 20_000;
    let seen = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let readers = [(); 3].map(|()| {
            scope.spawn(|| {
                let mut buffer = vec![Delivery::default(); 7];
                while let Polled::Count(count) =
                    house.deliveries.poll(&mut buffer, Time::NEVER, &|| Time(1), &mut Vec::new())
                {
                    seen.lock().extend(buffer[..count].iter().map(|delivery| delivery.opaque));
                }
            })
        });
        for first in (0..total).step_by(20) {
            let records: Vec<_> = (first..first + 20).map(|opaque| (opaque, 0)).collect();
            house.complete(&records, Code::OK, first as i64);
        }
        house.deliveries.end();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    let mut seen = seen.into_inner();
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..total));
}

/// One poller takes a part of a batch and goes away with it; the rest must not wait for the next batch.
#[test]
fn what_one_poller_leaves_wakes_another() {
    let house = Arc::new(house(false));
    let (done, read) = std::sync::mpsc::channel();
    for round in 0..200 {
        for _ in 0..2 {
            let (house, done) = (Arc::clone(&house), done.clone());
            std::thread::spawn(move || {
                let mut one = [Delivery::default()];
                let polled = house.deliveries.poll(&mut one, Time::NEVER, &|| Time(1), &mut Vec::new());
                let _ = done.send((polled, one[0].opaque));
            });
        }
        for _ in 0..100 {
            std::thread::yield_now();
        }
        house.complete(&[(1, 0), (2, 0)], Code::OK, round);
        let mut got: Vec<_> =
            (0..2).map(|_| read.recv_timeout(Duration::from_secs(20)).expect("both have one")).collect();
        got.sort_unstable_by_key(|(_, opaque)| *opaque);
        assert_eq!(got, [(Polled::Count(1), 1), (Polled::Count(1), 2)]);
    }
}
