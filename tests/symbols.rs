//! What the shared library shows to a linker: the functions of the header and nothing else, and how it is loaded.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "the size is worth a line")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Stripped. Far more means that link time optimisation did not run (`tests.md`: it fails to without a word).
const BUDGET_BYTES: u64 = 4_000_000;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn answer(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).output().expect(program);
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The names of the header's functions.
fn header() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("include/kurier.h")).expect("the header");
    text.lines()
        .filter(|line| !line.starts_with([' ', '/', '#', '}']) && !line.starts_with("typedef"))
        .filter_map(|line| line.split('(').next()?.split([' ', '*']).next_back().map(String::from))
        .filter(|name| name.starts_with("kurier_"))
        .collect()
}

fn check(library: &Path) {
    let defined: BTreeSet<String> = answer("nm", &["-D", "--defined-only"], library)
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2).map(String::from))
        .collect();
    let header = header();
    assert!(header.len() > 35, "{} functions in the header", header.len());
    assert_eq!(defined, header, "exported (left) and declared (right)");

    let dynamic = answer("readelf", &["-d"], library);
    let soname = format!("[libkurier.so.{}]", kurier::ffi::library::KURIER_ABI_VERSION);
    assert!(dynamic.lines().any(|line| line.contains("(SONAME)") && line.contains(&soname)), "{dynamic}");
    // A library with threads and with a handler for fork must stay where it is.
    assert!(dynamic.lines().any(|line| line.contains("(FLAGS_1)") && line.contains("NODELETE")), "{dynamic}");
    assert!(!dynamic.contains("(TEXTREL)"), "{dynamic}");
    for line in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        let known = ["libc.so", "libgcc_s.so", "libm.so", "libdl.so", "libpthread.so", "ld-linux"];
        assert!(known.iter().any(|name| line.contains(name)), "{line}");
    }
}

#[test]
fn the_library_shows_what_the_header_says() {
    let test = std::env::current_exe().expect("this test");
    check(&test.parent().expect("deps").join("libkurier.so"));
}

/// The library that ships. Built as `examples-c/Makefile` does it, so that it is built once.
#[test]
fn the_release_is_small() {
    let output = Command::new(env!("CARGO"))
        .args(["rustc", "--release", "--lib", "--crate-type", "cdylib"])
        .current_dir(root())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let library = target.join("release/libkurier.so");
    check(&library);
    let stripped = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libkurier-stripped.so");
    answer("strip", &["-o", &stripped.display().to_string()], &library);
    let size = std::fs::metadata(&stripped).expect("the stripped library").len();
    println!("{size} bytes");
    assert!(size <= BUDGET_BYTES, "{size} bytes, budget {BUDGET_BYTES}");
}
