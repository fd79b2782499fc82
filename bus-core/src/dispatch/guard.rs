//! A run that can not take anything with it: no panic, no hang.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::breaker::Sign;
use crate::failure::{HandlerError, HandlerResult, Verdict};
use crate::sabotage::{Sabotage, planted};
use crate::settle::Reason;

/// How a run ended.
pub(super) enum Ended {
    Done,
    Failed(HandlerError),
    TimedOut,
    Panicked(String),
    /// Cut short by a stop, or never begun: handed back, and no attempt.
    Cut,
    /// No run at all: the handler is for another type of event.
    UnknownType,
    /// No run at all: as many as the policy allows began before, and none of them ended well.
    Exhausted,
}

impl Ended {
    /// What it says about the handler. What can not be read may be the fault of a new build.
    pub(super) fn sign(&self) -> Sign {
        match self {
            Self::Done => Sign::Works,
            Self::Failed(error) => match (error.verdict(), error.reason()) {
                (Verdict::Reject, Reason::Rejected) => Sign::Rejects,
                _ => Sign::Fails,
            },
            Self::TimedOut | Self::Panicked(_) | Self::UnknownType => Sign::Fails,
            Self::Cut | Self::Exhausted => Sign::Nothing,
        }
    }
}

/// Runs until it ends, panics, takes longer than `limit`, or is halted.
pub(super) async fn guarded(
    run: impl Future<Output = HandlerResult> + Unpin,
    limit: Duration,
    halt: &CancellationToken,
) -> Ended {
    let limit = if planted(Sabotage::NoTimeout) { Duration::MAX } else { limit };
    let mut run = AssertUnwindSafe(run).catch_unwind();
    let ended = tokio::select! {
        biased;
        // Not a `sleep` beside it: a run that always uses up tokio's budget would leave none to it.
        result = timeout(limit, &mut run) => match result {
            Ok(Ok(Ok(()))) => Ended::Done,
            Ok(Ok(Err(error))) => Ended::Failed(error),
            Ok(Err(panic)) => Ended::Panicked(text(panic)),
            Err(_) => Ended::TimedOut,
        },
        () = halted(halt) => Ended::Cut,
    };
    // Values that the run still holds are dropped here, and their `Drop` may panic as well.
    if quietly(|| drop(run)).is_none() {
        warn!("a value of a handler panicked while it was dropped");
    }
    ended
}

/// Cancelled, also where the run has left no budget to wait for it.
async fn halted(halt: &CancellationToken) {
    let mut cancelled = pin!(halt.cancelled());
    poll_fn(|cx| match halt.is_cancelled() {
        true => Poll::Ready(()),
        false => cancelled.as_mut().poll(cx),
    })
    .await;
}

/// Runs code of a user's that must not take us with it.
pub(crate) fn quietly<T>(code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(code)).ok()
}

fn text(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a panic without a text").to_owned();
    // What was thrown may panic as well when it is dropped.
    quietly(|| drop(panic));
    text
}
