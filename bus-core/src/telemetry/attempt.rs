//! One attempt: a run of a handler on an event, from its begin to its end.

use std::time::Duration;

use futures_util::future::Either;
use opentelemetry::KeyValue;
use opentelemetry::trace::{FutureExt, Status, TraceContextExt};
use tokio::time::Instant;

use super::context::parent;
use super::names::{attribute as a, event};
use super::{Carried, Seen};
use crate::envelope::TraceParent;
use crate::settle::{Failed, Reason, Settlement};

/// One attempt. Told when it ends, also where it is dropped.
pub(crate) struct Attempt<'a> {
    pub(super) seen: &'a Seen,
    pub(super) cx: Carried,
    pub(super) begun: Instant,
    /// Whether the handler was called.
    pub(super) ran: bool,
    pub(super) over: bool,
}

/// How an attempt looks to the delivery.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    Ack,
    Retry,
    Reject,
    DeadLetter,
    Abandoned,
}

impl Outcome {
    pub(crate) fn of(settlement: &Settlement) -> Self {
        match settlement {
            Settlement::Ack => Self::Ack,
            Settlement::Retry { .. } => Self::Retry,
            Settlement::DeadLetter { reason: Reason::Rejected, .. } => Self::Reject,
            Settlement::DeadLetter { .. } => Self::DeadLetter,
            Settlement::Release => Self::Abandoned,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Retry => "retry",
            Self::Reject => "reject",
            Self::DeadLetter => "dead_letter",
            Self::Abandoned => "abandoned",
        }
    }
}

impl Attempt<'_> {
    /// For what belongs to the run.
    pub(crate) fn context(&self) -> &Carried {
        &self.cx
    }

    /// The same future; its spans, and what it publishes, are part of the attempt.
    pub(crate) fn within<F: Future + Unpin>(
        &mut self,
        run: F,
    ) -> impl Future<Output = F::Output> + Unpin + use<F> {
        self.ran = true;
        match &self.cx {
            Some(cx) => Either::Left(run.with_context(cx.clone())),
            None => Either::Right(run),
        }
    }

    /// Its span, where it has one of its own.
    pub(crate) fn span(&self) -> Option<TraceParent> {
        self.seen.live.tracer.as_ref()?;
        parent(self.cx.as_ref()?.span().span_context())
    }

    /// Of the log.
    pub(crate) fn trace_id(&self) -> Option<String> {
        let span = parent(self.cx.as_ref()?.span().span_context())?;
        Some(format!("{:032x}", span.trace_id()))
    }

    /// How long it has taken.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The run has ended, and this is what will become of the event.
    pub(crate) fn end(&mut self, settlement: &Settlement, attempt: u32) {
        if std::mem::replace(&mut self.over, true) || !self.seen.live.is_heard() {
            return;
        }
        let (outcome, failed) = (Outcome::of(settlement), settlement.failed());
        let class = failed.map(|failed| failed.class.clone());
        let class = class.or(matches!(outcome, Outcome::Abandoned).then(|| "cancelled".into()));
        let class = class.map(|class| KeyValue::new(a::ERROR_TYPE, class));
        self.count(outcome, class.clone(), attempt);
        let Some(cx) = &self.cx else { return };
        let span = cx.span();
        span.set_attribute(KeyValue::new(a::OUTCOME, outcome.as_str()));
        class.into_iter().for_each(|class| span.set_attribute(class));
        if let Some(failed) = failed {
            self.events(settlement, failed);
            let retried = matches!(outcome, Outcome::Retry);
            let fine = matches!(outcome, Outcome::Reject)
                || (retried && !self.seen.live.settings.retries_are_errors);
            if !fine {
                span.set_status(Status::error(failed.text.clone()));
            }
        }
        span.end();
    }

    /// The broker could not be told that it begins: there was no run, and none is counted.
    pub(crate) fn not_begun(&mut self) {
        self.over = true;
        let Some(cx) = self.cx.as_ref().filter(|_| self.seen.live.is_heard()) else { return };
        let span = cx.span();
        span.set_attribute(KeyValue::new(a::OUTCOME, Outcome::Abandoned.as_str()));
        span.set_attribute(KeyValue::new(a::ERROR_TYPE, "not_begun"));
        span.set_status(Status::error("the broker could not be told that it begins"));
        span.end();
    }

    fn events(&self, settlement: &Settlement, failed: &Failed) {
        let Some(cx) = &self.cx else { return };
        match &*failed.class {
            "panic" => cx.span().add_event(event::PANIC, Vec::new()),
            "decode" => cx.span().add_event(event::DECODE, Vec::new()),
            _ => {}
        }
        if let Settlement::Retry { after, .. } = settlement {
            let delay = KeyValue::new(a::RETRY_DELAY, after.as_secs_f64());
            cx.span().add_event(event::RETRY, vec![delay]);
        }
    }

    fn count(&self, outcome: Outcome, class: Option<KeyValue>, attempt: u32) {
        let Some(metrics) = &self.seen.live.metrics else { return };
        let took = self.elapsed();
        let [group, template] = self.seen.group.clone();
        let of_outcome = [group, template, KeyValue::new(a::OUTCOME, outcome.as_str())];
        match class {
            // What no handler can be given was not consumed.
            _ if !self.ran => {}
            None => metrics.processed(took, &self.seen.common),
            Some(class) => {
                let mut attributes = self.seen.common.clone();
                attributes.push(class);
                metrics.processed(took, &attributes);
            }
        }
        metrics.outcome(&of_outcome);
        if attempt > 0 && !matches!(outcome, Outcome::Retry | Outcome::Abandoned) {
            metrics.done(attempt, &of_outcome);
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.end(&Settlement::Release, 0);
    }
}
