//! The task that renews what is held, and sends what was ordered.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::{ACK, Lane, lock};
use crate::lease::{Leases, Order};
use crate::{credit, runs};

const PROGRESS: Bytes = Bytes::from_static(b"+WPI");
const RELEASE: Bytes = Bytes::from_static(b"-NAK");

impl Lane {
    /// Renews, sends what was ordered, and ends when the member has stopped and holds nothing.
    pub(crate) async fn keep(self: Arc<Self>) {
        let period = Leases::period(self.group.lease).min(credit::LOOK);
        let (mut orders, mut due) = (Vec::new(), Instant::now());
        loop {
            let over = self.is_over();
            let rests = self.leases(Leases::rests);
            if rests && over {
                return;
            }
            tokio::select! {
                biased;
                () = self.work.notified() => {}
                () = sleep_until(due), if !rests => {}
            }
            let (busy, now) = (self.busy(), Instant::now());
            if now >= due {
                due = now + period;
                self.look_after(now);
            }
            self.leases(|leases| leases.take_orders(&mut orders));
            for order in orders.drain(..) {
                self.send(order).await;
            }
            drop(busy);
        }
    }

    fn look_after(&self, now: Instant) {
        let overdue = self.leases(|leases| {
            leases.look(now);
            leases.renew(now)
        });
        if overdue > 0 {
            let (group, timeout) = (&self.group.name, self.group.timeout);
            warn!(%group, overdue, ?timeout, "runs took too long; their events are given away");
        }
    }

    async fn send(self: &Arc<Self>, order: Order) {
        let client = self.shared.client();
        // An error says that the client has ended, and all of this with it.
        match order {
            Order::Ack(kind, reply) => {
                lock(&self.last_acks)[kind as usize] = Some(reply.clone());
                let _ = client.publish(reply, ACK).await;
            }
            Order::Progress(reply) => {
                let _ = client.publish(reply, PROGRESS).await;
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
