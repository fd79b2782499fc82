//! A dead letter on its way back: a trace of its own, linked to the one in which it gave up.

use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use super::Live;
use super::context::{link, written};
use super::names::{attribute as a, kind, link as l, operation};
use super::naming::name;
use super::process::of_event;
use crate::envelope::TraceContext;
use crate::operator::{DeadLetter, OperatorError};

/// A redrive of one letter.
pub(crate) struct Redriving {
    /// Of the redrive, and of the publish in it.
    spans: Option<(Context, Context)>,
}

impl Live {
    pub(crate) fn redrives(&self, letter: &DeadLetter) -> Redriving {
        Redriving { spans: self.redrive_spans(letter) }
    }

    fn redrive_spans(&self, letter: &DeadLetter) -> Option<(Context, Context)> {
        let tracer = self.tracer.as_ref()?;
        let (envelope, group) = (&*letter.envelope, letter.group.to_string());
        let count = KeyValue::new(a::REDRIVES, i64::from(letter.redrives) + 1);
        let mut attributes = self.common.clone();
        attributes.extend([
            KeyValue::new(a::OPERATION, operation::REDRIVE),
            KeyValue::new(a::DESTINATION, self.system.dead_letters),
            KeyValue::new(a::LETTER, letter.id.to_string()),
            KeyValue::new(a::GROUP, group.clone()),
            count.clone(),
        ]);
        let builder = tracer.span_builder(name(operation::REDRIVE, self.system.dead_letters));
        let builder = builder.with_kind(SpanKind::Internal);
        let root = Context::new();
        let span = tracer.build_with_context(builder.with_attributes(attributes), &root);
        let redrive = root.with_span(span);

        let mut attributes = self.common.clone();
        attributes.extend([
            KeyValue::new(a::OPERATION, operation::PUBLISH),
            KeyValue::new(a::OPERATION_TYPE, kind::SEND),
            KeyValue::new(a::DESTINATION, envelope.subject.to_string()),
            KeyValue::new(a::GROUP, group),
            count,
        ]);
        of_event(envelope, &mut attributes);
        let dead = letter.failed.span.map(|span| link(span, None, l::DEAD_LETTER));
        let origin = envelope.trace.origin.as_ref();
        let origin = origin.map(|hop| link(hop.parent, hop.state.as_deref(), l::ORIGIN));
        // The letter knows the type of its event, but not what the subject was made of.
        let builder = tracer.span_builder(format!("{} {}", operation::PUBLISH, envelope.type_name));
        let builder = builder.with_kind(SpanKind::Producer);
        let builder = builder.with_links(dead.into_iter().chain(origin).collect());
        let span = tracer.build_with_context(builder.with_attributes(attributes), &redrive);
        let publish = redrive.with_span(span);
        Some((redrive, publish))
    }
}

impl Redriving {
    /// What takes the place of the event's own.
    pub(crate) fn hop(&self) -> Option<TraceContext> {
        self.spans.as_ref().and_then(|(_, publish)| written(publish.span().span_context()))
    }

    pub(crate) fn end(mut self, redriven: &Result<(), OperatorError>) {
        let error = redriven.as_ref().err();
        self.tell(error.map(|error| ("not_redriven", error.to_string())));
    }

    fn tell(&mut self, error: Option<(&'static str, String)>) {
        let Some((redrive, publish)) = self.spans.take() else { return };
        for cx in [publish, redrive] {
            if let Some((class, text)) = &error {
                cx.span().set_attribute(KeyValue::new(a::ERROR_TYPE, *class));
                cx.span().set_status(Status::error(text.clone()));
            }
            cx.span().end();
        }
    }
}

impl Drop for Redriving {
    fn drop(&mut self) {
        self.tell(Some(("cancelled", "nobody waited for the broker's answer".to_owned())));
    }
}
