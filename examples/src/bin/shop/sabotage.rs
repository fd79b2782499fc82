//! Harm that is done on purpose.

use std::sync::atomic::{AtomicBool, Ordering};

use bus_core::prelude::*;

/// Swallows one event: the broker is told that it was handled, and no handler has seen it. It has
/// to stand outside of what keeps the book.
#[derive(Debug, Default)]
pub(crate) struct DropOne {
    done: AtomicBool,
}

#[async_trait]
impl Middleware<Context> for DropOne {
    async fn call(&self, ctx: Context, next: Next<'_, Context>) -> HandlerResult {
        if ctx.group().handler() == "confirm" && !self.done.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        next.run(ctx).await
    }
}
