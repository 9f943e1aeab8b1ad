//! The rules: one file in, its faults out.

use super::law::{Law, Room};
use super::lex::{Kind, Token, tokens};
use super::paths::{Found, paths};

/// The kinds of files that are looked at.
pub(crate) const KINDS: [&str; 6] = ["rs", "c", "h", "cpp", "hpp", "java"];

const LINES_MAX: usize = 500;
const COLUMNS_MAX: usize = 120;

/// Rooms whose behaviour depends on nothing but their arguments.
const PURE: [&str; 2] = ["engine", "protocol"];
const IMPURE_WORDS: [&str; 4] = ["Instant", "SystemTime", "HashMap", "HashSet"];
const IMPURE_MODULES: [&str; 4] = ["net", "thread", "fs", "env"];

/// In these rooms unsafe stands only in these modules, though the table says yes.
const UNSAFE_ONLY_IN: [(&str, &[&str]); 1] = [("accumulator", &["append", "batch", "block", "collect", "memory"])];

/// Words that say nothing about what is in a file.
const EMPTY_WORDS: [&str; 6] = ["util", "common", "helper", "manager", "handler", "inner"];

/// Every fault of one file, as `path:line: what`. `path` is relative to the repository.
pub(crate) fn check(law: &Law, path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    name(path, &mut faults);
    if !path.starts_with("include/") {
        shape(path, text, &mut faults);
    }
    let room = path.strip_prefix("src/").and_then(|inside| inside.split('/').next());
    if let Some(room) = room.map(|room| room.trim_end_matches(".rs")).filter(|room| *room != "lib") {
        match law.rooms.get(room) {
            Some(rules) => content(room, rules, path, &tokens(text), &mut faults),
            None => faults.push(format!("{path}: {room} is not a room of the table in src/lib.rs")),
        }
    }
    faults.dedup();
    faults
}

fn name(path: &str, faults: &mut Vec<String>) {
    for word in path.split(['/', '.', '_', '-']) {
        if EMPTY_WORDS.iter().any(|empty| word == *empty || word.strip_suffix('s') == Some(empty)) {
            faults.push(format!("{path}: `{word}` says nothing about what is in it"));
        }
    }
}

fn shape(path: &str, text: &str, faults: &mut Vec<String>) {
    let first = text.lines().next().unwrap_or_default();
    let opens = if path.ends_with(".rs") {
        first.starts_with("//! ")
    } else {
        first.starts_with("//") || first.starts_with("/*")
    };
    if !opens {
        faults.push(format!("{path}:1: a file opens with one sentence that says what lives there"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("{path}: {lines} lines, {LINES_MAX} are the limit"));
    }
    for (index, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > COLUMNS_MAX && !line.starts_with("//! |") && !line.contains("https://") {
            faults.push(format!("{path}:{}: {columns} columns, {COLUMNS_MAX} are the limit", index + 1));
        }
    }
}

fn content(room: &str, rules: &Room, path: &str, tokens: &[Token], faults: &mut Vec<String>) {
    let mut fault = |line: usize, what: String| faults.push(format!("{path}:{line}: {what}"));
    for (at, token) in tokens.iter().enumerate() {
        let behind = |offset: usize| tokens.get(at + offset);
        if token.is("unsafe") {
            if !rules.may_be_unsafe {
                fault(token.line, format!("{room} may not be unsafe"));
            } else if let Some(modules) = confined(room, path) {
                fault(token.line, format!("unsafe belongs into {}", modules.join(", ")));
            }
        }
        if PURE.contains(&room) && token.word().is_some_and(|word| IMPURE_WORDS.contains(&word)) {
            fault(token.line, format!("{room} is pure: {} is not", token.word().unwrap_or_default()));
        }
        let renamed = token.is("crate") && behind(1).is_some_and(|next| next.is("as"));
        if renamed || (token.is("extern") && behind(1).is_some_and(|next| next.is("crate"))) {
            fault(token.line, "the crate has no second name: name the room that is used".into());
        }
    }
    for Found { words, line } in paths(path, tokens) {
        match (words[0].as_str(), words[1].as_str()) {
            ("crate", "*" | "self") => fault(line, "name the room that is used".into()),
            ("crate", used) if used != room && !rules.uses.contains(used) => {
                fault(line, format!("{room} may not use {used}"));
            }
            ("std" | "core", module) if PURE.contains(&room) && IMPURE_MODULES.contains(&module) => {
                fault(line, format!("{room} is pure: std::{module} is not"));
            }
            _ => {}
        }
    }
    if room == "ffi" {
        for (line, function) in unguarded(tokens) {
            fault(line, format!("{function} has no guard: a panic would cross into C"));
        }
    }
}

/// Where unsafe would have to stand, if this file is not one of those places.
fn confined(room: &str, path: &str) -> Option<&'static [&'static str]> {
    let (_, modules) = UNSAFE_ONLY_IN.iter().find(|(confined, _)| *confined == room)?;
    let inside = path.strip_prefix("src/")?.strip_prefix(room)?.trim_start_matches('/');
    let module = inside.split(['/', '.']).next()?;
    (!modules.contains(&module)).then_some(*modules)
}

/// Exported functions whose body does not call the guard.
fn unguarded(tokens: &[Token]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut exported = false;
    let mut at = 0;
    while at < tokens.len() {
        exported |= tokens[at].is("no_mangle") || tokens[at].is("export_name");
        if exported && tokens[at].is("fn") {
            exported = false;
            let name = tokens.get(at + 1).and_then(Token::word).unwrap_or_default().to_owned();
            let (begin, end) = body(tokens, at);
            let guards = |word: &str| word == "guard" || word.starts_with("guard_");
            let calls = |pair: &[Token]| pair[0].word().is_some_and(guards) && pair[1].is_mark('(');
            if !tokens[begin..end].windows(2).any(calls) {
                found.push((tokens[at].line, name));
            }
            at = end;
        }
        at += 1;
    }
    found
}

/// From the first brace behind `from` to the one that closes it.
fn body(tokens: &[Token], from: usize) -> (usize, usize) {
    let begin = (from..tokens.len()).find(|at| tokens[*at].is_mark('{')).unwrap_or(tokens.len());
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(begin) {
        match token.kind {
            Kind::Mark('{') => depth += 1,
            Kind::Mark('}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (begin, at);
        }
    }
    (begin, tokens.len())
}
