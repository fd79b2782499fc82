//! The lease engine's memory: every delivery that a member holds, from its arrival to its answer.
//! It sends nothing and has no clock; what has to be sent it leaves as [`Order`]s.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use async_nats::Subject;
use bus_core::transport::ByNumber;
use tokio::time::Instant;

use crate::credit::Credit;
use crate::runs::{Origin, Runs};

mod answer;
mod arrive;
mod message;
mod renew;
#[cfg(test)]
mod tests;

pub(crate) use self::message::{Arrival, Before, Kind, Original, Yielded};

#[derive(Debug)]
struct Held {
    arrival: Arrival,
    state: State,
    /// When its lease began last.
    renewed: Instant,
    /// When a sign of life was sent last, also where the lease was over.
    signed: Instant,
    /// Where it is noted how often it was run.
    note: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is seen to, and can not be yielded yet.
    Arrives,
    /// For a run.
    Waits,
    /// What has to be written down before its run is on its way.
    Begins,
    Runs {
        since: Instant,
    },
    /// The run took too long, and the event is given away.
    Overdue,
    /// An answer is on its way; it may be that of a run.
    Settling {
        ran: bool,
    },
}

impl State {
    /// Whether a run began, and is not known to be overdue.
    fn has_run(self) -> bool {
        matches!(self, Self::Runs { .. } | Self::Settling { ran: true })
    }
}

/// What has to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// It is done.
    Ack(Kind, Subject),
    /// It is still being worked on.
    Progress(Subject),
    /// Somebody else may have it at once.
    Release(Subject),
    /// A run began and did not end.
    Note(Origin, Runs),
    /// What was noted is not needed any more.
    Forget(u64),
}

/// What a member holds.
#[derive(Debug)]
pub(crate) struct Leases {
    lease: Duration,
    timeout: Duration,
    held: ByNumber<Held>,
    /// The token of what is held, by its message.
    places: ByNumber<u64>,
    tokens: u64,
    /// Not yielded yet, in the order of their arrival.
    ready: VecDeque<u64>,
    orders: Vec<Order>,
    /// What was acked, to be dropped by the keeper: on the thread that made it an allocator with arenas
    /// frees it without a lock that both threads want.
    done: Vec<Arc<Original>>,
    pub(crate) events: Credit,
    pub(crate) copies: Credit,
    waker: Option<Waker>,
    stopped: bool,
    calls: Calls,
    /// The keeper sleeps until it is called.
    keeper_rests: bool,
    /// The keeper was called, and has not looked yet.
    keeper_called: bool,
}

/// Who has something to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    pub(crate) keeper: bool,
    pub(crate) events: bool,
    pub(crate) copies: bool,
    /// The bus: to be woken where nothing is locked, for it may drop what it wakes.
    pub(crate) bus: Option<Waker>,
}

impl Leases {
    pub(crate) fn new(
        concurrency: usize,
        lease: Duration,
        timeout: Duration,
        now: Instant,
    ) -> Self {
        let credit = || Credit::new(concurrency, lease, now);
        Self {
            lease,
            timeout,
            held: ByNumber::default(),
            places: ByNumber::default(),
            tokens: 0,
            ready: VecDeque::new(),
            orders: Vec::new(),
            done: Vec::new(),
            events: credit(),
            copies: credit(),
            waker: None,
            stopped: false,
            calls: Calls::default(),
            keeper_rests: true,
            keeper_called: false,
        }
    }

    pub(crate) fn credit(&mut self, kind: Kind) -> &mut Credit {
        match kind {
            Kind::Events => &mut self.events,
            Kind::Copies => &mut self.copies,
        }
    }

    /// Whether nothing is held, and nothing is to be sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.orders.is_empty()
    }

    /// Whether every answer that was given is sent.
    pub(crate) fn is_answered(&self) -> bool {
        let busy = |held: &Held| matches!(held.state, State::Arrives | State::Settling { .. });
        self.orders.is_empty() && !self.held.values().any(busy)
    }

    /// Who has something to do since this was asked last.
    pub(crate) fn calls(&mut self) -> Calls {
        let mut calls = std::mem::take(&mut self.calls);
        let wanted = !self.orders.is_empty() || (self.keeper_rests && !self.held.is_empty());
        calls.keeper = wanted && !self.keeper_called;
        self.keeper_called |= calls.keeper;
        calls
    }

    /// The keeper takes what is to be sent and what is to be dropped, and leaves empty lists.
    pub(crate) fn take_orders(&mut self, orders: &mut Vec<Order>, done: &mut Vec<Arc<Original>>) {
        self.keeper_called = false;
        std::mem::swap(orders, &mut self.orders);
        std::mem::swap(done, &mut self.done);
    }

    /// Looks at the pace of both consumers.
    pub(crate) fn look(&mut self, now: Instant) {
        self.calls.events |= self.events.look(now);
        self.calls.copies |= self.copies.look(now);
    }

    /// Whether there is nothing to renew, to send, or to look at.
    pub(crate) fn rests(&mut self) -> bool {
        self.keeper_rests = self.is_empty() && self.events.rests() && self.copies.rests();
        self.keeper_rests
    }

    /// How much may be held of both consumers, and how much is.
    pub(crate) fn meters(&self) -> (u64, u64) {
        let limit = self.events.limit() + self.copies.limit();
        (limit as u64, self.held.len() as u64)
    }

    fn remove(&mut self, token: u64) -> Option<Held> {
        let held = self.held.remove(&token)?;
        self.places.remove(&held.arrival.place());
        match held.arrival.kind {
            Kind::Events => self.calls.events |= self.events.settled(),
            Kind::Copies => self.calls.copies |= self.copies.settled(),
        }
        Some(held)
    }
}
