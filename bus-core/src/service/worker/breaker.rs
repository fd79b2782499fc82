//! What a worker does for its handler's circuit breaker: takes what it admits, tells what changes,
//! and rests while it is open.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{sleep_until, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::super::Probe;
use super::{Next, Worker};
use crate::breaker::Change;
use crate::clock::after;

/// How long nothing comes to probe with until it is no reason to be unready any more.
const QUIET: Duration = Duration::from_secs(30);

impl Worker {
    pub(super) async fn next(&mut self, probe: &Probe) -> Next {
        while !self.route.gate.is_calm() {
            match timeout(QUIET, poll_fn(|cx| self.poll_next(cx))).await {
                Ok(next) => return next,
                Err(_) if self.route.gate.wants_a_probe() => probe.mended(self.group.name.as_str()),
                Err(_) => {}
            }
        }
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Cancel safe, as what it asks.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if let Some(change) = ready!(self.route.gate.poll_admit(cx)) {
            return Poll::Ready(Next::Changed(change));
        }
        let delivery = ready!(self.deliveries.poll_next(cx));
        Poll::Ready(match delivery {
            Some(delivery) => Next::Taken(delivery, self.route.gate.begin()),
            None => Next::Ended,
        })
    }

    pub(super) async fn changed(&mut self, probe: &Probe, change: Change) {
        let group = self.group.name.as_str();
        match change {
            Change::Opened { .. } => self.watched.opened(),
            // It is not closed yet.
            Change::Ramps => self.watched.probes(),
            Change::Closed { .. } => self.watched.closed(),
        }
        match change {
            Change::Opened { pause, again, failed, of } => {
                let last = self.route.gate.last();
                if again {
                    debug!(
                        group,
                        last,
                        ?pause,
                        "its circuit breaker stays open, its probes failed"
                    );
                } else {
                    warn!(group, failed, of, last, ?pause, "its circuit breaker opens");
                }
                let why = format!("{failed} of the last {of} events failed, last with {last}");
                self.rest(probe, &why, pause).await;
            }
            Change::Ramps => {
                debug!(group, "its circuit breaker ramps up, a probe was a success");
                probe.mended(group);
            }
            Change::Closed { after, failed } => {
                info!(group, ?after, failed, "its circuit breaker is closed again");
                probe.mended(group);
            }
        }
    }

    /// Leaves the group for the pause: what was fetched is for other replicas, for there may be much
    /// of it, and they may be well.
    async fn rest(&mut self, probe: &Probe, why: &str, pause: Duration) {
        let end = after(pause);
        probe.opened(self.group.name.as_str(), why, end);
        self.deliveries.stop();
        let flushed = timeout_at(end, self.flush()).await;
        if let Ok(Err(error)) = flushed {
            debug!(group = %self.group.name, %error, "not flushed before a pause");
        }
        sleep_until(end).await;
        // Runs that go on may still answer, and a stop has to wait for these answers.
        if self.route.tally.read().held() == 0 {
            self.left.clear();
        }
        let left = self.subscribe(probe).await;
        self.left.push(left);
        self.route.gate.half_open();
        self.watched.probes();
        debug!(group = %self.group.name, "its circuit breaker probes");
    }
}
