//! The known name nearest to one that is not known.

/// Longest name that is compared; no setting's name comes close.
const BYTES_MAX: usize = 80;

/// The name of fewest single-letter changes (and swaps of neighbours), if those are few enough to be a slip.
pub(super) fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if name.len() > BYTES_MAX {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let (best, changes) =
        known.map(|known| (known, distance(name.as_bytes(), known.as_bytes()))).min_by_key(|(_, changes)| *changes)?;
    (changes <= (best.len() / 3).max(2)).then_some(best)
}

/// Edit distance with swaps of neighbours ("optimal string alignment"), three rows of the usual table.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, &letter) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &other) in right.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let changed = at(&above, column) + usize::from(letter != other);
            let mut best = changed.min(at(&above, column + 1) + 1).min(at(&current, column) + 1);
            let swapped =
                row > 0 && column > 0 && left.get(row - 1) == Some(&other) && right.get(column - 1) == Some(&letter);
            if swapped {
                best = best.min(at(&before, column - 1) + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn counts_changes_and_swaps() {
        for (left, right, changes) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("linger.ms", "linger.ms", 0),
            ("linger.ms", "linger.s", 1),
            ("linger.ms", "lniger.ms", 1),
            ("ca", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(left.as_bytes(), right.as_bytes()), changes, "{left} {right}");
        }
    }

    #[test]
    fn far_names_are_no_slip() {
        let known = || ["linger.ms", "acks"].into_iter();
        assert_eq!(nearest("linger.m", known()), Some("linger.ms"));
        assert_eq!(nearest("LINGER.MS", known()), Some("linger.ms"));
        assert_eq!(nearest("ack", known()), Some("acks"));
        assert_eq!(nearest("group.id", known()), None);
        assert_eq!(nearest(&"a".repeat(5000), known()), None);
    }
}
