//! How many events are handled, and when the first and the last one were.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// A contestant that handles nothing for so long is stuck.
const STUCK: Duration = Duration::from_secs(20);

/// Everybody counts by it, and pays as much for it.
#[derive(Debug)]
pub(crate) struct Goal {
    events: u64,
    handled: AtomicU64,
    first: OnceLock<Instant>,
    last: OnceLock<Instant>,
    reached: Notify,
}

impl Goal {
    /// To handle as many.
    pub(crate) fn of(events: u64) -> Arc<Self> {
        let (first, last) = (OnceLock::new(), OnceLock::new());
        let (handled, reached) = (AtomicU64::new(0), Notify::new());
        Arc::new(Self { events, handled, first, last, reached })
    }

    /// One more is handled; is it the last one?
    pub(crate) fn count(&self) -> bool {
        let handled = self.handled.fetch_add(1, Ordering::Relaxed) + 1;
        if handled == 1 {
            let _ = self.first.set(Instant::now());
        }
        if handled == self.events {
            let _ = self.last.set(Instant::now());
            self.reached.notify_one();
        }
        handled >= self.events
    }

    /// How many are handled.
    pub(crate) fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    /// When the first one was handled.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.first.get().copied()
    }

    /// Waits until all are handled, and fails where nothing moves any more.
    pub(crate) async fn reached(&self) -> Result<()> {
        loop {
            let before = self.handled.load(Ordering::Relaxed);
            if timeout(STUCK, self.reached.notified()).await.is_ok() {
                return Ok(());
            }
            let (now, of) = (self.handled.load(Ordering::Relaxed), self.events);
            if now == before {
                bail!("{now} of {of} events are handled, and none in {STUCK:?}");
            }
        }
    }

    /// Events in a second, from the first to the last one.
    pub(crate) fn rate(&self) -> Result<f64> {
        match (self.first.get(), self.last.get()) {
            (Some(first), Some(last)) => {
                Ok((self.events - 1) as f64 / last.duration_since(*first).as_secs_f64())
            }
            _ => bail!("not all {} events are handled", self.events),
        }
    }
}
