//! What OpenTelemetry's SDK takes by itself, for spans like those of a publish and of its handler.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{
    Link, Span, SpanContext, SpanKind, TraceContextExt, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use tokio::time::sleep;

use super::{Result, cpu};

/// What the spans have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spans {
    /// As many attributes and links as ours, of the same kinds.
    AsOurs,
    /// None.
    Empty,
}

const OF_BOTH: [&str; 5] = [
    "messaging.system",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.destination.template",
    "messaging.destination.name",
];
const OF_EVENT: [&str; 3] =
    ["messaging.message.id", "messaging.message.conversation_id", "cloudevents.event_source"];
const OF_GROUP: [&str; 2] = ["messaging.consumer.group.name", "bus.handler"];
const NUMBERS: [&str; 4] =
    ["bus.attempt", "bus.max_attempts", "messaging.sequence", "messaging.deliveries"];

/// So many pairs of spans: the time of this thread.
pub(crate) async fn run(
    tracer: &SdkTracer,
    spans: Spans,
    events: u32,
    pause: Duration,
) -> Result<Duration> {
    let group = Arc::<str>::from("cost.count");
    let start = cpu("thread-self")?;
    for event in 0..events {
        let published = published(tracer, spans, event);
        processed(tracer, spans, event, published, &group);
    }
    sleep(pause).await;
    Ok(cpu("thread-self")?.saturating_sub(start))
}

fn published(tracer: &SdkTracer, spans: Spans, event: u32) -> SpanContext {
    let mut builder = tracer.span_builder("publish orders.placed");
    builder.span_kind = Some(SpanKind::Producer);
    if spans == Spans::AsOurs {
        let mut attributes = Vec::with_capacity(9);
        of_both(event, &mut attributes);
        builder.attributes = Some(attributes);
    }
    let mut span = tracer.build_with_context(builder, &Context::new());
    let context = span.span_context().clone();
    span.end();
    context
}

fn processed(
    tracer: &SdkTracer,
    spans: Spans,
    event: u32,
    published: SpanContext,
    group: &Arc<str>,
) {
    let (trace, span) = (published.trace_id(), published.span_id());
    let remote = SpanContext::new(trace, span, published.trace_flags(), true, TraceState::NONE);
    let parent = Context::new().with_remote_span_context(remote.clone());
    let mut builder = tracer.span_builder("process orders.placed");
    builder.span_kind = Some(SpanKind::Consumer);
    if spans == Spans::AsOurs {
        let mut attributes = Vec::with_capacity(17);
        of_both(event, &mut attributes);
        attributes.extend(OF_GROUP.map(|key| KeyValue::new(key, Arc::clone(group))));
        attributes.extend(NUMBERS.map(|key| KeyValue::new(key, 1_i64)));
        attributes.push(KeyValue::new("bus.message.wait", 0.1));
        builder.attributes = Some(attributes);
        let meaning = vec![KeyValue::new("bus.link", "creation")];
        builder.links = Some(vec![Link::new(remote, meaning, 0)]);
    }
    let cx = parent.with_span(tracer.build_with_context(builder, &parent));
    let _run = cx.clone().attach();
    if spans == Spans::AsOurs {
        cx.span().set_attribute(KeyValue::new("bus.outcome", "ack"));
    }
    cx.span().end();
}

fn of_both(event: u32, attributes: &mut Vec<KeyValue>) {
    let id = Arc::<str>::from(format!("01890a5d-ac96-774b-bcce-b302{event:08}"));
    attributes.extend(OF_BOTH.map(|key| KeyValue::new(key, "orders.placed")));
    attributes.extend(OF_EVENT.map(|key| KeyValue::new(key, Arc::clone(&id))));
    attributes.push(KeyValue::new("cloudevents.event_type", "orders.placed"));
}
