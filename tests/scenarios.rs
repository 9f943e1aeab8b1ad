//! The table of the Java client's scenarios (`docs/java-scenarios.md`): every test that it names exists.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;

const TABLE: &str = include_str!("../docs/java-scenarios.md");

/// How many scenarios of each class there are at least: none is forgotten when the table changes.
const CLASSES: [(&str, usize); 5] = [
    ("SenderTest", 53),
    ("RecordAccumulatorTest", 26),
    ("BufferPoolTest", 11),
    ("ProducerBatchTest", 7),
    ("NetworkClientTest", 13),
];

/// Class, scenario, and what is said of it, row by row.
fn rows(table: &str) -> Vec<(&str, &str, &str)> {
    let mut class = "";
    let mut rows = Vec::new();
    for line in table.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            class = name;
        } else if let Some((scenario, here)) = line.strip_prefix("| ").and_then(|row| row.split_once(" | "))
            && scenario != "scenario"
        {
            rows.push((class, scenario, here.trim_end_matches('|').trim()));
        }
    }
    rows
}

/// The tests that a row names: file and function.
fn named(here: &str) -> Vec<(&str, &str)> {
    here.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.split_once("::"))
        .filter(|(file, _)| file.contains('/'))
        .collect()
}

/// Is there a test of that name? In `settings_effect` one macro makes tests of functions; the rules of the face are
/// made by another.
fn is_test(text: &str, file: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let marked = lines.iter().enumerate().any(|(place, line)| {
        line.contains(&function)
            && lines[..place].iter().rev().take_while(|line| line.starts_with('#')).any(|line| *line == "#[test]")
    });
    marked || (file.starts_with("tests/settings_effect/") && lines.iter().any(|line| line.contains(&function)))
}

#[test]
fn every_scenario_has_a_test_that_exists_or_a_reason() {
    let rows = rows(TABLE);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (class, scenario, here) in &rows {
        *counts.entry(class).or_default() += 1;
        assert!(!here.is_empty(), "{class}, {scenario}: neither a test nor a reason");
        for (file, name) in named(here) {
            let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{scenario}: {file}: {error}"));
            assert!(is_test(&text, file, name), "{scenario}: {file} has no test {name}");
        }
    }
    for (class, least) in CLASSES {
        let count = counts.get(class).copied().unwrap_or(0);
        assert!(count >= least, "{class}: {count} scenarios, {least} are known");
    }
    assert_eq!(counts.len(), CLASSES.len(), "{counts:?}");
}

/// The check itself can fail.
#[test]
fn a_name_that_is_no_test_is_found() {
    let text = "#[test]\n#[ignore]\nfn a() {}\nfn b() {}\n// fn c(\n";
    assert!(is_test(text, "src/x.rs", "a"));
    assert!(!is_test(text, "src/x.rs", "b") && !is_test(text, "src/x.rs", "c") && !is_test(text, "src/x.rs", "d"));
    assert_eq!(
        named("see `src/x.rs::a`, `Refused::Never` and `tests/y.rs::b`."),
        [("src/x.rs", "a"), ("tests/y.rs", "b")]
    );
    assert_eq!(rows("## A\n| scenario | here |\n|---|---|\n| one | `x` |\n"), [("A", "one", "`x`")]);
}
