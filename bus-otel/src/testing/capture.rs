use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, Status};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};

use super::metrics::{Metric, read};
use super::tree::{Attributes, Id, Node, draw};
use crate::pipeline::Providers;

/// Collects what one service or several report.
///
/// ```
/// use opentelemetry::trace::{Tracer, TracerProvider};
///
/// let capture = bus_otel::testing::Capture::new();
/// let tracer = capture.tracer_provider().tracer("orders");
/// tracer.in_span("place order", |_| ());
/// assert_eq!(capture.tree(), "place order INTERNAL\n");
/// ```
#[derive(Debug)]
pub struct Capture {
    seen: Arc<Mutex<Vec<Seen>>>,
    services: Mutex<Vec<(Providers, InMemoryMetricExporter)>>,
    main: Providers,
}

/// A span that has ended, and the service that reported it.
#[derive(Clone, Debug)]
struct Seen {
    service: String,
    span: SpanData,
}

impl Default for Capture {
    fn default() -> Self {
        Self::new()
    }
}

impl Capture {
    /// Nothing global: give its providers to what is tested.
    pub fn new() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let service = providers("", seen.clone());
        let main = service.0.clone();
        Self { seen, services: Mutex::new(vec![service]), main }
    }

    /// For a test with one service.
    pub fn tracer_provider(&self) -> SdkTracerProvider {
        self.main.tracer.clone()
    }

    /// For a test with one service.
    pub fn meter_provider(&self) -> SdkMeterProvider {
        self.main.meter.clone()
    }

    /// Providers for one service of several; its name stands in the tree and at its metrics.
    pub fn service(&self, name: &str) -> Providers {
        let service = providers(name, self.seen.clone());
        lock(&self.services).push(service.clone());
        service.0
    }

    /// The spans that have ended, in this order.
    pub fn spans(&self) -> Vec<SpanData> {
        lock(&self.seen).iter().map(|seen| seen.span.clone()).collect()
    }

    /// The spans that have ended as indented text, without ids or times: siblings by their handler,
    /// then by their start; then the attributes a test cares for, the status, and the links.
    pub fn tree(&self) -> String {
        draw(lock(&self.seen).iter().map(node).collect(), None)
    }

    /// The sums so far, sorted by service, name and attributes.
    pub fn metrics(&self) -> Vec<Metric> {
        let services = lock(&self.services).clone();
        let mut metrics: Vec<_> = services.iter().flat_map(|(p, memory)| read(p, memory)).collect();
        metrics.sort_by(|a, b| a.key().cmp(&b.key()));
        metrics
    }
}

fn providers(name: &str, seen: Arc<Mutex<Vec<Seen>>>) -> (Providers, InMemoryMetricExporter) {
    let resource = Resource::builder_empty().with_service_name(name.to_owned()).build();
    let recorder = Recorder { service: name.to_owned(), seen };
    let tracer = SdkTracerProvider::builder().with_simple_exporter(recorder);
    let memory = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(memory.clone()).build();
    let meter = SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader);
    let tracer = tracer.with_resource(resource).build();
    (Providers { tracer, meter: meter.build() }, memory)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn node(Seen { service, span }: &Seen) -> Node {
    let id = |context: &SpanContext| Id {
        trace: context.trace_id().to_bytes().to_vec(),
        span: context.span_id().to_bytes().to_vec(),
    };
    let links = span.links.iter();
    Node {
        id: id(&span.span_context),
        parent: span.parent_span_id.to_bytes().to_vec(),
        service: service.clone(),
        name: span.name.to_string(),
        kind: format!("{:?}", span.span_kind).to_uppercase(),
        start: span.start_time,
        attributes: attributes(&span.attributes),
        status: match &span.status {
            Status::Unset => "",
            Status::Ok => " ok",
            Status::Error { .. } => " error",
        },
        links: links.map(|link| (id(&link.span_context), attributes(&link.attributes))).collect(),
    }
}

fn attributes(pairs: &[KeyValue]) -> Attributes {
    pairs.iter().map(|pair| (pair.key.to_string(), pair.value.to_string())).collect()
}

#[derive(Debug)]
struct Recorder {
    service: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl SpanExporter for Recorder {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let named = |span| Seen { service: self.service.clone(), span };
        lock(&self.seen).extend(batch.into_iter().map(named));
        Ok(())
    }
}
