//! What there is to tell, found out once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::trace::{Span, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use tokio::sync::watch;
use tracing::info;

use super::context::under;
use super::groups::{Groups, Watched};
use super::metrics::Metrics;
use super::names::{SCOPE, attribute as a};
use super::{Settings, Telemetry};
use crate::envelope::{TraceContext, TraceParent};
use crate::transport::{Health, System, Transport};

/// What is said where there is nobody to tell.
const NOBODY: &str = "no spans: no OpenTelemetry SDK was installed before the bus was used, or it is \
                      for another version than 0.33 of the crate `opentelemetry`; trace context is \
                      passed on";

/// A bus's telemetry, before anything was told and after.
#[derive(Debug)]
pub(crate) struct Lazy {
    telemetry: Telemetry,
    live: OnceLock<Arc<Live>>,
}

/// Whom to tell.
pub(crate) struct Live {
    /// Whether anything is told or passed on.
    pub(super) on: bool,
    /// `None` where nobody would see a span.
    pub(super) tracer: Option<Arc<BoxedTracer>>,
    /// `None` where nobody would read a number.
    pub(super) metrics: Option<Metrics>,
    pub(super) settings: Settings,
    pub(super) system: System,
    /// What every span and every number has.
    pub(super) common: Vec<KeyValue>,
    groups: Arc<Groups>,
    #[expect(dead_code, reason = "held for the number that shows it")]
    health: Arc<watch::Receiver<Health>>,
}

impl Lazy {
    pub(crate) fn new(telemetry: Telemetry) -> Self {
        Self { telemetry, live: OnceLock::new() }
    }

    pub(crate) fn get(&self, transport: &Arc<dyn Transport>) -> &Arc<Live> {
        self.live.get_or_init(|| Arc::new(Live::new(self.telemetry.clone(), transport)))
    }
}

impl Live {
    fn new(telemetry: Telemetry, transport: &Arc<dyn Transport>) -> Self {
        let Telemetry { on, tracer, meter, settings } = telemetry;
        let (system, groups) = (transport.system(), Arc::new(Groups::default()));
        let (common, health) = (common(&system), Arc::new(transport.health()));
        if !on {
            let (tracer, metrics) = (None, None);
            return Self { on, tracer, metrics, settings, system, common, groups, health };
        }
        let global = || Arc::new(global::tracer_provider().tracer_with_scope(scope()));
        let tracer = Some(tracer.unwrap_or_else(global)).filter(|tracer| is_heard(tracer));
        let meter = meter.unwrap_or_else(|| global::meter_provider().meter_with_scope(scope()));
        let read = groups.show(&meter, &health, &common);
        let metrics = read.then(|| Metrics::new(&meter));
        match (&tracer, &metrics) {
            (None, None) => info!("{NOBODY}; no metrics either"),
            (None, Some(_)) => info!("{NOBODY}; metrics go to the SDK"),
            (Some(_), read) => {
                info!(metrics = read.is_some(), "spans go to the OpenTelemetry SDK");
            }
        }
        Self { on, tracer, metrics, settings, system, common, groups, health }
    }

    /// Whether anybody sees a span or reads a number.
    pub(crate) fn is_heard(&self) -> bool {
        self.tracer.is_some() || self.metrics.is_some()
    }

    /// How often the broker has to be asked how far groups are behind; `None` where nobody asks.
    pub(crate) fn lag_every(&self) -> Option<Duration> {
        self.metrics.as_ref().map(|_| self.settings.lag_every)
    }

    /// Shows a group's numbers for as long as it is there.
    pub(crate) fn watch(&self, group: &Arc<Watched>) {
        self.groups.add(group);
    }
}

pub(super) fn scope() -> InstrumentationScope {
    let version = env!("CARGO_PKG_VERSION");
    InstrumentationScope::builder(SCOPE).with_version(version).build()
}

/// An SDK answers "nothing" where nothing is to be told, and the stand-in for one answers what it was
/// asked. So no span of this question reaches anybody.
fn is_heard(tracer: &BoxedTracer) -> bool {
    let Some(nobody) = TraceParent::new(1, 1, 0) else { return false };
    let asked = under(&TraceContext::new(nobody, None)).with_telemetry_suppressed();
    let span = tracer.build_with_context(tracer.span_builder("is anybody there?"), &asked);
    span.span_context() != asked.span().span_context()
}

fn common(system: &System) -> Vec<KeyValue> {
    let mut common = vec![KeyValue::new(a::SYSTEM, system.name)];
    if let Some(address) = &system.address {
        common.push(KeyValue::new(a::ADDRESS, Arc::<str>::from(address.as_str())));
    }
    if let Some(port) = system.port {
        common.push(KeyValue::new(a::PORT, i64::from(port)));
    }
    common
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("on", &self.on).finish_non_exhaustive()
    }
}
