//! The application's turns: a sender's, and the reader's.

use crate::threads::Acted;
use crate::world::{Event, World};
use kurier::delivery::{Delivery, Polled};
use kurier::time::Time;

impl World {
    pub(crate) fn send(&mut self, sender: usize) {
        let Some(one) = self.senders.get_mut(sender).and_then(Option::as_mut) else { return };
        let acted = one.act();
        self.stopped.remove(&sender);
        let number = sender as u64;
        match acted {
            Acted::Next(Some(span)) => {
                self.trace.event(self.now, "send", &[number, span.as_nanos() as u64]);
                self.push_after(span, Event::Send(sender));
            }
            Acted::Next(None) => {
                self.trace.event(self.now, "sender done", &[number]);
                self.senders[sender] = None;
            }
            Acted::Stopped { span, is_inside } => {
                // When all is well again nobody stands still.
                let until = (self.now + span).min(self.heals_at.max(self.now));
                self.trace.event(self.now, "sender stopped", &[number, until.0]);
                self.report.count("sender stopped", 1);
                if is_inside {
                    self.stopped.insert(sender);
                    self.pauses.push((self.now, until));
                }
                self.push(until, Event::Send(sender));
            }
        }
    }

    pub(crate) fn is_sender_inside(&self) -> bool {
        !self.stopped.is_empty()
    }

    /// Takes every delivery there is. True: there will be none any more.
    pub(crate) fn read(&mut self) -> bool {
        let mut buffer = [Delivery::default(); 16];
        loop {
            let mut epochs = Vec::new();
            let now = self.now;
            let count = match self.deliveries.poll(&mut buffer, Time::ZERO, &|| now, &mut epochs) {
                Polled::Ended => return true,
                Polled::Count(count) => count,
            };
            if count == 0 && epochs.is_empty() {
                return false;
            }
            for delivery in &buffer[..count] {
                self.trace.event(
                    now,
                    "delivery",
                    &[
                        delivery.opaque,
                        delivery.offset as u64,
                        delivery.code as u64,
                        u64::from(delivery.outcome),
                        delivery.broker_code as u64,
                    ],
                );
                let told = self.shop.ledger.lock().unwrap().deliver(delivery, now);
                if let Err(violation) = told.and_then(|()| self.judge(delivery)) {
                    self.fail(violation);
                }
            }
            if self.plan.by_callback {
                self.deliveries.finish(count as u64);
                for epoch in epochs {
                    self.deliveries.end_batch(epoch);
                }
            }
        }
    }
}
