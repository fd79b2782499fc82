//! What a service reports, for tests of traces and metrics: collected in memory, or by a collector that
//! processes export to.

mod arrived;
mod capture;
mod collector;
mod metrics;
mod tree;

pub use arrived::Received;
pub use capture::Capture;
pub use collector::{Answer, Collector};
pub use metrics::Metric;
pub use tree::Attributes;
