//! A broker with weaknesses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as Task, Poll};
use std::time::{Duration, SystemTime};

use bus_core::answer::Answer;
use bus_core::delivery::{Delivery, Place};
use bus_core::envelope::TraceContext;
use bus_core::memory::Memory;
use bus_core::operator::{DeadLetter, DeadLetterId, Lag, Letters, Operator, OperatorError, Page};
use bus_core::prelude::*;
use bus_core::settle::{Settle, SettleError, Settlement};
use bus_core::transport::{Deliveries, Group, GroupName, Health, Transport, TransportError};
use tokio::sync::{Notify, watch};

/// As the one in memory, but for this.
#[derive(Default)]
pub(crate) struct Weak {
    pub(crate) memory: Memory,
    /// Told of a redrive.
    pub(crate) redrives: Arc<Notify>,
    /// Why a redrive fails; without it none ends.
    pub(crate) not_redriven: Option<OperatorError>,
    /// Whether it can not say how far a group is behind.
    pub(crate) no_lag: Arc<AtomicBool>,
    /// How it answers deliveries.
    pub(crate) answers: Option<Answers>,
}

/// How a broker whose clock is an hour ahead answers.
#[derive(Clone)]
pub(crate) struct Answers {
    pub(crate) begin: Result<(), SettleError>,
    /// Never, without it.
    pub(crate) settle: Option<Result<(), SettleError>>,
    pub(crate) asked: Arc<Notify>,
}

#[async_trait]
impl Transport for Weak {
    fn publish(&self, envelope: Envelope) -> Answer<Result<(), TransportError>> {
        self.memory.publish(envelope)
    }

    async fn subscribe(&self, group: Group) -> Result<Box<dyn Deliveries>, TransportError> {
        group.meters.set_credit(7);
        group.meters.set_held(3);
        group.meters.renewed(2);
        let inner = self.memory.subscribe(group).await?;
        Ok(match self.answers.clone() {
            None => inner,
            Some(answers) => Box::new(Member { inner, answers: Arc::new(answers) }),
        })
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.memory.health()
    }

    fn operator(&self) -> Option<&dyn Operator> {
        Some(self)
    }
}

#[async_trait]
impl Operator for Weak {
    async fn lag(&self, group: &GroupName) -> Result<Lag, OperatorError> {
        if self.no_lag.load(Ordering::SeqCst) {
            return Err(OperatorError::Unavailable { reason: "away".to_owned() });
        }
        self.memory.operator().unwrap().lag(group).await
    }

    async fn page(&self, page: &Page) -> Result<Letters, OperatorError> {
        self.memory.operator().unwrap().page(page).await
    }

    async fn dead_letter(&self, id: &DeadLetterId) -> Result<DeadLetter, OperatorError> {
        self.memory.operator().unwrap().dead_letter(id).await
    }

    async fn redrive(
        &self,
        _: &DeadLetterId,
        _: Option<&TraceContext>,
    ) -> Result<(), OperatorError> {
        self.redrives.notify_one();
        match &self.not_redriven {
            Some(error) => Err(error.clone()),
            None => std::future::pending().await,
        }
    }

    async fn purge(&self, id: &DeadLetterId) -> Result<(), OperatorError> {
        self.memory.operator().unwrap().purge(id).await
    }
}

struct Member {
    inner: Box<dyn Deliveries>,
    answers: Arc<Answers>,
}

impl Deliveries for Member {
    fn poll_next(&mut self, cx: &mut Task<'_>) -> Poll<Option<Delivery>> {
        let next = self.inner.poll_next(cx);
        next.map(|delivery| delivery.map(|delivery| self.answers.give(&delivery)))
    }

    fn stop(&mut self) -> u64 {
        self.inner.stop()
    }
}

impl Answers {
    fn give(self: &Arc<Self>, delivery: &Delivery) -> Delivery {
        let (envelope, history) = (Arc::clone(delivery.envelope()), delivery.history());
        let mut place = Place::new(1);
        place.since = Some(SystemTime::now() + Duration::from_secs(3600));
        Delivery::new(envelope, history, 0, Arc::clone(self) as Arc<dyn Settle>).at(place)
    }
}

impl Settle for Answers {
    fn begin(&self, _: u64) -> Answer<Result<(), SettleError>> {
        Answer::now(self.begin.clone())
    }

    fn settle(&self, _: u64, _: Settlement) -> Answer<Result<(), SettleError>> {
        self.asked.notify_one();
        match self.settle.clone() {
            Some(settled) => Answer::now(settled),
            None => Answer::later(std::future::pending()),
        }
    }
}
