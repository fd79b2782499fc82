//! Handlers that block their thread must not starve others.
//!
//! A handler earns trust by polls that return quickly. While it is not trusted, each of its polls
//! runs under `block_in_place`, which gives the thread's other tasks to another thread first;
//! that costs microseconds, so it is not done for those that behave.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tracing::warn;

/// Quick polls in a row that make a handler trusted.
const PROBATION: u32 = 64;

/// A poll that takes longer blocks its thread: a hundred times what tokio's guide allows between
/// two `.await`s at most.
const BLOCKED: Duration = Duration::from_millis(10);

/// How well one handler behaves.
pub(crate) struct Trust {
    handler: String,
    /// Quick polls since the last slow one, up to [`PROBATION`].
    quick: AtomicU32,
}

impl Trust {
    pub(crate) fn new(handler: &str) -> Self {
        Self { handler: handler.to_owned(), quick: AtomicU32::new(0) }
    }

    /// The same future, its polls watched.
    pub(super) fn watch<F: Future + Unpin>(
        &self,
        mut future: F,
    ) -> impl Future<Output = F::Output> + Unpin {
        let threads = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
        poll_fn(move |cx| {
            let (quick, begun) = (self.quick.load(Ordering::Relaxed), now());
            let polled = if quick < PROBATION && threads {
                block_in_place(|| Pin::new(&mut future).poll(cx))
            } else {
                Pin::new(&mut future).poll(cx)
            };
            self.judge(quick, now() - begun);
            polled
        })
    }

    fn judge(&self, quick: u32, took: Duration) {
        if took > BLOCKED {
            if quick >= PROBATION || quick == 0 {
                warn!(
                    handler = self.handler,
                    ?took,
                    "blocks its thread; use `spawn_blocking` for such work"
                );
            }
            self.quick.store(1, Ordering::Relaxed);
        } else if quick < PROBATION {
            self.quick.store(quick + 1, Ordering::Relaxed);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a thread is blocked is real time, also where a test holds tokio's clock"
)]
fn now() -> Instant {
    Instant::now()
}
