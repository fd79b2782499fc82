//! A handler's circuit breaker at work: whoever takes deliveries asks it, whatever runs tells it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use crate::breaker::{Breaker, Change, Circuit, Sign};
use crate::settle::Failed;

#[cfg(test)]
mod tests;

/// Where deliveries pass before they run. One task takes them, many end.
pub(crate) struct Gate {
    on: bool,
    /// As [`is_calm`](Self::is_calm) says.
    calm: AtomicBool,
    era: AtomicU64,
    known: Mutex<Known>,
    taker: AtomicWaker,
    start: Instant,
}

struct Known {
    circuit: Circuit,
    /// There is one at most: the next one needs a run that began after it was told.
    change: Option<Change>,
    /// The class and the text of the last failure.
    last: String,
}

/// A run between its begin and its end.
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    era: u64,
    over: bool,
}

impl Gate {
    pub(crate) fn new(breaker: Breaker, concurrency: usize) -> Self {
        let circuit = Circuit::new(breaker, concurrency);
        Self {
            on: breaker.is_on(),
            calm: AtomicBool::new(true),
            era: AtomicU64::new(0),
            known: Mutex::new(Known { circuit, change: None, last: String::new() }),
            taker: AtomicWaker::new(),
            start: Instant::now(),
        }
    }

    /// Ready with a change that is to be told first, or with `None` when a run may begin.
    pub(crate) fn poll_admit(&self, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        if !self.on {
            return Poll::Ready(None);
        }
        // Before the look, so that nothing changes unseen between the two.
        self.taker.register(cx.waker());
        if self.is_calm() {
            return Poll::Ready(None);
        }
        let mut known = self.known();
        let change = known.change.take();
        self.set_calm(&known);
        match change {
            Some(change) => Poll::Ready(Some(change)),
            None if known.circuit.admits() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// A run begins that was admitted; the number is for [`pass`](Self::pass).
    pub(crate) fn begin(&self) -> u64 {
        if self.is_calm() {
            return self.era.load(Ordering::Acquire);
        }
        self.known().circuit.begin()
    }

    pub(super) fn pass(&self, era: u64) -> Pass<'_> {
        Pass { gate: self, era, over: !self.on }
    }

    /// The pause is over.
    pub(crate) fn half_open(&self) {
        self.known().circuit.half_open();
    }

    /// Whether it is closed, and nobody has to be told.
    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Acquire)
    }

    /// Whether it waits for an event to probe with.
    pub(crate) fn wants_a_probe(&self) -> bool {
        self.known().circuit.wants_a_probe()
    }

    /// The class and the text of the last failure.
    pub(crate) fn last(&self) -> String {
        self.known().last.clone()
    }

    fn end(&self, era: u64, event: u64, sign: Sign, failed: Option<&Failed>) {
        let now = self.start.elapsed();
        let mut known = self.known();
        if let Some(Failed { class, text, .. }) = failed.filter(|_| sign == Sign::Fails) {
            known.last = format!("{class}: {text}");
        }
        let change = known.circuit.end(era, event, sign, now);
        if let Some(Change::Opened { .. }) = change {
            self.era.fetch_add(1, Ordering::AcqRel);
        }
        known.change = change.or(known.change);
        let was_calm = self.is_calm();
        self.set_calm(&known);
        drop(known);
        if !was_calm || change.is_some() {
            self.taker.wake();
        }
    }

    fn set_calm(&self, known: &Known) {
        let calm = known.change.is_none() && known.circuit.is_closed();
        self.calm.store(calm, Ordering::Release);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The run of an event has ended.
    pub(super) fn end(mut self, event: u64, sign: Sign, failed: Option<&Failed>) {
        if !std::mem::replace(&mut self.over, true) {
            self.gate.end(self.era, event, sign, failed);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.gate.end(self.era, 0, Sign::Nothing, None);
        }
    }
}
