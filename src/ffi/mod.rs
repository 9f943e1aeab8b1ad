//! The C face: pointers in, codes out. `include/kurier.h` is generated from the files of this folder.
//!
//! One file per C "class". Nothing is decided here: every call checks what C cannot promise, builds borrowed
//! Rust values without copying a byte, and asks `producer` or `testcluster`.

#![allow(unsafe_code, reason = "this is the room in which pointers of another language are believed")]
#![allow(non_camel_case_types, reason = "the names are those of the C header")]
#![allow(
    clippy::missing_safety_doc,
    reason = "a Safety section would land in the header, whose twelve rules it repeats"
)]

pub mod cluster;
pub mod config;
pub mod delivery;
mod guard;
pub mod library;
pub mod producer;
pub mod send;
mod text;
pub mod types;
