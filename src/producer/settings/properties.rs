//! Java's `.properties` format, read from UTF-8: logical lines, keys, values and where they stood.

use crate::code::{Code, Error, Result};

/// Longest text; a file of every setting is a few KiB.
const BYTES_MAX: usize = 1 << 20;

/// One property.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::producer) struct Property {
    /// The line on which it begins, from 1.
    pub(in crate::producer) line: usize,
    pub(in crate::producer) key: String,
    pub(in crate::producer) value: String,
}

/// Reads all properties in order, repeated keys too. Rules: `java.util.Properties.load`, except that the text is UTF-8
/// and that a broken escape is an error with its line.
pub(in crate::producer) fn parse(text: &[u8]) -> Result<Vec<Property>> {
    if text.len() > BYTES_MAX {
        return Err(Error::new(Code::INVALID_ARGUMENT, format!("the text is longer than {BYTES_MAX} bytes")));
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = text.get(..error.valid_up_to()).unwrap_or_default();
        let line = String::from_utf8_lossy(before).replace("\r\n", "\n").matches(['\n', '\r']).count() + 1;
        at(line, "it is not UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Lines { rest: Some(text), number: 0 };
    let mut properties = Vec::new();
    while let Some(first) = lines.next() {
        let mut logical = first.trim_start_matches(blank).to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        let line = lines.number;
        while continues(&logical) {
            logical.pop();
            match lines.next() {
                Some(more) => logical.push_str(more.trim_start_matches(blank)),
                None => break,
            }
        }
        properties.push(property(line, &logical)?);
    }
    Ok(properties)
}

/// Java's white space inside a line; others (a no-break space, say) belong to the key or value.
fn blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\u{c}')
}

/// Whether a line ends in an odd number of backslashes.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Lines that end with `\n`, `\r` or `\r\n`.
struct Lines<'a> {
    rest: Option<&'a str>,
    number: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.take()?;
        self.number += 1;
        let Some((line, after)) = rest.split_once(['\n', '\r']) else {
            return Some(rest);
        };
        let ended_by_return = rest.as_bytes().get(line.len()) == Some(&b'\r');
        self.rest = Some(if ended_by_return { after.strip_prefix('\n').unwrap_or(after) } else { after });
        Some(line)
    }
}

fn property(line: usize, logical: &str) -> Result<Property> {
    let mut escaped = false;
    let end = logical
        .char_indices()
        .find(|&(_, letter)| {
            let ends = !escaped && (matches!(letter, '=' | ':') || blank(letter));
            escaped = !escaped && letter == '\\';
            ends
        })
        .map_or(logical.len(), |(index, _)| index);
    let (key, rest) = logical.split_at_checked(end).unwrap_or((logical, ""));
    let rest = rest.trim_start_matches(blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(blank);
    let key = unescape(line, key)?;
    Ok(Property { line, value: unescape(line, value)?, key })
}

fn unescape(line: usize, text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => out.push(unicode(line, &mut letters)?),
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

/// What follows `\u`: four hexadecimal digits, and for a high surrogate (Java writes UTF-16) a second escape.
fn unicode(line: usize, letters: &mut std::str::Chars<'_>) -> Result<char> {
    let first = unit(letters).ok_or_else(|| at(line, "\\u needs four hexadecimal digits"))?;
    if (0xd800..0xdc00).contains(&first) && letters.as_str().starts_with("\\u") {
        letters.nth(1);
        let second = unit(letters).ok_or_else(|| at(line, "\\u needs four hexadecimal digits"))?;
        if let Some(Ok(both)) = char::decode_utf16([first, second]).next() {
            return Ok(both);
        }
    }
    char::from_u32(u32::from(first)).ok_or_else(|| at(line, "half of a surrogate pair stands alone"))
}

fn unit(letters: &mut std::str::Chars<'_>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit << 4 | u16::try_from(letters.next()?.to_digit(16)?).ok()?;
    }
    Some(unit)
}

/// An error at a line.
fn at(line: usize, why: &str) -> Error {
    Error::new(Code::INVALID_ARGUMENT, format!("line {line}: {why}"))
}
