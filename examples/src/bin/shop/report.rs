//! The account at the end: what became of every event.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use bus_core::operator::DeadLetter;
use serde::Serialize;

use crate::book::{Book, Missing, of};
use crate::events::LISTENERS;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) published: usize,
    pub(crate) handled: usize,
    pub(crate) retried: u64,
    pub(crate) dead_lettered: usize,
    pub(crate) lost: usize,
    handlers: BTreeMap<&'static str, Row>,
    latency_ms: Latency,
    #[serde(skip)]
    missing: Vec<Missing>,
}

#[derive(Debug, Serialize)]
struct Row {
    handled: usize,
    retried: u64,
    dead_lettered: usize,
    lost: usize,
}

/// From publish to the end of the run that handled it, over all handlers.
#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p95: f64,
    p99: f64,
}

impl Report {
    pub(crate) fn new(book: &Book, letters: &[DeadLetter]) -> Self {
        let missing = book.missing(letters);
        let mut pages = book.pages();
        let mut handlers = BTreeMap::new();
        for listener in LISTENERS {
            let runs = pages.runs.get(listener.handler);
            let row = Row {
                handled: runs.map_or(0, |runs| runs.handled.len()),
                retried: runs.map_or(0, |runs| runs.retried),
                dead_lettered: of(letters, listener).count(),
                lost: missing.iter().filter(|(to, _)| to.handler == listener.handler).count(),
            };
            handlers.insert(listener.handler, row);
        }
        Self {
            published: pages.published.values().map(BTreeSet::len).sum(),
            handled: pages.handled(),
            retried: pages.retried(),
            dead_lettered: letters.len(),
            lost: missing.len(),
            handlers,
            latency_ms: Latency::of(&mut pages.latencies),
            missing,
        }
    }
}

impl Latency {
    fn of(latencies: &mut [Duration]) -> Self {
        latencies.sort_unstable();
        let share = |percent: usize| {
            let rank = (latencies.len() * percent).div_ceil(100);
            let latency = latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default();
            // Three digits after the point are microseconds, which is what a clock is good for.
            latency.as_micros() as f64 / 1000.0
        };
        Self { p50: share(50), p95: share(95), p99: share(99) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = ["handled", "retried", "dead letters", "lost"];
        let [handled, retried, dead, lost] = columns;
        writeln!(f, "{:20}{handled:>10}{retried:>10}{dead:>14}{lost:>8}", "handler")?;
        for listener in LISTENERS {
            let Some(row) = self.handlers.get(listener.handler) else { continue };
            let name = format!("{} {}", listener.service, listener.handler);
            let Row { handled, retried, dead_lettered, lost } = row;
            writeln!(f, "{name:20}{handled:>10}{retried:>10}{dead_lettered:>14}{lost:>8}")?;
        }
        let Self { published, handled, retried, dead_lettered, lost, .. } = self;
        writeln!(f, "{:20}{handled:>10}{retried:>10}{dead_lettered:>14}{lost:>8}", "all")?;
        writeln!(f)?;
        let Latency { p50, p95, p99 } = self.latency_ms;
        writeln!(f, "{published} events published, {lost} lost")?;
        writeln!(f, "from publish to handled: p50 {p50} ms, p95 {p95} ms, p99 {p99} ms")?;
        for (listener, id) in &self.missing {
            writeln!(f, "lost: {} {id}, not handled by {}", listener.event, listener.handler)?;
        }
        Ok(())
    }
}
