//! One group's engine: takes deliveries while there are slots, and puts each on its way.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::claims::Claims;
use super::{Probe, Report};
use crate::breaker::Change;
use crate::delivery::Delivery;
use crate::dispatch::{Leave, Route, dispatch};
use crate::telemetry::Watched;
use crate::transport::{Deliveries, Group, Transport, TransportError};

mod breaker;

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
    /// Works until `stop`, then drains within `grace`.
    pub(super) async fn work(
        mut self,
        probe: Probe,
        stop: CancellationToken,
        grace: Duration,
    ) -> Report {
        let alarm = Alarm { probe: &probe, group: self.group.name.to_string(), armed: true };
        let (tasks, halt) = (TaskTracker::new(), CancellationToken::new());
        stop.run_until_cancelled(self.take(&probe, &tasks, &halt)).await;
        let report = self.drain(&tasks, &halt, grace).await;
        alarm.disarm();
        report
    }

    async fn take(&mut self, probe: &Probe, tasks: &TaskTracker, halt: &CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.group.concurrency.min(Semaphore::MAX_PERMITS)));
        let mut room = None;
        loop {
            // Leave comes first: nothing is taken that could not run at once.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let trial = self.route.trust.admit().await;
            match self.next(probe).await {
                Next::Taken(delivery, era) => {
                    let leave = Leave { slot, trial, era, halt: halt.clone() };
                    self.route.tally.started.fetch_add(1, Ordering::AcqRel);
                    let route = Arc::clone(&self.route);
                    if self.route.trust.is_quick() {
                        let run = put(&mut room, dispatch(route, delivery, leave));
                        room = begin(run, tasks).await;
                    } else {
                        tasks.spawn(dispatch(route, delivery, leave));
                    }
                }
                Next::Ended => self.resubscribe(probe).await,
                Next::Changed(change) => self.changed(probe, change).await,
            }
        }
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

/// Puts a run where the one before was, that ended where it was taken.
fn put<F: Future>(room: &mut Option<Pin<Box<F>>>, run: F) -> Pin<Box<F>> {
    match room.take() {
        Some(mut room) => {
            room.set(run);
            room
        }
        None => Box::pin(run),
    }
}

/// Polls a run where it was taken. What does not end at once becomes a task; most handlers that wait
/// for nothing cost less than one.
async fn begin<F>(mut run: Pin<Box<F>>, tasks: &TaskTracker) -> Option<Pin<Box<F>>>
where
    F: Future<Output = ()> + Send + 'static,
{
    let polled = poll_fn(|cx| {
        // It guards what is the handler's; were it to panic all the same, it takes nobody with it.
        Poll::Ready(catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx))))
    });
    match polled.await {
        Ok(Poll::Ready(())) => return Some(run),
        Ok(Poll::Pending) => drop(tasks.spawn(run)),
        Err(_) => {}
    }
    None
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
