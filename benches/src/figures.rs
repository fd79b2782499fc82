//! The lines of the table, one module each.

use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::figure::Figure;
use crate::rounds::Effort;

mod backlog;
mod build;
mod cluster;
mod consume;
mod latency;
mod many;
mod memory;
mod publish;
mod spans;

/// Measures some lines.
type Measure = fn(Effort) -> BoxFuture<'static, Result<Vec<Figure>>>;

/// One module's part.
pub(crate) struct Part {
    /// As `--only` has it.
    pub(crate) name: &'static str,
    /// Whether it is left out where somebody waits.
    pub(crate) long: bool,
    /// Measures it.
    pub(crate) measure: Measure,
}

/// All of them, in the table's order.
pub(crate) const PARTS: &[Part] = &[
    Part { name: "publish_all", long: false, measure: |effort| publish::measure(effort).boxed() },
    Part { name: "consume", long: false, measure: |effort| consume::measure(effort).boxed() },
    Part { name: "spans", long: false, measure: |effort| spans::measure(effort).boxed() },
    Part { name: "latency", long: false, measure: |effort| latency::measure(effort).boxed() },
    Part { name: "memory", long: false, measure: |effort| memory::measure(effort).boxed() },
    Part { name: "many", long: false, measure: |effort| many::measure(effort).boxed() },
    Part { name: "backlog", long: true, measure: |effort| backlog::measure(effort).boxed() },
    Part { name: "cluster", long: true, measure: |effort| cluster::measure(effort).boxed() },
    Part { name: "build", long: true, measure: |effort| build::measure(effort).boxed() },
];
