//! One delivery's whole life.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::context::{Context, Desk};
use crate::delivery::Delivery;
use crate::failure::{HandlerError, HandlerResult, Verdict};
use crate::handler::Entry;
use crate::middleware::{Middleware, Next};
use crate::retry::{Decision, draw};
use crate::sabotage::{Sabotage, planted};
use crate::settle::{Failed, Reason, Settlement};
use crate::telemetry::{Attempt, Seen};

pub(crate) use self::gate::Gate;
pub(crate) use self::guard::quietly;
use self::guard::{Ended, guarded};
pub(crate) use self::tally::Tally;
pub(crate) use self::trust::{Trial, Trust};

mod answer;
mod gate;
mod guard;
mod tally;
mod trust;

/// A handler in its service: what one delivery needs on its way.
pub(crate) struct Route {
    pub(crate) entry: Entry,
    pub(crate) desk: Arc<Desk>,
    pub(crate) layers: Vec<Arc<dyn Middleware<Context>>>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) trust: Trust,
    pub(crate) gate: Gate,
    pub(crate) redact: Option<Redact>,
    pub(crate) seen: Seen,
    /// Answers that are on their way and hold no slot any more.
    pub(crate) unanswered: Semaphore,
}

/// What texts of errors go through before anybody else sees them.
pub(crate) type Redact = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// The most answers of one handler that are on their way without a slot.
pub(crate) const UNANSWERED: usize = 4096;

/// What a run needs to begin.
pub(crate) struct Leave {
    /// One of the handler's runs at once.
    pub(crate) slot: OwnedSemaphorePermit,
    pub(crate) trial: Trial,
    /// What [`Gate::begin`] said.
    pub(crate) era: u64,
    /// Cuts the run short and hands the event back.
    pub(crate) halt: CancellationToken,
}

/// How long a slot rests when the broker could not be told that a run begins.
const NOT_BEGUN_PAUSE: Duration = Duration::from_secs(1);

/// decode → run → decide → settle.
pub(crate) async fn dispatch(route: Arc<Route>, delivery: Delivery, leave: Leave) {
    let Leave { slot, trial, era, halt } = leave;
    let pass = route.gate.pass(era);
    let mut attempt = route.seen.attempt(&delivery, || route.desk.bus.clock().wall());
    let Some(ended) = run(&route, &delivery, &mut attempt, trial, &halt).await else {
        attempt.not_begun();
        // Handed back it would come again at once, to a broker that can not be reached. Dropped, it
        // comes after its lease; and the slot is held for a while, so that not all the rest follows.
        let _ = halt.run_until_cancelled(sleep(NOT_BEGUN_PAUSE)).await;
        route.tally.lost.fetch_add(1, Ordering::AcqRel);
        return;
    };
    let sign = ended.sign();
    let settlement = route.decide(ended, &delivery);
    pass.end(delivery.envelope().id.bits(), sign, settlement.failed());
    let answering = route.settle(delivery, settlement, attempt);
    route.settled(answering, slot).await;
}

/// How the run ended; `None` if it did not begin, because the broker could not be told of it.
async fn run(
    route: &Route,
    delivery: &Delivery,
    attempt: &mut Attempt<'_>,
    trial: Trial,
    halt: &CancellationToken,
) -> Option<Ended> {
    let (envelope, history) = (Arc::clone(delivery.envelope()), delivery.history());
    if envelope.type_name != route.entry.event.type_name {
        return Some(Ended::UnknownType);
    }
    if history.attempts >= route.entry.options.retry.max_attempts() {
        return Some(Ended::Exhausted);
    }
    let begun = match delivery.begin().into_now() {
        Ok(_) if halt.is_cancelled() => None,
        Ok(begun) => Some(begun),
        Err(later) => halt.run_until_cancelled(later).await,
    };
    match begun {
        None => return Some(Ended::Cut),
        Some(Ok(())) => {}
        Some(Err(error)) => {
            warn!(handler = route.entry.name, id = %envelope.id, %error, "not begun, it comes again");
            return None;
        }
    }
    let carried = attempt.context().clone();
    let ctx = Context::new(envelope, history, Arc::clone(&route.desk), carried);
    let run = route.trust.watch(trial, attempt.within(route.call(ctx)));
    Some(guarded(run, route.entry.options.timeout, halt).await)
}

impl Route {
    fn call<'a>(&'a self, ctx: Context) -> BoxFuture<'a, HandlerResult> {
        if self.layers.is_empty() {
            return (self.entry.call)(ctx);
        }
        Next::new(&self.layers, |ctx| (self.entry.call)(ctx)).run(ctx).boxed()
    }

    fn decide(&self, ended: Ended, delivery: &Delivery) -> Settlement {
        let (error, class, text) = match ended {
            Ended::Done => return Settlement::Ack,
            Ended::Failed(_) if planted(Sabotage::DroppedErrors) => return Settlement::Ack,
            Ended::Panicked(_) if planted(Sabotage::PanicsAreDone) => return Settlement::Ack,
            Ended::Cut => return Settlement::Release,
            Ended::UnknownType => return self.unknown_type(delivery),
            Ended::Exhausted => return self.exhausted(delivery),
            Ended::TimedOut => {
                (None, "timeout".into(), format!("no end within {:?}", self.entry.options.timeout))
            }
            Ended::Panicked(text) => (None, "panic".into(), text),
            Ended::Failed(error) => {
                let class = Cow::Owned(error.class().to_owned());
                let text =
                    quietly(|| error.to_string()).unwrap_or_else(|| "its text panics".to_owned());
                (Some(error), class, text)
            }
        };
        let attempt = delivery.history().next_attempt();
        let verdict = error.as_ref().map_or(Verdict::Retry, HandlerError::verdict);
        let reason = error.as_ref().map_or(Reason::Rejected, HandlerError::reason);
        quietly(|| drop(error));
        let failed = self.failed(delivery, class, &text, attempt);
        let draw = draw(&delivery.envelope().id, attempt);
        match self.entry.options.retry.decide(verdict, attempt, draw) {
            Decision::Again { after } => Settlement::Retry { after, failed },
            Decision::GiveUp => Settlement::DeadLetter { reason: Reason::Exhausted, failed },
            Decision::Reject => Settlement::DeadLetter { reason, failed },
        }
    }

    fn unknown_type(&self, delivery: &Delivery) -> Settlement {
        let (here, there) = (self.entry.event.type_name, &delivery.envelope().type_name);
        let text = format!("the group handles `{here}`, this is `{there}`");
        let failed = self.failed(delivery, "unknown_type".into(), &text, 0);
        Settlement::DeadLetter { reason: Reason::UnknownType, failed }
    }

    /// Every attempt began, and the last one never ended: its process died, or it blocks a thread.
    fn exhausted(&self, delivery: &Delivery) -> Settlement {
        let attempts = delivery.history().attempts;
        let text = format!("{attempts} runs began, and the last one never ended");
        let failed = self.failed(delivery, "lost".into(), &text, attempts);
        Settlement::DeadLetter { reason: Reason::Exhausted, failed }
    }

    fn failed(
        &self,
        delivery: &Delivery,
        class: Cow<'static, str>,
        text: &str,
        attempt: u32,
    ) -> Failed {
        let redacted = self.redact.as_ref().map(|redact| {
            quietly(|| redact(text)).unwrap_or_else(|| "its redaction panics".to_owned())
        });
        let text = redacted.as_deref().unwrap_or(text);
        let mut failed = Failed::new(class, text, attempt, self.desk.bus.clock().wall());
        failed.first = delivery.history().first_failure.unwrap_or(failed.last);
        failed.handler = Cow::Owned(self.entry.name.clone());
        failed.service = Cow::Owned(self.desk.group.service().to_owned());
        failed.version = Cow::Borrowed(self.entry.site.map_or("", |site| site.version));
        failed
    }
}
