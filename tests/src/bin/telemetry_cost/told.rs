//! Where spans and metrics go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bus_core::telemetry::Telemetry;
use bus_otel::Otel;
use opentelemetry::trace::TracerProvider;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, SpanData, SpanExporter,
};
use prost::Message;

use super::Result;

/// Where spans and metrics go.
pub(crate) enum Told {
    Here(Telemetry, SdkTracerProvider, Arc<AtomicU64>),
    Sent(Otel),
}

/// Encodes, as an exporter does, and sends nothing.
#[derive(Debug, Default)]
struct Discarding {
    spans: Arc<AtomicU64>,
}

impl SpanExporter for Discarding {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.spans.fetch_add(batch.len() as u64, Ordering::Relaxed);
        let resource = ResourceAttributesWithSchema::default();
        for spans in group_spans_by_resource_and_scope(batch, &resource) {
            std::hint::black_box(spans.encode_to_vec());
        }
        Ok(())
    }
}

impl Told {
    pub(crate) fn by(mode: &str) -> Result<Self> {
        if mode == "otlp" {
            return Ok(Self::Sent(bus_otel::init("cost")?));
        }
        let exporter = Discarding::default();
        let exported = Arc::clone(&exporter.spans);
        let queue = BatchConfigBuilder::default().with_max_queue_size(65_536).build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(queue).build();
        let spans = SdkTracerProvider::builder().with_span_processor(processor).build();
        let metrics = InMemoryMetricExporter::default();
        let metrics = SdkMeterProvider::builder().with_periodic_exporter(metrics).build();
        let telemetry = match mode {
            "off" => Telemetry::off(),
            "none" => Telemetry::new(),
            "spans" => Telemetry::new().tracer_provider(&spans),
            "metrics" => Telemetry::new().meter_provider(&metrics),
            "both" => Telemetry::new().tracer_provider(&spans).meter_provider(&metrics),
            other => {
                let modes = "off, none, spans, metrics, both, otlp";
                return Err(format!("`{other}` is none of {modes}").into());
            }
        };
        Ok(Self::Here(telemetry, spans, exported))
    }

    pub(crate) fn telemetry(&self) -> Telemetry {
        match self {
            Self::Here(telemetry, ..) => telemetry.clone(),
            Self::Sent(otel) => otel.providers().telemetry(),
        }
    }

    /// What spans are made with.
    pub(crate) fn tracer(&self) -> SdkTracer {
        match self {
            Self::Here(_, spans, _) => spans.tracer("alone"),
            Self::Sent(otel) => otel.providers().tracer.tracer("alone"),
        }
    }

    /// Once all are exported.
    pub(crate) async fn flush(&self) -> Result<String> {
        match self {
            Self::Here(_, spans, exported) => {
                spans.force_flush()?;
                Ok(format!("{} spans exported", exported.load(Ordering::Relaxed)))
            }
            Self::Sent(otel) => {
                otel.flush().await?;
                Ok(format!("lost: {}", otel.failures()))
            }
        }
    }
}
