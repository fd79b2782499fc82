//! What this process published and handled, and the middleware that writes it down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bus_core::prelude::*;

use crate::account::Account;
use crate::events::{LISTENERS, OrderPlaced};
use crate::role::Role;
use crate::sheet::{Sheet, Sums};

type Ids = BTreeSet<EventId>;

/// What was published and what was handled.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pages: Mutex<Pages>,
    /// Where orders are placed only their events count. Others can not know which run is whose.
    only: Option<Arc<Account>>,
}

#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// What the broker has confirmed, by type of event.
    published: BTreeMap<String, Ids>,
    /// By handler.
    runs: BTreeMap<String, Runs>,
    /// Microseconds from publish to the end of the run that handled it.
    latencies: Vec<u64>,
}

#[derive(Debug, Default)]
struct Runs {
    handled: Ids,
    /// Runs after the first one on an event.
    retried: u64,
    redriven: u64,
}

impl Book {
    pub(crate) fn new(only: Option<Arc<Account>>) -> Self {
        Self { pages: Mutex::default(), only }
    }

    pub(crate) fn pages(&self) -> MutexGuard<'_, Pages> {
        // Nothing here panics while it holds the lock.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self, envelope: &Envelope) -> bool {
        self.only.as_ref().is_none_or(|account| account.has(&envelope.correlation))
    }

    /// The sums of the services that ran here.
    pub(crate) fn sheet(&self, roles: &[Role]) -> Sheet {
        let mut pages = self.pages();
        let here = LISTENERS.iter().filter(|listener| roles.contains(&listener.service));
        let runs = here.map(|listener| {
            let sums = pages.runs.get(listener.handler).map_or_else(Sums::default, Runs::sums);
            (listener.handler.to_owned(), sums)
        });
        let runs = runs.collect();
        let published = pages.published.values().map(BTreeSet::len).sum();
        Sheet { published, runs, latencies: std::mem::take(&mut pages.latencies), outcome: None }
    }
}

impl Runs {
    fn sums(&self) -> Sums {
        Sums { handled: self.handled.len(), retried: self.retried, redriven: self.redriven }
    }
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
        let (event, counts) = (envelope.type_name.clone(), self.0.counts(&envelope));
        let id = next.run(envelope).await?;
        if counts {
            let mut pages = self.0.pages();
            pages.published.entry(event.into_owned()).or_default().insert(id.clone());
        }
        Ok(id)
    }
}

/// Writes down what was handled, and how often it took more than one run.
pub(crate) struct Handled(pub(crate) Arc<Book>);

#[async_trait]
impl Middleware<Context> for Handled {
    async fn call(&self, ctx: Context, next: Next<'_, Context>) -> HandlerResult {
        if !self.0.counts(ctx.envelope()) {
            return next.run(ctx).await;
        }
        // Before the run: one that panics or takes too long does not come back here.
        self.0.pages().of(&ctx).retried += u64::from(ctx.attempt() > 1);
        let result = next.run(ctx.clone()).await;
        let mut pages = self.0.pages();
        if result.is_ok() {
            pages.of(&ctx).redriven += u64::from(ctx.redrives() > 0);
        }
        if result.is_ok() && pages.of(&ctx).handled.insert(ctx.id().clone()) {
            // The clocks of two machines may differ.
            let age = SystemTime::now().duration_since(ctx.envelope().time).unwrap_or_default();
            pages.latencies.push(u64::try_from(age.as_micros()).unwrap_or(u64::MAX));
        }
        result
    }
}
