//! Whom connection 0 asks: the bootstrap addresses, or the brokers that metadata named (KIP-899, KIP-1102).
//!
//! The bootstrap addresses are for the beginning. From the first metadata on, the known brokers are asked, one after
//! the other; the connection that stands is kept, wherever it leads. What happens when none of them answers is
//! `metadata.recovery.strategy`:
//!
//! - `none`: they are tried again and again.
//! - `rebootstrap`: the bootstrap addresses take over when each known broker was tried once in a row without an
//!   answer, when metadata that somebody waits for does not come for `metadata.recovery.rebootstrap.trigger.ms`, or
//!   when a broker asks for it (error 129).
//!
//! Other than in the Java client the known brokers are not forgotten, except where a broker asked for that: when no
//! bootstrap address answers either, they have their turn again. So a cluster whose bootstrap names are gone for good
//! is found again after an outage of all of it. Connections that produce are left alone: what is in flight there ends
//! as it would, and the new metadata says where the rest goes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cluster::Address;
use crate::time::Time;

/// Which addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Source {
    /// Those of `bootstrap.servers`.
    #[default]
    Bootstrap,
    /// Those of the last metadata.
    Known,
}

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Route {
    source: Source,
    /// Where the last attempt to connect came from.
    attempt: Source,
    /// How many addresses of `source` were tried in a row without an answer.
    tried: usize,
    bootstrap_next: usize,
    known_next: usize,
    /// Since when metadata is waited for.
    waiting_since: Option<Time>,
    /// How often it went back to the bootstrap addresses since metadata last came.
    pub(super) rebootstraps: u32,
}

impl Route {
    /// Where to connect next.
    pub(super) fn next(
        &mut self,
        bootstrap: &[(String, u16)],
        known: &BTreeMap<i32, Address>,
    ) -> Option<(String, u16)> {
        if self.source == Source::Known
            && let Some(place) = self.known_next.checked_rem(known.len())
        {
            self.attempt = Source::Known;
            return known.values().nth(place).map(|address| (address.host.clone(), address.port));
        }
        self.attempt = Source::Bootstrap;
        bootstrap.get(self.bootstrap_next.checked_rem(bootstrap.len())?).cloned()
    }

    /// Was the last attempt one at a bootstrap address?
    pub(super) fn is_bootstrapping(&self) -> bool {
        self.attempt == Source::Bootstrap
    }

    /// The last attempt, or the connection that came of it, has failed. `may_rebootstrap`: the strategy. True: the
    /// bootstrap addresses take over.
    pub(super) fn handle_failure(&mut self, bootstrap: usize, known: usize, may_rebootstrap: bool, now: Time) -> bool {
        match self.attempt {
            Source::Bootstrap => self.bootstrap_next = self.bootstrap_next.wrapping_add(1),
            Source::Known => self.known_next = self.known_next.wrapping_add(1),
        }
        if self.attempt != self.source {
            return false;
        }
        self.tried += 1;
        match self.source {
            Source::Bootstrap if self.tried >= bootstrap && known > 0 => {
                self.tried = 0;
                self.source = Source::Known;
                self.waiting_since = self.waiting_since.map(|_| now);
                false
            }
            Source::Known if self.tried >= known && may_rebootstrap => {
                self.rebootstrap();
                true
            }
            _ => false,
        }
    }

    /// The bootstrap addresses take over.
    pub(super) fn rebootstrap(&mut self) {
        self.source = Source::Bootstrap;
        self.tried = 0;
        self.rebootstraps = self.rebootstraps.saturating_add(1);
    }

    /// Metadata is wanted.
    pub(super) fn want(&mut self, now: Time) {
        self.waiting_since.get_or_insert(now);
    }

    /// Nobody waits for metadata any more.
    pub(super) fn rest(&mut self) {
        self.waiting_since = None;
    }

    /// Metadata came that names brokers. `start` decides which of them is asked first when the connection is gone:
    /// many producers must not all go to the same one.
    pub(super) fn handle_answer(&mut self, start: usize) {
        if self.source == Source::Bootstrap {
            self.known_next = start;
        }
        self.source = Source::Known;
        self.tried = 0;
        self.waiting_since = None;
        self.rebootstraps = 0;
    }

    /// When the bootstrap addresses take over if no metadata comes.
    pub(super) fn deadline(&self, rebootstrap_after: Option<Duration>) -> Time {
        match (self.source, self.waiting_since, rebootstrap_after) {
            (Source::Known, Some(since), Some(after)) => since + after,
            _ => Time::NEVER,
        }
    }
}
