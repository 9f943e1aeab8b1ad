//! The ratchet: what each path may cost, and what a count means beside it. It turns one way only.

use std::collections::BTreeMap;

/// Counts of the same sources differ by less on the machine that the file names (they are exact there), so what is
/// above was added. It leaves room for a release of the compiler that lays out a loop differently.
const MARGIN: f64 = 0.01;
/// Elsewhere the C library has other copies and another allocator: a tenth is more than they make.
const MARGIN_ELSEWHERE: f64 = 0.10;

/// The file: on which machine it was counted, and instructions per unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ratchet {
    pub machine: String,
    pub limits: BTreeMap<String, f64>,
}

/// What a count is beside its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Same,
    /// Below the limit by more than the margin: the ratchet can turn.
    Lower,
    Higher,
    /// There is no limit for it.
    New,
}

impl Ratchet {
    /// Reads lines `path count`; the machine stands behind `# machine: `.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut ratchet = Self::default();
        for line in text.lines() {
            if let Some(machine) = line.strip_prefix("# machine: ") {
                ratchet.machine = machine.trim().to_owned();
            }
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let mut words = line.split_whitespace();
            let (path, count) = (words.next(), words.next().and_then(|word| word.parse::<f64>().ok()));
            let (Some(path), Some(count), None) = (path, count.filter(|count| *count > 0.0), words.next()) else {
                return Err(format!("not `path count`: {line}"));
            };
            if ratchet.limits.insert(path.to_owned(), count).is_some() {
                return Err(format!("twice: {path}"));
            }
        }
        Ok(ratchet)
    }

    /// The file's text, under some words of explanation.
    pub fn text(&self, words: &str) -> String {
        let words: String = words.lines().map(|line| format!("# {line}\n")).collect();
        let width = self.limits.keys().map(String::len).max().unwrap_or(0);
        let lines: String = self.limits.iter().map(|(path, count)| format!("{path:width$} {count:.2}\n")).collect();
        format!("{words}# machine: {}\n{lines}", self.machine)
    }

    /// How much above a limit a count may be here.
    pub fn margin(&self, machine: &str) -> f64 {
        if self.machine == machine { MARGIN } else { MARGIN_ELSEWHERE }
    }

    /// What a count of this machine means.
    pub fn judge(&self, path: &str, count: f64, machine: &str) -> Verdict {
        let margin = self.margin(machine);
        match self.limits.get(path) {
            None => Verdict::New,
            Some(limit) if count > limit * (1.0 + margin) => Verdict::Higher,
            Some(limit) if count < limit * (1.0 - margin) => Verdict::Lower,
            Some(_) => Verdict::Same,
        }
    }

    /// Takes over the counts of this machine: lower ones, and all if it is forced. Counts of another machine are no
    /// limits for this one: then only by force.
    pub fn turn(&mut self, counts: &BTreeMap<String, f64>, machine: &str, force: bool) -> Result<(), String> {
        if !force && !self.limits.is_empty() && self.machine != machine {
            return Err(format!("the ratchet is of another machine ({}): --force takes this one's", self.machine));
        }
        let lower = |path: &str, count: f64| match self.limits.get(path) {
            Some(limit) if !force => count.min(*limit),
            _ => count,
        };
        // As they stand in the file, so that the same counts give the same file.
        let cents = |count: f64| (count * 100.0).round() / 100.0;
        self.limits = counts.iter().map(|(path, count)| (path.clone(), cents(lower(path, *count)))).collect();
        self.machine = machine.to_owned();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratchet() -> Ratchet {
        Ratchet::parse("# words\n# machine: here\nsend 300.00\n\npoll  50\n").unwrap()
    }

    #[test]
    fn a_file_is_read_as_it_is_written() {
        let ratchet = ratchet();
        assert_eq!(ratchet.machine, "here");
        assert_eq!(ratchet.text("a\nb"), "# a\n# b\n# machine: here\npoll 50.00\nsend 300.00\n");
        assert_eq!(Ratchet::parse(&ratchet.text("words")).unwrap(), ratchet);
    }

    #[test]
    fn what_is_no_count_is_refused() {
        for text in ["send", "send x", "send 1 2", "send 0", "send NaN", "send 1\nsend 2"] {
            assert!(Ratchet::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn one_percent_here_and_ten_elsewhere() {
        let ratchet = ratchet();
        for (count, machine, verdict) in [
            (303.0, "here", Verdict::Same),
            (303.1, "here", Verdict::Higher),
            (297.0, "here", Verdict::Same),
            (296.9, "here", Verdict::Lower),
            (329.9, "there", Verdict::Same),
            (330.1, "there", Verdict::Higher),
        ] {
            assert_eq!(ratchet.judge("send", count, machine), verdict, "{count} {machine}");
        }
        assert_eq!(ratchet.judge("seal", 1.0, "here"), Verdict::New);
    }

    #[test]
    fn it_turns_one_way() {
        let counts = |send, poll| BTreeMap::from([("send".to_owned(), send), ("poll".to_owned(), poll)]);
        let mut ratchet = ratchet();
        ratchet.turn(&counts(290.004, 51.0), "here", false).unwrap();
        assert_eq!(ratchet.limits, counts(290.0, 50.0), "the lower of both");
        assert!(ratchet.turn(&counts(1.0, 1.0), "there", false).is_err());
        assert_eq!(ratchet.limits, counts(290.0, 50.0), "untouched");
        ratchet.turn(&counts(400.0, 60.0), "there", true).unwrap();
        assert_eq!((ratchet.limits, ratchet.machine), (counts(400.0, 60.0), "there".to_owned()));
    }

    #[test]
    fn a_path_that_is_gone_goes() {
        let mut ratchet = ratchet();
        ratchet.turn(&BTreeMap::from([("seal".to_owned(), 7.0)]), "here", false).unwrap();
        assert_eq!(ratchet.limits, BTreeMap::from([("seal".to_owned(), 7.0)]));
    }
}
