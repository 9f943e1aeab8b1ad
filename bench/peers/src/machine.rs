//! What a reader of figures wants to know about the machine and the versions; no names, no paths.

use std::fs::read_to_string;
use std::process::Command;

/// Lines of name and value.
pub fn describe() -> Vec<(&'static str, String)> {
    let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = read_to_string("/proc/meminfo").unwrap_or_default();
    let memory =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // The release has a maker's suffix; the number is what says something.
    let kernel = kernel.split(['-', '+']).next().unwrap_or_default().trim().to_owned();
    vec![
        ("CPU", field("model name").unwrap_or_else(|| "unknown".into())),
        ("cores", cores.to_string()),
        ("memory", format!("{} GB", memory.unwrap_or(0_u64) / 1_000_000)),
        ("kernel", format!("{} {kernel}", std::env::consts::OS)),
        ("Rust", first_line("rustc", "--version", 1)),
        ("C compiler", first_line("cc", "-dumpfullversion", 0)),
        ("Java", first_line("java", "--version", 1)),
        ("Go", first_line("go", "version", 2)),
    ]
}

/// The word at this place of what a program says about itself.
fn first_line(program: &str, argument: &str, word: usize) -> String {
    let output = Command::new(program).arg(argument).output().ok();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let found = text.lines().next().and_then(|line| line.split_whitespace().nth(word));
    found.unwrap_or("missing").to_owned()
}

/// Runnable tasks on average over the last minute: more than nothing before a run says that others are at work.
pub fn load() -> String {
    let text = read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Today, in UTC.
pub fn date() -> String {
    let days = std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() / 86_400);
    let (year, month, day) = civil(days);
    format!("{year}-{month:02}-{day:02}")
}

/// The date that lies so many days after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= months[month] {
        left -= months[month];
        month += 1;
    }
    (year, month as u64 + 1, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_779), (2026, 11, 22));
    }
}
