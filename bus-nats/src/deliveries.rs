//! A member of a group, as the bus sees it.

use std::sync::Arc;
use std::task::{Context, Poll};

use bus_core::delivery::Delivery;
use bus_core::settle::Settle;
use bus_core::transport::{Deliveries, Group, TransportError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::lane::Lane;
use crate::lease::Kind;
use crate::pull::Pull;
use crate::settle::Answers;
use crate::topology::own;
use crate::transport::Shared;

pub(crate) struct Member {
    lane: Arc<Lane>,
    answers: Arc<dyn Settle>,
    flush: Option<BoxFuture<'static, Result<(), TransportError>>>,
}

impl Member {
    /// Begins to bring the events of a stream, and the copies that are for the group alone.
    pub(crate) fn start(shared: &Arc<Shared>, group: Group, stream: &str) -> Self {
        let lane = Arc::new(Lane::new(Arc::clone(shared), group));
        for (kind, stream) in [(Kind::Events, stream), (Kind::Copies, own::COPIES)] {
            // Held from here on: a stop that comes before the task begins waits for it as well.
            let pulling = lane.pull();
            let pull = Pull::new(Arc::clone(&lane), kind, stream);
            shared.spawn(async move {
                pull.run().await;
                drop(pulling);
            });
        }
        shared.spawn(Arc::clone(&lane).keep());
        let answers = Arc::new(Answers(Arc::clone(&lane)));
        Self { lane, answers, flush: None }
    }
}

impl Deliveries for Member {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let next = self.lane.leases(|leases| leases.next(cx.waker()));
        match next {
            Some((token, envelope, history)) => {
                let answers = Arc::clone(&self.answers);
                Poll::Ready(Some(Delivery::new(envelope, history, token, answers)))
            }
            None if self.lane.is_broken() && !self.lane.stop.is_cancelled() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn stop(&mut self) -> u64 {
        let count = self.lane.leases(|leases| leases.stop());
        self.lane.stop.cancel();
        count
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
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
