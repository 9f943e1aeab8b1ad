//! What a setting's value may be: from text to a checked value, and back.

use std::borrow::Cow;

use super::bootstrap;
use crate::code::Code;

/// A checked value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// There is none: no default, and nothing was set.
    Unset,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number in the setting's unit.
    Number(i64),
    /// A time in microseconds, written in milliseconds.
    Micros(i64),
    /// One of a list, by the name that this library prefers.
    Word(&'static str),
    /// Text.
    Text(Cow<'static, str>),
}

/// One of the words that a setting takes.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// The preferred one.
    pub name: &'static str,
    /// Others that mean the same.
    pub also: &'static [&'static str],
}

/// A word without others that mean the same.
pub(super) const fn word(name: &'static str) -> Word {
    Word { name, also: &[] }
}

/// A word and others that mean the same.
pub(super) const fn words(name: &'static str, also: &'static [&'static str]) -> Word {
    Word { name, also }
}

/// What the values of a setting are.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Boolean,
    /// A whole number.
    Number {
        /// The smallest.
        least: i64,
        /// The largest.
        most: i64,
        /// One more below `least`, with a meaning of its own.
        besides: Option<i64>,
    },
    /// Milliseconds from 0 with up to three decimals.
    Fraction {
        /// The largest, in milliseconds.
        most: i64,
    },
    /// One of a list.
    OneOf(&'static [Word]),
    /// One of a list, or a Java class name, which cannot be honoured.
    Class {
        /// The list.
        words: &'static [Word],
        /// The function that takes the place of a class.
        instead: &'static str,
    },
    /// Text of limited length.
    Text {
        /// In bytes of UTF-8.
        bytes_max: usize,
    },
    /// `bootstrap.servers`.
    Servers,
    /// What this library does anyway: the setting is there so that a file which states it loads.
    Only {
        /// Accepted, in any case.
        values: &'static [&'static str],
        /// Why nothing else is.
        why: &'static str,
    },
}

/// Why a value is not accepted.
#[derive(Debug)]
pub(super) struct Refusal {
    /// `INVALID_ARGUMENT` or `UNSUPPORTED`.
    pub(super) code: Code,
    /// The end of a sentence that begins with the setting.
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self { code: Code::INVALID_ARGUMENT, why: why.into() }
    }

    pub(super) fn unsupported(why: impl Into<String>) -> Self {
        Self { code: Code::UNSUPPORTED, why: why.into() }
    }
}

impl Kind {
    /// Checks a text, which is trimmed first, as Kafka's `ConfigDef.parseType` does.
    pub(super) fn parse(&self, text: &str) -> Result<Value, Refusal> {
        let text = text.trim();
        let out_of_range = || Refusal::invalid(format!("allowed is {}", self.allowed()));
        match *self {
            Self::Boolean if text.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
            Self::Boolean if text.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
            Self::Boolean => Err(out_of_range()),
            Self::Number { least, most, besides } => text
                .parse::<i64>()
                .ok()
                .filter(|number| (least..=most).contains(number) || besides == Some(*number))
                .map(Value::Number)
                .ok_or_else(out_of_range),
            Self::Fraction { most } => micros(text)
                .filter(|micros| *micros <= most.saturating_mul(1000))
                .map(Value::Micros)
                .ok_or_else(out_of_range),
            Self::OneOf(words) => find(words, text).ok_or_else(out_of_range),
            Self::Class { words, instead } => find(words, text).ok_or_else(|| {
                if text.ends_with("UniformStickyPartitioner") {
                    // Removed with DefaultPartitioner; the built-in one (KIP-794) is its successor.
                    Refusal::unsupported("Kafka 4.0 removed this class; \"default\" does its work")
                } else if text.contains('.') {
                    Refusal::unsupported(format!("a Java class cannot run here; use {instead}, or {}", self.allowed()))
                } else {
                    out_of_range()
                }
            }),
            Self::Text { bytes_max } if text.len() <= bytes_max => Ok(Value::Text(Cow::Owned(text.to_owned()))),
            Self::Text { .. } => Err(out_of_range()),
            Self::Servers => bootstrap::parse(text).map(|_| Value::Text(Cow::Owned(text.to_owned()))),
            Self::Only { values, why } => values
                .iter()
                .find(|value| value.eq_ignore_ascii_case(text))
                .map(|value| Value::Word(value))
                .ok_or_else(|| Refusal::unsupported(why)),
        }
    }

    /// The allowed values, in words.
    #[must_use]
    pub fn allowed(&self) -> String {
        match self {
            Self::Boolean => "true or false".to_owned(),
            Self::Number { least, most, besides: None } => format!("{least} to {most}"),
            Self::Number { least, most, besides: Some(besides) } => format!("{besides}, or {least} to {most}"),
            Self::Fraction { most } => format!("0 to {most} with up to 3 decimals"),
            Self::OneOf(words) | Self::Class { words, .. } => {
                words.iter().map(|word| word.name).collect::<Vec<_>>().join(", ")
            }
            Self::Text { bytes_max } => format!("text of up to {bytes_max} bytes"),
            Self::Servers => {
                format!("host:port,host:port,… (up to {}), or embedded:N with N from 1 to 9", bootstrap::MAX)
            }
            Self::Only { values, .. } => values
                .iter()
                .map(|value| if value.is_empty() { "nothing" } else { value })
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
}

impl Value {
    /// The value as `set` would take it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Unset => String::new(),
            Self::Boolean(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Micros(value) if value % 1000 == 0 => (value / 1000).to_string(),
            Self::Micros(value) => {
                let text = format!("{}.{:03}", value / 1000, value % 1000);
                text.trim_end_matches('0').to_owned()
            }
            Self::Word(value) => (*value).to_owned(),
            Self::Text(value) => value.clone().into_owned(),
        }
    }
}

fn find(words: &'static [Word], text: &str) -> Option<Value> {
    words.iter().find(|word| word.name == text || word.also.contains(&text)).map(|word| Value::Word(word.name))
}

/// Milliseconds with up to three decimals, in microseconds. A fourth decimal would be dropped, so it is refused.
fn micros(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 3 {
        return None;
    }
    let whole = whole.parse::<i64>().ok()?.checked_mul(1000)?;
    whole.checked_add(format!("{decimals:0<3}").parse::<i64>().ok()?)
}
