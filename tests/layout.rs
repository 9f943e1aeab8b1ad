//! The header, alone and with the checks of `layout.c`, in every dialect of C and C++ that the compilers here know.
#![allow(clippy::print_stdout, reason = "a compiler that is missing is worth a line")]

use std::path::{Path, PathBuf};
use std::process::Command;

const STRICT: [&str; 5] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The compilers of one kind that are installed.
fn compilers(names: [&'static str; 2]) -> Vec<&'static str> {
    let there = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    let (there, missing): (Vec<_>, Vec<_>) = names.into_iter().partition(there);
    for name in missing {
        println!("{name} is not installed: the header was not tried with it");
    }
    assert!(!there.is_empty(), "one of {names:?} is needed");
    there
}

fn compile(compiler: &str, language: &str, standard: &str, file: &Path) {
    let output = Command::new(compiler)
        .args(["-x", language, &format!("-std={standard}")])
        .args(STRICT)
        .arg("-I")
        .arg(root().join("include"))
        .arg(file)
        .output()
        .expect(compiler);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler} -std={standard} {}:\n{words}", file.display());
}

#[test]
fn the_header_compiles_as_c() {
    for compiler in compilers(["gcc", "clang"]) {
        for standard in ["c99", "c11", "c17", "c2x"] {
            compile(compiler, "c", standard, &root().join("tests/layout.c"));
            compile(compiler, "c", standard, &alone("c"));
        }
    }
}

#[test]
fn the_header_compiles_as_cpp() {
    for compiler in compilers(["g++", "clang++"]) {
        for standard in ["c++11", "c++14", "c++17", "c++20", "c++2b"] {
            compile(compiler, "c++", standard, &root().join("tests/layout.c"));
            compile(compiler, "c++", standard, &alone("cpp"));
        }
    }
}

/// A file that says nothing but `#include`: what the header needs, it brings itself.
fn alone(extension: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("alone.{extension}"));
    std::fs::write(&file, "#include \"kurier.h\"\nextern int something;\n").expect("a file");
    file
}
