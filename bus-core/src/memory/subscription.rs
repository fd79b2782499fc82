//! One member of a group of the in-process broker.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Sleep;

use super::Shared;
use super::entry::Yielded;
use super::group::Next;
use crate::answer::Answer;
use crate::delivery::{Delivery, Place};
use crate::settle::{Settle, SettleError, Settlement};
use crate::transport::{Deliveries, Group, Health, TransportError};

pub(super) struct Subscription {
    lane: Arc<Lane>,
    member: u64,
    timer: Option<Pin<Box<Sleep>>>,
    stopped: bool,
}

/// Where the answers of one member go.
struct Lane {
    shared: Arc<Shared>,
    group: usize,
}

impl Lane {
    fn delivery(self: &Arc<Self>, yielded: Yielded) -> Delivery {
        let Yielded { token, envelope, history, sequence, since, deliveries } = yielded;
        let mut place = Place::new(sequence);
        place.deliveries = deliveries.into();
        place.since = self.shared.clock.wall_at(since);
        let lane = Arc::clone(self) as Arc<dyn Settle>;
        Delivery::new(envelope, history, token, lane).at(place)
    }
}

impl Subscription {
    pub(super) fn join(shared: &Arc<Shared>, group: &Group) -> Result<Self, TransportError> {
        let (now, wall) = (shared.clock.elapsed(), shared.clock.wall());
        let stored = |stored| wall - now.saturating_sub(stored);
        let (group, member) = shared.with(|broker| {
            let group = broker.join(group, stored)?;
            Ok((group, broker.groups[group].join()))
        })?;
        let lane = Lane { shared: Arc::clone(shared), group };
        Ok(Self { lane: Arc::new(lane), member, timer: None, stopped: false })
    }
}

impl Deliveries for Subscription {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if self.stopped {
            return Poll::Pending;
        }
        let Lane { shared, group } = &*self.lane;
        loop {
            // Under the lock: whoever moves the clock by hand wakes those that wait then, and one that
            // had read the time before would come to wait after that, and for ever.
            let next = shared.with(|broker| {
                broker.next(*group, self.member, shared.clock.elapsed(), cx.waker())
            });
            let due = match next {
                Next::Delivery(yielded) => return Poll::Ready(Some(self.lane.delivery(yielded))),
                Next::Wait { due } => due,
            };
            let Some(at) = due.and_then(|due| shared.clock.instant(due)) else {
                return Poll::Pending;
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            timer.as_mut().reset(at);
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn stop(&mut self) -> u64 {
        // Nothing is fetched ahead, so there is nothing to hand back.
        self.stopped = true;
        0
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.lane.shared.with(|broker| broker.leave(self.lane.group, self.member));
    }
}

impl Settle for Lane {
    fn begin(&self, token: u64) -> Answer<Result<(), SettleError>> {
        let now = self.shared.clock.elapsed();
        Answer::now(self.shared.with(|broker| broker.begin(self.group, token, now)))
    }

    fn settle(&self, token: u64, settlement: Settlement) -> Answer<Result<(), SettleError>> {
        let now = self.shared.clock.elapsed();
        let (settled, next) = self.shared.with(|broker| {
            (broker.settle(self.group, token, settlement, now), broker.queue.first(self.group))
        });
        next.inspect(|next| next.notify_one());
        if let Err(SettleError::NotStored { reason }) = &settled {
            let reason = format!("dead letters can not be stored: {reason}");
            self.shared.is(Health::Unready { reason });
        }
        Answer::now(settled)
    }

    fn abandon(&self, token: u64) {
        let now = self.shared.clock.elapsed();
        self.shared.with(|broker| broker.abandon(self.group, token, now));
    }
}
