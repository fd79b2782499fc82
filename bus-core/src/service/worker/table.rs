//! Where a worker lies while what it took is run: a run that blocks its thread keeps it from the others
//! only until somebody looks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::Worker;

/// How often somebody looks while runs are begun where they were taken, and while there are none. What
/// lasts from one look to the next has blocked its thread.
const LOOK: Duration = Duration::from_millis(50);
const REST: Duration = Duration::from_millis(500);

pub(super) struct Table {
    worker: Mutex<Option<Box<Worker>>>,
    /// How often it was laid down; changes under its lock.
    laid: AtomicU64,
    /// Nothing more is to be begun.
    stopped: AtomicBool,
    /// Whoever had it in hand has ended.
    laid_down: Notify,
}

/// Has the worker in hand, and lays it down at the end.
pub(super) struct Holder {
    table: Arc<Table>,
    worker: Option<Box<Worker>>,
    /// Which time it was that it was laid down here.
    laid: u64,
}

impl Table {
    pub(super) fn new(worker: Worker) -> Arc<Self> {
        Arc::new(Self {
            worker: Mutex::new(Some(Box::new(worker))),
            laid: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            laid_down: Notify::new(),
        })
    }

    /// The worker, if it lies there.
    pub(super) fn hold(self: &Arc<Self>) -> Option<Holder> {
        let worker = Some(self.worker().take()?);
        Some(Holder { table: Arc::clone(self), worker, laid: 0 })
    }

    /// Waits until one run has lasted from one look to the next, and takes the worker from it. By the clock
    /// alone: who is woken on a thread that blocks next may not come to run.
    pub(super) async fn stuck(self: &Arc<Self>) -> Holder {
        let (mut seen, mut pause) = (None, REST);
        loop {
            sleep(pause).await;
            let mut worker = self.worker();
            let laid = Some(self.laid.load(Ordering::Relaxed));
            let changed = std::mem::replace(&mut seen, laid) != laid;
            pause = if changed { LOOK } else { REST };
            if !changed && let Some(worker) = worker.take() {
                return Holder { table: Arc::clone(self), worker: Some(worker), laid: 0 };
            }
        }
    }

    /// The worker, as soon as nobody has it in hand. Nothing is begun any more.
    pub(super) async fn end(&self) -> Box<Worker> {
        self.stopped.store(true, Ordering::SeqCst);
        loop {
            if let Some(worker) = self.worker().take() {
                return worker;
            }
            let _ = timeout(LOOK, self.laid_down.notified()).await;
        }
    }

    /// Says which time it is.
    fn put(&self, worker: Box<Worker>) -> u64 {
        let mut place = self.worker();
        *place = Some(worker);
        self.laid.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn worker(&self) -> MutexGuard<'_, Option<Box<Worker>>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder {
    /// `None` where nothing more is to be begun.
    pub(super) fn worker(&mut self) -> Option<&mut Worker> {
        let stopped = self.table.stopped.load(Ordering::Relaxed);
        self.worker.as_deref_mut().filter(|_| !stopped)
    }

    /// While it runs something.
    pub(super) fn lay_down(&mut self) {
        if let Some(worker) = self.worker.take() {
            self.laid = self.table.put(worker);
        }
    }

    /// Whether nobody else went on with it. Whoever did may have laid it down again, for a run of its
    /// own: it is not ours then.
    pub(super) fn pick_up(&mut self) -> bool {
        let mut place = self.table.worker();
        if self.table.laid.load(Ordering::Relaxed) == self.laid {
            self.worker = place.take();
        }
        self.worker.is_some()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if self.worker.is_some() {
            self.lay_down();
            self.table.laid_down.notify_one();
        }
    }
}
