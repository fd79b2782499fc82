use std::error::Error;
use std::time::Duration;

use crate::export::Failures;

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A protocol that this crate does not speak.
    #[error("{variable}={value} is not supported: set it to http/protobuf, or unset it")]
    Protocol {
        /// The variable that names the protocol.
        variable: String,
        /// What it holds.
        value: String,
    },
    /// An exporter that this crate does not have.
    #[error("{variable}={value} is not supported: set it to otlp or none, or unset it")]
    Exporter {
        /// The variable that names the exporter.
        variable: String,
        /// What it holds.
        value: String,
    },
    /// An address that is not one of a collector.
    #[error(
        "{variable}={value} is not an address that telemetry can be sent to: give one that starts \
         with http:// and names no user (TLS is not built in: run a collector beside the service; \
         who sends stands in OTEL_EXPORTER_OTLP_HEADERS)"
    )]
    Endpoint {
        /// The variable that names the address.
        variable: String,
        /// What it holds, without user and password.
        value: String,
    },
    /// A number was expected.
    #[error("{variable}={value} is not a number above zero: correct it, or unset it")]
    Number {
        /// The variable.
        variable: String,
        /// What it holds.
        value: String,
    },
    /// A value that is none of those that there are.
    #[error("{variable}={value} is not known: set it to {known}, or unset it")]
    Unknown {
        /// The variable.
        variable: String,
        /// What it holds.
        value: String,
        /// What it may hold.
        known: &'static str,
    },
    /// An exporter, its HTTP client or the thread that makes it could not be made.
    #[error("failed to make the exporter of {signal}: check the OTEL_* variables")]
    Build {
        /// `spans`, `metrics` or `logs`.
        signal: &'static str,
        /// What the library says.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Why telemetry of this process did not arrive, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// Exports failed, now or since the last one that worked.
    #[error("telemetry was lost ({lost}): {cause}; is the collector up and reachable?")]
    Lost {
        /// What was lost since the process began.
        lost: Failures,
        /// Why the last export failed.
        cause: String,
    },
    /// The collector did not take everything in time.
    #[error("the collector did not take all telemetry within {limit:?} (lost: {lost})")]
    Timeout {
        /// How long was waited.
        limit: Duration,
        /// What was lost since the process began, with what still waited.
        lost: Failures,
    },
    /// An earlier flush still waits for the collector.
    #[error("an earlier flush still waits for the collector: nothing more was sent")]
    Busy,
    /// The thread that flushes could not be started.
    #[error("failed to start the thread that sends what is left")]
    Thread(#[source] std::io::Error),
}
