//! A named set of handlers that runs, reports its health, and drains.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::dispatch::Redact;
use crate::event::Event;
use crate::handler::{Entry, Handler, Options};
use crate::middleware::{Layers, Middleware, Passage};
use crate::publish::Bus;
use crate::registry::{Handlers, RegistryError};
use crate::state::States;

pub use self::error::{Error, StartError};
pub use self::ledger::Served;
pub use self::probe::{Probe, Readiness};
pub use self::report::Report;
pub use self::running::Running;

mod checks;
mod claims;
mod error;
mod lag;
mod ledger;
mod probe;
mod report;
mod running;
mod signals;
mod worker;

type Tune = Box<dyn FnOnce(Options) -> Options + Send>;

/// A named set of handlers on a bus.
///
/// ```
/// use bus_core::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, Event)] #[event(subject = "orders.placed")] struct OrderPlaced;
/// struct Gateway;
///
/// #[handler(concurrency = 4)]
/// async fn charge(order: OrderPlaced, State(gateway): State<Gateway>) {}
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bus_core::Error> {
/// let service = Service::new("billing", Bus::in_memory())
///     .state(Gateway)
///     .handlers(handlers![charge])
///     .tune("charge", |options| options.concurrency(32));
/// let report = service.run_until(std::future::ready(())).await?;
/// assert_eq!(report.to_string(), "0 finished, 0 handed back, 0 abandoned");
/// # Ok(()) }
/// ```
#[must_use = "a service does nothing until it is run"]
pub struct Service {
    name: String,
    bus: Bus,
    states: States,
    entries: Vec<Entry>,
    /// The first list of handlers that can not be right.
    fault: Option<StartError>,
    tuned: Vec<(String, Tune)>,
    layered: Vec<(String, Layers)>,
    retired: Vec<String>,
    lease: Duration,
    grace: Duration,
    redact: Option<Redact>,
    probe: Probe,
}

impl Service {
    /// A service without handlers. Its name is the source of what it publishes, and the first part
    /// of the names of its groups: `a-z`, `0-9` and `-`.
    pub fn new(name: impl Into<String>, bus: Bus) -> Self {
        let name = name.into();
        Self {
            bus: bus.source(name.as_str()),
            name,
            states: States::default(),
            entries: Vec::new(),
            fault: None,
            tuned: Vec::new(),
            layered: Vec::new(),
            retired: Vec::new(),
            lease: Duration::from_secs(30),
            grace: Duration::from_secs(25),
            redact: None,
            probe: Probe::new(),
        }
    }

    /// Gives a value to the handlers that ask for `State<T>`; a second one of a type is an error.
    pub fn state<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.shared(Arc::new(value))
    }

    /// As [`state`](Self::state), for a value that others hold too, or for a trait object:
    /// `.shared::<dyn Gateway>(Arc::new(Stripe))`, read as `State<dyn Gateway>`.
    pub fn shared<T: ?Sized + Send + Sync + 'static>(mut self, value: Arc<T>) -> Self {
        self.states.insert(value);
        self
    }

    /// Adds handlers: `discover!()`, `discover!(crate::billing)` or `handlers![charge, refund]`.
    pub fn handlers(mut self, handlers: Handlers) -> Self {
        let fault = match (handlers.error, handlers.defs.is_empty()) {
            // Without constructors a list by hand still works, and discovers nothing anyway.
            (Some(error @ RegistryError::NoConstructors), true) => {
                Some(StartError::Registry(error))
            }
            (Some(error @ RegistryError::LinkedTwice { .. }), _) => {
                Some(StartError::Registry(error))
            }
            (_, true) => Some(StartError::NothingFound { origin: handlers.origin }),
            (_, false) => None,
        };
        self.fault = self.fault.or(fault);
        self.entries.extend(handlers.defs.into_iter().map(Entry::declared));
        self
    }

    /// Adds a handler by hand: an `async fn(E, Context)`, with just these two parameters, or a value
    /// that implements [`Handler`]. Its options are the defaults; [`tune`](Self::tune) sets them.
    pub fn on<E: Event>(mut self, name: &str, handler: impl Handler<E>) -> Self {
        self.entries.push(Entry::value(name, handler));
        self
    }

    /// Changes the options of one handler, for example by what the environment says.
    pub fn tune(
        mut self,
        handler: &str,
        change: impl FnOnce(Options) -> Options + Send + 'static,
    ) -> Self {
        self.tuned.push((handler.to_owned(), Box::new(change)));
        self
    }

    /// Wraps every run of this service's handlers (`Middleware<Context>`), or all that they
    /// publish (`Middleware<Envelope>`), inside of what the bus was given.
    pub fn middleware<T: Passage>(mut self, middleware: impl Middleware<T>) -> Self {
        self.bus = self.bus.middleware(middleware);
        self
    }

    /// The same for one handler, inside of what the service was given.
    pub fn middleware_for<T: Passage>(
        mut self,
        handler: &str,
        middleware: impl Middleware<T>,
    ) -> Self {
        let mut layers = Layers::default();
        layers.push(middleware);
        self.layered.push((handler.to_owned(), layers));
        self
    }

    /// Says that a group of this service may stand on the broker without a handler here: because
    /// it was removed for good, or runs in another process of the same name.
    pub fn retired(mut self, handler: &str) -> Self {
        self.retired.push(handler.to_owned());
        self
    }

    /// How long a delivery is ours without a sign of life; 30 s by default. It bounds how long the
    /// work of a killed process waits.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a stop waits for runs before it cuts them short; 25 s by default, less than the
    /// 30 s that Kubernetes gives.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// What the texts of errors go through before they are logged or kept in dead letters: to take
    /// out what nobody else may read. One that panics leaves nothing of the text.
    pub fn redact(mut self, redact: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        self.redact = Some(Arc::new(redact));
        self
    }

    /// Its health as values, for the routes of a web server.
    pub fn probe(&self) -> Probe {
        self.probe.clone()
    }

    /// Whether it was made on this bus, or on one that was made from it.
    #[cfg(feature = "testing")]
    pub(crate) fn is_on(&self, bus: &Bus) -> bool {
        self.bus.transport().identity() == bus.transport().identity()
    }

    /// Checks everything, joins the groups, and handles events until it is stopped.
    pub async fn start(self) -> Result<Running, StartError> {
        Running::start(self).await
    }

    /// Runs until `stop` is done, then drains. What had to be abandoned is in the report, and no
    /// error. Use it beside a server that takes the signals itself.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<Report, Error> {
        let running = self.start().await?;
        stop.await;
        Ok(running.stop().await)
    }

    /// Runs until SIGTERM or SIGINT, then drains. A second signal ends the process at once, with
    /// 128 and the signal's number as its code.
    ///
    /// An error if anything had to be abandoned: a handler that blocks its thread also keeps tokio's
    /// runtime from ending, so that a `main` which only returns waits for the second signal.
    pub async fn run(self) -> Result<(), Error> {
        let signal = signals::first().inspect_err(|error| self.probe.failed(error))?;
        let running = self.start().await?;
        let signal = signal.await;
        info!(signal, "stopping");
        let report = running.stop().await;
        if report.abandoned > 0 { Err(Error::Abandoned(report)) } else { Ok(()) }
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let handlers: Vec<_> = self.entries.iter().map(|entry| &entry.name).collect();
        f.debug_struct("Service")
            .field("name", &self.name)
            .field("handlers", &handlers)
            .finish_non_exhaustive()
    }
}
