//! The sets of ids that publishers and handlers keep, and the middleware that writes them down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bus_core::operator::DeadLetter;
use bus_core::prelude::*;

use crate::events::{LISTENERS, Listener, OrderPlaced};

pub(crate) type Ids = BTreeSet<EventId>;

/// What was published and what was handled.
#[derive(Debug, Default)]
pub(crate) struct Book(Mutex<Pages>);

#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// What the broker has confirmed, by type of event.
    pub(crate) published: BTreeMap<String, Ids>,
    /// By handler.
    pub(crate) runs: BTreeMap<String, Runs>,
    /// From publish to the end of the run that handled it.
    pub(crate) latencies: Vec<Duration>,
}

/// What one handler did.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    pub(crate) handled: Ids,
    /// Runs after the first one on an event.
    pub(crate) retried: u64,
}

/// An event that did not get where it should.
pub(crate) type Missing = (Listener, EventId);

impl Book {
    pub(crate) fn pages(&self) -> MutexGuard<'_, Pages> {
        // Nothing here panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every event that was published, and is neither handled nor a dead letter of a handler that
    /// listens to its type.
    pub(crate) fn missing(&self, letters: &[DeadLetter]) -> Vec<Missing> {
        let (pages, none) = (self.pages(), Ids::new());
        let mut missing = Vec::new();
        for listener in LISTENERS {
            let published = pages.published.get(listener.event).unwrap_or(&none);
            let handled = pages.runs.get(listener.handler).map_or(&none, |runs| &runs.handled);
            let dead: Ids =
                of(letters, listener).map(|letter| letter.envelope.id.clone()).collect();
            let open = published.difference(handled).filter(|id| !dead.contains(*id));
            missing.extend(open.map(|id| (listener, id.clone())));
        }
        missing
    }
}

/// The dead letters of one handler.
pub(crate) fn of(letters: &[DeadLetter], listener: Listener) -> impl Iterator<Item = &DeadLetter> {
    letters.iter().filter(move |letter| letter.group.handler() == listener.handler)
}

impl Pages {
    fn of(&mut self, ctx: &Context) -> &mut Runs {
        self.runs.entry(ctx.group().handler().to_owned()).or_default()
    }

    pub(crate) fn placed(&self) -> usize {
        self.published.get(OrderPlaced::TYPE).map_or(0, BTreeSet::len)
    }

    pub(crate) fn handled(&self) -> usize {
        self.runs.values().map(|runs| runs.handled.len()).sum()
    }

    pub(crate) fn retried(&self) -> u64 {
        self.runs.values().map(|runs| runs.retried).sum()
    }
}

/// Writes down what was published, once the broker has confirmed it.
pub(crate) struct Published(pub(crate) Arc<Book>);

#[async_trait]
impl Middleware<Envelope> for Published {
    async fn call(
        &self,
        envelope: Envelope,
        next: Next<'_, Envelope>,
    ) -> Result<EventId, PublishError> {
        let event = envelope.type_name.clone();
        let id = next.run(envelope).await?;
        let mut pages = self.0.pages();
        pages.published.entry(event.into_owned()).or_default().insert(id.clone());
        Ok(id)
    }
}

/// Writes down what was handled, and how often it took more than one run.
pub(crate) struct Handled(pub(crate) Arc<Book>);

#[async_trait]
impl Middleware<Context> for Handled {
    async fn call(&self, ctx: Context, next: Next<'_, Context>) -> HandlerResult {
        // Before the run: one that panics or takes too long does not come back here.
        self.0.pages().of(&ctx).retried += u64::from(ctx.attempt() > 1);
        let result = next.run(ctx.clone()).await;
        let mut pages = self.0.pages();
        if result.is_ok() && pages.of(&ctx).handled.insert(ctx.id().clone()) {
            // The clocks of two machines may differ.
            let age = SystemTime::now().duration_since(ctx.envelope().time).unwrap_or_default();
            pages.latencies.push(age);
        }
        result
    }
}
