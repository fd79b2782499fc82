//! How much a member may hold: what its handlers drain in a short time, and at least what they can
//! run at once. So a fast handler never waits for the network, and a slow one keeps nothing from
//! its neighbours.

use std::collections::VecDeque;
use std::time::Duration;

use bus_core::sabotage::{Sabotage, planted};
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// The most that is held, unless the handler runs more at once.
const MOST: usize = 4096;

/// How far ahead is fetched: this share of the lease, and not more than [`LONGEST`].
const SHARE: u32 = 10;
const LONGEST: Duration = Duration::from_secs(1);

/// How often the pace is looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// Over how long it is measured: handlers that began together end together, and one look would see
/// all of them or none.
const WINDOW: Duration = Duration::from_secs(1);

/// What one consumer may send us.
#[derive(Debug)]
pub(crate) struct Credit {
    /// What may be held and asked for together.
    limit: usize,
    least: usize,
    ahead: Duration,
    held: usize,
    /// Asked for, and not here yet.
    asked: usize,
    /// Settled since the last look, which was then.
    settled: usize,
    looked: Instant,
    /// When each look of the window began, and what was settled up to the next.
    looks: VecDeque<(Instant, usize)>,
    /// The one who asks has been woken.
    woken: bool,
}

impl Credit {
    pub(crate) fn new(concurrency: usize, lease: Duration, now: Instant) -> Self {
        let (least, ahead) = (concurrency.max(1), (lease / SHARE).min(LONGEST));
        let (held, asked, settled, woken) = (0, 0, 0, false);
        let (looked, looks) = (now, VecDeque::new());
        Self { limit: least, least, ahead, held, asked, settled, looked, looks, woken }
    }

    /// How much to ask for now: not a little at a time while more is on its way, and one at least
    /// where a handler is `idle`.
    pub(crate) fn ask(&mut self, idle: bool) -> Option<usize> {
        self.woken = false;
        let least = usize::from(idle && self.asked == 0);
        let free = self.free().max(least);
        if !self.is_worth(free) {
            return None;
        }
        self.asked += free;
        Some(free)
    }

    /// A handler is idle; says whether whoever asks is to be woken.
    pub(crate) fn idle(&mut self) -> bool {
        self.wakes(self.asked == 0)
    }

    /// Whether something was asked for that is not here yet.
    pub(crate) fn is_asking(&self) -> bool {
        self.asked > 0
    }

    /// Of what was asked for, this much will not come.
    pub(crate) fn give_up(&mut self, count: usize) {
        self.asked = self.asked.saturating_sub(count);
    }

    pub(crate) fn arrived(&mut self) {
        self.asked = self.asked.saturating_sub(1);
    }

    pub(crate) fn hold(&mut self) {
        self.held += 1;
    }

    /// One less is held; says whether whoever asks is to be woken.
    pub(crate) fn settled(&mut self) -> bool {
        self.held = self.held.saturating_sub(1);
        self.settled += 1;
        self.wakes(self.is_worth(self.free()))
    }

    /// Looks at the pace, at once where all that may be held was drained since the last look; says whether
    /// whoever asks is to be woken.
    pub(crate) fn look(&mut self, now: Instant) -> bool {
        let early = now - self.looked < LOOK;
        if early && (self.settled < self.limit || self.limit >= MOST) {
            return false;
        }
        self.looks.push_back((self.looked, self.settled));
        (self.settled, self.looked) = (0, now);
        while self.looks.len() > 1 && self.looks[0].0 + WINDOW < now {
            self.looks.pop_front();
        }
        let settled: usize = self.looks.iter().map(|(_, settled)| settled).sum();
        let pace = settled as f64 / (now - self.looks[0].0).as_secs_f64();
        let drained = (pace * self.ahead.as_secs_f64()) as usize;
        // A handler may be quick with what came first, and slow with the rest: until a whole look is over,
        // no more is fetched than four times what it has drained.
        let (least, most) = if early { (self.limit, self.limit * 4) } else { (self.least, MOST) };
        self.limit = drained.min(most).min(MOST).max(least);
        if planted(Sabotage::Prefetch) {
            self.limit = MOST;
        }
        self.wakes(self.is_worth(self.free()))
    }

    /// How much may be held and asked for together.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether more is held than would be asked for now.
    pub(crate) fn is_over(&self) -> bool {
        self.held > self.limit
    }

    /// Whether there is nothing to look at.
    pub(crate) fn rests(&self) -> bool {
        self.held == 0 && self.settled == 0 && self.limit == self.least
    }

    /// Once, until something is asked for.
    fn wakes(&mut self, worth: bool) -> bool {
        let wakes = worth && !self.woken;
        self.woken |= wakes;
        wakes
    }

    fn free(&self) -> usize {
        self.limit.saturating_sub(self.held + self.asked)
    }

    fn is_worth(&self, free: usize) -> bool {
        free > 0 && (self.asked == 0 || free * 2 >= self.limit)
    }
}
