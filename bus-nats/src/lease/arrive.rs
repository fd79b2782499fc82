//! From the arrival to the hands of the bus.

use std::sync::Arc;
use std::task::Waker;

use bus_core::Envelope;
use bus_core::delivery::History;
use tokio::time::Instant;

use super::{Arrival, Held, Kind, Leases, Next, Order, State};
use crate::runs::{Origin, Runs};

impl Leases {
    /// Takes one in; it is to `wait` until it was [looked up](Self::looked_up).
    pub(crate) fn arrive(&mut self, arrival: Arrival, wait: bool, now: Instant) -> Next {
        if arrival.asked {
            self.credit(arrival.kind).arrived();
        }
        if self.stopped {
            self.orders.push(Order::Release(arrival.reply));
            return Next::Nothing;
        }
        if arrival.again && self.adopt(&arrival, now) {
            return Next::Nothing;
        }
        let (token, kind) = (self.tokens, arrival.kind);
        self.tokens += 1;
        let state = if wait { State::Arrives } else { State::Waits };
        self.held.insert(token, Held { arrival, state, renewed: now, note: None });
        self.credit(kind).hold();
        if wait {
            return Next::See(token);
        }
        self.ready(token);
        Next::Nothing
    }

    fn ready(&mut self, token: u64) {
        self.ready.push_back(token);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The broker gave us again what we still hold, because its sign of life came late. It stays
    /// with the run that has it; where that took too long, it is given away.
    fn adopt(&mut self, arrival: &Arrival, now: Instant) -> bool {
        let same = |(_, held): &(&u64, &mut Held)| held.arrival.origin == arrival.origin;
        let Some((token, held)) = self.held.iter_mut().find(same) else { return false };
        if held.state == State::Overdue {
            let token = *token;
            self.remove(token);
            return false;
        }
        held.arrival.reply = arrival.reply.clone();
        held.renewed = now;
        true
    }

    /// Where an arrival came from.
    pub(crate) fn origin(&self, token: u64) -> Option<Origin> {
        self.held.get(&token).map(|held| held.arrival.origin.clone())
    }

    /// What is known of an arrival's runs.
    pub(crate) fn looked_up(&mut self, token: u64, found: Option<(Runs, u64)>) {
        let Some(held) = self.held.get_mut(&token) else { return };
        if let Some((runs, sequence)) = found {
            runs.apply(&mut held.arrival.history);
            held.note = Some(sequence);
        }
        held.state = State::Waits;
        if self.stopped {
            self.hand_back(token);
        } else {
            self.ready(token);
        }
    }

    /// The next one to be yielded; where there is none, who is to be told of it.
    pub(crate) fn next(&mut self, waker: &Waker) -> Option<(u64, Arc<Envelope>, History)> {
        while let Some(token) = self.ready.pop_front() {
            if let Some(Held { arrival, .. }) = self.held.get(&token) {
                return Some((token, Arc::clone(&arrival.envelope), arrival.history));
            }
        }
        self.waker = Some(waker.clone());
        self.calls.events |= self.events.idle();
        self.calls.copies |= self.copies.idle();
        None
    }

    /// How much to ask for, and whether something is on its way already.
    pub(crate) fn ask(&mut self, kind: Kind) -> (bool, Option<usize>) {
        let idle = self.waker.is_some();
        let credit = self.credit(kind);
        (credit.is_asking(), credit.ask(idle))
    }
}
