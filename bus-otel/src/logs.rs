use std::fmt;
use std::io::{IsTerminal, stderr};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::set_global_default;
use tracing::{Level, Metadata};
use tracing_log::{AsLog, LogTracer};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt as stderr_log, registry};

/// Crates at work beneath every export and every message: their spans would drown the service's.
const PLUMBING: [&str; 9] = [
    "async_nats",
    "h2",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "reqwest",
    "rustls",
    "tonic",
    "tower",
];

/// Without a filter of the user's: what the SDK would say, we say with counts.
const QUIET: &str = "info,opentelemetry=off";

/// Installs the subscriber; `false` when another one is there already.
///
/// The log filter stands on single layers: on all of them, `RUST_LOG=warn` would cut every trace.
pub(crate) fn install(
    log_filter: Option<String>,
    tracer: Option<SdkTracer>,
    logger: Option<&SdkLoggerProvider>,
) -> bool {
    let chosen = || {
        let info = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
        info.parse_lossy(log_filter.as_deref().unwrap_or(QUIET))
    };
    // In a list: an `Option` that is `None` among layers with filters lets every event of every crate be
    // made, whatever the filters say, for nobody.
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = Vec::new();
    let to_stderr = stderr_log::layer()
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_timer(TimeAndTrace)
        .with_filter(chosen());
    layers.push(to_stderr.boxed());
    layers.extend(logger.map(|logger| {
        let own = filter_fn(|metadata| !is_plumbing(metadata.target()));
        OpenTelemetryTracingBridge::new(logger).with_filter(chosen().and(own)).boxed()
    }));
    layers.extend(tracer.map(|tracer| {
        let spans = tracing_opentelemetry::layer().with_tracer(tracer);
        spans.with_filter(filter_fn(belongs_in_a_trace)).boxed()
    }));
    let installed = set_global_default(registry().with(layers)).is_ok();
    if installed {
        // What uses the crate `log` is heard too, unless the program has another place for it.
        let _ = LogTracer::builder().with_max_level(LevelFilter::current().as_log()).init();
    }
    installed
}

/// Events are logs, not parts of spans; only an error marks its span as failed.
fn belongs_in_a_trace(metadata: &Metadata<'_>) -> bool {
    let least = if metadata.is_span() { Level::INFO } else { Level::ERROR };
    *metadata.level() <= least && !is_plumbing(metadata.target())
}

fn is_plumbing(target: &str) -> bool {
    // The SDK names its events after its packages: `opentelemetry_sdk`, `opentelemetry-otlp`.
    let name = target.split([':', '-']).next().unwrap_or_default();
    PLUMBING.contains(&name) || name.starts_with("opentelemetry")
}

/// The time of a log line, and the trace in which it was written.
struct TimeAndTrace;

impl FormatTime for TimeAndTrace {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        SystemTime.format_time(writer)?;
        let context = Context::current();
        let span = context.span();
        match span.span_context() {
            trace if trace.is_valid() => write!(writer, " trace_id={}", trace.trace_id()),
            _ => Ok(()),
        }
    }
}
