//! From the arrival to the hands of the bus.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use super::{Arrival, Held, Kind, Leases, Order, Original, State, Yielded};
use crate::runs::Runs;

/// How many are yielded at a time.
const TURN: usize = 64;

impl Leases {
    /// Takes one in. Where it can not be yielded before it was [looked up](Self::looked_up), its
    /// token.
    pub(crate) fn arrive(&mut self, arrival: Arrival, now: Instant) -> Option<u64> {
        if arrival.asked {
            self.credit(arrival.kind).arrived();
        }
        // Also where it is said to come for the first time: a server that was killed forgets what
        // it had given out last.
        if self.adopt(&arrival, now) {
            return None;
        }
        if self.stopped {
            self.orders.push(Order::Release(arrival.reply));
            return None;
        }
        let (kind, again) = (arrival.kind, arrival.again);
        let token = self.tokens;
        self.tokens += 1;
        self.places.insert(arrival.place(), token);
        let state = if again { State::Arrives } else { State::Waits };
        self.held.insert(token, Held { arrival, state, renewed: now, signed: now, note: None });
        self.credit(kind).hold();
        if again {
            return Some(token);
        }
        self.ready(token);
        None
    }

    fn ready(&mut self, token: u64) {
        self.ready.push_back(token);
        self.calls.bus = self.waker.take().or(self.calls.bus.take());
    }

    /// The broker gave us again what we still hold, because its sign of life came late. It stays
    /// with the run that has it; where that took too long, it is given away.
    fn adopt(&mut self, arrival: &Arrival, now: Instant) -> bool {
        let Some(token) = self.places.get(&arrival.place()).copied() else { return false };
        let Some(held) = self.held.get_mut(&token) else { return false };
        let same = held.arrival.original.origin == arrival.original.origin;
        if !same || held.state == State::Overdue {
            self.remove(token);
            return false;
        }
        held.arrival.reply = arrival.reply.clone();
        (held.renewed, held.signed) = (now, now);
        true
    }

    /// What arrived.
    pub(crate) fn original(&self, token: u64) -> Option<Arc<Original>> {
        self.held.get(&token).map(|held| Arc::clone(&held.arrival.original))
    }

    /// What is known of an arrival's runs.
    pub(crate) fn looked_up(&mut self, token: u64, found: Option<(Runs, u64)>) {
        let Some(held) = self.held.get_mut(&token) else { return };
        if let Some((runs, sequence)) = found {
            runs.apply(&mut held.arrival.history);
            held.arrival.since = runs.since().unwrap_or(held.arrival.since);
            held.note = Some(sequence);
        }
        held.state = State::Waits;
        if self.stopped {
            self.hand_back(token);
        } else {
            self.ready(token);
        }
    }

    /// The next ones to be yielded; where there is none, who is to be told of it. What waited beyond
    /// its lease, because there was no connection to renew it, may be somebody else's by now: it is
    /// dropped, and comes again.
    pub(crate) fn next(&mut self, taken: &mut VecDeque<Yielded>, waker: &Waker, now: Instant) {
        while taken.len() < TURN
            && let Some(token) = self.ready.pop_front()
        {
            let Some(Held { arrival, renewed, .. }) = self.held.get(&token) else { continue };
            if now >= *renewed + self.lease {
                self.remove(token);
                continue;
            }
            let Arrival { original, history, deliveries, since, .. } = arrival;
            let (original, history) = (Arc::clone(original), *history);
            let (deliveries, since) = (*deliveries, *since);
            taken.push_back(Yielded { token, original, history, deliveries, since });
        }
        if taken.is_empty() {
            self.waker = Some(waker.clone());
            self.calls.events |= self.events.idle();
            self.calls.copies |= self.copies.idle();
        }
    }

    /// How much to ask for, and whether something is on its way already.
    pub(crate) fn ask(&mut self, kind: Kind) -> (bool, Option<usize>) {
        let idle = self.waker.is_some();
        let credit = self.credit(kind);
        (credit.is_asking(), credit.ask(idle))
    }
}
