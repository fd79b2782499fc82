//! A run that blocks its thread for a while, among quick ones that are begun where they were taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::timeout;

const JOBS: u64 = 24_000;

/// Every so many, one blocks: far enough apart that the handler is not known to block.
const BETWEEN: u64 = 4_000;

/// Longer than it takes until somebody looks, and takes the worker from it.
const BLOCKED: Duration = Duration::from_millis(200);

/// What no task is worth, whether the code is optimized or not.
const QUICK: Duration = Duration::from_micros(if cfg!(debug_assertions) { 60 } else { 2 });

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "jobs.todo")]
struct Job {
    n: u64,
}

#[derive(Default)]
struct Seen {
    runs: AtomicU64,
    all: Notify,
}

#[handler(concurrency = 8)]
#[expect(clippy::disallowed_methods, reason = "it blocks its thread on purpose, by real time")]
async fn work(job: Job, State(seen): State<Seen>) {
    let takes = if job.n % BETWEEN == BETWEEN / 2 { BLOCKED } else { QUICK };
    let begun = Instant::now();
    while begun.elapsed() < takes {
        std::hint::spin_loop();
    }
    if seen.runs.fetch_add(1, Ordering::SeqCst) + 1 == JOBS {
        seen.all.notify_one();
    }
}

/// Who goes on in place of a run that is blocked lays the worker down for runs of its own. That run
/// took it from there when it ended at last: both were gone then, and so was the group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_blocked_does_not_take_the_worker_from_who_went_on() {
    let (bus, seen) = (Bus::in_memory(), Arc::<Seen>::default());
    let service = Service::new("s", bus.clone()).shared(Arc::clone(&seen));
    let running = service.handlers(handlers![work]).start().await.unwrap();
    let jobs: Vec<_> = (0..JOBS).map(|n| Job { n }).collect();
    assert!(bus.publish_all(&jobs).await.iter().all(Result::is_ok));
    let all = timeout(Duration::from_secs(15), seen.all.notified()).await;
    assert!(all.is_ok(), "{} of {JOBS} jobs are done", seen.runs.load(Ordering::SeqCst));
    assert_eq!(running.stop().await.abandoned, 0);
}
