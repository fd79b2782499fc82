//! What wraps every publish, or every run of a handler.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

/// What middleware can wrap: an [`Envelope`](crate::Envelope) that is published, or a
/// [`Context`](crate::Context) that a handler is about to see. There are no others.
pub trait Passage: Send + Sized + 'static + sealed::Sealed {
    /// What comes back.
    type Answer: Send + 'static;
}

pub(crate) mod sealed {
    /// Only this crate decides what middleware wraps.
    pub trait Sealed {}
}

/// Wraps every publish (`Middleware<Envelope>`) or every run of a handler (`Middleware<Context>`).
///
/// It needs `#[async_trait]`, which the prelude has. The first one added is the outermost. The time-out and the guard against panics are no
/// middleware: they always stand around it.
///
/// ```
/// use bus_core::prelude::*;
///
/// struct Tenant(&'static str);
///
/// #[async_trait]
/// impl Middleware<Envelope> for Tenant {
///     async fn call(&self, mut envelope: Envelope, next: Next<'_, Envelope>) -> Result<EventId, PublishError> {
///         envelope.headers.insert("tenant", self.0)?;
///         next.run(envelope).await
///     }
/// }
///
/// let bus = Bus::in_memory().middleware(Tenant("acme"));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no middleware",
    note = "implement `Middleware<Envelope>` to wrap what is published, or `Middleware<Context>` to wrap runs of handlers"
)]
#[async_trait]
pub trait Middleware<T: Passage>: Send + Sync + 'static {
    /// Does its part, and calls `next` once, or not at all.
    async fn call(&self, item: T, next: Next<'_, T>) -> T::Answer;
}

/// The rest of the way.
pub struct Next<'a, T: Passage> {
    rest: &'a [Arc<dyn Middleware<T>>],
    end: Box<dyn FnOnce(T) -> BoxFuture<'a, T::Answer> + Send + 'a>,
}

impl<'a, T: Passage> Next<'a, T> {
    pub(crate) fn new(
        rest: &'a [Arc<dyn Middleware<T>>],
        end: impl FnOnce(T) -> BoxFuture<'a, T::Answer> + Send + 'a,
    ) -> Self {
        Self { rest, end: Box::new(end) }
    }

    /// Goes on, with the item as it came or changed.
    pub async fn run(self, item: T) -> T::Answer {
        match self.rest.split_first() {
            Some((first, rest)) => first.call(item, Next { rest, end: self.end }).await,
            None => (self.end)(item).await,
        }
    }
}

/// Middleware of both kinds, outermost first.
#[derive(Clone, Default)]
pub(crate) struct Layers(Vec<Arc<dyn Any + Send + Sync>>);

impl Layers {
    pub(crate) fn push<T: Passage>(&mut self, middleware: impl Middleware<T>) {
        let middleware: Arc<dyn Middleware<T>> = Arc::new(middleware);
        self.0.push(Arc::new(middleware));
    }

    pub(crate) fn append(&mut self, inner: &Self) {
        self.0.extend(inner.0.iter().cloned());
    }

    /// Those that wrap a `T`.
    pub(crate) fn of<T: Passage>(&self) -> Vec<Arc<dyn Middleware<T>>> {
        self.0.iter().filter_map(|layer| layer.downcast_ref().map(Arc::clone)).collect()
    }
}

impl<T: Passage> std::fmt::Debug for Next<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Next").field("rest", &self.rest.len()).finish_non_exhaustive()
    }
}
