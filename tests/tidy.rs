//! The house rules as a test: the room table in `src/lib.rs`, where unsafe may stand, purity, sizes and names. Every
//! rule is tried on a sample that breaks it.

#![allow(clippy::unwrap_used, reason = "a test may stop where it finds something impossible")]

#[path = "tidy/law.rs"]
mod law;
#[path = "tidy/lex.rs"]
mod lex;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/rules.rs"]
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use law::Law;

const PLACES: [&str; 10] =
    ["src", "tests", "examples", "examples-c", "benches", "bench", "cli", "bindings", "fuzz", "build.rs"];
const BUILT: [&str; 4] = ["target", "build", "node_modules", "corpus"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<(String, String)> {
    let mut waiting: Vec<PathBuf> = PLACES.iter().map(|place| root().join(place)).collect();
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let name = path.file_name().unwrap().to_str().unwrap();
            if !BUILT.contains(&name) {
                waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        } else if path.extension().is_some_and(|kind| rules::KINDS.contains(&kind.to_str().unwrap())) && path.exists() {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push((name, String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()));
        }
    }
    found.sort();
    found
}

#[test]
fn sources_are_tidy() {
    let law = Law::parse(&fs::read_to_string(root().join("src/lib.rs")).unwrap()).unwrap();
    let sources = sources();
    assert!(sources.iter().any(|(path, _)| path == "src/lib.rs") && sources.len() > 15, "the walk finds the sources");
    let faults: Vec<String> = sources.iter().flat_map(|(path, text)| rules::check(&law, path, text)).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn changelog_begins_with_this_version() {
    let text = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let top = text.lines().find_map(|line| line.strip_prefix("## ")).unwrap();
    assert!(top.starts_with(env!("CARGO_PKG_VERSION")), "the top entry is {top}");
}

const TABLE: &str = "\
//! | room | what | may use | unsafe |
//! |---|---|---|---|
//! | `ffi` | the face | io, accumulator, code | yes |
//! | `io` | the world | accumulator, engine, code | no |
//! | `accumulator` | memory | code | yes |
//! | `engine` | the brain | protocol, code | no |
//! | `protocol` | bytes | code | no |
//! | `code` | the error type | | no |
";

/// A file of the sample house, and a part of the one fault that it must have.
const BROKEN: &[(&str, &str, &str)] = &[
    ("src/engine/a.rs", "use crate::io::Socket;", "2: engine may not use io"),
    ("src/engine/a.rs", "use crate::{code::Code, io};", "engine may not use io"),
    ("src/engine/a.rs", "use crate::{\n    code::Code,\n    io::{self, Socket},\n};", "4: engine may not use io"),
    ("src/engine/a.rs", "use {crate::code::Code, crate::io};", "engine may not use io"),
    ("src/engine/a.rs", "use super::super::io::Socket;", "engine may not use io"),
    ("src/engine/a.rs", "use super::{b, super::io};", "engine may not use io"),
    ("src/engine/mod.rs", "use super::io::Socket;", "engine may not use io"),
    ("src/engine/mod.rs", "use self::super::io::Socket;", "engine may not use io"),
    ("src/engine/a/b.rs", "mod tests {\n    use super::super::super::super::io;\n}", "3: engine may not use io"),
    ("src/code.rs", "use super::io::Socket;", "code may not use io"),
    ("src/engine/a.rs", "fn f() { crate::io::go() }", "engine may not use io"),
    ("src/engine/a.rs", "macro_rules! m { () => { $crate::io::go() } }", "engine may not use io"),
    ("src/engine/a.rs", "use ::kurier::io::Socket;", "engine may not use io"),
    ("src/engine/a.rs", "use crate::*;", "name the room"),
    ("src/engine/mod.rs", "use super::*;", "name the room"),
    ("src/engine/a.rs", "use crate as all;", "name the room"),
    ("src/engine/a.rs", "extern crate self as all;", "name the room"),
    ("src/engine/a.rs", "use crate::nowhere::X;", "engine may not use nowhere"),
    ("src/cellar/a.rs", "", "cellar is not a room of the table"),
    ("src/cellar.rs", "", "cellar is not a room of the table"),
    ("src/engine/a.rs", "fn f() { unsafe { g() } }", "engine may not be unsafe"),
    ("src/engine/a.rs", "unsafe impl Send for X {}", "engine may not be unsafe"),
    ("src/accumulator/pool.rs", "unsafe fn f() {}", "unsafe belongs into"),
    ("src/engine/a.rs", "use std::time::Instant;", "engine is pure: Instant"),
    ("src/engine/a.rs", "fn f(now: std::time::SystemTime) {}", "engine is pure: SystemTime"),
    ("src/protocol/a.rs", "use std::collections::{BTreeMap, HashMap};", "protocol is pure: HashMap"),
    ("src/protocol/a.rs", "use std::collections::hash_set::HashSet;", "protocol is pure: HashSet"),
    ("src/engine/a.rs", "use std::{fmt, net::TcpStream};", "engine is pure: std::net"),
    ("src/engine/a.rs", "fn f() { std::thread::yield_now() }", "engine is pure: std::thread"),
    ("src/engine/a.rs", "use std::{fs};", "engine is pure: std::fs"),
    ("src/engine/a.rs", "use ::std::env;", "engine is pure: std::env"),
    ("src/engine/a.rs", "use std::thread as t;", "engine is pure: std::thread"),
    ("src/engine/util.rs", "", "`util` says nothing"),
    ("src/engine/record_helpers.rs", "", "`helpers` says nothing"),
    ("src/engine/inner/a.rs", "", "`inner` says nothing"),
    ("tests/common/mod.rs", "", "`common` says nothing"),
    ("tests/event_handler.rs", "", "`handler` says nothing"),
    ("examples-c/manager.c", "", "`manager` says nothing"),
    (
        "src/ffi/a.rs",
        "#[unsafe(no_mangle)]\npub unsafe extern \"C\" fn kurier_a(x: [u8; 2]) -> i32 { go(x) }",
        "3: kurier_a has no guard",
    ),
    ("src/ffi/a.rs", "#[unsafe(no_mangle)]\npub extern \"C\" fn kurier_a() { /* guard( */ }", "kurier_a has no guard"),
    ("src/ffi/a.rs", "#[unsafe(no_mangle)] pub extern \"C\" fn a() { go() }\nfn b() { guard(|| 0) }", "a has no guard"),
];

/// Files that break nothing, and are near to it.
const SOUND: &[(&str, &str)] = &[
    ("src/engine/a.rs", "use crate::{code::Code, engine::b, protocol::{messages, wire}};"),
    ("src/engine/a/b.rs", "use super::super::c;\nmod tests {\n    use super::super::super::d;\n    use super::*;\n}"),
    (
        "src/engine/a.rs",
        "// unsafe, Instant, crate::io\n/* crate::io /* nested */ HashMap */\nconst A: &str = \"unsafe\";",
    ),
    ("src/engine/a.rs", "const A: &str = r#\"a \" unsafe crate::io\"#; const B: char = '\"'; fn f<'a>(x: &'a u8) {}"),
    ("src/engine/a.rs", "const A: &[u8] = b\"\\\"unsafe\"; const B: char = '\\''; const C: &CStr = c\"HashMap\";"),
    ("src/engine/a.rs", "use std::time::Duration; use std::collections::BTreeMap; pub(crate) fn f() {}"),
    ("src/engine/a.rs", "#![deny(unsafe_code)]"),
    ("src/accumulator/batch.rs", "fn f() { unsafe { g() } }"),
    ("src/accumulator/block/views.rs", "fn f() { unsafe { g() } }"),
    ("src/io/a.rs", "use std::time::Instant; use std::net::TcpStream;"),
    ("src/ffi/a.rs", "#[unsafe(no_mangle)]\npub extern \"C\" fn kurier_a() -> i32 { guard(|| go()) }"),
    ("src/ffi/a.rs", "#[unsafe(no_mangle)]\npub extern \"C\" fn kurier_a() -> i32 { super::guard::guard(|| go()) }"),
    ("src/ffi/a.rs", "type Callback = Option<unsafe extern \"C\" fn(*mut c_void)>;\nextern \"C\" fn local() {}"),
    ("tests/a.rs", "use std::collections::HashMap; fn f() { unsafe { g() } }"),
    ("src/lib.rs", "pub mod code;\nmod io;"),
];

fn sample(path: &str, text: &str) -> Vec<String> {
    let law = Law::parse(TABLE).unwrap();
    let begin = if path.ends_with(".rs") { "//! One sentence.\n" } else { "// One sentence.\n" };
    rules::check(&law, path, &format!("{begin}{text}\n"))
}

#[test]
fn every_rule_can_be_broken() {
    for (path, text, expected) in BROKEN {
        let faults = sample(path, text);
        assert!(
            faults.len() == 1 && faults[0].contains(expected),
            "{path}: {text}\nexpected {expected}, got {faults:?}"
        );
    }
}

#[test]
fn what_is_sound_passes() {
    for (path, text) in SOUND {
        let faults = sample(path, text);
        assert!(faults.is_empty(), "{path}: {text}\n{faults:?}");
    }
}

#[test]
fn sizes_and_first_lines() {
    let law = Law::parse(TABLE).unwrap();
    let faults = |path: &str, text: &str| rules::check(&law, path, text);
    let first = "//! One sentence.\n";
    for path in ["src/engine/a.rs", "tests/a.rs", "examples/a.rs", "build.rs"] {
        assert!(faults(path, &(first.to_owned() + &"\n".repeat(499))).is_empty());
        assert!(faults(path, &(first.to_owned() + &"\n".repeat(500)))[0].contains("501 lines"));
        assert!(faults(path, &format!("{first}// {}\n", "ü".repeat(117))).is_empty());
        assert!(faults(path, &format!("{first}// {}\n", "ü".repeat(118)))[0].contains("2: 121 columns"));
        assert!(faults(path, &format!("{first}//! | {}\n", "x".repeat(130))).is_empty(), "a table cannot be wrapped");
        assert!(faults(path, "// not a module comment\n")[0].contains("opens with"));
        assert!(faults(path, "")[0].contains("opens with"));
    }
    assert!(faults("tests/java/A.java", "import x;\n")[0].contains("opens with"));
    assert!(faults("tests/programs/a.c", &("// A.\n".to_owned() + &"\n".repeat(500)))[0].contains("501 lines"));
    assert!(faults("include/kurier.h", &"\n".repeat(900)).is_empty(), "what is generated is as long as it is");
}

#[test]
fn the_table_itself_is_checked() {
    assert!(Law::parse("//! no table").unwrap_err().contains("no room"));
    let unknown = TABLE.replace("| io, accumulator, code |", "| io, cellar |");
    assert!(Law::parse(&unknown).unwrap_err().contains("ffi uses cellar"));
    let circle = TABLE.replace("| bytes | code |", "| bytes | engine |");
    assert!(Law::parse(&circle).unwrap_err().contains("circle"), "a room uses only lower ones");
    let neither = TABLE.replace("| memory | code | yes |", "| memory | code | maybe |");
    assert!(Law::parse(&neither).unwrap_err().contains("maybe"));
}
