//! What a service reports, collected in memory: for tests of traces and metrics.

mod capture;
mod metrics;
mod tree;

pub use capture::Capture;
pub use metrics::Metric;
