use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use tokio::time::Instant;

use super::Signal;

const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);

/// How the exports of one signal go: counted, and said without flooding the log.
#[derive(Debug)]
pub(crate) struct Health {
    signal: Signal,
    lost: AtomicU64,
    overflowed: AtomicU64,
    closing: AtomicBool,
    outage: Mutex<Outage>,
}

/// What is known of the exports that failed since the last that worked.
#[derive(Debug, Default)]
struct Outage {
    failing: bool,
    lost: u64,
    overflow_said: u64,
    rejected: u64,
    noted: Option<String>,
    cause: String,
    warned: Option<Instant>,
}

impl Health {
    pub(crate) fn new(signal: Signal) -> Self {
        Self {
            signal,
            lost: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            outage: Mutex::default(),
        }
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Relaxed) + self.overflowed.load(Relaxed)
    }

    /// Why the last export failed, if it did.
    pub(crate) fn failing(&self) -> Option<String> {
        let outage = self.outage();
        outage.failing.then(|| outage.cause.clone())
    }

    /// From now on one failure is enough: what waits behind it would only use up the time.
    pub(crate) fn close(&self) {
        self.closing.store(true, Relaxed);
    }

    pub(crate) fn gave_up(&self) -> bool {
        self.closing.load(Relaxed) && self.outage().failing
    }

    /// The queue was full. Said later: here a log may be in the middle of being written.
    pub(crate) fn overflow(&self) {
        self.overflowed.fetch_add(1, Relaxed);
    }

    /// Not sent, and said by the caller.
    pub(crate) fn abandon(&self, items: u64) {
        self.lost.fetch_add(items, Relaxed);
    }

    /// What the HTTP client knows and the exporter's own error hides.
    pub(crate) fn note(&self, cause: String) {
        self.outage().noted = Some(cause);
    }

    /// The collector took the request and refused some of it.
    pub(crate) fn note_rejected(&self, items: u64, message: &str) {
        let mut outage = self.outage();
        outage.rejected += items;
        outage.noted = Some(format!("the collector refused {items}: {message}"));
    }

    pub(crate) fn exported(&self) {
        let mut outage = self.outage();
        let rejected = std::mem::take(&mut outage.rejected);
        if rejected > 0 {
            drop(outage);
            return self.failed(rejected, None);
        }
        let recovered = std::mem::take(&mut outage.failing);
        let lost = std::mem::take(&mut outage.lost);
        outage.noted = None;
        if recovered {
            outage.warned = None;
        }
        drop(outage);
        if recovered {
            let _unexported = Context::enter_telemetry_suppressed_scope();
            tracing::warn!(lost, "exporting {} works again", self.signal.name());
        }
        self.say_overflow();
    }

    pub(crate) fn failed(&self, items: u64, error: Option<String>) {
        self.lost.fetch_add(items, Relaxed);
        let mut outage = self.outage();
        if let Some(cause) = outage.noted.take().or(error) {
            outage.cause = cause;
        }
        outage.failing = true;
        outage.lost += items;
        let now = Instant::now();
        if outage.warned.is_some_and(|at| now.duration_since(at) < BETWEEN_WARNINGS) {
            return;
        }
        outage.warned = Some(now);
        let (lost, cause) = (outage.lost, outage.cause.clone());
        drop(outage);
        let _unexported = Context::enter_telemetry_suppressed_scope();
        tracing::warn!(lost, cause, "failed to export {}", self.signal.name());
    }

    pub(crate) fn say_overflow(&self) {
        let overflowed = self.overflowed.load(Relaxed);
        let mut outage = self.outage();
        let news = overflowed - outage.overflow_said;
        let recent = outage.warned.is_some_and(|at| at.elapsed() < BETWEEN_WARNINGS);
        if news == 0 || recent {
            return;
        }
        outage.overflow_said = overflowed;
        outage.warned = Some(Instant::now());
        drop(outage);
        let _unexported = Context::enter_telemetry_suppressed_scope();
        let (signal, variable) = (self.signal.name(), self.signal.queue_variable());
        tracing::warn!(lost = news, "the queue of {signal} was full: raise {variable}");
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
