//! What crosses the boundary: codes, flags, structs and callbacks. Their layout is frozen and checked here.

use std::ffi::{c_char, c_void};
use std::mem::{offset_of, size_of};

use crate::code::{Code, Outcome};
use crate::producer::Delivery;

/// Settings. Opaque; one thread at a time.
pub struct kurier_config {
    _private: [u8; 0],
}

/// A producer. Opaque; any thread, any time, except destroy.
pub struct kurier_producer {
    _private: [u8; 0],
}

/// An embedded cluster, for tests and demonstrations. Opaque; any thread, any time, except destroy.
pub struct kurier_cluster {
    _private: [u8; 0],
}

/// What a call or a record ended in: 0 is OK, the others are negative. More may follow; an unknown one is a failure.
pub type kurier_code = i32;

/// No error.
pub const KURIER_CODE_OK: kurier_code = 0;
/// No room in buffer.memory within the time.
pub const KURIER_CODE_QUEUE_FULL: kurier_code = -1;
/// The time ran out: metadata, flush, close, delivery.
pub const KURIER_CODE_TIMED_OUT: kurier_code = -2;
/// After close.
pub const KURIER_CODE_CLOSED: kurier_code = -3;
/// A pointer that is required is NULL.
pub const KURIER_CODE_NULL_POINTER: kurier_code = -4;
/// An argument is not valid; also: an unknown or contradictory setting.
pub const KURIER_CODE_INVALID_ARGUMENT: kurier_code = -5;
/// Not inside this callback.
pub const KURIER_CODE_WRONG_THREAD: kurier_code = -6;
/// Not now, or not with this configuration.
pub const KURIER_CODE_WRONG_STATE: kurier_code = -7;
/// Larger than max.request.size, or than the broker's limit.
pub const KURIER_CODE_RECORD_TOO_LARGE: kurier_code = -8;
/// The brokers do not have it.
pub const KURIER_CODE_UNKNOWN_TOPIC: kurier_code = -9;
/// The topic does not have it.
pub const KURIER_CODE_UNKNOWN_PARTITION: kurier_code = -10;
/// A broker refused it; broker_code says why.
pub const KURIER_CODE_REJECTED: kurier_code = -11;
/// Given up by purge or close.
pub const KURIER_CODE_PURGED: kurier_code = -12;
/// A newer producer has the transactional id.
pub const KURIER_CODE_FENCED: kurier_code = -13;
/// A child after fork; the handle belongs to the parent.
pub const KURIER_CODE_FORKED: kurier_code = -14;
/// The producer is finished; its status says why.
pub const KURIER_CODE_FATAL: kurier_code = -15;
/// A defect, or no resources; the message says which.
pub const KURIER_CODE_INTERNAL: kurier_code = -16;
/// The brokers do not allow it.
pub const KURIER_CODE_NOT_AUTHORIZED: kurier_code = -17;
/// Authentication failed.
pub const KURIER_CODE_AUTHENTICATION: kurier_code = -18;
/// A secure connection could not be made.
pub const KURIER_CODE_TLS: kurier_code = -19;
/// Not supported by the brokers or by this build.
pub const KURIER_CODE_UNSUPPORTED: kurier_code = -20;
/// The transaction was, or can only be, aborted.
pub const KURIER_CODE_ABORTED: kurier_code = -21;
/// The serializer said no.
pub const KURIER_CODE_SERIALIZATION: kurier_code = -22;
/// No broker answers, or what answers is not Kafka.
pub const KURIER_CODE_UNREACHABLE: kurier_code = -23;

/// kurier_error.flags: the same call may succeed later.
pub const KURIER_ERROR_RETRIABLE: u32 = 1;
/// kurier_error.flags: the producer is finished.
pub const KURIER_ERROR_FATAL: u32 = 4;

/// kurier_record.flags: `partition` holds; else the partitioner chooses.
pub const KURIER_RECORD_PARTITION: u32 = 1;
/// kurier_record.flags: `timestamp_ms` holds; else it is the time of the call.
pub const KURIER_RECORD_TIMESTAMP: u32 = 2;
/// kurier_record.flags: no delivery if its code would be OK.
pub const KURIER_RECORD_QUIET: u32 = 4;

/// kurier_delivery.outcome: the record was sent and may be in the log, at most once if `enable.idempotence` is true:
/// its time was over, it was purged, its retries were used up, or no broker can tell any more (acks=0: none ever does).
/// Look into the log before sending it again. docs/outcomes.md lists every case.
pub const KURIER_OUTCOME_UNKNOWN: u8 = 0;
/// kurier_delivery.outcome: the record is in the log, on all in-sync replicas (`acks=all`), once if idempotent.
pub const KURIER_OUTCOME_WRITTEN: u8 = 1;
/// kurier_delivery.outcome: the record is not in the log and never will be; it may be sent again.
pub const KURIER_OUTCOME_NOT_WRITTEN: u8 = 2;

/// kurier_producer_purge: what was never sent; its outcome is NOT_WRITTEN.
pub const KURIER_PURGE_QUEUED: u32 = 1;
/// kurier_producer_purge: what was sent and has no answer; its outcome is UNKNOWN.
pub const KURIER_PURGE_IN_FLIGHT: u32 = 2;

/// Level of a log line: something was lost or will not work.
pub const KURIER_LOG_ERROR: i32 = 1;
/// Level of a log line: something went wrong and is being dealt with.
pub const KURIER_LOG_WARN: i32 = 2;
/// Level of a log line: what an operator wants to know.
pub const KURIER_LOG_INFO: i32 = 3;
/// Level of a log line: what a developer wants to know.
pub const KURIER_LOG_DEBUG: i32 = 4;

/// Why a call failed. Written by every call that gets one, also on OK (code 0, empty message). Begin with zeros.
#[repr(C)]
pub struct kurier_error {
    /// Bytes of this struct that the caller has; 0: the 256 of this first version. It is not written.
    pub size: u32,
    /// The code that the call returned.
    pub code: i32,
    /// Kafka's error code, 0 if no broker spoke; after TIMED_OUT the last one that stood in the way.
    pub broker_code: i32,
    /// KURIER_ERROR_RETRIABLE and KURIER_ERROR_FATAL.
    pub flags: u32,
    /// A sentence in UTF-8, NUL at its end.
    pub message: [c_char; 240],
}

/// A header of a record. 32 bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kurier_header {
    /// UTF-8, not NUL-terminated. NULL only with size 0, which is the empty name.
    pub name: *const c_char,
    /// NULL is null; with size 0 and not NULL it is empty.
    pub value: *const c_void,
    /// Bytes of the name.
    pub name_size: usize,
    /// Bytes of the value.
    pub value_size: usize,
}

/// A record to send. With zeros it has no key, no value, no headers, the time of the call, the partitioner's choice.
/// 80 bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kurier_record {
    /// NULL is null; with size 0 and not NULL it is empty.
    pub key: *const c_void,
    /// NULL is null; with size 0 and not NULL it is empty.
    pub value: *const c_void,
    /// `header_count` of them.
    pub headers: *const kurier_header,
    /// Bytes of the key.
    pub key_size: usize,
    /// Bytes of the value.
    pub value_size: usize,
    /// How many headers; they keep their order.
    pub header_count: usize,
    /// Milliseconds since 1970, not negative; holds with KURIER_RECORD_TIMESTAMP.
    pub timestamp_ms: i64,
    /// Any number; comes back in the delivery.
    pub opaque: u64,
    /// An id from kurier_producer_topic.
    pub topic: u32,
    /// Holds with KURIER_RECORD_PARTITION.
    pub partition: i32,
    /// KURIER_RECORD_...
    pub flags: u32,
    /// 0.
    pub reserved: u32,
}

/// What became of one record. `code` OK: written (with acks=0 UNKNOWN); any other: NOT_WRITTEN or UNKNOWN.
/// 40 bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kurier_delivery {
    /// That of the record.
    pub opaque: u64,
    /// Its offset in the partition; -1 if no broker told it.
    pub offset: i64,
    /// The timestamp that the log has.
    pub timestamp_ms: i64,
    /// The record's topic id.
    pub topic: u32,
    /// The partition that it went to.
    pub partition: i32,
    /// A kurier_code.
    pub code: i32,
    /// The last broker error, also with TIMED_OUT; 0 if none.
    pub broker_code: i16,
    /// KURIER_OUTCOME_...: what is known about the record's place in the log.
    pub outcome: u8,
    /// How often it was sent; 255: or more.
    pub attempts: u8,
}

/// Chooses a partition for a record without KURIER_RECORD_PARTITION. Called by the sending thread, several at once.
/// Returns 0 to partition_count-1; -1: as without a partitioner; else the record is not accepted, UNKNOWN_PARTITION.
pub type kurier_partitioner = Option<
    unsafe extern "C" fn(
        userdata: *mut c_void,
        topic: u32,
        key: *const c_void,
        key_size: usize,
        partition_count: i32,
    ) -> i32,
>;

/// Writes an object as bytes. Called by the sending thread, several at once. Returns the size; one >= capacity did not
/// fit, and it is called again with more (as snprintf, which may be used). -1: null; less: not accepted, SERIALIZATION.
/// Two calls for one object must write the same.
pub type kurier_serializer = Option<
    unsafe extern "C" fn(
        userdata: *mut c_void,
        topic: u32,
        object: *const c_void,
        object_size: usize,
        buffer: *mut c_void,
        capacity: usize,
    ) -> i64,
>;

/// Gets deliveries. Called by the library's delivery thread, one call at a time; the array is gone after it.
/// May call everything that does not wait.
pub type kurier_delivery_callback =
    Option<unsafe extern "C" fn(userdata: *mut c_void, deliveries: *const kurier_delivery, count: usize)>;

/// Says that kurier_producer_poll would return at once. Called by a library thread; carries nothing, may come once
/// too often; only to wake somebody who polls.
pub type kurier_ready_callback = Option<unsafe extern "C" fn(userdata: *mut c_void)>;

/// Gets one line of logfmt, UTF-8, without newline or NUL, of level `log.level` or worse. Called by any thread, several
/// at once. Without it nothing is written anywhere.
pub type kurier_log_callback =
    Option<unsafe extern "C" fn(userdata: *mut c_void, level: i32, text: *const c_char, size: usize)>;

macro_rules! same_codes {
    ($($constant:ident = $code:ident,)*) => {
        const _: () = { $(assert!($constant == Code::$code.0);)* };
    };
}

same_codes! {
    KURIER_CODE_OK = OK,
    KURIER_CODE_QUEUE_FULL = QUEUE_FULL,
    KURIER_CODE_TIMED_OUT = TIMED_OUT,
    KURIER_CODE_CLOSED = CLOSED,
    KURIER_CODE_NULL_POINTER = NULL_POINTER,
    KURIER_CODE_INVALID_ARGUMENT = INVALID_ARGUMENT,
    KURIER_CODE_WRONG_THREAD = WRONG_THREAD,
    KURIER_CODE_WRONG_STATE = WRONG_STATE,
    KURIER_CODE_RECORD_TOO_LARGE = RECORD_TOO_LARGE,
    KURIER_CODE_UNKNOWN_TOPIC = UNKNOWN_TOPIC,
    KURIER_CODE_UNKNOWN_PARTITION = UNKNOWN_PARTITION,
    KURIER_CODE_REJECTED = REJECTED,
    KURIER_CODE_PURGED = PURGED,
    KURIER_CODE_FENCED = FENCED,
    KURIER_CODE_FORKED = FORKED,
    KURIER_CODE_FATAL = FATAL,
    KURIER_CODE_INTERNAL = INTERNAL,
    KURIER_CODE_NOT_AUTHORIZED = NOT_AUTHORIZED,
    KURIER_CODE_AUTHENTICATION = AUTHENTICATION,
    KURIER_CODE_TLS = TLS,
    KURIER_CODE_UNSUPPORTED = UNSUPPORTED,
    KURIER_CODE_ABORTED = ABORTED,
    KURIER_CODE_SERIALIZATION = SERIALIZATION,
    KURIER_CODE_UNREACHABLE = UNREACHABLE,
}

const _: () = {
    assert!(KURIER_OUTCOME_UNKNOWN == Outcome::Unknown as u8);
    assert!(KURIER_OUTCOME_WRITTEN == Outcome::Written as u8);
    assert!(KURIER_OUTCOME_NOT_WRITTEN == Outcome::NotWritten as u8);
};

macro_rules! same_fields {
    ($($field:ident)*) => {
        const _: () = { $(assert!(offset_of!(kurier_delivery, $field) == offset_of!(Delivery, $field));)* };
    };
}

// Deliveries are read and handed over in place, so both types are one layout.
same_fields! { opaque offset timestamp_ms topic partition code broker_code outcome attempts }

const _: () = {
    assert!(size_of::<kurier_delivery>() == size_of::<Delivery>());
    assert!(align_of::<kurier_delivery>() == align_of::<Delivery>());
    assert!(size_of::<kurier_delivery>() == 40);
    assert!(offset_of!(kurier_delivery, topic) == 24 && offset_of!(kurier_delivery, attempts) == 39);
    assert!(size_of::<kurier_error>() == 256);
    assert!(offset_of!(kurier_error, message) == 16);
};

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<kurier_header>() == 32);
    assert!(offset_of!(kurier_header, value) == 8);
    assert!(offset_of!(kurier_header, name_size) == 16 && offset_of!(kurier_header, value_size) == 24);
    assert!(size_of::<kurier_record>() == 80);
    assert!(offset_of!(kurier_record, key_size) == 24 && offset_of!(kurier_record, timestamp_ms) == 48);
    assert!(offset_of!(kurier_record, topic) == 64 && offset_of!(kurier_record, reserved) == 76);
};
