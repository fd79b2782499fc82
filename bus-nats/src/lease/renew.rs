//! Signs of life for what waits and what runs; none for a run that took too long.

use std::time::Duration;

use bus_core::sabotage::{Sabotage, planted};
use tokio::time::Instant;

use super::{Held, Leases, Order, State};
use crate::runs::Runs;

/// A lease is renewed when this part of it is over.
const RENEW: u32 = 3;

/// This part of a lease beyond its time-out a run is given up: its own answer was due, and a note
/// of the run has to be there before somebody else has the event.
const LATE: u32 = 10;

impl Leases {
    /// How often to come here while something is held.
    pub(crate) fn period(lease: Duration) -> Duration {
        (lease / (2 * RENEW)).clamp(Duration::from_millis(10), Duration::from_secs(5))
    }

    /// Hands back what was fetched for a handler that became slow, and has waited so long that it
    /// would have to be renewed: the newest first, down to what would be fetched now.
    pub(crate) fn surrender(&mut self, now: Instant) {
        while let Some(token) = self.ready.back().copied() {
            if let Some(Held { arrival, renewed, .. }) = self.held.get(&token) {
                let (kind, due) = (arrival.kind, *renewed + self.lease / RENEW);
                if now < due || !self.credit(kind).is_over() {
                    return;
                }
            }
            self.ready.pop_back();
            self.hand_back(token);
        }
    }

    /// Renews what is due, if we are `connected`; says how many runs are given up.
    pub(crate) fn renew(&mut self, now: Instant, connected: bool) -> usize {
        let connected = connected && !planted(Sabotage::NoRenewal);
        let (mut gone, mut overdue) = (Vec::new(), 0);
        for (token, held) in &mut self.held {
            let since = match held.state {
                State::Arrives | State::Waits | State::Begins | State::Settling { .. } => now,
                State::Runs { since } => since,
                State::Overdue => {
                    if now >= held.renewed + self.lease {
                        gone.push(*token);
                    }
                    continue;
                }
            };
            let run = now.saturating_duration_since(since);
            if run < self.timeout {
                if connected && now >= held.signed + self.lease / RENEW {
                    // One that is over may be somebody else's, until it comes again.
                    if now < held.renewed + self.lease {
                        held.renewed = now;
                    }
                    held.signed = now;
                    self.orders.push(Order::Progress(held.arrival.reply.clone()));
                }
            } else if run >= self.timeout.saturating_add(self.lease / LATE) {
                held.state = State::Overdue;
                overdue += 1;
                if !held.arrival.again {
                    let runs = Runs::one_more(held.arrival.history);
                    self.orders.push(Order::Note(held.arrival.original.origin.clone(), runs));
                }
            }
        }
        for token in gone {
            self.remove(token);
        }
        overdue
    }
}
