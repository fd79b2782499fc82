//! One group's engine: takes deliveries while there are slots, and puts each on its way.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::claims::Claims;
use super::{Probe, Report, Served};
use crate::breaker::Change;
use crate::delivery::Delivery;
use crate::dispatch::Route;
use crate::telemetry::Watched;
use crate::transport::{Deliveries, Group, Transport, TransportError};

use self::table::Table;
use self::take::Taking;

mod breaker;
mod table;
mod take;

/// How long a broken subscription waits before it is made again; doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// How long answers may take once all runs have ended or were cut.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

pub(super) struct Worker {
    pub(super) route: Arc<Route>,
    pub(super) group: Group,
    pub(super) watched: Arc<Watched>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) deliveries: Box<dyn Deliveries>,
    /// Subscriptions before it, which may have answers on their way.
    pub(super) left: Vec<Box<dyn Deliveries>>,
    /// Held until the last worker of the service is done.
    pub(super) _claims: Arc<Claims>,
}

impl Worker {
    pub(super) fn serves(&self) -> impl Future<Output = Served> + Send + use<> {
        let (route, transport) = (Arc::clone(&self.route), Arc::clone(&self.transport));
        Served::read(route, self.group.clone(), transport)
    }

    /// Works until `stop`, then drains within `grace`.
    pub(super) async fn work(
        self,
        probe: Probe,
        stop: CancellationToken,
        grace: Duration,
    ) -> Report {
        let alarm = Alarm { probe: &probe, group: self.group.name.to_string(), armed: true };
        let (taking, threads) = (Taking::new(&self, &probe), self.route.trust.has_threads());
        let table = Table::new(self);
        if threads {
            taking.watched(&table, &stop).await;
        } else if let Some(holder) = table.hold() {
            stop.run_until_cancelled(taking.clone().take(holder)).await;
        }
        if !stop.is_cancelled() {
            // Nothing ends it but a stop; were it to end all the same, it would not be in silence.
            probe.died(&alarm.group);
        }
        let mut worker = table.end().await;
        let report = worker.drain(&taking.tasks, &taking.halt, grace).await;
        alarm.disarm();
        report
    }

    /// The end of a stream of deliveries is a fault, never the end of work.
    async fn resubscribe(&mut self, probe: &Probe) {
        probe.unready(self.group.name.as_str(), "its subscription ended");
        drop(self.subscribe(probe).await);
        // A subscription that ends as soon as it is made must not spin.
        sleep(FIRST_PAUSE).await;
    }

    /// Says which subscription it replaces.
    async fn subscribe(&mut self, probe: &Probe) -> Box<dyn Deliveries> {
        let (name, mut pause) = (self.group.name.as_str(), FIRST_PAUSE);
        loop {
            match self.transport.subscribe(self.group.clone()).await {
                Ok(deliveries) => {
                    probe.restored(name);
                    return std::mem::replace(&mut self.deliveries, deliveries);
                }
                Err(error) => {
                    warn!(group = name, %error, "no subscription, will be tried again");
                    probe.unready(name, error.to_string());
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Waits until every answer has reached the broker, also where those of one subscription can not.
    async fn flush(&mut self) -> Result<(), TransportError> {
        let mut flushed = Ok(());
        for deliveries in self.left.iter_mut().chain([&mut self.deliveries]) {
            flushed = flushed.and(poll_fn(|cx| deliveries.poll_flush(cx)).await);
        }
        flushed
    }

    async fn drain(
        &mut self,
        tasks: &TaskTracker,
        halt: &CancellationToken,
        grace: Duration,
    ) -> Report {
        let unstarted = self.deliveries.stop();
        let before = self.route.tally.read();
        tasks.close();
        if timeout(grace, tasks.wait()).await.is_err() {
            halt.cancel();
            // What is left after this blocks its thread; it can not be cut short.
            let _ = timeout(LAST_ANSWERS, tasks.wait()).await;
        }
        match timeout(LAST_ANSWERS, self.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(group = %self.group.name, %error, "answers may be lost"),
            Err(_) => warn!(group = %self.group.name, "answers may be lost: no flush in time"),
        }
        let after = self.route.tally.read();
        let finished = after.answered - before.answered;
        let released = after.released - before.released;
        Report {
            finished,
            handed_back: released + unstarted,
            abandoned: before.held() - finished - released,
        }
    }
}

/// What comes next.
enum Next {
    /// For a run of this era.
    Taken(Delivery, u64),
    /// The subscription is broken.
    Ended,
    /// Of the circuit breaker.
    Changed(Change),
}

/// Tells the probe if the engine ends by a panic.
struct Alarm<'a> {
    probe: &'a Probe,
    group: String,
    armed: bool,
}

impl Alarm<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if self.armed && std::thread::panicking() {
            self.probe.died(&self.group);
        }
    }
}
