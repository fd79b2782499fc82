use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use uuid::Uuid;

use crate::error::SetupError;
use crate::guard::Otel;
use crate::identity::Identity;
use crate::logs;
use crate::pipeline::{Pipeline, Providers};
use crate::settings::Settings;

/// What is set up, before it is: the name of the service and what deviates from the defaults.
#[derive(Clone, Debug)]
#[must_use = "nothing is set up before `init`"]
pub struct Setup {
    name: String,
    version: Option<String>,
    prometheus: bool,
}

impl Setup {
    /// For the service of this name, unless `OTEL_SERVICE_NAME` holds another.
    pub fn new(service: impl Into<String>) -> Self {
        Self { name: service.into(), version: None, prometheus: false }
    }

    /// The version of the service: `.version(env!("CARGO_PKG_VERSION"))`.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Keeps metrics for [`Otel::metrics_page`] too.
    #[cfg(feature = "prometheus")]
    pub fn prometheus(mut self) -> Self {
        self.prometheus = true;
        self
    }

    /// Installs it for the whole process. Keep what it returns until the end.
    pub fn init(self) -> Result<Otel, SetupError> {
        let settings = Settings::read(&|variable| std::env::var(variable).ok())?;
        let pipeline = Pipeline::new(settings, self.prometheus);
        let identity =
            Identity { name: self.name, version: self.version, instance: Uuid::new_v4() };
        let resource = identity.resource(pipeline.settings.service_name.as_deref());
        let (providers, spans) = pipeline.providers(resource.clone())?;
        let logger = pipeline.logger(resource)?;

        let disabled = pipeline.settings.disabled;
        let tracer = (!disabled).then(|| providers.tracer.tracer("tracing"));
        let filter = pipeline.settings.log_filter.clone();
        let ours = logs::install(filter, tracer, logger.as_ref().map(|(provider, _)| provider));
        if !disabled {
            install(&providers);
        }
        if !ours {
            tracing::warn!(
                "a tracing subscriber was installed before telemetry: it stays, so logs and spans \
                 of `tracing` are not exported"
            );
        }
        Ok(Otel::new(identity, pipeline, (providers, spans), logger))
    }
}

/// For instrumentation that asks the process, not us.
fn install(providers: &Providers) {
    opentelemetry::global::set_tracer_provider(providers.tracer.clone());
    opentelemetry::global::set_meter_provider(providers.meter.clone());
    opentelemetry::global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]));
}
