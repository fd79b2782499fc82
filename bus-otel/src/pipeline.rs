use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bus_core::telemetry::Telemetry;
use opentelemetry_otlp::{
    LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchConfigBuilder, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::error::SetupError;
use crate::export::{Batches, Bounded, Failures, Health, Http, Queue, Signal, Watched};
use crate::settings::{Settings, Target};

/// The tracer and the meter provider of one service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Providers {
    /// Makes tracers.
    pub tracer: SdkTracerProvider,
    /// Makes meters.
    pub meter: SdkMeterProvider,
}

impl Providers {
    /// For a bus that is to tell as this service, and not as the process.
    pub fn telemetry(&self) -> Telemetry {
        Telemetry::new().tracer_provider(&self.tracer).meter_provider(&self.meter)
    }
}

/// Makes the providers of every service of this process, which share counters.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) settings: Settings,
    pub(crate) spans: Arc<Health>,
    pub(crate) metrics: Arc<Health>,
    pub(crate) logs: Arc<Health>,
    /// A flush has not ended.
    pub(crate) flushing: Arc<AtomicBool>,
    #[cfg(feature = "prometheus")]
    pub(crate) page: Option<crate::prometheus::Page>,
}

/// What a provider is made with, beside the exporter itself.
type Made<P> = Result<P, Box<dyn Error + Send + Sync>>;

impl Pipeline {
    pub(crate) fn new(settings: Settings, prometheus: bool) -> Self {
        // Without the feature there is no method that asks for it.
        #[cfg(not(feature = "prometheus"))]
        let _ = prometheus;
        Self {
            #[cfg(feature = "prometheus")]
            page: (prometheus && !settings.disabled).then(Default::default),
            settings,
            spans: Arc::new(Health::new(Signal::Spans)),
            metrics: Arc::new(Health::new(Signal::Metrics)),
            logs: Arc::new(Health::new(Signal::Logs)),
            flushing: Arc::default(),
        }
    }

    pub(crate) fn providers(
        &self,
        resource: Resource,
    ) -> Result<(Providers, Option<Arc<Queue>>), SetupError> {
        let (tracer, queue) = self.tracer(resource.clone()).map_err(build_error(Signal::Spans))?;
        let meter = self.meter(resource).map_err(build_error(Signal::Metrics))?;
        let providers = Providers { tracer, meter };
        if self.settings.disabled {
            // After its shutdown a provider makes tracers and meters without effect.
            let _ = (providers.tracer.shutdown(), providers.meter.shutdown());
        }
        Ok((providers, queue))
    }

    fn tracer(&self, resource: Resource) -> Made<(SdkTracerProvider, Option<Arc<Queue>>)> {
        let builder = SdkTracerProvider::builder().with_resource(resource);
        let Some(target) = &self.settings.spans else { return Ok((builder.build(), None)) };
        let capacity = self.settings.span_queue;
        let queue = Queue::new(capacity, self.spans.clone());
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(self.client(target, &self.spans)?)
            .with_endpoint(&target.url)
            .with_timeout(target.timeout)
            .with_protocol(Protocol::HttpBinary)
            .build()?;
        let exporter = Watched { exporter, health: self.spans.clone(), queue: Some(queue.clone()) };
        let batches = Batches::start(exporter, self.settings.pace)?;
        let processor = Bounded { batches, queue: queue.clone() };
        Ok((builder.with_span_processor(processor).build(), Some(queue)))
    }

    fn meter(&self, resource: Resource) -> Made<SdkMeterProvider> {
        let mut builder = SdkMeterProvider::builder().with_resource(resource);
        #[cfg(feature = "prometheus")]
        if let Some(page) = &self.page {
            builder = builder.with_reader(page.reader()?);
        }
        let Some(target) = &self.settings.metrics else { return Ok(builder.build()) };
        let exporter = MetricExporter::builder()
            .with_http()
            .with_http_client(self.client(target, &self.metrics)?)
            .with_endpoint(&target.url)
            .with_timeout(target.timeout)
            .with_protocol(Protocol::HttpBinary)
            .build()?;
        let exporter = Watched { exporter, health: self.metrics.clone(), queue: None };
        builder = builder.with_reader(PeriodicReader::builder(exporter).build());
        Ok(builder.build())
    }

    /// The logs of the process, if they are sent anywhere.
    pub(crate) fn logger(
        &self,
        resource: Resource,
    ) -> Result<Option<(SdkLoggerProvider, Arc<Queue>)>, SetupError> {
        let Some(target) = &self.settings.logs else { return Ok(None) };
        self.exported_logs(target, resource).map(Some).map_err(build_error(Signal::Logs))
    }

    fn exported_logs(
        &self,
        target: &Target,
        resource: Resource,
    ) -> Made<(SdkLoggerProvider, Arc<Queue>)> {
        let capacity = self.settings.log_queue;
        let queue = Queue::new(capacity, self.logs.clone());
        let exporter = LogExporter::builder()
            .with_http()
            .with_http_client(self.client(target, &self.logs)?)
            .with_endpoint(&target.url)
            .with_timeout(target.timeout)
            .with_protocol(Protocol::HttpBinary)
            .build()?;
        let exporter = Watched { exporter, health: self.logs.clone(), queue: Some(queue.clone()) };
        let batches = BatchLogProcessor::builder(exporter)
            .with_batch_config(BatchConfigBuilder::default().with_max_queue_size(capacity).build())
            .build();
        let builder = SdkLoggerProvider::builder().with_resource(resource);
        let processor = Bounded { batches, queue: queue.clone() };
        Ok((builder.with_log_processor(processor).build(), queue))
    }

    fn client(&self, target: &Target, health: &Arc<Health>) -> Made<Http> {
        Http::new(target.timeout, health.clone())
    }

    pub(crate) fn healths(&self) -> [&Health; 3] {
        [&self.spans, &self.metrics, &self.logs]
    }

    pub(crate) fn failures(&self) -> Failures {
        Failures { spans: self.spans.lost(), metrics: self.metrics.lost(), logs: self.logs.lost() }
    }
}

fn build_error(signal: Signal) -> impl FnOnce(Box<dyn Error + Send + Sync>) -> SetupError {
    move |source| SetupError::Build { signal: signal.name(), source }
}
