//! The library itself: its version, and codes in words.

use std::ffi::c_char;

use crate::code::Code;
use crate::producer::broker_code_name;

use super::guard::guard_value;

/// The version that this header belongs to: 0xMMmmpp00, major, minor, patch.
pub const KURIER_VERSION: u32 = 0x0001_0000;

/// Two libraries with the same number can take each other's place without compiling again; 0: not promised yet. It
/// stands in the soname, too.
pub const KURIER_ABI_VERSION: u32 = 0;

const fn decimal(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let (mut value, mut at) = (0, 0);
    while at < bytes.len() {
        value = value * 10 + (bytes[at] - b'0') as u32;
        at += 1;
    }
    value
}

const _: () = {
    let major = decimal(env!("CARGO_PKG_VERSION_MAJOR"));
    let minor = decimal(env!("CARGO_PKG_VERSION_MINOR"));
    let patch = decimal(env!("CARGO_PKG_VERSION_PATCH"));
    assert!(KURIER_VERSION == major << 24 | minor << 16 | patch << 8, "KURIER_VERSION is not that of Cargo.toml");
};

/// The version of the library that runs, as KURIER_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn kurier_version() -> u32 {
    guard_value(KURIER_VERSION, || KURIER_VERSION)
}

/// The ABI of the library that runs; compare it with KURIER_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn kurier_abi_version() -> u32 {
    guard_value(KURIER_ABI_VERSION, || KURIER_ABI_VERSION)
}

/// The name of a kurier_code: "QUEUE_FULL". Static, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kurier_code_name(code: i32) -> *const c_char {
    guard_value(c"UNKNOWN".as_ptr(), || Code(code).name().as_ptr())
}

/// A kurier_code as a sentence. Static, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kurier_code_text(code: i32) -> *const c_char {
    guard_value(c"".as_ptr(), || Code(code).text().as_ptr())
}

/// The name of one of Kafka's error codes: "NOT_LEADER_OR_FOLLOWER". Static, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kurier_broker_code_name(code: i32) -> *const c_char {
    guard_value(c"UNKNOWN".as_ptr(), || i16::try_from(code).map_or(c"UNKNOWN", broker_code_name).as_ptr())
}
