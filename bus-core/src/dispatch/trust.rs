//! Handlers that block their thread must not starve others.
//!
//! A poll that runs under `block_in_place` gives the other tasks of its thread to another thread
//! first. That costs a thread, so it is done only for handlers that are known to block, and for
//! the first polls of each. Until those are over, runs begin one after the other, or as far apart
//! as makes a poll a slow one: so a handler that blocks from the start does not take all threads
//! before it is known.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::block_in_place;
use tokio::time::timeout;
use tracing::warn;

/// A task costs as much as this: what takes less on average is not worth one. Code that is not optimized
/// takes longer, and is to go the same way.
const QUICK: Duration = Duration::from_micros(if cfg!(debug_assertions) { 100 } else { 4 });

/// The most that one poll counts for in the average: a thread that is taken away for once in a hundred
/// polls, as on a busy machine, is nothing; work of a millisecond in one of twenty is.
const SLOWEST: Duration = Duration::from_micros(150);

/// The part of the average that each poll is.
const WEIGHT: u32 = 64;

/// Quick polls by which a new handler earns trust.
const PROBATION: u32 = 8;

/// A poll that takes longer than this has blocked its thread. Far above what a busy machine takes
/// a thread away for.
const BLOCKED: Duration = Duration::from_millis(50);

/// What one slow poll counts against a handler; each quick one takes one off.
const STRIKE: u32 = 64;

/// Two slow polls close together, and the handler is known to block.
const OUT: u32 = 2 * STRIKE;

/// How well one handler behaves.
pub(crate) struct Trust {
    handler: String,
    /// Whether there are other threads to give the work to.
    threads: bool,
    /// What the first poll of a run takes on average, in nanoseconds: what a task would be made for.
    average: AtomicU32,
    /// Polls seen, up to [`PROBATION`].
    polls: AtomicU32,
    strikes: AtomicU32,
    /// One run on probation at a time has not ended its first poll.
    trial: Arc<Semaphore>,
}

/// Lets the next run begin when it is dropped.
pub(crate) struct Trial {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Trust {
    /// To be called on the runtime that the handler will run on.
    pub(crate) fn new(handler: &str) -> Self {
        let runtime = Handle::try_current().map(|handle| handle.runtime_flavor());
        Self {
            handler: handler.to_owned(),
            threads: runtime.is_ok_and(|flavor| flavor == RuntimeFlavor::MultiThread),
            average: AtomicU32::new(nanos(SLOWEST)),
            polls: AtomicU32::new(0),
            strikes: AtomicU32::new(0),
            trial: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits until another run of this handler may begin.
    pub(crate) async fn admit(&self) -> Trial {
        if !self.threads || !self.is_on_probation() {
            return Trial { _permit: None };
        }
        // One that takes longer blocks its thread, and the others can not wait for it.
        let acquired = timeout(BLOCKED, Arc::clone(&self.trial).acquire_owned()).await;
        Trial { _permit: acquired.ok().and_then(Result::ok) }
    }

    /// Whether there are other threads to give work to.
    pub(crate) fn has_threads(&self) -> bool {
        self.threads
    }

    /// A run has blocked its thread, and may do so still: the next ones get tasks.
    pub(crate) fn blocked(&self) {
        self.average.store(nanos(SLOWEST), Ordering::Relaxed);
    }

    /// Whether a run is begun where it was taken: there is no other thread, or it would cost more than
    /// the run itself to give it to one.
    pub(crate) fn is_quick(&self) -> bool {
        let quick = || self.average.load(Ordering::Relaxed) < nanos(QUICK);
        !self.threads || (quick() && !self.is_on_probation() && !self.blocks())
    }

    /// The same future, its polls watched.
    pub(super) fn watch<F: Future + Unpin>(
        &self,
        trial: Trial,
        mut future: F,
    ) -> impl Future<Output = F::Output> + Unpin {
        let mut trial = Some(trial);
        poll_fn(move |cx| {
            let begun = now();
            let polled = if self.threads && (self.is_on_probation() || self.blocks()) {
                in_place(|| Pin::new(&mut future).poll(cx))
            } else {
                Pin::new(&mut future).poll(cx)
            };
            self.judge(now() - begun, trial.take().is_some());
            polled
        })
    }

    fn is_on_probation(&self) -> bool {
        self.polls.load(Ordering::Relaxed) < PROBATION && !self.blocks()
    }

    fn blocks(&self) -> bool {
        self.strikes.load(Ordering::Relaxed) >= OUT
    }

    /// Polls that are judged at once may miss each other's count; that changes nothing much.
    fn judge(&self, took: Duration, first: bool) {
        let polls = self.polls.load(Ordering::Relaxed);
        if polls < PROBATION {
            self.polls.store(polls + 1, Ordering::Relaxed);
        }
        if first {
            let average = self.average.load(Ordering::Relaxed);
            let average = average - average / WEIGHT + nanos(took.min(SLOWEST)) / WEIGHT;
            self.average.store(average, Ordering::Relaxed);
        }
        let strikes = self.strikes.load(Ordering::Relaxed);
        if took > BLOCKED {
            let more = (strikes + STRIKE).min(OUT + STRIKE);
            self.strikes.store(more, Ordering::Relaxed);
            if more >= OUT && strikes < OUT {
                let handler = &self.handler;
                warn!(handler, ?took, "blocks its thread; use `spawn_blocking` for such work");
            }
        } else if strikes > 0 {
            self.strikes.store(strikes - 1, Ordering::Relaxed);
        }
    }
}

/// Polls where other threads take over the rest of this one's work. `block_in_place` takes tokio's
/// budget away, and with it every chance to interrupt a run that never waits; `block_on` brings one.
fn in_place<T>(poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
    let mut poll = Some(poll);
    let once = poll_fn(|_| Poll::Ready(poll.take().map_or(Poll::Pending, |poll| poll())));
    block_in_place(|| Handle::current().block_on(once))
}

fn nanos(time: Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a thread is blocked is real time, also where a test holds tokio's clock"
)]
fn now() -> Instant {
    Instant::now()
}
