//! Handlers that block their thread must not starve others.
//!
//! A poll that runs under `block_in_place` gives the other tasks of its thread to another thread
//! first. That costs a thread, so it is done only for handlers that are known to block, and for
//! the first polls of each, one at a time, by which that becomes known.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tracing::warn;

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
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    /// Polls seen, up to [`PROBATION`].
    polls: u32,
    strikes: u32,
    /// A poll on probation is under way, and these runs wait for its end.
    on_trial: bool,
    waiting: Vec<Waker>,
}

/// How a poll is to be run.
enum Way {
    Plainly,
    InPlace,
    /// The one poll at a time of a handler on probation.
    OnTrial,
    /// Not yet.
    Wait,
}

impl Trust {
    pub(crate) fn new(handler: &str) -> Self {
        Self { handler: handler.to_owned(), record: Mutex::default() }
    }

    /// The same future, its polls watched.
    pub(super) fn watch<F: Future + Unpin>(
        &self,
        mut future: F,
    ) -> impl Future<Output = F::Output> + Unpin {
        let threads = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
        poll_fn(move |cx| {
            let way = if threads { self.way(cx) } else { Way::Plainly };
            let trial = matches!(way, Way::OnTrial).then(|| Trial(self));
            let begun = now();
            let polled = match way {
                Way::Plainly => Pin::new(&mut future).poll(cx),
                Way::InPlace | Way::OnTrial => block_in_place(|| Pin::new(&mut future).poll(cx)),
                Way::Wait => return Poll::Pending,
            };
            self.judge(now() - begun);
            drop(trial);
            polled
        })
    }

    fn way(&self, cx: &Context<'_>) -> Way {
        let mut record = self.lock();
        if record.strikes >= OUT {
            return Way::InPlace;
        }
        if record.polls >= PROBATION {
            return Way::Plainly;
        }
        if record.on_trial {
            record.waiting.push(cx.waker().clone());
            return Way::Wait;
        }
        record.on_trial = true;
        Way::OnTrial
    }

    fn judge(&self, took: Duration) {
        let mut record = self.lock();
        record.polls = PROBATION.min(record.polls + 1);
        if took <= BLOCKED {
            record.strikes = record.strikes.saturating_sub(1);
            return;
        }
        let known = record.strikes >= OUT;
        record.strikes = (record.strikes + STRIKE).min(OUT + STRIKE);
        if record.strikes >= OUT && !known {
            warn!(
                handler = self.handler,
                ?took,
                "blocks its thread; use `spawn_blocking` for such work"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a poll on probation, also by a panic: the others may go on.
struct Trial<'a>(&'a Trust);

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        let mut record = self.0.lock();
        record.on_trial = false;
        record.waiting.drain(..).for_each(Waker::wake);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a thread is blocked is real time, also where a test holds tokio's clock"
)]
fn now() -> Instant {
    Instant::now()
}
