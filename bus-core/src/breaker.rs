//! When most events of a handler fail: what its circuit breaker goes by.

use std::time::Duration;

use crate::retry::SECOND;

pub(crate) use self::circuit::{Change, Circuit, Sign};

mod circuit;
mod window;

/// The circuit breaker of a handler: when most of its events fail, it takes no more of them for a
/// while, so that an outage does not pour everything that waits into the dead letters.
///
/// Failures are errors that would be retried, panics, time-outs, and events that can not be read; an
/// error that rejects its event says nothing, or where it probes, that the handler works. Of each event only the last run counts. When more than
/// half of the last 100 events failed, and there were at least 20 within 10 minutes, the breaker
/// *opens*: what was fetched goes back to the broker, for other replicas, and nothing is taken for 1 s.
/// Then it *probes*: one run at a time, until one is a success, or three events have failed. Each time
/// they fail the next pause is twice as long, up to 30 s. After a success twice as many runs at once are
/// allowed with every round in which not most failed, until all are; then it is *closed*.
///
/// So ten poisonous events never open it, however often they are tried, and where it is wrong that costs
/// a second. 10 minutes are enough for 20 runs to time out by the default [`Options`](crate::Options).
///
/// Every handler has its own, in every process, and it is on by default. While it is open the service is
/// not ready, and says why. It goes by the clock of the machine: on a bus whose clock a test moves by
/// hand it is off.
///
/// ```
/// use bus_core::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, Event)] #[event(subject = "orders.placed")] struct OrderPlaced;
///
/// // It waits for others by failing, however often that is.
/// #[handler(breaker = Breaker::off())]
/// async fn ship(order: OrderPlaced) {}
///
/// #[handler]
/// async fn charge(order: OrderPlaced) {}
///
/// let service = Service::new("billing", Bus::in_memory()).handlers(handlers![charge, ship]).tune(
///     "charge",
///     |options| options.breaker(Breaker::new().threshold(80).pause(SECOND * 5, MINUTE)),
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    on: bool,
    threshold: u32,
    minimum: u32,
    window: Duration,
    first: Duration,
    longest: Duration,
}

/// More than this would be remembered for nothing.
const MOST_EVENTS: u32 = 10_000;

/// A shorter pause would be none.
const SHORTEST: Duration = Duration::from_millis(10);

impl Default for Breaker {
    /// [`new`](Self::new).
    fn default() -> Self {
        Self::new()
    }
}

impl Breaker {
    /// Opens when more than 50 % of at least 20 events fail; pauses of 1 to 30 s.
    pub const fn new() -> Self {
        Self {
            on: true,
            threshold: 50,
            minimum: 20,
            window: Duration::from_secs(600),
            first: SECOND,
            longest: Duration::from_secs(30),
        }
    }

    /// None: every event is taken, whatever became of those before.
    pub const fn off() -> Self {
        Self { on: false, ..Self::new() }
    }

    /// It opens when more than so many percent of the events fail; at most 99.
    pub const fn threshold(self, percent: u32) -> Self {
        Self { threshold: if percent > 99 { 99 } else { percent }, ..self }
    }

    /// It judges by no fewer events than these; from 1 to 10,000.
    pub const fn minimum(self, events: u32) -> Self {
        let events = if events > MOST_EVENTS { MOST_EVENTS } else { events };
        Self { minimum: if events == 0 { 1 } else { events }, ..self }
    }

    /// It judges by no older runs than this.
    pub const fn window(self, window: Duration) -> Self {
        Self { window, ..self }
    }

    /// The first pause, at least 10 ms, and the longest.
    pub const fn pause(self, first: Duration, longest: Duration) -> Self {
        let first = if first.as_nanos() < SHORTEST.as_nanos() { SHORTEST } else { first };
        let longest = if longest.as_nanos() < first.as_nanos() { first } else { longest };
        Self { first, longest, ..self }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Whether this share of failures is one that it opens at.
    fn is_most(&self, failed: usize, of: usize) -> bool {
        failed as u128 * 100 > of as u128 * u128::from(self.threshold)
    }
}
