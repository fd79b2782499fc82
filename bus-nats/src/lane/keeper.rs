//! The task that renews what is held, and sends what was ordered.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::Info;
use bus_core::transport::TransportError;
use bytes::Bytes;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

use super::{ACK, Lane};
use crate::connection::jitter;
use crate::lease::{Kind, Leases, Order};
use crate::lock::lock;
use crate::topology::consumer;
use crate::topology::floor::Extent;
use crate::{credit, runs};

/// How often it is looked up to where a group is done: at rest, and at work on average.
const WATCH: Duration = Duration::from_secs(10);
const WATCH_BUSY: Duration = Duration::from_secs(1);

const GONE: &str = "its consumer was deleted";

const PROGRESS: Bytes = Bytes::from_static(b"+WPI");
const RELEASE: Bytes = Bytes::from_static(b"-NAK");

impl Lane {
    /// Renews, sends what was ordered, and ends when the member has stopped and holds nothing.
    pub(crate) async fn keep(self: Arc<Self>) {
        let period = Leases::period(self.group.lease).min(credit::LOOK);
        let (mut orders, mut done, mut due) = (Vec::new(), Vec::new(), Instant::now());
        loop {
            let over = self.is_over();
            let rests = self.leases(|leases| {
                self.tell(leases);
                leases.rests()
            });
            if rests && over {
                return;
            }
            tokio::select! {
                biased;
                () = self.work.notified() => {}
                () = sleep_until(due), if !rests => {}
            }
            let (busy, now) = (self.busy(), Instant::now());
            self.leases(|leases| leases.look(now));
            if now >= due {
                due = now + period;
                self.look_after(now);
            }
            self.leases(|leases| leases.take_orders(&mut orders, &mut done));
            self.remember(&orders);
            for order in orders.drain(..) {
                self.send(order).await;
            }
            done.clear();
            drop(busy);
        }
    }

    /// Remembers up to where the group is done, and sees that its consumer is gone where no request
    /// says so.
    pub(crate) async fn watch(
        self: Arc<Self>,
        stream: String,
        extent: Extent,
        made: OffsetDateTime,
    ) {
        let mut looked = Instant::now();
        loop {
            let rest = WATCH_BUSY / 2 + jitter(WATCH_BUSY);
            if self.stop.run_until_cancelled(sleep(rest)).await.is_none() {
                return;
            }
            // What was done since the last look would be done again if the consumer were deleted.
            if self.leases(|leases| leases.events.rests()) && looked.elapsed() < WATCH {
                continue;
            }
            looked = Instant::now();
            match self.info(&stream).await {
                Ok(Some(info)) if info.created == made => {
                    self.shared.floors.saw(self.name(), extent, &info);
                }
                Ok(_) => return self.lose(Kind::Events, GONE.to_owned()),
                // Whoever pulls sees that as well, and judges it.
                Err(error) => debug!(group = %self.name(), %error, "not looked at"),
            }
        }
    }

    /// Ends where a consumer is gone; nobody answered for it.
    pub(crate) async fn look(&self, kind: Kind, stream: &str) {
        if self.shared.may_look() && matches!(self.info(stream).await, Ok(None)) {
            self.lose(kind, GONE.to_owned());
        }
    }

    async fn info(&self, stream: &str) -> Result<Option<Info>, TransportError> {
        consumer::info(&self.shared.context, stream, self.name()).await
    }

    /// What metrics show of it.
    fn tell(&self, leases: &Leases) {
        let (credit, held) = leases.meters();
        self.group.meters.set_credit(credit);
        self.group.meters.set_held(held);
    }

    fn look_after(&self, now: Instant) {
        let connected = self.shared.is_connected();
        let overdue = self.leases(|leases| {
            leases.surrender(now);
            leases.renew(now, connected)
        });
        if overdue > 0 {
            let (group, timeout) = (&self.group.name, self.group.timeout);
            warn!(%group, overdue, ?timeout, "runs took too long; their events are given away");
        }
    }

    /// A flush may come once they are sent.
    fn remember(&self, orders: &[Order]) {
        let mut last = [None; 2];
        for order in orders {
            if let Order::Ack(kind, reply) = order {
                last[*kind as usize] = Some(reply);
            }
        }
        let mut known = lock(&self.last_acks);
        for (known, last) in known.iter_mut().zip(last) {
            *known = last.cloned().or(known.take());
        }
    }

    async fn send(self: &Arc<Self>, order: Order) {
        let client = self.shared.client();
        // An error says that the client has ended, and all of this with it.
        match order {
            Order::Ack(_, reply) => {
                let _ = client.publish(reply, ACK).await;
            }
            Order::Progress(reply) => {
                let _ = client.publish(reply, PROGRESS).await;
                self.group.meters.renewed(1);
            }
            Order::Release(reply) => {
                let lane = Arc::clone(self);
                self.go(async move {
                    // What is not handed back comes after its lease.
                    let _ = lane.confirm(reply, RELEASE).await;
                });
            }
            Order::Note(origin, runs) => {
                let lane = Arc::clone(self);
                self.go(async move {
                    let (group, shared) = (lane.name(), &lane.shared);
                    if let Err(error) = runs::note(shared, group, &origin, runs).await {
                        warn!(%group, %error, "a run that did not end is not counted");
                    }
                });
            }
            Order::Forget(sequence) => {
                let lane = Arc::clone(self);
                self.go(async move {
                    runs::forget(&lane.shared, sequence).await;
                });
            }
        }
    }
}
