//! One member of a group: what it is given, and where its answers go.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bus_core::answer::Answer;
use bus_core::delivery::Delivery;
use bus_core::settle::{Settle, SettleError, Settlement};
use bus_core::transport::Deliveries;
use tokio::time::{Instant, Sleep, sleep_until};

use super::queue::{Parcel, Queue};

/// A group as its members and their open deliveries share it.
pub(super) struct Lane(Mutex<Queue>);

impl Lane {
    pub(super) fn new(queue: Queue) -> Self {
        Self(Mutex::new(queue))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Member {
    lane: Arc<Lane>,
    /// Rings when a retry or the end of a lease is due.
    alarm: Pin<Box<Sleep>>,
    stopped: bool,
}

impl Member {
    pub(super) fn new(lane: Arc<Lane>) -> Self {
        Self { lane, alarm: Box::pin(sleep_until(Instant::now())), stopped: false }
    }
}

impl Deliveries for Member {
    /// Cancel safe: an event leaves the queue in the poll that yields it. One that has lost its
    /// broker yields `None`, and the service subscribes again.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if self.stopped {
            return Poll::Pending;
        }
        loop {
            let mut queue = self.lane.lock();
            if let Some((token, Parcel { envelope, history })) = queue.take(Instant::now()) {
                let lane = Arc::clone(&self.lane) as Arc<dyn Settle>;
                return Poll::Ready(Some(Delivery::new(envelope, history, token, lane)));
            }
            let Some(due) = queue.wait(cx.waker()) else { return Poll::Pending };
            drop(queue);
            self.alarm.as_mut().reset(due);
            ready!(self.alarm.as_mut().poll(cx));
        }
    }

    /// One that fetches ahead releases here what it has not yielded, and says how much that was.
    fn stop(&mut self) -> u64 {
        self.stopped = true;
        0
    }
}

/// All is done when the call returns, so `Deliveries::poll_flush` has nothing to wait for.
impl Settle for Lane {
    fn begin(&self, token: u64) -> Answer<Result<(), SettleError>> {
        Answer::now(self.lock().begin(token, Instant::now()))
    }

    fn settle(&self, token: u64, settlement: Settlement) -> Answer<Result<(), SettleError>> {
        Answer::now(self.lock().settle(token, settlement, Instant::now()))
    }

    fn abandon(&self, token: u64) {
        self.lock().abandon(token, Instant::now());
    }
}
