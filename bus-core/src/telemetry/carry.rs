//! From the code that publishes to the publish.

use std::future::Future;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{FutureExt, TraceContextExt};

/// The context of a piece of code, where it has one.
pub(crate) type Carried = Option<Context>;

/// Where the caller is now.
pub(crate) fn captured() -> Carried {
    Context::map_current(|cx| (is_traced(cx) || !cx.baggage().is_empty()).then(|| cx.clone()))
}

/// The same; where that is in no trace, in the trace of `other`.
pub(crate) fn captured_or(other: Carried) -> Carried {
    match (captured(), other) {
        (Some(here), Some(other)) if !is_traced(&here) => {
            Some(here.with_remote_span_context(other.span().span_context().clone()))
        }
        (here, other) => here.or(other),
    }
}

/// A span that is nothing, as a stand-in for an SDK makes it, is none.
fn is_traced(cx: &Context) -> bool {
    cx.has_active_span() && cx.span().span_context().is_valid()
}

/// Takes the trace of the caller along, into a task that is spawned: what it publishes is part of it,
/// and so are its spans. A handler's own `ctx` needs none of this.
///
/// ```
/// use bus_core::prelude::*;
/// use bus_core::telemetry::carry;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, Event)] #[event(subject = "orders.placed")] struct OrderPlaced;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let bus = Bus::in_memory();
/// let task = tokio::spawn(carry(async move { bus.publish(&OrderPlaced).await }));
/// # assert!(task.await.unwrap().is_ok()); }
/// ```
pub fn carry<F: Future>(future: F) -> impl Future<Output = F::Output> {
    future.with_current_context()
}
