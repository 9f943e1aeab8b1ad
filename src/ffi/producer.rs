//! The life of a producer: made, asked, topics, flushed, purged, closed, destroyed.

use std::ffi::c_char;

use crate::code::Code;
use crate::producer::{self, Producer, Timeout};

use super::guard::{self, Opaque, guard, guard_error, guard_value, shared};
use super::text;
use super::types::{
    KURIER_PURGE_IN_FLIGHT, KURIER_PURGE_QUEUED, kurier_code, kurier_config, kurier_error, kurier_producer,
};

impl Opaque for kurier_producer {
    type Body = Producer;
    const MAGIC: u64 = u64::from_be_bytes(*b"kurprod1");
}

/// Makes a producer. The settings are copied, so they may make more; it connects later, so no broker need be there.
/// `*producer` is NULL on failure. Ends with kurier_producer_destroy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_new(
    config: *const kurier_config,
    producer: *mut *mut kurier_producer,
    error: *mut kurier_error,
) -> kurier_code {
    let body = || {
        // SAFETY: an output is NULL or what its type says.
        unsafe { text::put(producer, std::ptr::null_mut()) }?;
        // SAFETY: a config is used by one thread at a time.
        let made = Producer::new(unsafe { shared(config) }?)?;
        let handle = guard::create(made)?;
        // SAFETY: as above.
        Ok(unsafe { text::put(producer, handle) }?)
    };
    // SAFETY: rule 10.
    unsafe { guard_error(error, body) }
}

/// Sends what is accepted and ends. What is left when the time runs out is purged, and the answer is TIMED_OUT.
/// -1: `delivery.timeout.ms`. Waits for a running callback beyond that. Deliveries can still be polled after it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_close(
    producer: *mut kurier_producer,
    timeout_ms: i64,
    error: *mut kurier_error,
) -> kurier_code {
    let body = || {
        // SAFETY: rule 6.
        let producer = unsafe { shared(producer) }?;
        Ok(producer.close(Timeout::from_ms(timeout_ms)?)?)
    };
    // SAFETY: rule 10.
    unsafe { guard_error(error, body) }
}

/// Frees a producer; NULL is fine. Closes with no time if it was not closed; deliveries that nobody polled are lost.
/// Must be alone and last. Waits for a running callback, for no network; inside a callback it does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_destroy(producer: *mut kurier_producer) {
    guard_value((), || {
        if !producer::inside_callback() {
            // SAFETY: rule 6.
            unsafe { guard::destroy(producer) };
        }
    });
}

/// OK, or what stands in the way now: FATAL and FENCED for ever; UNREACHABLE, AUTHENTICATION, TLS while they last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_status(
    producer: *const kurier_producer,
    error: *mut kurier_error,
) -> kurier_code {
    // SAFETY: rule 6.
    let body = || Ok(unsafe { shared(producer) }?.status()?);
    // SAFETY: rule 10.
    unsafe { guard_error(error, body) }
}

/// The id of a topic, for this producer; the same name gives the same id. Asks no broker. 0 on failure.
/// INVALID_ARGUMENT: not a name that Kafka allows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_topic(
    producer: *mut kurier_producer,
    name: *const c_char,
    size: usize,
    topic: *mut u32,
) -> kurier_code {
    guard(|| {
        // SAFETY: an output is NULL or what its type says.
        unsafe { text::put(topic, 0) }?;
        // SAFETY: rule 6.
        let producer = unsafe { shared(producer) }?;
        // SAFETY: rule 12.
        let name = unsafe { text::sized(name, size) }?;
        let id = producer.topic(name)?;
        // SAFETY: as above.
        unsafe { text::put(topic, id) }
    })
}

/// The name behind an id, valid until destroy; NULL and 0 on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_topic_name(
    producer: *const kurier_producer,
    topic: u32,
    name: *mut *const c_char,
    size: *mut usize,
) -> kurier_code {
    guard(|| {
        // SAFETY: an output is NULL or what its type says.
        unsafe { text::put(name, std::ptr::null()) }?;
        // SAFETY: as above.
        unsafe { text::put(size, 0) }?;
        // SAFETY: rule 6.
        let text = unsafe { shared(producer) }?.topic_name(topic)?;
        // SAFETY: as above.
        unsafe { text::put(name, text.as_ptr().cast()) }?;
        // SAFETY: as above.
        unsafe { text::put(size, text.len()) }
    })
}

/// How many partitions a topic has. Fetches the metadata if need be (-1: `max.block.ms`), and says why there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_partition_count(
    producer: *mut kurier_producer,
    topic: u32,
    timeout_ms: i64,
    count: *mut i32,
    error: *mut kurier_error,
) -> kurier_code {
    let body = || {
        // SAFETY: an output is NULL or what its type says.
        unsafe { text::put(count, 0) }?;
        // SAFETY: rule 6.
        let producer = unsafe { shared(producer) }?;
        let partitions = producer.partition_count(topic, Timeout::from_ms(timeout_ms)?)?;
        // SAFETY: as above.
        Ok(unsafe { text::put(count, partitions) }?)
    };
    // SAFETY: rule 10.
    unsafe { guard_error(error, body) }
}

/// OK: everything accepted before has its fate, good or bad, and its callback has returned. Needs no poll.
/// -1: `delivery.timeout.ms`. TIMED_OUT: not yet; nothing is given up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_flush(
    producer: *mut kurier_producer,
    timeout_ms: i64,
    error: *mut kurier_error,
) -> kurier_code {
    let body = || {
        // SAFETY: rule 6.
        let producer = unsafe { shared(producer) }?;
        Ok(producer.flush(Timeout::from_ms(timeout_ms)?)?)
    };
    // SAFETY: rule 10.
    unsafe { guard_error(error, body) }
}

/// Gives up records that have no fate yet: KURIER_PURGE_QUEUED, KURIER_PURGE_IN_FLIGHT or both. They are delivered with
/// the code PURGED; `*purged` is how many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_purge(
    producer: *mut kurier_producer,
    what: u32,
    purged: *mut usize,
) -> kurier_code {
    guard(|| {
        // SAFETY: an output is NULL or what its type says.
        unsafe { text::put(purged, 0) }?;
        // SAFETY: rule 6.
        let producer = unsafe { shared(producer) }?;
        if what == 0 || what & !(KURIER_PURGE_QUEUED | KURIER_PURGE_IN_FLIGHT) != 0 {
            return Err(Code::INVALID_ARGUMENT);
        }
        let count = producer.purge(what & KURIER_PURGE_QUEUED != 0, what & KURIER_PURGE_IN_FLIGHT != 0)?;
        // SAFETY: as above.
        unsafe { text::put(purged, count) }
    })
}
