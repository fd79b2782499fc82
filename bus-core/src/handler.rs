//! What handles an event.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::breaker::Breaker;
use crate::codec::Codec;
use crate::context::Context;
use crate::event::{Event, EventDef};
use crate::failure::{Failure, HandlerError, HandlerResult};
use crate::retry::Retry;
use crate::state::Needs;
use crate::transport::Start;

/// Handles events of one type: an `async fn(E, Context)`, or a value that implements this.
///
/// ```
/// use bus_core::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, Event)] #[event(subject = "orders.placed")] struct OrderPlaced;
/// struct Ledger;
///
/// impl Handler<OrderPlaced> for Ledger {
///     async fn handle(&self, _order: OrderPlaced, _ctx: Context) -> HandlerResult { Ok(()) }
/// }
///
/// async fn mail(_order: OrderPlaced, _ctx: Context) {}
///
/// let service = Service::new("billing", Bus::in_memory()).on("mail", mail).on("ledger", Ledger);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{E}`",
    note = "a handler is an `async fn(E, Context)` that returns `()` or `Result<(), impl Failure>`, or implements `Handler<E>`"
)]
pub trait Handler<E: Event>: Send + Sync + 'static {
    /// Handles one event. It may run more than once for the same event.
    fn handle(&self, event: E, ctx: Context) -> impl Future<Output = HandlerResult> + Send;
}

impl<E, F, Fut> Handler<E> for F
where
    E: Event,
    F: Fn(E, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: Outcome> + Send,
{
    async fn handle(&self, event: E, ctx: Context) -> HandlerResult {
        self(event, ctx).await.result()
    }
}

/// What a handler may return: `()`, or `Result<(), F>` where `F` says whether to retry.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "it returns `()`, `HandlerResult`, or `Result<(), F>` with `#[derive(Failure)]` on `F`"
)]
pub trait Outcome {
    /// The result with its verdict.
    #[doc(hidden)]
    fn result(self) -> HandlerResult;
}

impl Outcome for () {
    fn result(self) -> HandlerResult {
        Ok(())
    }
}

impl<F: Failure> Outcome for Result<(), F> {
    fn result(self) -> HandlerResult {
        self.map_err(HandlerError::of)
    }
}

/// How a handler is run: constants in the attribute, tuned by `service.tune(..)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub(crate) name: Option<&'static str>,
    pub(crate) concurrency: usize,
    pub(crate) timeout: Duration,
    pub(crate) retry: Retry,
    pub(crate) breaker: Breaker,
    pub(crate) start: Start,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// 16 runs at once of up to 5 min each, [`Retry::DEFAULT`], [`Breaker::new`], from the
    /// beginning.
    pub const fn new() -> Self {
        Self {
            name: None,
            concurrency: 16,
            timeout: Duration::from_secs(300),
            retry: Retry::DEFAULT,
            breaker: Breaker::new(),
            start: Start::Beginning,
        }
    }

    /// The handler's name, in place of the function's. It names the group on the broker: another
    /// name is another group.
    pub const fn name(self, name: &'static str) -> Self {
        Self { name: Some(name), ..self }
    }

    /// How many runs there are at once in one process; at least 1.
    pub const fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency: if concurrency == 0 { 1 } else { concurrency }, ..self }
    }

    /// How long one run may take; then it is a failed attempt.
    pub const fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How often, and how long in between.
    pub const fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// When it takes no more events for a while, because most of them fail.
    pub const fn breaker(self, breaker: Breaker) -> Self {
        Self { breaker, ..self }
    }

    /// Where a new group begins.
    pub const fn start(self, start: Start) -> Self {
        Self { start, ..self }
    }
}

/// A handler as `#[handler]` declares it.
#[derive(Debug)]
pub struct HandlerDef {
    pub(crate) site: Site,
    pub(crate) event: EventDef,
    pub(crate) options: Options,
    requires: fn(&mut Needs),
    call: fn(Context) -> BoxFuture<'static, HandlerResult>,
}

/// Where a handler stands in the source.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    pub name: &'static str,
    pub package: &'static str,
    pub version: &'static str,
    pub module: &'static str,
    pub file: &'static str,
    pub line: u32,
}

impl HandlerDef {
    #[doc(hidden)]
    pub const fn new<E: Event>(
        site: Site,
        options: Options,
        requires: fn(&mut Needs),
        call: fn(Context) -> BoxFuture<'static, HandlerResult>,
    ) -> Self {
        Self { site, event: EventDef::of::<E>(), options, requires, call }
    }

    /// The handler's name: the option, or the function's with `-` for `_`.
    pub fn name(&self) -> String {
        self.options.name.map_or_else(|| self.site.name.replace('_', "-"), str::to_owned)
    }
}

/// A handler in a service, its type erased; the only such place.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) event: EventDef,
    pub(crate) options: Options,
    pub(crate) site: Option<Site>,
    pub(crate) requires: fn(&mut Needs),
    pub(crate) call: Call,
}

/// Decodes and runs.
pub(crate) type Call = Arc<dyn Fn(Context) -> BoxFuture<'static, HandlerResult> + Send + Sync>;

impl Entry {
    pub(crate) fn declared(def: &'static HandlerDef) -> Self {
        Self {
            name: def.name(),
            event: def.event,
            options: def.options,
            site: Some(def.site),
            requires: def.requires,
            call: Arc::new(def.call),
        }
    }

    pub(crate) fn value<E: Event>(name: &str, handler: impl Handler<E>) -> Self {
        let handler = Arc::new(handler);
        let call = move |ctx: Context| {
            let handler = Arc::clone(&handler);
            async move { handler.handle(event(&ctx)?, ctx).await }.boxed()
        };
        Self {
            name: name.to_owned(),
            event: EventDef::of::<E>(),
            options: Options::new(),
            site: None,
            requires: |_| (),
            call: Arc::new(call),
        }
    }
}

impl fmt::Display for Entry {
    /// `charge (billing/src/lib.rs:12)`, or the name alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.site {
            Some(site) => write!(f, "`{}` ({}:{})", self.name, site.file, site.line),
            None => write!(f, "`{}`", self.name),
        }
    }
}

/// Decodes the event of a delivery.
#[doc(hidden)]
pub fn event<E: Event>(ctx: &Context) -> Result<E, HandlerError> {
    E::Codec::decode(&ctx.envelope().payload).map_err(HandlerError::undecodable)
}
