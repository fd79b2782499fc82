//! One member of a group on a sabotaged transport, and the answers that it passes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bus_core::answer::Answer;
use bus_core::delivery::{Delivery, History};
use bus_core::envelope::TraceParent;
use bus_core::settle::{Failed, Settle, SettleError, Settlement};
use bus_core::transport::{Deliveries, TransportError};

use crate::sabotage::Sabotage;

pub(crate) struct Member {
    inner: Box<dyn Deliveries>,
    lane: Arc<Lane>,
    tokens: u64,
    polls: u64,
    /// The first of a pair that is turned round.
    behind: Option<Delivery>,
}

impl Member {
    pub(crate) fn new(inner: Box<dyn Deliveries>, sabotage: Sabotage) -> Self {
        let lane = Arc::new(Lane { sabotage, open: Mutex::default() });
        Self { inner, lane, tokens: 0, polls: 0, behind: None }
    }

    /// Of two that are there the second comes first.
    fn turned_round(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let first = match (self.behind.take(), self.inner.poll_next(cx)) {
            (Some(behind), Poll::Pending) => return Poll::Ready(Some(behind)),
            (None, Poll::Ready(Some(first))) => first,
            (behind, next) => {
                self.behind = behind;
                return next;
            }
        };
        match self.inner.poll_next(cx) {
            Poll::Pending => Poll::Ready(Some(first)),
            second => {
                self.behind = Some(first);
                second
            }
        }
    }
}

impl Deliveries for Member {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let sabotage = self.lane.sabotage;
        if sabotage == Sabotage::NeverDelivers {
            return Poll::Pending;
        }
        self.polls += 1;
        let next = match sabotage {
            Sabotage::ReversesPairs => self.turned_round(cx),
            _ => self.inner.poll_next(cx),
        };
        let Poll::Ready(Some(delivery)) = next else { return next };
        if sabotage == Sabotage::LosesAGlance && self.polls == 2 {
            drop(delivery.settle(Settlement::Ack));
            return Poll::Pending;
        }
        self.tokens += 1;
        Poll::Ready(Some(self.lane.give(self.tokens, delivery)))
    }

    fn stop(&mut self) -> u64 {
        if self.lane.sabotage == Sabotage::GoesOnAfterStop { 0 } else { self.inner.stop() }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_flush(cx)
    }
}

/// Keeps the honest deliveries behind those that it gives out.
struct Lane {
    sabotage: Sabotage,
    open: Mutex<BTreeMap<u64, Delivery>>,
}

impl Lane {
    fn give(self: &Arc<Self>, token: u64, delivery: Delivery) -> Delivery {
        let (mut envelope, mut history) = (Arc::clone(delivery.envelope()), delivery.history());
        match self.sabotage {
            Sabotage::ForgetsAttempts => history.attempts = 0,
            Sabotage::ForgetsFirstFailure => history.first_failure = None,
            Sabotage::ForgetsSpans => history.previous = None,
            Sabotage::KeepsSpansThroughRedrives if history.redrives > 0 => {
                history.previous = history.previous.or(TraceParent::new(2, 2, 0));
            }
            Sabotage::TakesTheHopForTheOrigin => {
                let trace = &mut Arc::make_mut(&mut envelope).trace;
                trace.origin = trace.hop.clone();
            }
            _ => {}
        }
        if self.sabotage == Sabotage::AcksOnArrival {
            drop(delivery.settle(Settlement::Ack));
        } else {
            self.open.lock().unwrap().insert(token, delivery);
        }
        Delivery::new(envelope, history, token, Arc::clone(self) as Arc<dyn Settle>)
    }

    fn take(&self, token: u64) -> Option<Delivery> {
        self.open.lock().unwrap().remove(&token)
    }

    fn wrong(&self, settlement: Settlement, history: History) -> Settlement {
        let now = std::time::UNIX_EPOCH;
        match (self.sabotage, settlement) {
            (Sabotage::ForgetsAcks, Settlement::Ack) => Settlement::Release,
            (Sabotage::NamesTheFirstSpan, Settlement::Retry { after, mut failed }) => {
                failed.span = history.previous.or(failed.span);
                Settlement::Retry { after, failed }
            }
            (Sabotage::LosesSpansOfDeadLetters, Settlement::DeadLetter { reason, mut failed }) => {
                failed.span = None;
                Settlement::DeadLetter { reason, failed }
            }
            (Sabotage::LosesDeadLetters, Settlement::DeadLetter { .. }) => Settlement::Ack,
            (Sabotage::RetriesAtOnce, Settlement::Retry { failed, .. }) => {
                Settlement::Retry { after: Duration::ZERO, failed }
            }
            (Sabotage::LimitsDelays, Settlement::Retry { after, failed }) => {
                Settlement::Retry { after: after.min(Duration::from_secs(900)), failed }
            }
            (Sabotage::CountsReleases, Settlement::Release) => {
                let failed = Failed::new("released", "", history.next_attempt(), now);
                Settlement::Retry { after: Duration::ZERO, failed }
            }
            (_, settlement) => settlement,
        }
    }
}

impl Settle for Lane {
    fn begin(&self, token: u64) -> Answer<Result<(), SettleError>> {
        match self.open.lock().unwrap().get(&token) {
            Some(delivery) if self.sabotage != Sabotage::IgnoresBegin => delivery.begin(),
            _ => Answer::now(Ok(())),
        }
    }

    fn settle(&self, token: u64, settlement: Settlement) -> Answer<Result<(), SettleError>> {
        let Some(delivery) = self.take(token) else { return Answer::now(Ok(())) };
        if self.sabotage == Sabotage::AcksAllBefore && settlement == Settlement::Ack {
            let later = self.open.lock().unwrap().split_off(&token);
            let before = std::mem::replace(&mut *self.open.lock().unwrap(), later);
            for delivery in before.into_values() {
                drop(delivery.settle(Settlement::Ack));
            }
        }
        let settlement = self.wrong(settlement, delivery.history());
        delivery.settle(settlement)
    }

    fn abandon(&self, token: u64) {
        let Some(delivery) = self.take(token) else { return };
        match self.sabotage {
            Sabotage::LosesWhatIsDropped => drop(delivery.settle(Settlement::Ack)),
            Sabotage::ReleasesWhatIsDropped => drop(delivery.settle(Settlement::Release)),
            _ => drop(delivery),
        }
    }
}
