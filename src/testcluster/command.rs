//! Commands as text: what each word means, and what was probably meant when it means nothing.

use std::str::{FromStr, SplitWhitespace};
use std::time::Duration;

use super::faults::{Failure, Hostile};
use super::versions::{self, APIS, Ranges};
use crate::code::{Code, Error, Result};
use crate::protocol::broker_code;

/// A command, understood. APIs are places in `versions::APIS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Create { topic: String, partitions: i32, log_append_time: bool, max_message_bytes: Option<usize> },
    Delete { topic: String },
    Partitions { topic: String, partitions: i32 },
    Leader { topic: String, partition: i32, broker: i32 },
    Stop(i32),
    Start(i32),
    Pause(i32),
    Resume(i32),
    Fail(Failure),
    Delay { api: Option<usize>, delay: Duration },
    Drop(u64),
    Cut(u64),
    Mute(usize),
    Throttle { api: usize, throttle_ms: i32, count: u64 },
    Forget,
    ForgetButLast,
    StaleProducers(u64),
    Versions { api: usize, min_version: i16, max_version: i16 },
    Profile(Ranges),
    Hostile { kind: Hostile, api: Option<usize>, count: u64 },
    MaxMessageBytes(usize),
    Retain(usize),
    Reset,
}

const NAMES: &[&str] = &[
    "create",
    "delete",
    "partitions",
    "leader",
    "stop",
    "start",
    "pause",
    "resume",
    "fail",
    "delay",
    "drop",
    "cut",
    "mute",
    "throttle",
    "forget",
    "forget_but_last",
    "stale_producers",
    "versions",
    "profile",
    "hostile",
    "max_message_bytes",
    "retain",
    "reset",
];

const PRODUCE: usize = 0;
/// Longer delays are a mistake in the unit.
const DELAY_MAX: Duration = Duration::from_secs(3600);

/// A refusal of a command.
pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::INVALID_ARGUMENT, message)
}

/// Understands one command.
pub(super) fn parse(text: &str) -> Result<Command> {
    let mut words = Words { text, words: text.split_whitespace() };
    let command = match words.next("command")? {
        "create" => create(&mut words)?,
        "delete" => Command::Delete { topic: words.owned("topic")? },
        "partitions" => {
            Command::Partitions { topic: words.owned("topic")?, partitions: words.number("number of partitions")? }
        }
        "leader" => Command::Leader {
            topic: words.owned("topic")?,
            partition: words.number("partition")?,
            broker: words.number("broker")?,
        },
        "stop" => Command::Stop(words.number("broker")?),
        "start" => Command::Start(words.number("broker")?),
        "pause" => Command::Pause(words.number("broker")?),
        "resume" => Command::Resume(words.number("broker")?),
        "fail" => fail(&mut words)?,
        "delay" => delay(&mut words)?,
        "drop" => Command::Drop(words.number("count")?),
        "cut" => Command::Cut(words.number("count")?),
        "mute" => Command::Mute(api(words.next("API")?)?),
        "throttle" => Command::Throttle {
            throttle_ms: words.number("time in milliseconds")?,
            count: words.number("count")?,
            api: words.optional().map_or(Ok(PRODUCE), api)?,
        },
        "forget" => Command::Forget,
        "forget_but_last" => Command::ForgetButLast,
        "stale_producers" => Command::StaleProducers(words.number("count")?),
        "versions" => Command::Versions {
            api: api(words.next("API")?)?,
            min_version: words.number("lowest version")?,
            max_version: words.number("highest version")?,
        },
        "profile" => profile(words.next("release")?)?,
        "hostile" => hostile(&mut words)?,
        "max_message_bytes" => Command::MaxMessageBytes(words.number("number of bytes")?),
        "retain" => Command::Retain(words.number("number of bytes")?),
        "reset" => Command::Reset,
        unknown => return Err(unknown_word("command", unknown, NAMES)),
    };
    match words.optional() {
        Some(extra) => Err(invalid(format!("`{extra}` is too much in the command `{text}`"))),
        None => Ok(command),
    }
}

struct Words<'a> {
    text: &'a str,
    words: SplitWhitespace<'a>,
}

impl<'a> Words<'a> {
    fn optional(&mut self) -> Option<&'a str> {
        self.words.next()
    }

    fn next(&mut self, what: &str) -> Result<&'a str> {
        self.words.next().ok_or_else(|| invalid(format!("a {what} is missing in the command `{}`", self.text)))
    }

    fn owned(&mut self, what: &str) -> Result<String> {
        self.next(what).map(str::to_owned)
    }

    fn number<T: FromStr>(&mut self, what: &str) -> Result<T> {
        let word = self.next(what)?;
        word.parse().map_err(|_| invalid(format!("`{word}` is not a {what} in the command `{}`", self.text)))
    }
}

fn create(words: &mut Words<'_>) -> Result<Command> {
    let topic = words.owned("topic")?;
    let partitions = words.number("number of partitions")?;
    let (mut log_append_time, mut max_message_bytes) = (false, None);
    while let Some(word) = words.optional() {
        match word.split_once('=') {
            None if word == "log_append_time" => log_append_time = true,
            Some(("max_message_bytes", bytes)) => {
                let bytes = bytes.parse().map_err(|_| invalid(format!("`{bytes}` is not a number of bytes")))?;
                max_message_bytes = Some(bytes);
            }
            _ => return Err(unknown_word("setting of a topic", word, &["log_append_time", "max_message_bytes=N"])),
        }
    }
    Ok(Command::Create { topic, partitions, log_append_time, max_message_bytes })
}

fn fail(words: &mut Words<'_>) -> Result<Command> {
    let api = api(words.next("API")?)?;
    let code = error_code(words.next("error")?)?;
    let left = words.number("count")?;
    let mut failure =
        Failure { api, code, left, topic: None, partition: None, after_append: false, records: Vec::new() };
    while let Some(word) = words.optional() {
        match word {
            "topic" => failure.topic = Some(words.owned("topic")?),
            "partition" => failure.partition = Some(words.number("partition")?),
            "after_append" if api == PRODUCE => failure.after_append = true,
            "records" if api == PRODUCE => failure.records = places(words.next("places of records")?)?,
            "after_append" | "records" => return Err(invalid(format!("`{word}` is for `fail produce` only"))),
            _ => {
                let known = ["topic", "partition", "after_append", "records"];
                return Err(unknown_word("word after `fail`", word, &known));
            }
        }
    }
    Ok(Command::Fail(failure))
}

fn places(list: &str) -> Result<Vec<i32>> {
    let place = |word: &str| word.parse().ok().filter(|place: &i32| *place >= 0);
    let places: Option<Vec<_>> = list.split(',').map(place).collect();
    places.ok_or_else(|| invalid(format!("`{list}` is not a list of places: 0,2")))
}

fn delay(words: &mut Words<'_>) -> Result<Command> {
    let first = words.next("time")?;
    match words.optional() {
        Some(time) => Ok(Command::Delay { api: Some(api(first)?), delay: span(time)? }),
        None => Ok(Command::Delay { api: None, delay: span(first)? }),
    }
}

fn span(word: &str) -> Result<Duration> {
    let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let (number, unit) = word.split_at(digits);
    let per_unit_us = match unit {
        "" | "ms" => 1000,
        "us" => 1,
        "s" => 1_000_000,
        _ => return Err(invalid(format!("`{word}` is not a time: 200, 200ms, 50us, 1s"))),
    };
    let number = number.parse::<u64>().ok().and_then(|number| number.checked_mul(per_unit_us));
    number
        .map(Duration::from_micros)
        .filter(|span| *span <= DELAY_MAX)
        .ok_or_else(|| invalid(format!("`{word}` is not a time of at most an hour: 200, 200ms, 50us, 1s")))
}

fn profile(release: &str) -> Result<Command> {
    let known: Vec<_> = Ranges::releases().collect();
    Ranges::of_release(release).map(Command::Profile).ok_or_else(|| unknown_word("release", release, &known))
}

fn hostile(words: &mut Words<'_>) -> Result<Command> {
    let word = words.next("kind of answer")?;
    let Some((_, kind)) = Hostile::ALL.iter().find(|(name, _)| *name == word) else {
        let names: Vec<_> = Hostile::ALL.iter().map(|(name, _)| *name).collect();
        return Err(unknown_word("kind of answer", word, &names));
    };
    let api = match words.optional() {
        None => Some(PRODUCE),
        Some("all") => None,
        Some(name) => Some(api(name)?),
    };
    let count = match words.optional() {
        None => u64::MAX,
        Some(count) => count.parse().map_err(|_| invalid(format!("`{count}` is not a count")))?,
    };
    Ok(Command::Hostile { kind: *kind, api, count })
}

fn api(name: &str) -> Result<usize> {
    let names: Vec<_> = APIS.iter().map(|(_, name)| *name).collect();
    versions::index_of_name(name).ok_or_else(|| unknown_word("API", name, &names))
}

fn error_code(word: &str) -> Result<i16> {
    if let Ok(number) = word.parse() {
        return Ok(number);
    }
    let names: Vec<_> = broker_code::ALL.iter().filter_map(|(_, name)| name.to_str().ok()).collect();
    broker_code::from_name(word).ok_or_else(|| unknown_word("error", word, &names))
}

fn unknown_word(what: &str, word: &str, known: &[&str]) -> Error {
    // A name that was cut short is nearer than one with fewer letters to change.
    let begins = |name: &str| word.len() >= 3 && name.get(..word.len()).is_some_and(|s| s.eq_ignore_ascii_case(word));
    match known.iter().min_by_key(|name| (!begins(name), distance(word, name))) {
        Some(nearest) => invalid(format!("`{word}` is not a {what}; the nearest is `{nearest}`")),
        None => invalid(format!("`{word}` is not a {what}")),
    }
}

/// How many letters are to be changed, added or taken away. Only the first 64 letters count.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(&to) {
            let changed = diagonal + usize::from(!a.eq_ignore_ascii_case(b));
            diagonal = *cell;
            left = changed.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let error = parse(text).expect_err(text);
        assert_eq!(error.code, Code::INVALID_ARGUMENT, "{text}");
        error.message
    }

    #[test]
    fn every_command_of_the_table_is_understood_and_every_name_is_in_the_table() {
        for text in [
            "create t 3",
            "create t 3 log_append_time max_message_bytes=1000",
            "delete t",
            "partitions t 9",
            "leader t 0 -1",
            "stop 2",
            "start 2",
            "pause 1",
            "resume 1",
            "fail produce NOT_LEADER_OR_FOLLOWER 3",
            "fail produce 6 3 topic t partition 2 after_append",
            "fail metadata LEADER_NOT_AVAILABLE 1 topic t",
            "fail produce INVALID_RECORD 1 records 0,2",
            "fail describe_producers TOPIC_AUTHORIZATION_FAILED 1",
            "delay 200",
            "delay produce 200ms",
            "drop 1",
            "cut 1",
            "mute fetch",
            "throttle 100 2",
            "throttle 100 2 metadata",
            "forget",
            "forget_but_last",
            "stale_producers 1",
            "versions produce 3 9",
            "versions describe_producers 0 -1",
            "profile 2.1",
            "hostile garbage",
            "hostile not_kafka all 3",
            "max_message_bytes 1000",
            "retain 100000",
            "reset",
        ] {
            parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        let table = include_str!("commands.md");
        for name in NAMES {
            let documented = table.contains(&format!("| `{name} ")) || table.contains(&format!("| `{name}`"));
            assert!(documented, "{name} is not in the table");
        }
        for (name, _) in Hostile::ALL {
            assert!(table.contains(name), "{name} is not in the table");
        }
        assert_eq!(table.lines().count() - 2, NAMES.len());
    }

    #[test]
    fn what_was_meant_is_named() {
        assert!(refusal("dropp 3").contains("nearest is `drop`"));
        assert!(refusal("fail produces X 1").contains("nearest is `produce`"));
        assert!(refusal("fail produce NOT_LEADER 1").contains("`NOT_LEADER_OR_FOLLOWER`"));
        assert!(refusal("hostile garbag").contains("nearest is `garbage`"));
        assert!(refusal("profile 2.2").contains("nearest is `2."));
    }

    #[test]
    fn what_is_missing_or_too_much_is_refused() {
        for text in ["", "create t", "drop", "drop -1", "drop x", "forget all", "delay 5h", "delay 9999999s", "stop x"]
        {
            refusal(text);
        }
        assert!(refusal("fail metadata 3 1 after_append").contains("produce"));
        assert!(refusal("fail metadata 3 1 records 0").contains("produce"));
        assert!(refusal("fail produce 87 1 records 0,-2").contains("list of places"));
    }

    #[test]
    fn times_have_units() {
        let delay = |text| match parse(text) {
            Ok(Command::Delay { delay, .. }) => delay,
            other => panic!("{other:?}"),
        };
        assert_eq!(delay("delay 7"), Duration::from_millis(7));
        assert_eq!(delay("delay 50us"), Duration::from_micros(50));
        assert_eq!(delay("delay fetch 1s"), Duration::from_secs(1));
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "ABC"), 0);
    }
}
