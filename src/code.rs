//! The one error type, its codes and their words. The numbers are those of the C header.

use std::fmt;

/// What a call or a record ended in. `OK` is 0; the others are negative and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub i32);

macro_rules! codes {
    ($($name:ident = $value:literal, $text:literal;)*) => {
        impl Code {
            $(#[doc = $text] pub const $name: Self = Self($value);)*
            /// Every code with its name and its sentence.
            pub const ALL: &'static [(Self, &'static std::ffi::CStr, &'static std::ffi::CStr)] = &[
                $((Self($value), cstr(concat!(stringify!($name), "\0")), cstr(concat!($text, "\0"))),)*
            ];
        }
    };
}

const fn cstr(text: &'static str) -> &'static std::ffi::CStr {
    match std::ffi::CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("a name with a NUL inside"),
    }
}

codes! {
    OK = 0, "No error.";
    QUEUE_FULL = -1, "There was no room in buffer.memory within the time.";
    TIMED_OUT = -2, "The time ran out.";
    CLOSED = -3, "The producer is closed.";
    NULL_POINTER = -4, "A pointer that is required is NULL.";
    INVALID_ARGUMENT = -5, "An argument or a setting is not valid.";
    WRONG_THREAD = -6, "This call does not work inside this callback.";
    WRONG_STATE = -7, "This call does not work now, or not with this configuration.";
    RECORD_TOO_LARGE = -8, "The record is larger than max.request.size or than the broker's limit.";
    UNKNOWN_TOPIC = -9, "The brokers do not have this topic.";
    UNKNOWN_PARTITION = -10, "The topic does not have this partition.";
    REJECTED = -11, "A broker refused it; the broker code says why.";
    PURGED = -12, "It was given up by purge or close.";
    FENCED = -13, "A newer producer has the transactional id.";
    FORKED = -14, "The process was forked; this producer belongs to the parent.";
    FATAL = -15, "The producer is finished; its status says why.";
    INTERNAL = -16, "A defect, or the system has no resources left; the message says which.";
    NOT_AUTHORIZED = -17, "The brokers do not allow it.";
    AUTHENTICATION = -18, "Authentication failed.";
    TLS = -19, "A secure connection could not be made.";
    UNSUPPORTED = -20, "Not supported by the brokers or by this build.";
    ABORTED = -21, "The transaction was, or can only be, aborted.";
    SERIALIZATION = -22, "The serializer refused the object.";
    UNREACHABLE = -23, "No broker answers, or what answers is not Kafka.";
}

impl Code {
    /// `"QUEUE_FULL"`; `"UNKNOWN"` for a number that is no code.
    #[must_use]
    pub fn name(self) -> &'static std::ffi::CStr {
        Self::ALL.iter().find(|row| row.0 == self).map_or(c"UNKNOWN", |row| row.1)
    }

    /// One sentence; also for a number that is no code.
    #[must_use]
    pub fn text(self) -> &'static std::ffi::CStr {
        Self::ALL.iter().find(|row| row.0 == self).map_or(c"This code is not known here.", |row| row.2)
    }
}

/// What became of a record's bytes, as far as it can be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// It may be in the log.
    #[default]
    Unknown = 0,
    /// It is in the log.
    Written = 1,
    /// It is not in the log and never will be.
    NotWritten = 2,
}

/// Why a call failed, or what stands in a producer's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The kind.
    pub code: Code,
    /// Kafka's error code if a broker spoke, else 0.
    pub broker_code: i16,
    /// The same call may succeed later.
    pub retriable: bool,
    /// The producer is finished.
    pub fatal: bool,
    /// One sentence for people.
    pub message: String,
}

impl Error {
    /// An error of which no broker spoke.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let retriable = matches!(code, Code::QUEUE_FULL | Code::TIMED_OUT | Code::UNREACHABLE);
        Self { code, broker_code: 0, retriable, fatal: false, message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.code.name().to_string_lossy(), self.message)
    }
}

impl std::error::Error for Error {}

/// What a call of this library answers.
pub type Result<T> = std::result::Result<T, Error>;
