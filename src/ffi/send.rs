//! Sending: a C record becomes a borrowed one, without a byte copied, and goes to the producer.

use std::mem::MaybeUninit;

use crate::accumulator::RUN_RECORDS;
use crate::code::{Code, Outcome};
use crate::producer::{Deadline, Delivery, Header, Producer, Record, Timeout};

use super::guard::{Failure, guard, guard_error, shared};
use super::text;
use super::types::{
    KURIER_RECORD_PARTITION, KURIER_RECORD_QUIET, KURIER_RECORD_TIMESTAMP, kurier_code, kurier_delivery, kurier_error,
    kurier_header, kurier_producer, kurier_record,
};

const RECORD_FLAGS: u32 = KURIER_RECORD_PARTITION | KURIER_RECORD_TIMESTAMP | KURIER_RECORD_QUIET;

/// Records with more headers than this need memory for them; almost none have.
const STACK_HEADERS: usize = 16;
/// The same for all records of a part of a batch together.
const PART_HEADERS: usize = 64;

/// Accepts a record: copies it into the open batch of its partition. Waits for metadata (TIMED_OUT, or the reason) and
/// for memory (QUEUE_FULL); -1: `max.block.ms`. OK: exactly one delivery will come. Else: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_send(
    producer: *mut kurier_producer,
    record: *const kurier_record,
    timeout_ms: i64,
) -> kurier_code {
    guard(|| {
        // SAFETY: rule 6.
        let producer = unsafe { shared(producer) }?;
        let timeout = Timeout::from_ms(timeout_ms)?;
        // SAFETY: a record is NULL or what its type says.
        let record = unsafe { read(record) }?;
        // SAFETY: as above.
        unsafe { send(producer, &record, producer.patience(timeout)) }
    })
}

/// Accepts records from the first on, as kurier_producer_send each, within one timeout. `*accepted` of them are in,
/// also on failure; the code is about the next one, and the call can be repeated from there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_send_batch(
    producer: *mut kurier_producer,
    records: *const kurier_record,
    count: usize,
    timeout_ms: i64,
    accepted: *mut usize,
) -> kurier_code {
    guard(|| {
        // SAFETY: an output is NULL or what its type says.
        unsafe { text::put(accepted, 0) }?;
        // SAFETY: rule 6.
        let producer = unsafe { shared(producer) }?;
        let deadline = producer.deadline(Timeout::from_ms(timeout_ms)?);
        if records.is_null() && count != 0 {
            return Err(Code::NULL_POINTER);
        }
        let mut sent = 0;
        while sent < count {
            // SAFETY: an output is NULL or what its type says.
            let told = |more| unsafe { text::put(accepted, sent + more) };
            // SAFETY: the caller has `count` records, and each is what its type says.
            sent += unsafe { send_part(producer, records.add(sent), count - sent, deadline, told) }?;
        }
        Ok(())
    })
}

/// As kurier_producer_send, but key and value are objects; the serializers, set or named in the settings, make bytes of
/// them. SERIALIZATION: one of the serializers said no.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_send_object(
    producer: *mut kurier_producer,
    record: *const kurier_record,
    timeout_ms: i64,
) -> kurier_code {
    guard(|| {
        // SAFETY: rule 6.
        let producer = unsafe { shared(producer) }?;
        let timeout = Timeout::from_ms(timeout_ms)?;
        // SAFETY: a record is NULL or what its type says.
        let record = unsafe { read(record) }?;
        // SAFETY: as above.
        unsafe { borrow(&record, |record| producer.send_object(record, timeout)) }
    })
}

/// Sends one record at once and waits for its fate, which goes to this caller alone, whatever else reads deliveries.
/// `*delivery` is filled whatever the code: NOT_WRITTEN if it was not accepted; UNKNOWN with TIMED_OUT after that, and
/// nothing more comes; else the code is the delivery's. -1: `max.block.ms`, then `delivery.timeout.ms`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_send_wait(
    producer: *mut kurier_producer,
    record: *const kurier_record,
    timeout_ms: i64,
    delivery: *mut kurier_delivery,
    error: *mut kurier_error,
) -> kurier_code {
    let body = || {
        let mut given = Delivery { offset: -1, timestamp_ms: -1, partition: -1, ..UNKNOWN };
        // SAFETY: an output is NULL or what its type says. Zeros mean UNKNOWN, should this end in a panic.
        unsafe { text::put(delivery.cast(), UNKNOWN) }?;
        let accepted = (|| {
            // SAFETY: rule 6.
            let producer = unsafe { shared(producer) }?;
            let timeout = Timeout::from_ms(timeout_ms)?;
            // SAFETY: a record is NULL or what its type says.
            let record = unsafe { read(record) }?;
            (given.opaque, given.topic) = (record.opaque, record.topic);
            // SAFETY: as above.
            unsafe { borrow(&record, |record| Ok(producer.send_wait(record, timeout))) }
        })();
        let (fate, result) = match accepted {
            Ok((fate, result)) => (fate, result.map_err(Failure::from)),
            Err(code) => {
                let refused = Delivery { code: code.0, outcome: Outcome::NotWritten as u8, ..given };
                (refused, Err(Failure::Code(code)))
            }
        };
        // SAFETY: as above.
        unsafe { text::put(delivery.cast(), fate) }?;
        result
    };
    // SAFETY: rule 10.
    unsafe { guard_error(error, body) }
}

const UNKNOWN: Delivery = Delivery {
    opaque: 0,
    offset: 0,
    timestamp_ms: 0,
    topic: 0,
    partition: 0,
    code: 0,
    broker_code: 0,
    outcome: Outcome::Unknown as u8,
    attempts: 0,
};

/// Another thread may change the caller's struct: it is read once, and what was checked is what is used.
///
/// # Safety
/// `record` is NULL or points to a record, which need not be aligned.
#[inline]
unsafe fn read(record: *const kurier_record) -> Result<kurier_record, Code> {
    if record.is_null() {
        return Err(Code::NULL_POINTER);
    }
    // SAFETY: not NULL.
    Ok(unsafe { record.read_unaligned() })
}

/// Sends a record. (Not by [`borrow`]: whoever hands on by two ways has the send as a function of its own.)
///
/// # Safety
/// Its pointers are NULL or have the sizes that stand beside them.
#[inline(always)]
unsafe fn send(producer: &Producer, record: &kurier_record, deadline: Deadline) -> Result<(), Code> {
    // SAFETY: the caller's promise.
    let plain = unsafe { without_headers(record) }?;
    if record.header_count == 0 {
        return producer.send_until(&plain, deadline);
    }
    let sent = |headers: &[Header<'_>]| producer.send_until(&Record { headers, ..plain }, deadline);
    // SAFETY: the caller's promise.
    unsafe { with_headers(record.headers, record.header_count, sent) }
}

/// Sends the first of these records, as many as there is room for here, at least one; says how many. `told` learns how
/// many are in whenever that may have changed, and before the application's code runs.
///
/// # Safety
/// There are `count` records, whose pointers are NULL or have the sizes that stand beside them.
unsafe fn send_part(
    producer: &Producer,
    records: *const kurier_record,
    count: usize,
    deadline: Deadline,
    told: impl Fn(usize) -> Result<(), Code>,
) -> Result<usize, Code> {
    let mut room = [const { MaybeUninit::<Header<'_>>::uninit() }; PART_HEADERS];
    let mut room = &mut room[..];
    let mut runs = producer.runs(deadline);
    let mut added = 0;
    let mut outcome = Ok(());
    while added < count.min(RUN_RECORDS) && outcome.is_ok() {
        // SAFETY: the caller has `count` of them; read once, as a single one.
        let record = unsafe { records.add(added).read_unaligned() };
        if record.header_count > room.len() {
            break;
        }
        // SAFETY: the caller's promise.
        outcome = unsafe { place(&record, &mut room) }.and_then(|record| runs.add(&record));
        added += 1;
        told(runs.accepted())?;
    }
    let appended = runs.append();
    told(runs.accepted())?;
    appended.and(outcome)?;
    if added == 0 {
        // SAFETY: there is one at least; it has more headers than the room.
        unsafe { send(producer, &records.read_unaligned(), deadline) }?;
        added = 1;
        told(added)?;
    }
    Ok(added)
}

/// Checks a record, with its headers in the front of the room.
///
/// # Safety
/// As [`borrow`]; the room is large enough.
#[inline(always)]
unsafe fn place<'r>(record: &kurier_record, room: &mut &'r mut [MaybeUninit<Header<'r>>]) -> Result<Record<'r>, Code> {
    // SAFETY: the caller's promise.
    let plain = unsafe { without_headers(record) }?;
    if record.header_count == 0 {
        return Ok(plain);
    }
    let Some((front, rest)) = std::mem::take(room).split_at_mut_checked(record.header_count) else {
        return Err(Code::INTERNAL);
    };
    *room = rest;
    // SAFETY: the caller's promise.
    Ok(Record { headers: unsafe { fill(front, record.headers) }?, ..plain })
}

/// Checks a record and hands it on with its bytes where they are.
///
/// # Safety
/// Its pointers are NULL or have the sizes that stand beside them.
unsafe fn borrow<T>(record: &kurier_record, body: impl FnOnce(&Record<'_>) -> Result<T, Code>) -> Result<T, Code> {
    // SAFETY: the caller's promise.
    let plain = unsafe { without_headers(record) }?;
    if record.header_count == 0 {
        return body(&plain);
    }
    // SAFETY: the caller's promise.
    unsafe { with_headers(record.headers, record.header_count, |headers| body(&Record { headers, ..plain })) }
}

/// # Safety
/// As [`borrow`].
#[inline(always)]
unsafe fn without_headers<'a>(record: &kurier_record) -> Result<Record<'a>, Code> {
    let flags = record.flags;
    if flags & !RECORD_FLAGS != 0 || record.reserved != 0 {
        return Err(Code::INVALID_ARGUMENT);
    }
    let timestamp_ms = (flags & KURIER_RECORD_TIMESTAMP != 0).then_some(record.timestamp_ms);
    if timestamp_ms.is_some_and(i64::is_negative) {
        return Err(Code::INVALID_ARGUMENT);
    }
    Ok(Record {
        topic: record.topic,
        partition: (flags & KURIER_RECORD_PARTITION != 0).then_some(record.partition),
        // SAFETY: the caller's promise.
        key: unsafe { text::bytes(record.key, record.key_size) }?,
        // SAFETY: the caller's promise.
        value: unsafe { text::bytes(record.value, record.value_size) }?,
        headers: &[],
        timestamp_ms,
        opaque: record.opaque,
        quiet: flags & KURIER_RECORD_QUIET != 0,
    })
}

/// # Safety
/// `headers` is NULL or points to `count` headers, whose pointers have the sizes that stand beside them.
unsafe fn with_headers<'a, T>(
    headers: *const kurier_header,
    count: usize,
    body: impl FnOnce(&[Header<'a>]) -> Result<T, Code>,
) -> Result<T, Code> {
    if i32::try_from(count).is_err() {
        return Err(if headers.is_null() { Code::INVALID_ARGUMENT } else { Code::RECORD_TOO_LARGE });
    }
    let mut room = [const { MaybeUninit::<Header<'a>>::uninit() }; STACK_HEADERS];
    if let Some(room) = room.get_mut(..count) {
        // SAFETY: the caller's promise.
        return body(unsafe { fill(room, headers) }?);
    }
    let mut room = Vec::new();
    room.try_reserve_exact(count).map_err(|_| Code::INTERNAL)?;
    // SAFETY: the caller's promise.
    body(unsafe { fill(room.spare_capacity_mut().get_mut(..count).unwrap_or_default(), headers) }?)
}

/// As many headers as there are places.
///
/// # Safety
/// As [`with_headers`].
unsafe fn fill<'x, 'a>(
    places: &'x mut [MaybeUninit<Header<'a>>],
    headers: *const kurier_header,
) -> Result<&'x [Header<'a>], Code> {
    if headers.is_null() {
        return Err(Code::INVALID_ARGUMENT);
    }
    for (index, place) in places.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        place.write(unsafe { header(headers.add(index)) }?);
    }
    // SAFETY: every one was written.
    Ok(unsafe { std::slice::from_raw_parts(places.as_ptr().cast(), places.len()) })
}

/// # Safety
/// As [`with_headers`], for one.
unsafe fn header<'a>(header: *const kurier_header) -> Result<Header<'a>, Code> {
    // SAFETY: the caller's promise; read once, as the record.
    let header = unsafe { header.read_unaligned() };
    // SAFETY: the caller's promise.
    let name = unsafe { text::bytes(header.name.cast(), header.name_size) }?.unwrap_or_default();
    // A header's name is a string on the wire (KIP-82): what is not UTF-8 would not come back as it was.
    if !name.is_ascii() && str::from_utf8(name).is_err() {
        return Err(Code::INVALID_ARGUMENT);
    }
    // SAFETY: the caller's promise.
    Ok(Header { name, value: unsafe { text::bytes(header.value, header.value_size) }? })
}
