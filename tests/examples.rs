//! The examples do what they say: each is built strictly and run against the embedded cluster; so is their Makefile.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test has a clock and threads, and says what it is about"
)]

#[path = "face/compiler.rs"]
mod compiler;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use compiler::{build, command, finish, good, root, run};

const PAYMENTS: usize = 12_000;

fn example(name: &str) -> PathBuf {
    build(&root().join(format!("examples-c/{name}.c")), &[])
}

fn sample() -> PathBuf {
    root().join("examples-c/payments.csv")
}

fn with_input(mut command: Command, input: &str) -> Output {
    let pipe = Stdio::piped;
    let mut child = command.stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().expect("a program");
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = finish(child);
    writer.join().expect("the writer");
    output
}

/// Where each line of the file went: `FILE:LINE: TOPIC, partition P, offset O`.
fn places(output: &str) -> BTreeMap<usize, (i32, i64)> {
    let mut places = BTreeMap::new();
    for line in output.lines().filter(|line| line.contains(", offset ")) {
        let (left, offset) = line.rsplit_once(", offset ").expect(line);
        let (left, partition) = left.rsplit_once(", partition ").expect(line);
        let number = left.rsplit_once(": ").and_then(|(left, _)| left.rsplit_once(':')).expect(line).1;
        let place = (partition.parse().expect(line), offset.parse().expect(line));
        assert!(places.insert(number.parse().expect(line), place).is_none(), "twice: {line}");
    }
    places
}

/// Every payment has one place, no place has two, and an account's payments follow each other in one partition.
fn check_payments(output: &str) {
    let text = std::fs::read_to_string(sample()).expect("payments.csv");
    let accounts: BTreeMap<usize, &str> =
        text.lines().enumerate().skip(1).map(|(at, line)| (at + 1, line.split(',').nth(1).expect(line))).collect();
    let places = places(output);
    assert_eq!(accounts.len(), PAYMENTS);
    assert_eq!(places.keys().collect::<Vec<_>>(), accounts.keys().collect::<Vec<_>>());
    let mut last: BTreeMap<&str, (i32, i64)> = BTreeMap::new();
    for (number, &(partition, offset)) in &places {
        let account = accounts[number];
        if let Some(before) = last.insert(account, (partition, offset)) {
            assert_eq!(before.0, partition, "{account} is in two partitions");
            assert!(before.1 < offset, "{account} is out of order at line {number}");
        }
    }
    let taken: BTreeSet<(i32, i64)> = places.values().copied().collect();
    assert_eq!(taken.len(), PAYMENTS, "two payments in one place");
    for partition in 0..4 {
        let offsets: Vec<i64> = taken.iter().filter(|place| place.0 == partition).map(|place| place.1).collect();
        assert!(offsets.len() > PAYMENTS / 10, "partition {partition} has {}", offsets.len());
        assert!(offsets.iter().copied().eq(0..offsets.len() as i64), "partition {partition} has gaps");
    }
    assert!(output.contains(": 12000 written, 0 not written, 0 unknown"), "{}", output.lines().last().unwrap_or(""));
}

#[test]
fn hello_says_where_it_went() {
    let output = good(&run(command(&example("hello"))));
    let partition = output.strip_prefix("greetings, partition ").and_then(|rest| rest.strip_suffix(", offset 0\n"));
    assert!(partition.is_some_and(|p| ["0", "1", "2", "3"].contains(&p)), "{output}");

    // Nobody listens there.
    let mut wrong = command(&example("hello"));
    wrong.arg("no such address");
    let output = run(wrong);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("hello: "));
}

#[test]
fn payments_are_all_written_once_and_in_order() {
    let mut command = command(&example("payments"));
    command.args(["-b", "embedded:3", "-t", "payments", "-k", "2", "-H"]).arg(sample());
    check_payments(&good(&run(command)));
}

#[test]
fn payments_tells_what_failed() {
    let program = example("payments");

    // The second line is too large, the third has no second column: the others go, and the end is 1.
    let mut mixed = command(&program);
    mixed.args(["-X", "max.request.size=1000000"]);
    let input = format!("1,a,x\n2,a,{}\n3\n4,a,x\n", "x".repeat(1_100_000));
    let output = with_input(mixed, &input);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert_eq!(places(&out).into_keys().collect::<Vec<_>>(), [1, 4], "{out}");
    assert!(err.contains("standard input:2: not sent: ") && err.contains("standard input:3: not sent: "), "{err}");
    assert!(out.contains("4 records") && out.contains(": 2 written, 2 not written, 0 unknown"), "{out}");

    for (arguments, word) in [
        (["-X", "linger.mss=5"], "linger.ms"),
        (["-X", "linger.ms"], "NAME=VALUE"),
        (["-t", "not/a/topic"], "not/a/topic"),
        (["-Z", ""], "usage"),
        (["-q", "no-such-file"], "no-such-file"),
    ] {
        let mut wrong = command(&program);
        wrong.args(arguments);
        let output = with_input(wrong, "");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {err}");
        assert!(err.contains(word), "{arguments:?}: {err}");
    }

    // Nobody listens on port 1: it says so and does not hang.
    let mut alone = command(&program);
    alone.args(["-b", "127.0.0.1:1", "-X", "max.block.ms=300"]);
    let output = with_input(alone, "1,a\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("payments: payments: "));
}

#[test]
fn poll_loop_delivers_every_line() {
    let program = example("poll_loop");
    let input: String = (1..=500).map(|number| format!("line {number}\n")).collect();
    let output = good(&with_input(command(&program), &(input + "without an end")));
    let mut numbers: Vec<usize> = Vec::new();
    for line in output.lines() {
        let (number, rest) = line.strip_prefix("line ").and_then(|rest| rest.split_once(": ")).expect(line);
        assert!(rest.starts_with("OK, partition "), "{line}");
        numbers.push(number.parse().expect(line));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=501).collect::<Vec<_>>());
}

#[test]
fn own_partitioner_chooses() {
    let output = good(&run(command(&example("own_partitioner"))));
    let mut chosen: BTreeMap<&str, &str> = BTreeMap::new();
    for line in output.lines() {
        let (account, partition) = line.split_once(": partition ").expect(line);
        assert_eq!(account.starts_with("VIP"), partition == "0", "{line}");
        assert_eq!(*chosen.entry(account).or_insert(partition), partition, "{line}");
    }
    assert_eq!((output.lines().count(), chosen.len()), (6, 5));
}

#[test]
fn own_serializer_makes_bytes_or_refuses() {
    let output = good(&run(command(&example("own_serializer"))));
    let mut lines: Vec<&str> = output.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 3, "{output}");
    assert!(lines[0].starts_with("payment 1: OK, partition "), "{output}");
    assert!(lines[1].starts_with("payment 2: OK, partition "), "{output}");
    assert_eq!(lines[2], "payment 3: SERIALIZATION");
}

#[test]
fn a_cluster_of_its_own_serves_another_process() {
    let mut cluster = command(&example("cluster"));
    let mut child = cluster.arg("3").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a cluster");
    let mut stdin = child.stdin.take().expect("stdin");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines().map(|line| line.expect("a line"));
    let address = lines.next().expect("an address");
    assert_eq!(address.split(',').count(), 3, "{address}");
    for (say, answer) in
        [("create payments 4", Some("OK")), ("dance", None), ("", Some("")), ("create b 2", Some("OK"))]
    {
        writeln!(stdin, "{say}").expect("a command");
        match answer {
            Some("") => {}
            Some(answer) => assert_eq!(lines.next().as_deref(), Some(answer), "{say}"),
            None => assert!(lines.next().is_some_and(|line| line != "OK" && !line.is_empty()), "{say}"),
        }
    }
    let mut payments = command(&example("payments"));
    payments.args(["-b", &address, "-H"]).arg(sample());
    check_payments(&good(&run(payments)));
    writeln!(stdin, "quit").expect("a command");
    assert_eq!(lines.next(), None);
    assert!(child.wait().expect("an end").success());
}

/// What somebody types after cloning.
#[test]
fn make_run_works() {
    let mut make = Command::new("make");
    // Whoever runs this test in a `make` of their own passes no flags of it on.
    make.args(["-C", "examples-c", "all", "run"]).current_dir(root()).env_remove("MAKEFLAGS").stdin(Stdio::null());
    let output = good(&run(make));
    check_payments(&output);
}

/// The README's program is the one that is compiled.
#[test]
fn the_readmes_program_works() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let begin = readme.find("```c\n").expect("a program in C") + 5;
    let length = readme[begin..].find("```").expect("its end");
    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("readme.c");
    std::fs::write(&source, &readme[begin..begin + length]).expect("a file");
    let said = good(&run(command(&build(&source, &[]))));
    assert!(said.starts_with("partition ") && said.ends_with(", offset 0\n"), "{said}");
}
