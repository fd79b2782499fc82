//! What became of the last events.

use std::collections::VecDeque;
use std::time::Duration;

use super::Breaker;

/// How many are remembered, unless more are needed to judge.
const LENGTH: usize = 100;

/// The last events, each by its last run.
#[derive(Debug)]
pub(super) struct Window {
    events: VecDeque<Seen>,
    failed: usize,
    length: usize,
    age: Duration,
}

#[derive(Debug)]
struct Seen {
    event: u64,
    failed: bool,
    at: Duration,
}

impl Window {
    pub(super) fn new(breaker: &Breaker) -> Self {
        let length = LENGTH.max(breaker.minimum as usize);
        Self { events: VecDeque::with_capacity(length), failed: 0, length, age: breaker.window }
    }

    pub(super) fn push(&mut self, event: u64, failed: bool, at: Duration) {
        while self.events.front().is_some_and(|seen| at.saturating_sub(seen.at) > self.age) {
            self.forget(0);
        }
        // Where all went well there is nothing to take back.
        if (failed || self.failed > 0)
            && let Some(before) = self.events.iter().position(|seen| seen.event == event)
        {
            self.forget(before);
        }
        if self.events.len() == self.length {
            self.forget(0);
        }
        self.failed += usize::from(failed);
        self.events.push_back(Seen { event, failed, at });
    }

    fn forget(&mut self, at: usize) {
        let failed = self.events.remove(at).is_some_and(|seen| seen.failed);
        self.failed -= usize::from(failed);
    }

    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.failed = 0;
    }

    /// How many failed, of how many.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.failed, self.events.len())
    }
}
