//! The answer to a delivery, on its way and in the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, error, warn};

use super::Route;
use crate::answer::Answer;
use crate::delivery::Delivery;
use crate::envelope::Envelope;
use crate::settle::{Failed, SettleError, Settlement};
use crate::telemetry::{Attempt, Outcome, Settling};

/// An answer on its way. No future of the whole settlement: every run would carry it from its begin.
pub(super) struct Answering<'a> {
    answer: Answer<Result<(), SettleError>>,
    envelope: Arc<Envelope>,
    released: bool,
    told: Option<Box<Settling<'a>>>,
}

impl Route {
    /// The only place where a delivery is answered.
    pub(super) fn settle<'a>(
        &'a self,
        delivery: Delivery,
        mut settlement: Settlement,
        mut attempt: Attempt<'a>,
    ) -> Answering<'a> {
        attempt.end(&settlement, number(&delivery, &settlement));
        self.log(&delivery, &settlement, &attempt);
        let (released, envelope) =
            (settlement == Settlement::Release, Arc::clone(delivery.envelope()));
        let told = self.seen.settles(&attempt, &envelope, &mut settlement).map(Box::new);
        Answering { answer: delivery.settle(settlement), envelope, released, told }
    }

    /// Not under any stop: a shutdown must not lose the answer to work already done.
    pub(super) async fn settled(&self, answering: Answering<'_>, slot: OwnedSemaphorePermit) {
        let Answering { answer, envelope, released, told } = answering;
        let settled = match answer.into_now() {
            Ok(settled) => settled,
            Err(answer) => {
                // The answer is nobody's work, so the next run can begin; but not without end.
                let _unanswered = self.unanswered.acquire().await;
                drop(slot);
                answer.await
            }
        };
        if let Some(told) = told {
            told.end(&settled);
        }
        let count = match settled {
            Ok(()) if released => &self.tally.released,
            Ok(()) => &self.tally.answered,
            Err(error) => {
                let (handler, id) = (&self.entry.name, &envelope.id);
                warn!(handler, %id, %error, "not settled, it comes again");
                &self.tally.lost
            }
        };
        count.fetch_add(1, Ordering::AcqRel);
    }

    /// One line for each attempt: no payload, and nothing of it.
    fn log(&self, delivery: &Delivery, settlement: &Settlement, told: &Attempt<'_>) {
        let envelope = delivery.envelope();
        let (handler, event, id) = (&self.entry.name, &*envelope.type_name, &envelope.id);
        let attempt = number(delivery, settlement);
        let outcome = Outcome::of(settlement).as_str();
        // Asked for only where somebody reads it.
        macro_rules! line {
            ($level:ident, $($field:tt)*) => {
                $level!(handler, event, %id, attempt, outcome, took = ?told.elapsed(),
                    trace_id = told.trace_id(), $($field)*)
            };
        }
        match settlement {
            Settlement::Ack => line!(debug, "handled"),
            Settlement::Release => line!(debug, "handed back"),
            Settlement::Retry { after, failed: Failed { class, text: error, .. } } => {
                line!(warn, %class, error, ?after, "failed, will be retried");
            }
            Settlement::DeadLetter { reason, failed: Failed { class, text: error, .. } } => {
                line!(error, %class, error, %reason, "failed, is a dead letter");
            }
        }
    }
}

/// The number of the run; where there was none, of the last one that is known.
fn number(delivery: &Delivery, settlement: &Settlement) -> u32 {
    let next = || delivery.history().next_attempt();
    settlement.failed().map_or_else(next, |failed| failed.attempt)
}
