//! What a group has to remember. It has no clock and no lock: each call says what time it is, and
//! whoever calls holds the lock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use bus_core::delivery::History;
use bus_core::prelude::Envelope;
use bus_core::settle::{Failed, Reason, SettleError, Settlement};
use bus_core::transport::{Group, TransportError};
use tokio::time::Instant;

/// One group. Its members share it, so each event goes to one of them.
pub(super) struct Queue {
    group: Group,
    fresh: VecDeque<Parcel>,
    /// What comes again; it goes first.
    again: VecDeque<Parcel>,
    /// Deliveries that have no answer, and retries that wait, by token. A token names a delivery,
    /// so that its answer finds it, and is never used twice.
    away: BTreeMap<u64, Away>,
    next_token: u64,
    dead: Vec<DeadLetter>,
    wakers: Vec<Waker>,
}

/// One event for one group.
#[derive(Clone)]
pub(super) struct Parcel {
    pub(super) envelope: Arc<Envelope>,
    pub(super) history: History,
}

struct Away {
    parcel: Parcel,
    begun: bool,
    /// When it comes back by itself. `None` while a member holds it that has not begun to run:
    /// where that member is another process, its lease is renewed instead.
    back: Option<Instant>,
}

pub(super) type DeadLetter = (Arc<Envelope>, Reason, Failed);

impl Queue {
    pub(super) fn new(group: Group) -> Self {
        Self {
            group,
            fresh: VecDeque::new(),
            again: VecDeque::new(),
            away: BTreeMap::new(),
            next_token: 0,
            dead: Vec::new(),
            wakers: Vec::new(),
        }
    }

    /// A member brings the times of its own build, but no other filter: what waits would be lost.
    pub(super) fn join(&mut self, group: Group) -> Result<(), TransportError> {
        let Group { name, filter, .. } = &self.group;
        if *filter != group.filter {
            let reason = format!("`{name}` exists and receives `{filter}`");
            return Err(TransportError::Unsupported { reason });
        }
        self.group = group;
        Ok(())
    }

    pub(super) fn offer(&mut self, envelope: &Arc<Envelope>) {
        if self.group.filter.matches(&envelope.subject) {
            let (envelope, history) = (Arc::clone(envelope), History::default());
            self.fresh.push_back(Parcel { envelope, history });
            self.wake();
        }
    }

    /// The next event, and the token of its delivery.
    pub(super) fn take(&mut self, now: Instant) -> Option<(u64, Parcel)> {
        while let Some((due, token)) = self.next_back()
            && due <= now
        {
            self.bring_back(token);
        }
        let parcel = self.again.pop_front().or_else(|| self.fresh.pop_front())?;
        Some((self.send_away(parcel.clone(), None), parcel))
    }

    /// Nothing is there: a member asks to be woken, and learns when it has to look again anyway.
    pub(super) fn wait(&mut self, waker: &Waker) -> Option<Instant> {
        if !self.wakers.iter().any(|other| other.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
        self.next_back().map(|(due, _)| due)
    }

    /// A handler is about to run: from here on the lease ends some time after the run should.
    pub(super) fn begin(&mut self, token: u64, now: Instant) -> Result<(), SettleError> {
        let away = self.away.get_mut(&token).ok_or(SettleError::Expired)?;
        away.begun = true;
        away.back = now.checked_add(self.group.timeout.saturating_add(self.group.lease));
        self.wake();
        Ok(())
    }

    pub(super) fn settle(
        &mut self,
        token: u64,
        settlement: Settlement,
        now: Instant,
    ) -> Result<(), SettleError> {
        let Away { mut parcel, .. } = self.away.remove(&token).ok_or(SettleError::Expired)?;
        match settlement {
            Settlement::Ack => {}
            Settlement::Release => self.again.push_back(parcel),
            Settlement::Retry { after, failed } => {
                parcel.history.attempts = failed.attempt;
                parcel.history.first_failure.get_or_insert(failed.first);
                parcel.history.previous = failed.span.or(parcel.history.previous);
                self.send_away(parcel, now.checked_add(after));
            }
            // Where storing it can fail, the event stays away until it is stored.
            Settlement::DeadLetter { reason, failed } => {
                self.dead.push((parcel.envelope, reason, failed));
            }
        }
        self.wake();
        Ok(())
    }

    /// A delivery was dropped without an answer: it comes back after its lease.
    pub(super) fn abandon(&mut self, token: u64, now: Instant) {
        if let Some(away) = self.away.get_mut(&token) {
            let lease_end = now.checked_add(self.group.lease);
            away.back = away.back.into_iter().chain(lease_end).min();
            self.wake();
        }
    }

    /// How many events are not done.
    pub(super) fn undone(&self) -> u64 {
        (self.fresh.len() + self.again.len() + self.away.len()) as u64
    }

    pub(super) fn dead_letters(&self) -> &[DeadLetter] {
        &self.dead
    }

    fn send_away(&mut self, parcel: Parcel, back: Option<Instant>) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        self.away.insert(token, Away { parcel, begun: false, back });
        token
    }

    /// A run that never ended counts; a delivery that never began to run does not.
    fn bring_back(&mut self, token: u64) {
        if let Some(Away { mut parcel, begun, .. }) = self.away.remove(&token) {
            parcel.history.attempts += u32::from(begun);
            self.again.push_back(parcel);
        }
    }

    /// What comes back first. A transport for many deliveries keeps them in this order.
    fn next_back(&self) -> Option<(Instant, u64)> {
        self.away.iter().filter_map(|(token, away)| Some((away.back?, *token))).min()
    }

    /// All members look again; those that find nothing leave their waker anew.
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}
