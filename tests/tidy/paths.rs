//! Every path in a file, groups taken apart, `super` and `self` resolved from the crate's root.

use super::lex::{Kind, Token};

/// A path and the line of its last word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) words: Vec<String>,
    pub(crate) line: usize,
}

/// Paths of at least two words. Those that begin in this crate begin with `crate`.
pub(crate) fn paths(path: &str, tokens: &[Token]) -> Vec<Found> {
    let file = module_of(path);
    // Inline modules that are open at a token, with the brace depth outside of each.
    let mut inline: Vec<(&str, usize)> = Vec::new();
    let (mut depth, mut taken) = (0_usize, 0);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind != Kind::Literal) {
        if at < taken {
            continue;
        }
        if token.is_mark('{') {
            if at >= 2 && tokens[at - 2].is("mod") {
                inline.push((tokens[at - 1].word().unwrap_or_default(), depth));
            }
            depth += 1;
        } else if token.is_mark('}') {
            depth = depth.saturating_sub(1);
            inline.pop_if(|(_, outside)| *outside == depth);
        } else if begins(tokens, at) {
            let here = file.iter().map(String::as_str).chain(inline.iter().map(|(name, _)| *name)).collect::<Vec<_>>();
            let (parts, end) = expand(tokens, at);
            found.extend(parts.into_iter().map(|part| resolve(part, &here)));
            taken = end;
        }
    }
    found
}

/// The module that a file is: `src/engine/a.rs` is `engine::a`.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    inside.split('/').filter(|word| *word != "mod" && *word != "lib").map(str::to_owned).collect()
}

/// Words before a path that begins with `::`.
const NOT_NAMES: [&str; 8] = ["use", "as", "return", "in", "dyn", "impl", "mut", "for"];

/// A word with `::` behind it, and none before it that belongs to the same path.
fn begins(tokens: &[Token], at: usize) -> bool {
    let is_name = |at: usize| tokens[at].word().is_some_and(|word| !NOT_NAMES.contains(&word));
    let continues = at >= 2 && tokens[at - 1].kind == Kind::Colons && (is_name(at - 2) || tokens[at - 2].is_mark('>'));
    is_name(at) && tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Colons) && !continues
}

/// `a::{b, c::{d, *}}` from its first word: `a::b`, `a::c::d`, `a::c::*`; and where it ends.
fn expand(tokens: &[Token], from: usize) -> (Vec<Found>, usize) {
    let mut found = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut line = tokens[from].line;
    // How many words each open group stands on.
    let mut groups: Vec<usize> = Vec::new();
    let (mut expects_word, mut renames) = (true, false);
    let mut at = from;
    while let Some(token) = tokens.get(at) {
        match (&token.kind, groups.last().copied()) {
            (Kind::Word(word), _) if expects_word => {
                (expects_word, line) = (false, token.line);
                words.push(word.clone());
            }
            (Kind::Word(word), Some(_)) if renames || word == "as" => renames = !renames,
            (Kind::Mark('*'), _) if expects_word => {
                (expects_word, line) = (false, token.line);
                words.push("*".into());
            }
            (Kind::Colons, _) if !expects_word => expects_word = true,
            (Kind::Mark('{'), _) if expects_word => groups.push(words.len()),
            (Kind::Mark(mark @ (',' | '}')), Some(base)) => {
                if words.len() > base {
                    found.push(Found { words: words.clone(), line });
                }
                words.truncate(base);
                expects_word = *mark == ',';
                if *mark == '}' {
                    groups.pop();
                    words.truncate(groups.last().copied().unwrap_or(0));
                    if groups.is_empty() {
                        return (found, at + 1);
                    }
                }
            }
            _ => break,
        }
        at += 1;
    }
    if words.len() > 1 {
        found.push(Found { words, line });
    }
    (found, at)
}

fn resolve(found: Found, here: &[&str]) -> Found {
    let ups = found.words.iter().take_while(|word| *word == "super" || *word == "self").count();
    let mut base: Vec<String> = match found.words[0].as_str() {
        "super" | "self" => here.iter().map(|word| (*word).to_owned()).collect(),
        "crate" | "kurier" => Vec::new(),
        _ => return found,
    };
    for _ in found.words[..ups].iter().filter(|word| *word == "super") {
        base.pop();
    }
    let rest = found.words.iter().skip(ups.max(1)).cloned();
    let words = std::iter::once("crate".to_owned()).chain(base).chain(rest).collect();
    Found { words, line: found.line }
}
