use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use opentelemetry::Key;
use opentelemetry_prometheus::{PrometheusExporter, ResourceSelector};
use opentelemetry_sdk::error::OTelSdkError;
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};

/// The `Content-Type` of [`Otel::metrics_page`](crate::Otel::metrics_page).
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of all services of this process.
#[derive(Debug, Default)]
pub(crate) struct Page {
    // One each: a registry does not take two exporters.
    registries: Mutex<Vec<Registry>>,
}

impl Page {
    /// A reader for the provider of one service, told apart by the label `service_name`.
    pub(crate) fn reader(&self) -> Result<PrometheusExporter, OTelSdkError> {
        let registry = Registry::new();
        let names = [Key::from_static_str("service.name")].into_iter().collect();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .with_resource_selector(ResourceSelector::KeyAllowList(names))
            .build()?;
        self.registries.lock().unwrap_or_else(PoisonError::into_inner).push(registry);
        Ok(reader)
    }

    pub(crate) fn text(&self) -> String {
        let registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut families: BTreeMap<String, MetricFamily> = BTreeMap::new();
        for mut family in registries.iter().flat_map(Registry::gather) {
            let metrics = family.take_metric();
            let known = families.entry(family.name().to_owned()).or_insert(family);
            metrics.into_iter().for_each(|metric| known.mut_metric().push(metric));
        }
        let families: Vec<_> = families.into_values().collect();
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
            tracing::warn!(%error, "failed to write the page of metrics");
            String::new()
        })
    }
}
