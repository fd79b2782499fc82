//! The account at the end: what became of every event and every order.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::events::{LISTENERS, Listener};
use crate::sheet::{Lost, Sheet};

/// What nobody handed in is left out: the runs of services in other processes, and how the orders
/// ended where none were placed.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    published: usize,
    handled: usize,
    retried: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_lettered: Option<usize>,
    /// Runs that ended well, on events that came back from the dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    redriven: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<usize>,
    handlers: BTreeMap<&'static str, Row>,
    latency_ms: Latency,
    #[serde(skip)]
    missing: Vec<Lost>,
}

#[derive(Debug, Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    handled: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retried: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_lettered: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redriven: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<usize>,
}

/// From publish to the end of the run that handled it, over all handlers.
#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p95: f64,
    p99: f64,
}

impl Report {
    pub(crate) fn new(sheet: Sheet) -> Self {
        let rows = LISTENERS.iter().map(|listener| (listener.handler, Row::of(listener, &sheet)));
        let outcome = sheet.outcome.as_ref();
        let mended = outcome.and_then(|outcome| outcome.mended.as_ref());
        let redriven = || sheet.runs.values().map(|sums| sums.redriven).sum();
        Self {
            published: sheet.published,
            handled: sheet.runs.values().map(|sums| sums.handled).sum(),
            retried: sheet.runs.values().map(|sums| sums.retried).sum(),
            dead_lettered: outcome.map(|outcome| outcome.dead_lettered.values().sum()),
            redriven: mended.map(|_| redriven()),
            causes: mended.map(|mended| mended.causes.clone()),
            lost: outcome.map(|outcome| outcome.lost.len()),
            handlers: rows.filter_map(|(handler, row)| Some((handler, row?))).collect(),
            latency_ms: Latency::of(sheet.latencies),
            missing: sheet.outcome.map(|outcome| outcome.lost).unwrap_or_default(),
        }
    }

    /// Whether an order is known to have no end.
    pub(crate) fn is_short(&self) -> bool {
        !self.missing.is_empty()
    }
}

impl Row {
    /// `None` if nothing is known of the handler.
    fn of(listener: &Listener, sheet: &Sheet) -> Option<Self> {
        let sums = sheet.runs.get(listener.handler);
        let outcome = sheet.outcome.as_ref();
        let mended = outcome.and_then(|outcome| outcome.mended.as_ref());
        if sums.is_none() && outcome.is_none() {
            return None;
        }
        let dead = |letters: &BTreeMap<String, usize>| letters.get(listener.handler).copied();
        let awaited = |lost: &&Lost| lost.awaited == listener.handler;
        Some(Self {
            handled: sums.map(|sums| sums.handled),
            retried: sums.map(|sums| sums.retried),
            dead_lettered: outcome.map(|outcome| dead(&outcome.dead_lettered).unwrap_or(0)),
            redriven: mended.and(sums).map(|sums| sums.redriven),
            lost: outcome.map(|outcome| outcome.lost.iter().filter(awaited).count()),
        })
    }
}

impl Latency {
    fn of(mut micros: Vec<u64>) -> Self {
        micros.sort_unstable();
        let share = |percent: usize| {
            let rank = (micros.len() * percent).div_ceil(100);
            let latency = micros.get(rank.saturating_sub(1)).copied().unwrap_or_default();
            // Three digits after the point are microseconds, which is what a clock is good for.
            latency as f64 / 1000.0
        };
        Self { p50: share(50), p95: share(95), p99: share(99) }
    }
}

impl Report {
    fn show_mended(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(causes), Some(redriven)) = (&self.causes, self.redriven) else { return Ok(()) };
        writeln!(f, "dead letters before gateway and mailboxes were mended:")?;
        for cause in causes {
            writeln!(f, "  {cause}")?;
        }
        let by = |row: &Row| row.redriven.filter(|runs| *runs > 0);
        let by =
            self.handlers.iter().filter_map(|(name, row)| Some(format!("{name} {}", by(row)?)));
        let by: Vec<_> = by.collect();
        writeln!(f, "{redriven} came back and were handled: {}", by.join(", "))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["handled", "retried", "dead letters", "lost"].map(str::to_owned);
        line(f, "handler", head)?;
        for listener in LISTENERS {
            let Some(row) = self.handlers.get(listener.handler) else { continue };
            let name = format!("{} {}", listener.service, listener.handler);
            let Row { handled, retried, dead_lettered, lost, .. } = *row;
            line(f, &name, [cell(handled), cell(retried), cell(dead_lettered), cell(lost)])?;
        }
        let Self { published, handled, retried, dead_lettered, lost, .. } = self;
        let all = [handled.to_string(), retried.to_string(), cell(*dead_lettered), cell(*lost)];
        line(f, "all", all)?;
        writeln!(f)?;
        let Latency { p50, p95, p99 } = self.latency_ms;
        writeln!(f, "{published} events published, {} lost", cell(*lost))?;
        writeln!(f, "from publish to handled: p50 {p50} ms, p95 {p95} ms, p99 {p99} ms")?;
        self.show_mended(f)?;
        for Lost { order, awaited } in &self.missing {
            writeln!(f, "lost: order {order}, without a word from {awaited}")?;
        }
        Ok(())
    }
}

/// What nobody here knows is a dash.
fn cell(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, cells: [String; 4]) -> fmt::Result {
    let [handled, retried, dead, lost] = cells;
    writeln!(f, "{name:20}{handled:>10}{retried:>10}{dead:>14}{lost:>8}")
}
