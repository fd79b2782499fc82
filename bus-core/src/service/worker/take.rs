//! Takes deliveries while there are slots, and puts each on its way.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::Probe;
use super::table::{Holder, Table};
use super::{Next, Worker};
use crate::dispatch::{Leave, dispatch, quietly};

/// On a runtime of one thread others have their turn after so many runs, as if each were a task. On
/// others a run is quick, and tokio's budget is turn enough.
const TURN: usize = 16;

/// What whoever takes deliveries of a worker needs.
#[derive(Clone)]
pub(super) struct Taking {
    probe: Probe,
    slots: Arc<Semaphore>,
    /// Runs that have not ended.
    pub(super) tasks: TaskTracker,
    /// Cuts them short.
    pub(super) halt: CancellationToken,
}

impl Taking {
    pub(super) fn new(worker: &Worker, probe: &Probe) -> Self {
        let slots = worker.group.concurrency.min(Semaphore::MAX_PERMITS);
        let (tasks, halt) = (TaskTracker::new(), CancellationToken::new());
        Self { probe: probe.clone(), slots: Arc::new(Semaphore::new(slots)), tasks, halt }
    }

    /// Takes until `stop`; a run that blocks its thread is left to itself, and another task goes on.
    pub(super) async fn watched(&self, table: &Arc<Table>, stop: &CancellationToken) {
        let take = |holder| {
            let taking = self.clone().take(holder);
            self.tasks.spawn(stop.clone().run_until_cancelled_owned(taking))
        };
        let Some(mut taker) = table.hold().map(take) else { return };
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                ended = &mut taker => match ended {
                    Ok(_) => return,
                    // As if it had been this task.
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => resume_unwind(panic),
                        Err(_) => return,
                    },
                },
                mut holder = table.stuck() => {
                    if let Some(worker) = holder.worker() {
                        worker.route.trust.blocked();
                    }
                    taker = take(holder);
                }
            }
        }
    }

    /// Takes until it is dropped, or somebody else has the worker.
    pub(super) async fn take(self, mut holder: Holder) {
        let (mut room, mut runs) = (None, 0_usize);
        loop {
            // Leave comes first: nothing is taken that could not run at once.
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
            let Some(worker) = holder.worker() else { return };
            let trial = worker.route.trust.admit().await;
            let (delivery, era) = match worker.next(&self.probe).await {
                Next::Taken(delivery, era) => (delivery, era),
                Next::Ended => {
                    worker.resubscribe(&self.probe).await;
                    continue;
                }
                Next::Changed(change) => {
                    worker.changed(&self.probe, change).await;
                    continue;
                }
            };
            let (route, halt) = (Arc::clone(&worker.route), self.halt.clone());
            route.tally.started.fetch_add(1, Ordering::AcqRel);
            let (quick, threads) = (route.trust.is_quick(), route.trust.has_threads());
            let leave = Leave { slot, trial, era, halt };
            if !quick {
                self.tasks.spawn(dispatch(route, delivery, leave));
                continue;
            }
            let run = put(&mut room, dispatch(route, delivery, leave));
            holder.lay_down();
            room = begin(run, &self.tasks).await;
            if !holder.pick_up() {
                return;
            }
            runs += 1;
            if !threads && runs.is_multiple_of(TURN) {
                yield_now().await;
            }
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
        Err(panic) => drop(quietly(|| drop(panic))),
    }
    None
}
