//! OpenTelemetry for a service that has not set it up yet.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let otel = bus_otel::init("orders")?;
//! // The service runs here.
//! otel.shutdown()?;
//! # Ok(())
//! # }
//! ```
//!
//! Traces, metrics and logs leave by OTLP (`http/protobuf`) to what the `OTEL_*` variables name, most of
//! all `OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318`. Without an endpoint nothing leaves, and
//! logs go to stderr alone, as `RUST_LOG` says (`info` by default).
//!
//! | installed | what it does |
//! |---|---|
//! | global tracer and meter provider, W3C propagators | other instrumentation works too |
//! | a `tracing` subscriber | logs to stderr with their trace id, logs to OTLP, `tracing` spans to OTLP |
//! | [`Otel`] | sends what is left when it is shut down or dropped, and says what was lost |
//!
//! `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*`, `OTEL_BLRP_*`,
//! `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_EXPORTER_OTLP_*` with their forms for one signal,
//! `OTEL_*_EXPORTER` (`otlp`, `none`) and `OTEL_SDK_DISABLED` mean what OpenTelemetry says. TLS, gRPC
//! and compression are not built in: a collector beside the service has them.
//!
//! Exporting runs on threads of its own, with a blocking client: a runtime that is blocked, has one
//! thread, or has ended does not stop it. Call [`init`] before anything takes a tracer: a
//! tracer from before stays without effect.

mod error;
mod export;
mod flush;
mod guard;
mod identity;
mod logs;
mod pipeline;
#[cfg(feature = "prometheus")]
mod prometheus;
mod settings;
mod setup;
#[cfg(feature = "testing")]
pub mod testing;

pub use error::{FlushError, SetupError};
pub use export::Failures;
pub use guard::Otel;
pub use pipeline::Providers;
#[cfg(feature = "prometheus")]
pub use prometheus::CONTENT_TYPE;
pub use setup::Setup;

/// Sets up everything with defaults for the service of this name. Keep what it returns.
pub fn init(service: impl Into<String>) -> Result<Otel, SetupError> {
    Setup::new(service).init()
}

/// The programs in the guide compile.
#[cfg(all(doctest, feature = "prometheus"))]
#[doc = include_str!("../../docs/follow-an-order.md")]
pub struct FollowAnOrder;
