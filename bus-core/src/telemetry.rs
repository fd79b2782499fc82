//! What an observability tool is told: spans and metrics by OpenTelemetry's conventions for messaging
//! (v1.44, in development), and trace context that every event carries on.
//!
//! Only here, and in no other module, are types of the crate `opentelemetry` part of the API: those of
//! version 0.33. Spans are made by its API and not by `tracing`, so that no filter of logs breaks a
//! trace; spans of `tracing` in a handler nest in them where `tracing-opentelemetry` 0.32 or later is
//! installed.
//!
//! | span | kind | parent | links |
//! | --- | --- | --- | --- |
//! | `publish orders.placed` | producer | what called it | |
//! | `process orders.placed` | consumer | the publish | the publish; the attempt before; the origin |
//! | `retry orders.placed` | client | the process span | |
//! | `dead_letter BUS_DLQ` | producer | the process span | the publish |
//! | `redrive BUS_DLQ` | internal | none: a trace of its own | |
//! | `publish orders.placed` | producer | the redrive | the dead letter; the origin |
//!
//! A process span covers the handler's run; the answer to the broker follows it. It begins a trace of
//! its own, with the same links, where the event is older than
//! [`new_trace_after`](Telemetry::new_trace_after), was redriven by somebody without spans, or
//! whoever published it [asked for it](crate::Publish::new_trace).

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::global::BoxedTracer;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::{Span, Tracer, TracerProvider};

pub(crate) use self::attempt::{Attempt, Outcome};
pub use self::carry::carry;
pub(crate) use self::carry::{Carried, captured, captured_or};
pub(crate) use self::groups::Watched;
pub(crate) use self::live::{Lazy, Live};
pub(crate) use self::process::Seen;
pub(crate) use self::publish::Sending;
pub(crate) use self::settle::Settling;

mod attempt;
mod carry;
mod context;
mod groups;
mod live;
mod metrics;
mod names;
mod naming;
mod process;
mod publish;
mod redrive;
mod settle;

/// What a bus tells of what it does.
///
/// ```
/// use bus_core::prelude::*;
/// use bus_core::telemetry::{SettleSpans, Telemetry};
///
/// let telemetry = Telemetry::new().baggage(["tenant"]).settle_spans(SettleSpans::All);
/// let bus = Bus::in_memory().telemetry(telemetry);
/// ```
#[derive(Clone, Debug)]
pub struct Telemetry {
    on: bool,
    tracer: Option<Arc<BoxedTracer>>,
    meter: Option<Meter>,
    settings: Settings,
}

/// How spans are made.
#[derive(Clone, Debug)]
struct Settings {
    links_only: bool,
    new_trace_after: Duration,
    settle_spans: SettleSpans,
    retries_are_errors: bool,
    baggage: Arc<[String]>,
    lag_every: Duration,
}

/// Which answers to the broker have a span. A dead letter always has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettleSpans {
    /// None.
    None,
    /// Retries.
    #[default]
    Failures,
    /// Each: half as many spans again.
    All,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// Spans and metrics by what is globally installed when the bus first publishes, or its first
    /// service starts. A later installation is not seen: install telemetry first.
    pub fn new() -> Self {
        let settings = Settings {
            links_only: false,
            new_trace_after: Duration::from_secs(60 * 60),
            settle_spans: SettleSpans::default(),
            retries_are_errors: true,
            baggage: Arc::from([]),
            lag_every: Duration::from_secs(15),
        };
        Self { on: true, tracer: None, meter: None, settings }
    }

    /// Nothing at all: no spans, no metrics, and no trace context from what is handled to what is
    /// published.
    pub fn off() -> Self {
        Self { on: false, ..Self::new() }
    }

    /// Spans by this provider, and not by the global one.
    pub fn tracer_provider<P>(self, provider: &P) -> Self
    where
        P: TracerProvider<
            Tracer: Tracer<Span: Span + Send + Sync + 'static> + Send + Sync + 'static,
        >,
    {
        let tracer = provider.tracer_with_scope(live::scope());
        Self { tracer: Some(Arc::new(BoxedTracer::new(Box::new(tracer)))), ..self }
    }

    /// Metrics by this provider, and not by the global one.
    pub fn meter_provider(self, provider: &impl MeterProvider) -> Self {
        Self { meter: Some(provider.meter_with_scope(live::scope())), ..self }
    }

    /// Events older than this, at the start of a run, are processed in a trace of their own; 1 hour by
    /// default. It keeps replays and long delays from stretching traces.
    pub fn new_trace_after(mut self, age: Duration) -> Self {
        self.settings.new_trace_after = age;
        self
    }

    /// Every run is a trace of its own, with a link to the publish; by default it is part of the
    /// publisher's trace as well, because most tools show links badly.
    pub fn links_only(mut self) -> Self {
        self.settings.links_only = true;
        self
    }

    /// Which answers have spans.
    pub fn settle_spans(mut self, which: SettleSpans) -> Self {
        self.settings.settle_spans = which;
        self
    }

    /// Whether an attempt that will be retried is an error in the eyes of a tool; it is by default.
    /// `bus.outcome` tells it from one that gave up either way.
    pub fn retries_are_errors(mut self, are: bool) -> Self {
        self.settings.retries_are_errors = are;
        self
    }

    /// The keys of OpenTelemetry's baggage that events carry on; none by default, because events are
    /// stored, and baggage may be personal.
    pub fn baggage(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.settings.baggage = keys.into_iter().map(Into::into).collect();
        self
    }

    /// How often the broker is asked how far each group is behind, for the metrics of it; 15 s by
    /// default, at least 1 s. It is asked only where metrics are exported.
    pub fn lag_every(mut self, interval: Duration) -> Self {
        self.settings.lag_every = interval.max(Duration::from_secs(1));
        self
    }
}
