//! What stands around the SDK's exporters: counting, saying, and the HTTP client.

mod batches;
mod exporter;
mod health;
mod http;
mod queue;

use std::fmt;

pub(crate) use batches::{Batches, Pace};
pub(crate) use exporter::Watched;
pub(crate) use health::Health;
pub(crate) use http::Http;
pub(crate) use queue::{Bounded, Queue};

/// One kind of telemetry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    Spans,
    Metrics,
    Logs,
}

impl Signal {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// Its part of the names of variables.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Spans => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }

    /// What limits its queue; metrics have none.
    fn queue_variable(self) -> &'static str {
        match self {
            Self::Spans => "OTEL_BSP_MAX_QUEUE_SIZE",
            Self::Metrics => "OTEL_METRIC_EXPORT_INTERVAL",
            Self::Logs => "OTEL_BLRP_MAX_QUEUE_SIZE",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Spans => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }
}

/// What did not reach the collector since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failures {
    /// Spans whose export failed, which the collector refused, or which found the queue full.
    pub spans: u64,
    /// Metrics whose export failed; the next export holds their sums again.
    pub metrics: u64,
    /// Log records, as for spans.
    pub logs: u64,
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} spans, {} metrics, {} log records", self.spans, self.metrics, self.logs)
    }
}
