//! A run that can not take anything with it: no panic, no hang.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::failure::{HandlerError, HandlerResult};

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
}

/// Runs until it ends, panics, takes longer than `limit`, or is halted.
pub(super) async fn guarded(
    run: impl Future<Output = HandlerResult> + Unpin,
    limit: Duration,
    halt: &CancellationToken,
) -> Ended {
    let mut run = AssertUnwindSafe(run).catch_unwind();
    let ended = tokio::select! {
        biased;
        result = &mut run => match result {
            Ok(Ok(())) => Ended::Done,
            Ok(Err(error)) => Ended::Failed(error),
            Err(panic) => Ended::Panicked(text(&*panic)),
        },
        () = tokio::time::sleep(limit) => Ended::TimedOut,
        () = halt.cancelled() => Ended::Cut,
    };
    // Values that the run still holds are dropped here, and their `Drop` may panic as well.
    if quietly(|| drop(run)).is_none() {
        warn!("a value of a handler panicked while it was dropped");
    }
    ended
}

/// Runs code of a user's that must not take us with it.
pub(super) fn quietly<T>(code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(code)).ok()
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").to_owned()
}
