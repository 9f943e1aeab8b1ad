//! `include/kurier.h` is exactly what `src/ffi` says. `UPDATE=1 cargo test --test header` rewrites it.

use std::path::{Path, PathBuf};

/// In the order in which somebody reads about a producer.
const FILES: [&str; 7] = ["types", "library", "config", "producer", "send", "delivery", "cluster"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// cbindgen is given each file: pointed at the crate, it makes a macro of every constant of every room.
fn generated() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in FILES {
        builder = builder.with_src(root().join(format!("src/ffi/{file}.rs")));
    }
    let mut text = Vec::new();
    builder.generate().expect("a header").write(&mut text);
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn the_header_is_current() {
    let text = generated();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(root().join("include/kurier.h"), &text).expect("include/kurier.h");
    }
    let committed = std::fs::read_to_string(root().join("include/kurier.h")).unwrap_or_default();
    assert!(committed == text, "include/kurier.h is not what src/ffi says: UPDATE=1 cargo test --test header");
}

#[test]
fn every_file_of_the_face_is_read() {
    let mut there: Vec<String> = std::fs::read_dir(root().join("src/ffi"))
        .expect("src/ffi")
        .map(|entry| Path::new(&entry.expect("an entry").file_name()).with_extension("").display().to_string())
        .filter(|name| !["mod", "guard", "text"].contains(&name.as_str()))
        .collect();
    there.sort();
    let mut read = FILES.map(String::from);
    read.sort();
    assert_eq!(there, read);
}

/// Without comments.
fn code() -> String {
    generated().lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_name_begins_with_kurier() {
    let code = code();
    let mut names = Vec::new();
    for line in code.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["#define", name, ..] => names.push((*name).to_owned()),
            ["typedef", "struct", name, ..] => names.push((*name).to_owned()),
            [.., last] if line.starts_with("typedef") && !line.contains('(') => names.push((*last).to_owned()),
            _ => {}
        }
        if let Some((_, rest)) = line.split_once("(*") {
            names.extend(rest.split(')').next().map(String::from));
        }
    }
    names.extend(declared(&code));
    assert!(names.len() > 85, "only {} names found", names.len());
    for name in names {
        assert!(name.to_lowercase().starts_with("kurier_"), "{name}");
    }
}

#[test]
fn every_code_has_its_macro() {
    let code = code();
    for (number, name, _) in kurier::code::Code::ALL {
        let line = format!("#define KURIER_CODE_{} {}\n", name.to_string_lossy(), number.0);
        assert!(code.contains(&line), "{line}");
    }
    assert_eq!(code.matches("#define KURIER_CODE_").count(), kurier::code::Code::ALL.len());
}

#[test]
fn the_header_holds_no_words_of_rust() {
    let text = generated();
    for word in ["# Safety", "SAFETY", "Result", "Option", "unsafe", "`*mut", "usize"] {
        assert!(!text.contains(word), "{word}");
    }
    for line in text.lines() {
        assert!(line.len() <= 120, "{line}");
        assert!(!line.ends_with(' '), "{line:?}");
    }
}

/// The functions of the header.
fn declared(code: &str) -> Vec<String> {
    code.split(['\n', ';'])
        .filter(|part| !part.starts_with("typedef") && !part.starts_with([' ', '#']) && part.contains('('))
        .filter_map(|part| part.split('(').next()?.split([' ', '*']).next_back().map(String::from))
        .filter(|name| name.starts_with("kurier_"))
        .collect()
}
