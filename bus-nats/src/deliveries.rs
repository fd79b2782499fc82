//! A member of a group, as the bus sees it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use bus_core::delivery::Delivery;
use bus_core::sabotage::{Sabotage, planted};
use bus_core::settle::Settle;
use bus_core::transport::{Deliveries, Group, TransportError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::arrival::quarantine;
use crate::lane::Lane;
use crate::lease::{Kind, Leases, Yielded};
use crate::pull::Pull;
use crate::settle::Answers;
use crate::topology::floor::Extent;
use crate::topology::own;
use crate::transport::Shared;

pub(crate) struct Member {
    lane: Arc<Lane>,
    answers: Arc<dyn Settle>,
    /// Next to be yielded.
    taken: VecDeque<Yielded>,
    flush: Option<BoxFuture<'static, Result<(), TransportError>>>,
    /// Nobody has asked for an event yet.
    idle: Option<Idle>,
}

/// Where its events are, until they are asked for.
struct Idle {
    stream: String,
    made: Option<(Extent, OffsetDateTime)>,
}

impl Member {
    /// Of a group that was joined.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        group: Group,
        stream: String,
        made: Option<(Extent, OffsetDateTime)>,
    ) -> Self {
        let lane = Arc::new(Lane::new(Arc::clone(shared), group));
        let answers = Arc::new(Answers(Arc::clone(&lane)));
        let idle = Some(Idle { stream, made });
        Self { lane, answers, taken: VecDeque::new(), flush: None, idle }
    }

    /// Begins to bring the events of a stream, and the copies that are for the group alone. Not before
    /// somebody asks: a service that does not start has nothing to hand back then.
    fn begin(&self, Idle { stream, made }: Idle) {
        let (lane, shared) = (&self.lane, &self.lane.shared);
        for (kind, stream) in [(Kind::Events, stream.as_str()), (Kind::Copies, own::COPIES)] {
            // Held from here on: a stop that comes before the task begins waits for it as well.
            let pulling = lane.pull();
            let pull = Pull::new(Arc::clone(lane), kind, stream);
            shared.spawn(async move {
                pull.run().await;
                drop(pulling);
            });
        }
        shared.spawn(Arc::clone(lane).keep());
        if let Some((extent, made)) = made {
            shared.spawn(Arc::clone(lane).watch(stream, extent, made));
        }
    }

    /// What was next to be yielded, if it is still ours; says how much that was.
    fn hand_back(&mut self) -> u64 {
        let taken = std::mem::take(&mut self.taken);
        self.lane.leases(|leases| {
            taken.iter().for_each(|yielded| leases.hand_back(yielded.token));
        });
        taken.len() as u64
    }
}

impl Deliveries for Member {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if let Some(idle) = self.idle.take().filter(|_| !self.lane.stop.is_cancelled()) {
            self.begin(idle);
        }
        if self.lane.is_gone() {
            self.hand_back();
        }
        loop {
            if self.taken.is_empty() {
                let taken = &mut self.taken;
                self.lane.leases(|leases| leases.next(taken, cx.waker(), Instant::now()));
            }
            let Some(yielded) = self.taken.pop_front() else { break };
            let (token, history) = (yielded.token, yielded.history);
            match yielded.original.envelope() {
                Ok(envelope) => {
                    let (envelope, answers) = (Arc::new(envelope), Arc::clone(&self.answers));
                    let delivery = Delivery::new(envelope, history, token, answers);
                    return Poll::Ready(Some(delivery.at(yielded.place())));
                }
                Err(error) => {
                    let lane = Arc::clone(&self.lane);
                    self.lane.go(async move { quarantine(&lane, token, &error).await });
                }
            }
        }
        let says = !planted(Sabotage::EndSilently);
        if self.lane.is_broken() && !self.lane.stop.is_cancelled() && says {
            return Poll::Ready(None);
        }
        Poll::Pending
    }

    fn stop(&mut self) -> u64 {
        if planted(Sabotage::StopWithoutHandBack) {
            self.lane.stop();
            return 0;
        }
        let taken = self.hand_back();
        let count = self.lane.leases(Leases::stop);
        self.lane.stop();
        count + taken
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        if planted(Sabotage::StopWithoutFlush) {
            return Poll::Ready(Ok(()));
        }
        let flush = self.flush.get_or_insert_with(|| Arc::clone(&self.lane).flush().boxed());
        let flushed = flush.poll_unpin(cx);
        if flushed.is_ready() {
            self.flush = None;
        }
        flushed
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop();
    }
}
