//! The room table of `src/lib.rs`, read.

use std::collections::{BTreeMap, BTreeSet};

/// What one row allows.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) uses: BTreeSet<String>,
    pub(crate) may_be_unsafe: bool,
}

/// All rows.
#[derive(Debug)]
pub(crate) struct Law {
    pub(crate) rooms: BTreeMap<String, Room>,
}

impl Law {
    /// Reads the rows: name, what lives there, rooms that it may use (`all below`: those of the rows that follow),
    /// unsafe or not.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let names: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("//! | `")?.split('`').next()).collect();
        let mut rooms = BTreeMap::new();
        for row in text.lines().filter_map(|line| line.strip_prefix("//! | `")) {
            let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            let [name, _what, uses, may_be_unsafe, _end] = cells[..] else {
                return Err(format!("a row with {} cells: {row}", cells.len()));
            };
            let may_be_unsafe = match may_be_unsafe {
                "yes" => true,
                "no" => false,
                other => return Err(format!("{name}: unsafe is yes or no, not {other}")),
            };
            let uses = if uses == "all below" {
                names.iter().skip(rooms.len() + 1).map(|name| (*name).to_owned()).collect()
            } else {
                uses.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
            };
            if rooms.insert(name.to_owned(), Room { uses, may_be_unsafe }).is_some() {
                return Err(format!("two rows for {name}"));
            }
        }
        if rooms.is_empty() {
            return Err("no room table".into());
        }
        let law = Self { rooms };
        law.is_sound()?;
        Ok(law)
    }

    /// Every room that is used exists, and uses go downwards only: rooms without open uses are taken away until none
    /// is left.
    fn is_sound(&self) -> Result<(), String> {
        for (name, room) in &self.rooms {
            if let Some(unknown) = room.uses.iter().find(|used| !self.rooms.contains_key(*used)) {
                return Err(format!("{name} uses {unknown}, which has no row"));
            }
        }
        let mut below: BTreeSet<&String> = BTreeSet::new();
        while below.len() < self.rooms.len() {
            let before = below.len();
            for (name, room) in &self.rooms {
                if room.uses.iter().all(|used| below.contains(used)) {
                    below.insert(name);
                }
            }
            if below.len() == before {
                let rest: Vec<_> = self.rooms.keys().filter(|name| !below.contains(name)).collect();
                return Err(format!("a circle, or what rests on it: {rest:?}"));
            }
        }
        Ok(())
    }
}
