//! From the hands of the bus to the answer.

use async_nats::Subject;
use bus_core::settle::SettleError;
use tokio::time::Instant;

use super::{Arrival, Before, Held, Kind, Leases, Order, State};
use crate::runs::{Origin, Runs};

impl Leases {
    /// A run begins; where something has to be written down before it does, this is what.
    pub(crate) fn begin(
        &mut self,
        token: u64,
        now: Instant,
    ) -> Result<Option<Before>, SettleError> {
        let held = self.held.get_mut(&token).ok_or(SettleError::Expired)?;
        let Arrival { again, original, history, letter, .. } = &held.arrival;
        let (letter, runs) = (*letter, again.then(|| Runs::one_more(*history)));
        if runs.is_none() && letter.is_none() {
            held.state = State::Runs { since: now };
            return Ok(None);
        }
        let before = Before { origin: original.origin.clone(), runs, letter };
        held.state = State::Begins;
        Ok(Some(before))
    }

    /// What had to be written down is, and the run begins.
    pub(crate) fn begun(&mut self, token: u64, now: Instant) -> Result<(), SettleError> {
        let held = self.held.get_mut(&token).ok_or(SettleError::Expired)?;
        held.state = State::Runs { since: now };
        Ok(())
    }

    /// Its runs are noted there.
    pub(crate) fn noted(&mut self, token: u64, sequence: u64) {
        if let Some(held) = self.held.get_mut(&token) {
            held.note = Some(sequence);
        }
    }

    /// An answer begins that takes its time; the delivery is renewed until it has ended.
    pub(crate) fn claim(&mut self, token: u64, now: Instant) -> Result<Arrival, SettleError> {
        let held = self.ours(token, now)?;
        held.state = State::Settling { ran: held.state.has_run() };
        Ok(held.arrival.clone())
    }

    /// It is done.
    pub(crate) fn ack(&mut self, token: u64) -> Result<(), SettleError> {
        let held = self.remove(token).ok_or(SettleError::Expired)?;
        let Arrival { kind, reply, original, .. } = held.arrival;
        self.orders.push(Order::Ack(kind, reply));
        self.orders.extend(held.note.map(Order::Forget));
        self.done.push(original);
        Ok(())
    }

    /// What is held, if its lease can not be over. It can where there was no connection to renew it:
    /// then somebody else may have the event, whom any answer but "done" would harm.
    fn ours(&mut self, token: u64, now: Instant) -> Result<&mut Held, SettleError> {
        let over = |held: &Held| now >= held.renewed + self.lease;
        if self.held.get(&token).is_some_and(over) {
            self.remove(token);
        }
        self.held.get_mut(&token).ok_or(SettleError::Expired)
    }

    /// It is settled otherwise: where the answer goes. What was noted is not needed if it is done.
    pub(crate) fn settle(
        &mut self,
        token: u64,
        done: bool,
        now: Instant,
    ) -> Result<Subject, SettleError> {
        self.ours(token, now)?;
        let held = self.remove(token).ok_or(SettleError::Expired)?;
        if done {
            self.orders.extend(held.note.map(Order::Forget));
        }
        Ok(held.arrival.reply)
    }

    /// Hands one back. Where its run was noted, that has to be undone first, to this.
    pub(crate) fn release(
        &mut self,
        token: u64,
        now: Instant,
    ) -> Result<Option<(Origin, Runs)>, SettleError> {
        let held = self.ours(token, now)?;
        let Arrival { again, original, history, .. } = &held.arrival;
        if *again && held.state != State::Waits {
            let undo = (original.origin.clone(), Runs::of(*history));
            held.state = State::Settling { ran: false };
            return Ok(Some(undo));
        }
        self.hand_back(token);
        Ok(None)
    }

    /// Somebody else may have it.
    pub(crate) fn hand_back(&mut self, token: u64) {
        if let Some(held) = self.remove(token) {
            self.orders.push(Order::Release(held.arrival.reply));
        }
    }

    /// Nobody will answer: it is not renewed any more. A run that began counts.
    pub(crate) fn abandon(&mut self, token: u64) {
        let Some(held) = self.remove(token) else { return };
        if held.state.has_run() && !held.arrival.again {
            let runs = Runs::one_more(held.arrival.history);
            self.orders.push(Order::Note(held.arrival.original.origin.clone(), runs));
        }
    }

    /// The consumer is gone: nothing of a kind is ours any more, and an answer would be taken for
    /// one to the next consumer of that name, perhaps of another event.
    pub(crate) fn lose(&mut self, kind: Kind) {
        let of_kind = |(token, held): (&u64, &Held)| (held.arrival.kind == kind).then_some(*token);
        let lost: Vec<u64> = self.held.iter().filter_map(of_kind).collect();
        for token in lost {
            self.remove(token);
        }
        let held = &self.held;
        self.ready.retain(|token| held.contains_key(token));
    }

    /// The bus is to look for itself; what still comes is for the one that takes our place.
    pub(crate) fn end(&mut self) {
        self.stopped = true;
        self.calls.bus = self.waker.take();
    }

    /// Takes no new work and hands back what nobody has seen: how much that was.
    pub(crate) fn stop(&mut self) -> u64 {
        self.stopped = true;
        let ready = std::mem::take(&mut self.ready);
        ready.iter().for_each(|token| self.hand_back(*token));
        ready.len() as u64
    }
}
