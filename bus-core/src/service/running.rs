//! From start to stop.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::claims::Claims;
use super::ledger::Served;
use super::worker::Worker;
use super::{Probe, Report, Service, StartError, checks, lag};
use crate::breaker::Breaker;
use crate::context::{Context, Desk};
use crate::dispatch::{Gate, Route, Tally, Trust, UNANSWERED};
use crate::handler::Entry;
use crate::middleware::Layers;
use crate::publish::Bus;
use crate::sabotage::{Sabotage, planted};
use crate::telemetry::{Seen, Watched};
use crate::transport::{Group, GroupName, Health, Transport};

/// How many groups are joined at once: each asks its broker about ten times, and waits in between.
const JOINS: usize = 16;

/// A service at work. Dropping it stops it as [`stop`](Self::stop) does, without anyone waiting.
#[must_use = "a service that is dropped stops"]
pub struct Running {
    name: String,
    probe: Probe,
    serves: Vec<Served>,
    stop: CancellationToken,
    workers: Vec<(JoinHandle<Report>, Arc<Route>)>,
}

impl Running {
    pub(super) async fn start(service: Service) -> Result<Self, StartError> {
        let probe = service.probe();
        let started = Self::try_start(service).await;
        if let Err(error) = &started {
            probe.failed(error);
        }
        started
    }

    async fn try_start(mut service: Service) -> Result<Self, StartError> {
        checks::alone(&mut service)?;
        let transport = Arc::clone(service.bus.transport());
        let survey = transport.survey(&checks::plan(&service)).await?;
        checks::surveyed(&service, &survey)?;
        let claims = Arc::new(Claims::take(&transport, &service.name, &service.entries)?);
        let joins = std::mem::take(&mut service.entries).into_iter().map(|entry| {
            let group = group(&service, &entry)?;
            let route = route(&service, entry, &group);
            Ok(join(Arc::clone(&transport), Arc::clone(&claims), group, route))
        });
        let joins = joins.collect::<Result<Vec<_>, StartError>>()?;
        let workers: Vec<_> = stream::iter(joins).buffered(JOINS).try_collect().await?;
        // Once all have joined: what may not be asked here is nobody's reason not to start.
        let serves: Vec<_> = workers.iter().map(Worker::serves).collect();
        let serves = stream::iter(serves).buffered(JOINS).collect().await;
        Ok(Self::spawn(service, workers, serves))
    }

    fn spawn(service: Service, workers: Vec<Worker>, serves: Vec<Served>) -> Self {
        info!(service = service.name, handlers = workers.len(), "started");
        for served in &serves {
            info!(service = service.name, "{served}");
        }
        let (stop, probe) = (CancellationToken::new(), service.probe);
        let tasks = TaskTracker::new();
        let work = |worker: Worker| {
            let route = Arc::clone(&worker.route);
            (tasks.spawn(worker.work(probe.clone(), stop.clone(), service.grace)), route)
        };
        tasks.spawn(stop.clone().run_until_cancelled_owned(carry_health(&service.bus, &probe)));
        if let Some(every) = service.bus.live().lag_every() {
            let groups = workers.iter().map(|it| (it.group.name.clone(), Arc::clone(&it.watched)));
            let lag = lag::follow(Arc::clone(service.bus.transport()), groups.collect(), every);
            tasks.spawn(stop.clone().run_until_cancelled_owned(lag));
        }
        let workers = workers.into_iter().map(work).collect();
        probe.running();
        Self { name: service.name, probe, serves, stop, workers }
    }

    /// Its health as values.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// The groups that it serves, sorted, with what waited for each when it started.
    pub fn serves(&self) -> &[Served] {
        &self.serves
    }

    /// Takes no new work, lets what runs end within the grace period, hands back the rest, and
    /// says what became of everything.
    pub async fn stop(mut self) -> Report {
        self.probe.stopping();
        self.stop.cancel();
        let mut report = Report::default();
        for (worker, route) in std::mem::take(&mut self.workers) {
            match worker.await {
                Ok(part) => report += part,
                Err(error) => {
                    warn!(service = self.name, %error, "an engine task died");
                    report.abandoned += route.tally.read().held();
                }
            }
        }
        self.probe.stopped();
        info!(service = self.name, "{report}");
        report
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.probe.stopping();
        self.stop.cancel();
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("name", &self.name)
            .field("serves", &self.serves)
            .finish_non_exhaustive()
    }
}

async fn join(
    transport: Arc<dyn Transport>,
    claims: Arc<Claims>,
    group: Group,
    route: Arc<Route>,
) -> Result<Worker, StartError> {
    let deliveries = transport.subscribe(group.clone()).await?;
    let (watched, left) = (watched(&route, &group), Vec::new());
    Ok(Worker { route, group, watched, transport, deliveries, left, _claims: claims })
}

fn group(service: &Service, entry: &Entry) -> Result<Group, StartError> {
    let name = GroupName::new(&service.name, &entry.name)?;
    let mut group = Group::new(name, entry.event.subject.filter());
    group.concurrency = entry.options.concurrency;
    group.lease = service.lease;
    group.timeout = entry.options.timeout;
    group.start = entry.options.start;
    Ok(group)
}

fn route(service: &Service, entry: Entry, group: &Group) -> Arc<Route> {
    let mut inside = Layers::default();
    for (_, layers) in service.layered.iter().filter(|(name, _)| *name == entry.name) {
        inside.append(layers);
    }
    let bus = service.bus.clone().layered(&inside);
    let layers = bus.layers().of::<Context>();
    let desk = Desk { bus, states: service.states.clone(), group: group.name.clone() };
    let trust = Trust::new(&entry.name);
    let (desk, tally, unanswered) =
        (Arc::new(desk), Arc::<Tally>::default(), Semaphore::new(UNANSWERED));
    // A clock that stands still while all settles would never let an open one probe.
    let off = desk.bus.clock().is_manual() || planted(Sabotage::NoBreaker);
    let breaker = if off { Breaker::off() } else { entry.options.breaker };
    let gate = Gate::new(breaker, entry.options.concurrency);
    let redact = service.redact.clone();
    let (live, template) = (desk.bus.live(), entry.event.subject.as_str());
    let seen = Seen::new(live, &group.name, template, entry.options.retry.max_attempts());
    Arc::new(Route { entry, desk, layers, tally, trust, gate, redact, seen, unanswered })
}

fn watched(route: &Arc<Route>, group: &Group) -> Arc<Watched> {
    let (live, tally) = (route.desk.bus.live(), Arc::clone(&route.tally));
    // No more than this: what holds it last may be the SDK, in the middle of its work.
    let active = move || tally.read().held();
    let watched = Watched::new(group, route.entry.event.subject.as_str(), active);
    live.watch(&watched);
    watched
}

/// Carries the transport's health into the probe, for ever.
fn carry_health(bus: &Bus, probe: &Probe) -> impl Future<Output = ()> + use<> {
    let (mut health, probe) = (bus.health(), probe.clone());
    async move {
        loop {
            match &*health.borrow_and_update() {
                Health::Ready => probe.restored("transport"),
                Health::Unready { reason } => probe.unready("transport", reason.as_str()),
            }
            if health.changed().await.is_err() {
                probe.unready("transport", "it tells its health no more");
                return;
            }
        }
    }
}
