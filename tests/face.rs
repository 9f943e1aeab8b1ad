//! The C face from the side of C: the twelve rules at the top of the header, bad input, fork and the ways to end.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test has a clock and threads, and says what it is about"
)]

#[path = "face/compiler.rs"]
mod compiler;

use compiler::{build, command, good, root, run};

fn program(name: &str) {
    let program = build(&root().join(format!("tests/face/{name}.c")), &[]);
    good(&run(command(&program)));
}

/// Declarations of the header, each as its name and its parameters.
fn declarations() -> Vec<(String, Vec<String>)> {
    let header = std::fs::read_to_string(root().join("include/kurier.h")).expect("the header");
    let code: Vec<&str> = header.lines().filter(|line| !line.trim_start().starts_with(['#', '/'])).collect();
    let (_, functions) = code.join(" ").split_once("extern \"C\" {").map(|(a, b)| (a.len(), b.to_owned())).expect("C");
    let declaration = |text: &str| {
        let (left, right) = text.split_once('(')?;
        let parameters = right.trim_end().strip_suffix(')')?;
        let parameters = parameters.split(',').map(|p| p.split_whitespace().collect::<Vec<_>>().join(" "));
        Some((left.split([' ', '*']).next_back()?.to_owned(), parameters.collect()))
    };
    functions.split(';').filter_map(declaration).collect()
}

#[test]
fn rule_1_order_of_arguments() {
    let declarations = declarations();
    assert!(declarations.len() > 35, "{} functions", declarations.len());
    for (name, parameters) in declarations {
        let place = |what: &str| parameters.iter().position(|parameter| parameter.contains(what));
        for handle in ["config", "producer", "cluster"] {
            let first = parameters.first().is_some_and(|parameter| {
                parameter.contains(&format!("struct kurier_{handle} *")) && !parameter.contains("**")
            });
            let maker = name.ends_with("_new") || name == "kurier_config_name";
            assert!(maker || first == name.starts_with(&format!("kurier_{handle}_")), "{name}: {parameters:?}");
        }
        if let Some(place) = place("kurier_error *") {
            assert_eq!(place, parameters.len() - 1, "{name}: the error is last");
        }
        if let Some(timeout) = place("timeout_ms") {
            for output in ["size_t *", "int32_t *count", "struct kurier_delivery *"] {
                assert!(place(output).is_none_or(|place| place > timeout), "{name}: outputs come after the timeout");
            }
            for input in ["kurier_record *", "uint32_t topic"] {
                assert!(place(input).is_none_or(|place| place < timeout), "{name}: inputs come before the timeout");
            }
        }
    }
}

#[test]
fn rule_2_codes_and_outputs() {
    program("rule_2");
}

#[test]
fn rule_3_timeouts() {
    program("rule_3");
}

#[test]
fn rule_4_no_pointer_is_kept() {
    program("rule_4");
}

#[test]
fn rule_5_who_frees_what() {
    program("rule_5");
}

#[test]
fn rule_6_threads_and_close() {
    program("rule_6");
}

#[test]
fn rule_7_callbacks() {
    program("rule_7");
}

#[test]
fn rule_8_exactly_one_delivery() {
    program("rule_8");
}

#[test]
fn rule_9_zeros_and_unknown_flags() {
    program("rule_9");
}

#[test]
fn rule_10_sizes_of_structs() {
    program("rule_10");
}

#[test]
fn rule_11_numbers_stay() {
    program("rule_11");
}

#[test]
fn rule_12_text_and_null() {
    program("rule_12");
}

#[test]
fn bad_input() {
    program("bad_input");
}

#[test]
fn a_batch_is_as_its_records_by_themselves() {
    program("batch");
}

#[test]
fn fork_answers_forked() {
    program("fork");
}

#[test]
fn every_way_to_end() {
    let program = build(&root().join("tests/face/exit.c"), &[]);
    for way in ["never-called", "without-close", "during-close"] {
        println!("{way}");
        let mut command = command(&program);
        command.arg(way);
        good(&run(command));
    }
}

#[test]
fn unloading_does_nothing() {
    // It names no function of the library, so `--as-needed` leaves the library out of it.
    let program = build(&root().join("tests/face/unload.c"), &["-Wl,--as-needed", "-ldl"]);
    let mut command = command(&program);
    command.arg(compiler::library().join("libkurier.so"));
    good(&run(command));
}
