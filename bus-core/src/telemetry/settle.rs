//! The answer to a delivery, where it is worth a span.

use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use tokio::time::Instant;

use super::context::{link, parent};
use super::names::{attribute as a, kind, link as l, operation};
use super::naming::name;
use super::process::of_event;
use super::{Attempt, Seen, SettleSpans};
use crate::envelope::Envelope;
use crate::settle::{SettleError, Settlement};

/// An answer on its way.
pub(crate) struct Settling<'a> {
    seen: &'a Seen,
    operation: &'static str,
    kind: &'static str,
    cx: Option<Context>,
    begun: Option<Instant>,
    dead: Option<KeyValue>,
    /// Of the run that failed, on the span of its dead letter.
    failed: Option<KeyValue>,
}

impl Seen {
    /// An answer goes on its way. It takes along which span it belongs to, for the next attempt and
    /// for the record.
    pub(crate) fn settles(
        &self,
        attempt: &Attempt<'_>,
        envelope: &Envelope,
        settlement: &mut Settlement,
    ) -> Option<Settling<'_>> {
        if !self.live.is_heard() {
            return None;
        }
        let (operation, kind) = names(settlement);
        let has_span = self.has_span(settlement);
        if !has_span && matches!(settlement, Settlement::Ack | Settlement::Release) {
            return None;
        }
        let under = attempt.context().as_ref().filter(|_| has_span);
        let cx = under.and_then(|cx| self.span(cx, envelope, settlement, operation, kind));
        let letter = cx.as_ref().filter(|_| operation == operation::DEAD_LETTER);
        let letter = letter.and_then(|cx| parent(cx.span().span_context()));
        if let Some(failed) = settlement.failed_mut() {
            failed.span = letter.or_else(|| attempt.span());
        }
        let (dead, failed) = match settlement {
            Settlement::DeadLetter { reason, failed } => (
                Some(KeyValue::new(a::REASON, reason.as_str())),
                cx.is_some().then(|| KeyValue::new(a::ERROR_TYPE, failed.class.clone())),
            ),
            _ => (None, None),
        };
        Some(Settling {
            seen: self,
            operation,
            kind,
            cx,
            begun: Some(Instant::now()),
            dead,
            failed,
        })
    }

    fn has_span(&self, settlement: &Settlement) -> bool {
        match settlement {
            Settlement::DeadLetter { .. } => true,
            Settlement::Retry { .. } => self.live.settings.settle_spans != SettleSpans::None,
            Settlement::Ack | Settlement::Release => {
                self.live.settings.settle_spans == SettleSpans::All
            }
        }
    }

    fn span(
        &self,
        under: &Context,
        envelope: &Envelope,
        settlement: &Settlement,
        operation: &'static str,
        kind: &'static str,
    ) -> Option<Context> {
        let tracer = self.live.tracer.as_ref()?;
        let mut attributes = self.of_settle(operation, kind);
        of_event(envelope, &mut attributes);
        let (mut destination, mut span_kind) = (self.template, SpanKind::Client);
        let mut links = Vec::new();
        match settlement {
            Settlement::Ack | Settlement::Release => {}
            Settlement::Retry { after, .. } => {
                attributes.push(KeyValue::new(a::RETRY_DELAY, after.as_secs_f64()));
            }
            Settlement::DeadLetter { reason, .. } => {
                (destination, span_kind) = (self.live.system.dead_letters, SpanKind::Producer);
                attributes.push(KeyValue::new(a::DESTINATION, destination));
                attributes.push(KeyValue::new(a::REASON, reason.as_str()));
                let hop = envelope.trace.hop.as_ref();
                links.extend(hop.map(|hop| link(hop.parent, hop.state.as_deref(), l::CREATION)));
            }
        }
        let builder = tracer.span_builder(name(operation, destination));
        let builder = builder.with_kind(span_kind).with_attributes(attributes).with_links(links);
        Some(under.with_span(tracer.build_with_context(builder, under)))
    }

    fn of_settle(&self, operation: &'static str, kind: &'static str) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(16);
        attributes.extend_from_slice(&self.live.common);
        attributes.push(KeyValue::new(a::OPERATION, operation));
        attributes.push(KeyValue::new(a::OPERATION_TYPE, kind));
        attributes.extend(self.group.clone());
        attributes
    }
}

/// The operation, and its type.
fn names(settlement: &Settlement) -> (&'static str, &'static str) {
    match settlement {
        Settlement::Ack => (operation::ACK, kind::SETTLE),
        Settlement::Release => (operation::RELEASE, kind::SETTLE),
        Settlement::Retry { .. } => (operation::RETRY, kind::SETTLE),
        Settlement::DeadLetter { .. } => (operation::DEAD_LETTER, kind::SEND),
    }
}

impl Settling<'_> {
    /// The broker has it, or has not.
    pub(crate) fn end(mut self, settled: &Result<(), SettleError>) {
        let class = settled.as_ref().err().map(|error| match error {
            SettleError::Expired => "expired",
            SettleError::NotStored { .. } => "not_stored",
            SettleError::Unavailable { .. } => "unavailable",
        });
        self.tell(class, settled.as_ref().err().map(ToString::to_string));
    }

    fn tell(&mut self, class: Option<&'static str>, text: Option<String>) {
        let Some(begun) = self.begun.take() else { return };
        let class = class.map(|class| KeyValue::new(a::ERROR_TYPE, class));
        if let Some(metrics) = &self.seen.live.metrics {
            let mut attributes = self.seen.of_settle(self.operation, self.kind);
            attributes.extend(class.clone());
            metrics.settled(begun.elapsed(), &attributes);
            if let (None, Some(reason)) = (&class, self.dead.take()) {
                let [group, template] = self.seen.group.clone();
                metrics.dead(&[group, template, reason]);
            }
        }
        let Some(cx) = self.cx.take() else { return };
        // One of them: the SDK would keep both.
        if let Some(class) = class.or(self.failed.take()) {
            cx.span().set_attribute(class);
        }
        if let Some(text) = text {
            cx.span().set_status(Status::error(text));
        }
        cx.span().end();
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        self.tell(Some("cancelled"), Some("nobody waited for the broker's answer".to_owned()));
    }
}
