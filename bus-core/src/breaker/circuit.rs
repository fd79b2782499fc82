//! The policy of a circuit breaker: what runs say about their handler, and how many there may be
//! at once. No clock, no waiting.

use std::time::Duration;

use super::Breaker;
use super::window::Window;

#[cfg(test)]
mod tests;

/// How many events have to fail, one after the other, until it is open again.
const PROBES: usize = 3;

/// What the end of a run says about its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Works,
    /// It works as far as can be seen, and does not want the event.
    Rejects,
    Fails,
    /// The run was cut short, or there was none.
    Nothing,
}

/// What others have to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Opened {
        pause: Duration,
        /// Its probes have failed.
        again: bool,
        /// Of the events that it judged by when it opened first.
        failed: usize,
        of: usize,
    },
    /// A probe was a success.
    Ramps,
    Closed {
        after: Duration,
        failed: u64,
    },
}

#[derive(Debug)]
pub(crate) struct Circuit {
    breaker: Breaker,
    concurrency: usize,
    state: State,
    window: Window,
    /// How often it opened: what began before the last time says nothing any more.
    era: u64,
    /// Of this era; not counted while it is closed.
    running: usize,
    pause: Duration,
    /// When it was closed last, and how many runs failed since.
    opened: Duration,
    failed: u64,
    /// What it judged by then.
    judged: (usize, usize),
}

#[derive(Debug)]
enum State {
    Closed,
    Open,
    /// These events have failed.
    HalfOpen(Vec<u64>),
    Ramping {
        limit: usize,
        ended: usize,
        failed: usize,
    },
}

impl Circuit {
    pub(crate) fn new(breaker: Breaker, concurrency: usize) -> Self {
        Self {
            window: Window::new(&breaker),
            breaker,
            concurrency,
            state: State::Closed,
            era: 0,
            running: 0,
            pause: breaker.first,
            opened: Duration::ZERO,
            failed: 0,
            judged: (0, 0),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether it waits for an event to probe with.
    pub(crate) fn wants_a_probe(&self) -> bool {
        matches!(self.state, State::HalfOpen(_)) && self.running == 0
    }

    /// Whether one more run may begin.
    pub(crate) fn admits(&self) -> bool {
        match self.state {
            State::Closed => true,
            State::Open => false,
            State::HalfOpen(_) => self.running == 0,
            State::Ramping { limit, .. } => self.running < limit,
        }
    }

    /// A run begins; says in which era.
    pub(crate) fn begin(&mut self) -> u64 {
        self.running += usize::from(!self.is_closed());
        self.era
    }

    /// The pause is over.
    pub(crate) fn half_open(&mut self) {
        if matches!(self.state, State::Open) {
            self.state = State::HalfOpen(Vec::new());
        }
    }

    /// A run of an event has ended.
    pub(crate) fn end(
        &mut self,
        era: u64,
        event: u64,
        sign: Sign,
        now: Duration,
    ) -> Option<Change> {
        let fails = sign == Sign::Fails;
        self.failed += u64::from(fails);
        if era != self.era {
            return None;
        }
        self.running = self.running.saturating_sub(1);
        if sign == Sign::Nothing {
            return None;
        }
        match &mut self.state {
            State::Closed if sign == Sign::Rejects => None,
            State::Closed => self.judge(event, fails, now),
            State::Open => None,
            State::HalfOpen(_) if !fails => self.ramp(1, now),
            State::HalfOpen(failed) => {
                if !failed.contains(&event) {
                    failed.push(event);
                }
                (failed.len() >= PROBES).then(|| self.open(now))
            }
            State::Ramping { limit, ended, failed } => {
                (*ended, *failed) = (*ended + 1, *failed + usize::from(fails));
                let (limit, ended, failed) = (*limit, *ended, *failed);
                if self.breaker.is_most(failed, limit) {
                    return Some(self.open(now));
                }
                if ended < limit { None } else { self.ramp(limit, now) }
            }
        }
    }

    fn judge(&mut self, event: u64, fails: bool, now: Duration) -> Option<Change> {
        self.window.push(event, fails, now);
        let (failed, of) = self.window.counts();
        let opens =
            fails && of >= self.breaker.minimum as usize && self.breaker.is_most(failed, of);
        opens.then(|| self.open(now))
    }

    fn open(&mut self, now: Duration) -> Change {
        if self.is_closed() {
            self.judged = self.window.counts();
            (self.opened, self.failed) = (now, self.judged.0 as u64);
            self.pause = self.breaker.first;
            self.window.clear();
        } else {
            self.pause = self.pause.saturating_mul(2).min(self.breaker.longest);
        }
        let again = matches!(self.state, State::HalfOpen(_));
        self.state = State::Open;
        (self.era, self.running) = (self.era + 1, 0);
        let (failed, of) = self.judged;
        Change::Opened { pause: self.pause, again, failed, of }
    }

    /// A round of so many runs at once went well.
    fn ramp(&mut self, limit: usize, now: Duration) -> Option<Change> {
        if limit >= self.concurrency {
            self.state = State::Closed;
            let after = now.saturating_sub(self.opened);
            return Some(Change::Closed { after, failed: self.failed });
        }
        let next = limit.saturating_mul(2).min(self.concurrency);
        self.state = State::Ramping { limit: next, ended: 0, failed: 0 };
        (limit == 1).then_some(Change::Ramps)
    }
}
