//! What one process counted, as it is handed from a child to its parent: one line of JSON.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// The numbers of one process, or of several together.
///
/// A process that is killed takes its own along, so that after a `kill -9` they are lower bounds;
/// the outcome is `orders`' alone, and stays true.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sheet {
    /// Events that the broker has confirmed.
    pub(crate) published: usize,
    /// By handler; those of which nobody handed anything in are not here.
    pub(crate) runs: BTreeMap<String, Sums>,
    /// Microseconds from publish to the end of the run that handled it.
    pub(crate) latencies: Vec<u64>,
    /// Only where the orders were placed.
    pub(crate) outcome: Option<Outcome>,
}

/// What one handler did.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sums {
    /// Events, each counted once, however often it came.
    pub(crate) handled: usize,
    /// Runs after the first one on an event.
    pub(crate) retried: u64,
    /// Runs that ended well, on events that came back from the dead letters.
    pub(crate) redriven: u64,
}

/// How the orders ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// By handler.
    pub(crate) dead_lettered: BTreeMap<String, usize>,
    /// Where that was asked for.
    pub(crate) mended: Option<Mended>,
    pub(crate) lost: Vec<Lost>,
}

/// What was done about the dead letters.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Mended {
    /// Why there were any.
    pub(crate) causes: Vec<String>,
    /// So many were sent back to their handlers.
    pub(crate) redriven: u64,
}

/// An order without an end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Lost {
    pub(crate) order: String,
    /// The handler that had to speak next, as far as `orders` knows.
    pub(crate) awaited: String,
}

impl AddAssign for Sheet {
    fn add_assign(&mut self, other: Self) {
        self.published += other.published;
        for (handler, sums) in other.runs {
            let all = self.runs.entry(handler).or_default();
            all.handled += sums.handled;
            all.retried += sums.retried;
            all.redriven += sums.redriven;
        }
        self.latencies.extend(other.latencies);
        self.outcome = self.outcome.take().or(other.outcome);
    }
}
