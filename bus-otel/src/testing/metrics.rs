use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};

use crate::pipeline::Providers;

/// One number of one metric: a sum, the value of a gauge, or how often a histogram was fed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// The service that reports it; empty for [`Capture::meter_provider`](super::Capture::meter_provider).
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its attributes as `key=value`, sorted, with a comma between.
    pub attributes: String,
    /// The number.
    pub value: f64,
}

impl Metric {
    pub(super) fn key(&self) -> (&str, &str, &str) {
        (&self.service, &self.name, &self.attributes)
    }
}

/// The latest sums of one service.
pub(super) fn read(providers: &Providers, memory: &InMemoryMetricExporter) -> Vec<Metric> {
    memory.reset();
    // Fails only for a provider that the test has shut down, which has nothing new.
    let _ = providers.meter.force_flush();
    let latest = memory.get_finished_metrics().unwrap_or_default().pop();
    latest.iter().flat_map(numbers).collect()
}

fn numbers(all: &ResourceMetrics) -> Vec<Metric> {
    let service = all.resource().get(&Key::from_static_str("service.name"));
    let service = service.map(|name| name.to_string()).unwrap_or_default();
    let metrics = all.scope_metrics().flat_map(|scope| scope.metrics());
    let numbers = metrics.flat_map(|metric| {
        let points = match metric.data() {
            AggregatedMetrics::F64(data) => points(data, |v| v),
            AggregatedMetrics::U64(data) => points(data, |v| v as f64),
            AggregatedMetrics::I64(data) => points(data, |v| v as f64),
        };
        let name = metric.name();
        points.into_iter().map(move |(attributes, value)| (name.to_owned(), attributes, value))
    });
    numbers
        .map(|(name, attributes, value)| Metric {
            service: service.clone(),
            name,
            attributes,
            value,
        })
        .collect()
}

fn points<T: Copy>(data: &MetricData<T>, number: impl Fn(T) -> f64) -> Vec<(String, f64)> {
    match data {
        MetricData::Sum(sum) => {
            sum.data_points().map(|p| (text(p.attributes()), number(p.value()))).collect()
        }
        MetricData::Gauge(gauge) => {
            gauge.data_points().map(|p| (text(p.attributes()), number(p.value()))).collect()
        }
        MetricData::Histogram(histogram) => {
            histogram.data_points().map(|p| (text(p.attributes()), p.count() as f64)).collect()
        }
        MetricData::ExponentialHistogram(histogram) => {
            histogram.data_points().map(|p| (text(p.attributes()), p.count() as f64)).collect()
        }
    }
}

fn text<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let mut pairs: Vec<_> = attributes.map(|kv| format!("{}={}", kv.key, kv.value)).collect();
    pairs.sort();
    pairs.join(",")
}
