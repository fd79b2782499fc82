//! A publish, from the call to the broker's answer.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{FutureExt, Span, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use tokio::time::Instant;

use super::Live;
use super::carry::Carried;
use super::context::{baggage_of, leaves, written};
use super::names::{attribute as a, kind, operation};
use super::naming::name;
use super::process::{OF_EVENT, of_event};
use crate::envelope::{Envelope, TraceContext};
use crate::subject::Template;

/// A publish under way: told when it ends, also where nobody waits for its end.
pub(crate) struct Sending {
    live: Arc<Live>,
    template: &'static str,
    span: Option<Held>,
    /// Where it was called.
    carried: Carried,
    /// Of the numbers alone: a span has a clock of its own.
    begun: Option<Instant>,
    over: bool,
}

/// A span of our own.
enum Held {
    /// Nothing runs in it: it needs no context, which would be two allocations and a lock.
    Alone(BoxedSpan),
    Current(Context),
}

impl Live {
    /// A publish begins: the event carries its context on. `None` where nobody is to be told.
    pub(crate) fn sends(
        self: &Arc<Self>,
        envelope: &mut Envelope,
        carried: Carried,
        template: Template,
        delay: Option<Duration>,
    ) -> Option<Sending> {
        if !self.on {
            return None;
        }
        let span = self.tracer.as_ref().map(|tracer| {
            let mut attributes = self.of_publish(envelope, template);
            if let Some(delay) = delay {
                attributes.push(KeyValue::new(a::PUBLISH_DELAY, delay.as_secs_f64()));
            }
            let mut builder = tracer.span_builder(name(operation::PUBLISH, template.as_str()));
            builder.span_kind = Some(SpanKind::Producer);
            builder.attributes = Some(attributes);
            match &carried {
                Some(parent) => tracer.build_with_context(builder, parent),
                None => tracer.build_with_context(builder, &Context::new()),
            }
        });
        // An SDK that was shut down makes spans that are nothing; then what was carried goes on.
        let own = span.as_ref().and_then(|span| written(span.span_context()));
        leaves(&mut envelope.trace, own.or_else(|| carried_on(&carried)));
        if let Some(carried) = carried.as_ref().filter(|_| !self.settings.baggage.is_empty())
            && let Some(baggage) = baggage_of(carried, &self.settings)
        {
            envelope.trace.read_baggage(&baggage);
        }
        if !self.is_heard() {
            return None;
        }
        let begun = self.metrics.as_ref().map(|_| Instant::now());
        let (live, template) = (Arc::clone(self), template.as_str());
        Some(Sending { live, template, span: span.map(Held::Alone), carried, begun, over: false })
    }

    fn of_publish(&self, envelope: &Envelope, template: Template) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(self.common.len() + 5 + OF_EVENT);
        attributes.extend_from_slice(&self.common);
        attributes.extend([
            KeyValue::new(a::OPERATION, operation::PUBLISH),
            KeyValue::new(a::OPERATION_TYPE, kind::SEND),
            KeyValue::new(a::TEMPLATE, template.as_str()),
            destination(envelope, template.as_str()),
        ]);
        of_event(envelope, &mut attributes);
        attributes
    }
}

/// Where it really goes, without a copy where there is nothing to fill in.
pub(super) fn destination(envelope: &Envelope, template: &'static str) -> KeyValue {
    match envelope.subject.as_str() {
        same if same == template => KeyValue::new(a::DESTINATION, template),
        other => KeyValue::new(a::DESTINATION, other.to_owned()),
    }
}

fn carried_on(carried: &Carried) -> Option<TraceContext> {
    carried.as_ref().and_then(|cx| written(cx.span().span_context()))
}

impl Sending {
    /// The same future: what it does belongs to the publish.
    pub(crate) fn within<F: Future>(
        &mut self,
        sending: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        let cx = match self.span.take() {
            None => return sending.with_context(Context::current()),
            Some(Held::Alone(span)) => self.carried.take().unwrap_or_default().with_span(span),
            Some(Held::Current(cx)) => cx,
        };
        self.span = Some(Held::Current(cx.clone()));
        sending.with_context(cx)
    }

    /// The broker has answered, or nobody waits any more.
    pub(crate) fn end(mut self, error: Option<(&'static str, String)>) {
        self.tell(error);
    }

    fn tell(&mut self, error: Option<(&'static str, String)>) {
        self.over = true;
        let class = error.as_ref().map(|(class, _)| KeyValue::new(a::ERROR_TYPE, *class));
        if let (Some(metrics), Some(begun)) = (&self.live.metrics, self.begun) {
            let mut attributes = Vec::with_capacity(7);
            attributes.extend_from_slice(&self.live.common);
            attributes.push(KeyValue::new(a::OPERATION, operation::PUBLISH));
            attributes.push(KeyValue::new(a::OPERATION_TYPE, kind::SEND));
            attributes.push(KeyValue::new(a::TEMPLATE, self.template));
            attributes.extend(class.clone());
            metrics.sent(begun.elapsed(), &attributes);
        }
        let failed = class.zip(error.map(|(_, text)| Status::error(text)));
        match self.span.take() {
            None => {}
            Some(Held::Alone(mut span)) => {
                if let Some((class, status)) = failed {
                    span.set_attribute(class);
                    span.set_status(status);
                }
                span.end();
            }
            Some(Held::Current(cx)) => {
                if let Some((class, status)) = failed {
                    cx.span().set_attribute(class);
                    cx.span().set_status(status);
                }
                cx.span().end();
            }
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.over {
            self.tell(Some(("cancelled", "nobody waited for the broker's answer".to_owned())));
        }
    }
}
