//! Deliveries on their last step: into the application's own array.

use crate::code::Code;
use crate::producer::{Delivery, Timeout};

use super::guard::{guard, guard_value, shared};
use super::text;
use super::types::{kurier_code, kurier_delivery, kurier_producer};

/// Takes deliveries: OK with 1 to `capacity` of them; OK with 0 when the time is over or somebody woke it; CLOSED when
/// the producer is closed and everything was read. -1: without limit. Several threads may poll; each delivery goes to
/// one of them. Deliveries that nobody takes count against `buffer.memory`. WRONG_STATE with a delivery callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_poll(
    producer: *mut kurier_producer,
    timeout_ms: i64,
    deliveries: *mut kurier_delivery,
    capacity: usize,
    count: *mut usize,
) -> kurier_code {
    guard(|| {
        // SAFETY: an output is NULL or what its type says.
        unsafe { text::put(count, 0) }?;
        // SAFETY: rule 6.
        let producer = unsafe { shared(producer) }?;
        let timeout = Timeout::from_ms(timeout_ms)?;
        if deliveries.is_null() {
            return Err(Code::NULL_POINTER);
        }
        let fits = capacity.checked_mul(size_of::<kurier_delivery>()).is_some_and(|size| isize::try_from(size).is_ok());
        if capacity == 0 || !fits || !deliveries.is_aligned() {
            return Err(Code::INVALID_ARGUMENT);
        }
        // SAFETY: not NULL, aligned, and every bit pattern is a delivery; both types are one layout (`types.rs`).
        let room = unsafe { std::slice::from_raw_parts_mut(deliveries.cast::<Delivery>(), capacity) };
        let taken = producer.poll(room, timeout)?;
        // SAFETY: as above.
        unsafe { text::put(count, taken) }
    })
}

/// Makes a waiting poll, else the next one, return OK with 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_wake(producer: *mut kurier_producer) -> kurier_code {
    // SAFETY: rule 6.
    guard(|| unsafe { shared(producer) }?.wake())
}

/// How many records are accepted and not yet delivered to the application. 0 if it is no producer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_producer_pending(producer: *const kurier_producer) -> usize {
    // SAFETY: rule 6.
    guard_value(0, || unsafe { shared(producer) }.map_or(0, |producer| producer.pending()))
}
