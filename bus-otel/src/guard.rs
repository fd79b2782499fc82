use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use opentelemetry_sdk::logs::SdkLoggerProvider;
use tokio::sync::oneshot;

use crate::error::{FlushError, SetupError};
use crate::export::{Failures, Queue};
use crate::flush::{Held, Then};
use crate::identity::Identity;
use crate::pipeline::{Pipeline, Providers};

/// Telemetry of this process. Shutting it down, or dropping it, sends what is left.
#[derive(Debug)]
#[must_use = "dropped, it ends the telemetry of the process: `let otel = …`, not `let _ = …`"]
pub struct Otel {
    identity: Identity,
    main: Providers,
    held: Mutex<Held>,
    ended: bool,
}

impl Otel {
    pub(crate) fn new(
        identity: Identity,
        pipeline: Pipeline,
        main: (Providers, Option<Arc<Queue>>),
        logger: Option<(SdkLoggerProvider, Arc<Queue>)>,
    ) -> Self {
        let providers = main.0.clone();
        let held = Held { pipeline: Arc::new(pipeline), services: vec![main], logger };
        Self { identity, main: providers, held: Mutex::new(held), ended: false }
    }

    /// The providers of the process, which are the global ones too.
    pub fn providers(&self) -> &Providers {
        &self.main
    }

    /// Providers for one more service in this process: another `service.name`, the same collector.
    pub fn service(&self, name: &str) -> Result<Providers, SetupError> {
        let made = self.held().pipeline.providers(self.identity.named(name))?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.services.push(made.clone());
        Ok(made.0)
    }

    /// What did not reach the collector so far.
    pub fn failures(&self) -> Failures {
        self.held().pipeline.failures()
    }

    /// The metrics in Prometheus' text format, to be served as [`CONTENT_TYPE`](crate::CONTENT_TYPE).
    /// Empty without [`Setup::prometheus`](crate::Setup::prometheus).
    #[cfg(feature = "prometheus")]
    pub fn metrics_page(&self) -> String {
        let held = self.held();
        held.pipeline.page.as_ref().map(crate::prometheus::Page::text).unwrap_or_default()
    }

    /// Sends what is held back now, within five seconds; for a batch job or a test.
    pub async fn flush(&self) -> Result<(), FlushError> {
        let held = self.held();
        let (done, sent) = oneshot::channel();
        let work = move || drop(done.send(held.send(Then::GoOn)));
        thread::Builder::new().name("otel-flush".into()).spawn(work).map_err(FlushError::Thread)?;
        let lost = |_| FlushError::Thread(std::io::Error::other("the thread panicked"));
        sent.await.map_err(lost)?
    }

    /// Sends what is left and ends telemetry. Blocks for up to five seconds, on any runtime or none.
    pub fn shutdown(mut self) -> Result<(), FlushError> {
        self.ended = true;
        self.held().send(Then::End)
    }

    fn held(&self) -> Held {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Otel {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if let Err(error) = self.held().send(Then::End) {
            let _unexported = opentelemetry::Context::enter_telemetry_suppressed_scope();
            tracing::error!("failed to end telemetry: {error}");
        }
    }
}
