//! Who waits for one record's delivery: each `send_wait` has a number, and its delivery goes to it alone.

use super::Delivery;
use crate::sync::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Default)]
struct Cell {
    delivery: Mutex<Option<Delivery>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    cells: BTreeMap<u64, (Arc<Cell>, u64)>,
}

/// All calls that wait.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<Table>);

/// One call that waits. Dropped, it no longer does: a delivery that comes later is nobody's.
pub struct Waiter<'a> {
    waiters: &'a Waiters,
    cell: Arc<Cell>,
    number: u64,
}

impl Waiters {
    pub(super) fn add(&self, opaque: u64) -> Waiter<'_> {
        let cell = Arc::new(Cell::default());
        let mut table = self.0.lock();
        let number = table.next;
        table.next += 1;
        table.cells.insert(number, (Arc::clone(&cell), opaque));
        drop(table);
        Waiter { waiters: self, cell, number }
    }

    /// Hands a delivery to the call of this number; its opaque is the one that the call came with.
    pub(super) fn deliver(&self, number: u64, mut delivery: Delivery) {
        let found = self.0.lock().cells.remove(&number);
        if let Some((cell, opaque)) = found {
            delivery.opaque = opaque;
            *cell.delivery.lock() = Some(delivery);
            cell.changed.notify_all();
        }
    }
}

impl Waiter<'_> {
    /// What stands in place of the record's opaque.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The delivery, if it is there or comes within `span`. May return early; the caller asks again.
    #[must_use]
    pub fn wait(&self, span: Duration) -> Option<Delivery> {
        let mut delivery = self.cell.delivery.lock();
        if delivery.is_none() {
            self.cell.changed.wait_for(&mut delivery, span);
        }
        *delivery
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.waiters.0.lock().cells.remove(&self.number);
    }
}
