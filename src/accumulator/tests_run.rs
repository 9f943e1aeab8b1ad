//! Where runs end, and that nothing gets lost between them.

#![allow(clippy::disallowed_methods, reason = "a test has threads of its own")]

use super::run::{Room, Span};
use super::tests::{at, house, limits, read, record};
use super::*;
use std::collections::BTreeMap;

/// Appends all of them; the lengths of the runs.
fn append(house: &Accumulator, partition: &Partition, records: &[NewRecord<'_>]) -> Vec<usize> {
    let mut rest = records;
    let mut lengths = Vec::new();
    while !rest.is_empty() {
        let length = house.append_run(partition, rest, false, &at(1)).expect("there is memory");
        lengths.push(length);
        rest = &rest[length..];
    }
    lengths
}

/// A partition whose first block has full size.
fn warm(house: &Accumulator) -> Arc<Partition> {
    let partition = house.add_partition(1, 0).expect("a partition");
    partition.state.lock().class = house.pool.classes.top();
    partition
}

/// Everything that was appended, batch by batch.
fn drain(house: &Accumulator, partition: &Partition) -> Vec<Vec<(u64, i64, Vec<u8>)>> {
    partition.seal(house);
    let batches = partition.collect(house, Time(2)).batches;
    batches.iter().inspect(|batch| house.unfated.done(batch.epoch())).map(read).collect()
}

fn opaques(batches: &[Vec<(u64, i64, Vec<u8>)>]) -> Vec<u64> {
    batches.iter().flatten().map(|row| row.0).collect()
}

#[test]
fn a_run_has_64_records_at_most_and_ends_where_the_index_gets_wider() {
    let house = house(&Limits { batch_bytes: 1 << 20, memory_bytes: 16 << 20, ..limits() });
    let partition = warm(&house);
    let records: Vec<_> = (0..9_000).map(|number| record(b"x", 1, number)).collect();
    let (front, back) = records.split_at(65);
    assert_eq!(append(&house, &partition, front), [1, 63, 1], "an opener, the rest up to index 64, one more");
    let mut expected = vec![64; 126];
    expected.extend([63, 64, 64]);
    assert_eq!(append(&house, &partition, back)[..129], expected, "from 65 on, up to index 8192, and beyond");
    let batches = drain(&house, &partition);
    assert_eq!((batches.len(), opaques(&batches)), (1, (0..9_000).collect()));
}

#[test]
fn a_run_has_64_kib_at_most_and_a_larger_record_goes_by_itself() {
    let house = house(&Limits { batch_bytes: 1 << 20, memory_bytes: 16 << 20, ..limits() });
    let partition = warm(&house);
    append(&house, &partition, &[record(b"opener", 1, 0)]);
    let (large, larger) = (vec![1; 20_000], vec![2; 100_000]);
    let values = [&large[..], &large, &large, &large, &larger, b"small", b"small"];
    let records: Vec<_> = (1..).zip(values).map(|(number, value)| record(value, 1, number)).collect();
    assert_eq!(append(&house, &partition, &records), [3, 1, 1, 2]);
    // Exactly 64 KiB, and a byte more.
    let whole = |bytes| vec![3; bytes];
    let (half, other, more) = (whole((32 << 10) - 11), whole((32 << 10) - 11), whole((32 << 10) - 10));
    let sizes = |values: [&[u8]; 2]| {
        let [first, second] = values.map(|value| record(value, 1, 8).bytes());
        first + second
    };
    assert_eq!((sizes([&half, &other]), sizes([&half, &more])), (64 << 10, (64 << 10) + 1));
    assert_eq!(append(&house, &partition, &[record(&half, 1, 8), record(&other, 1, 9)]), [2]);
    assert_eq!(append(&house, &partition, &[record(&half, 1, 10), record(&more, 1, 11)]), [1, 1]);
    assert_eq!(opaques(&drain(&house, &partition)), (0..12).collect::<Vec<_>>());
}

#[test]
fn the_rest_of_a_run_takes_the_next_block() {
    // Records and entries meet: a record of 8 bytes has an entry of 12.
    let house = house(&limits());
    let partition = warm(&house);
    let records: Vec<_> = (0..2_000).map(|number| record(b"x", 1, number)).collect();
    append(&house, &partition, &records);
    let batches = drain(&house, &partition);
    let capacity = house.pool.classes.capacity(house.pool.classes.top());
    let sizes: Vec<_> = batches.iter().map(Vec::len).collect();
    assert!(sizes[0] * 20 <= capacity && (sizes[0] + 2) * 21 > capacity, "{sizes:?} in {capacity}");
    assert_eq!((sizes.len(), opaques(&batches)), (3, (0..2_000).collect()));
    // `batch.size` ends it before that: 16 records of 1,003 bytes at most.
    let value = [7; 1_000];
    let records: Vec<_> = (0..40).map(|number| record(&value, 1, number)).collect();
    assert_eq!(append(&house, &partition, &records), [1, 15, 1, 15, 1, 7]);
    let batches = drain(&house, &partition);
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [16, 16, 8]);
    assert_eq!(opaques(&batches), (0..40).collect::<Vec<_>>());
}

#[test]
fn a_record_above_batch_size_in_the_middle_keeps_its_place() {
    let house = house(&limits());
    let partition = warm(&house);
    let large = vec![9; 100_000];
    let values: [&[u8]; 6] = [b"a", b"b", &large, &large, b"c", b"d"];
    let records: Vec<_> = (0..).zip(values).map(|(number, value)| record(value, 1, number)).collect();
    assert_eq!(append(&house, &partition, &records), [1, 1, 1, 1, 1, 1]);
    let batches = drain(&house, &partition);
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1, 2]);
    assert_eq!(opaques(&batches), [0, 1, 2, 3, 4, 5]);
    assert_eq!(batches[1][0].2, large);
}

#[test]
fn timestamps_of_a_run_are_kept_in_any_order_and_at_any_distance() {
    let house = house(&limits());
    let partition = warm(&house);
    let times = [1_000_000_000_000, 0, i64::MAX, 999_999_999_999, 1_000_008_388_607, 1_000_008_388_608, 5, 63, 64];
    let records: Vec<_> = (0..).zip(times).map(|(number, time)| record(b"x", time, number)).collect();
    assert_eq!(append(&house, &partition, &records), [1, 8]);
    let rows = drain(&house, &partition);
    assert_eq!(rows[0].iter().map(|row| row.1).collect::<Vec<_>>(), times);
}

/// Before memory is full all are in, then none, and the count says how many.
#[test]
fn a_run_is_accepted_as_far_as_memory_goes() {
    let house = house(&Limits { memory_bytes: 64 << 10, reserve_bytes: 8 << 10, ..limits() });
    let partition = house.add_partition(1, 0).unwrap();
    let value = [1; 500];
    let records: Vec<_> = (0..500).map(|number| record(&value, 1, number)).collect();
    let mut accepted = 0;
    let stall = loop {
        let end = records.len().min(accepted + 64);
        match house.append_run(&partition, &records[accepted..end], false, &at(1)) {
            Ok(appended) => accepted += appended,
            Err(stall) => break stall,
        }
        assert_eq!(house.accepted(), accepted as u64);
    };
    assert_eq!((stall, house.accepted()), (Stall::Memory, accepted as u64));
    assert!((70..120).contains(&accepted), "{accepted}");
    assert_eq!(opaques(&drain(&house, &partition)), (0..accepted as u64).collect::<Vec<_>>());
}

#[test]
fn a_run_stops_at_the_end_of_a_batch_for_who_asks_for_it() {
    let house = house(&limits());
    let partition = warm(&house);
    let value = [7; 1_000];
    let records: Vec<_> = (0..30).map(|number| record(&value, 1, number)).collect();
    let open = house.append_run(&partition, &records, true, &at(1));
    assert_eq!(open, Err(Stall::Boundary(0)));
    assert_eq!(append(&house, &partition, &records[..1]), [1]);
    assert_eq!(house.append_run(&partition, &records[1..], true, &at(1)), Ok(15));
    let bytes = (0..16).map(|index| Place::at(0, &records[0], 1, index).bytes).sum();
    assert_eq!(house.append_run(&partition, &records[16..], true, &at(1)), Err(Stall::Boundary(bytes)));
    assert_eq!(opaques(&drain(&house, &partition)), (0..16).collect::<Vec<_>>());
}

/// After a lost exchange a run is not measured again if it fits where the next record goes now.
#[test]
fn what_was_measured_holds_wherever_it_is_said_to_fit() {
    let values: Vec<_> = (0..40).map(|length| vec![1; length * 7]).collect();
    let records: Vec<_> =
        (0..).zip(&values).map(|(number, value)| record(value, 1_000 + number as i64 * 5, number)).collect();
    let (first, behind) = records.split_first().unwrap();
    let room = Room { capacity: 40_000, bytes_max: 30_000, count_max: word::COUNT_MAX };
    let bases = [0, 990, 1_000, 1_001];
    let indices = [1, 20, 24, 25, 63, 64, 100, 2_000, 2_500, 8_152, 8_153, 8_191, 8_192, 1 << 19];
    let places = bases.iter().flat_map(|base| indices.iter().map(move |index| (*base, *index)));
    let mut fitting = 0;
    for (base, index) in places.clone() {
        let span = Span::measure(Place::at(100, first, base, index), behind, base, Room { capacity: 1 << 24, ..room });
        for (base, index) in places.clone() {
            for offset in [0, 20_000, 24_000, 25_000, 29_000] {
                let place = Place::at(offset, first, base, index);
                if span.fits(place, base, room) {
                    fitting += 1;
                    let taken = behind.iter().take(span.records as usize - 1);
                    let last = taken.fold(place, |place, record| place.next(record, base));
                    assert!(room.holds(last), "{base} {index} {offset}");
                    assert_eq!(last.records_end() - offset, span.bytes, "{base} {index} {offset}");
                }
            }
        }
    }
    assert!(fitting > 100, "{fitting}");
    assert!(!Span::default().fits(Place::at(0, first, 0, 0), 0, room), "before the first measure");
}

/// Several threads on one partition, with runs and single records of every size, through thousands of small blocks.
#[test]
fn every_record_of_every_run_is_there_once_and_in_its_order() {
    const THREADS: u64 = 4;
    const EACH: u64 = 40_000;
    let value = |thread: u64, number: u64| {
        let length = if number.is_multiple_of(3_001) { 6_000 } else { number * (thread + 7) % 90 };
        vec![thread as u8; length as usize]
    };
    let house = house(&Limits { batch_bytes: 4 << 10, ..limits() });
    let partition = house.add_partition(1, 0).unwrap();
    let mut next: BTreeMap<u64, u64> = BTreeMap::new();
    std::thread::scope(|scope| {
        let senders = [0, 1, 2, 3].map(|thread: u64| {
            let (house, partition) = (&house, &partition);
            scope.spawn(move || {
                let mut number = 0;
                while number < EACH {
                    // Runs of 1 to 70; every other thread sends many single ones.
                    let length = if number % 5 < thread { 1 } else { number % 70 + 1 };
                    let numbers = number..EACH.min(number + length);
                    let values: Vec<_> = numbers.clone().map(|number| value(thread, number)).collect();
                    let new = |(number, value)| record(value, 1_000 + (number % 300) as i64, thread << 32 | number);
                    let records: Vec<_> = numbers.zip(values.iter().map(Vec::as_slice)).map(new).collect();
                    let mut rest = &records[..];
                    while let Some(first) = rest.first() {
                        match house.append_run(partition, rest, false, &at(1)) {
                            Ok(appended) => rest = &rest[appended..],
                            Err(stall) => house.wait(partition, stall, first, Duration::from_secs(60)),
                        }
                    }
                    number += records.len() as u64;
                }
                house.leave_line(partition);
            })
        });
        let mut count = 0;
        while count < THREADS * EACH {
            if house.is_short() || senders.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                partition.seal(&house);
            }
            for batch in partition.collect(&house, Time(2)).batches {
                for (opaque, timestamp_ms, bytes) in read(&batch) {
                    let (thread, number) = (opaque >> 32, opaque & 0xffff_ffff);
                    let expected = next.entry(thread).or_default();
                    assert_eq!(number, *expected, "thread {thread} out of order");
                    *expected += 1;
                    assert_eq!((timestamp_ms, bytes), (1_000 + (number % 300) as i64, value(thread, number)));
                    count += 1;
                }
                house.unfated.done(batch.epoch());
            }
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
    assert_eq!((house.accepted(), house.memory_used()), (THREADS * EACH, (0, 0)));
}
