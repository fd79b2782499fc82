//! The tree of a flow through several services, as tests of a service would read it.

use bus_otel::Providers;
use bus_otel::testing::Capture;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{
    Link, Span, SpanContext, SpanKind, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};

/// A span that ends at once, below this parent, with links called `bus.link`.
fn span(
    of: &Providers,
    (name, kind): (&'static str, SpanKind),
    parent: Option<&SpanContext>,
    attributes: &[(&'static str, &'static str)],
    links: &[(&'static str, &SpanContext)],
) -> SpanContext {
    let tracer = of.tracer.tracer("test");
    let linked = |(role, to): &(&'static str, &SpanContext)| {
        Link::new((*to).clone(), vec![KeyValue::new("bus.link", *role)], 0)
    };
    let builder = tracer
        .span_builder(name)
        .with_kind(kind)
        .with_attributes(attributes.iter().map(|(key, value)| KeyValue::new(*key, *value)))
        .with_links(links.iter().map(linked).collect());
    let around = Context::new();
    let around = parent.map_or(around.clone(), |p| around.with_remote_span_context(p.clone()));
    let mut span = tracer.build_with_context(builder, &around);
    if attributes.iter().any(|(key, _)| *key == "error.type") {
        span.set_status(Status::error("it broke"));
    }
    span.end();
    span.span_context().clone()
}

#[test]
fn a_flow_through_two_services_is_one_tree() {
    let capture = Capture::new();
    let (orders, billing) = (capture.service("orders"), capture.service("billing"));
    let publish = span(&orders, ("publish orders", SpanKind::Producer), None, &[], &[]);
    let process = ("process orders", SpanKind::Consumer);
    let first = [("bus.attempt", "1"), ("bus.outcome", "retry"), ("error.type", "timeout")];
    let first = span(&billing, process.clone(), Some(&publish), &first, &[("creation", &publish)]);
    span(&billing, ("nak orders", SpanKind::Client), Some(&first), &[], &[]);
    let second = [("bus.attempt", "2"), ("bus.outcome", "ack"), ("not.shown", "x")];
    let links = [("creation", &publish), ("previous_attempt", &first)];
    span(&billing, process, Some(&publish), &second, &links);
    let lost = Capture::new().service("gone");
    let elsewhere = span(&lost, ("not captured here", SpanKind::Internal), None, &[], &[]);
    span(&orders, ("redrive", SpanKind::Internal), None, &[], &[("origin", &elsewhere)]);
    assert_eq!(
        capture.tree(),
        "\
publish orders PRODUCER [service=orders]
  process orders CONSUMER [bus.attempt=1 bus.outcome=retry error.type=timeout service=billing] \
         error ~link(creation)->publish orders
    nak orders CLIENT [service=billing]
  process orders CONSUMER [bus.attempt=2 bus.outcome=ack service=billing] \
         ~link(creation)->publish orders ~link(previous_attempt)->process orders
redrive INTERNAL [service=orders] ~link(origin)->?
"
    );
    assert_eq!(capture.spans().len(), 5);
}

#[test]
fn siblings_stand_by_their_start_not_by_their_end() {
    let capture = Capture::new();
    let tracer = capture.tracer_provider().tracer("test");
    let parent = Context::new().with_span(tracer.start("parent"));
    let mut early = tracer.start_with_context("z early", &parent);
    tracer.start_with_context("a late", &parent).end();
    early.end();
    parent.span().end();
    assert_eq!(capture.tree(), "parent INTERNAL\n  z early INTERNAL\n  a late INTERNAL\n");
}

#[test]
fn metrics_are_the_sums_so_far() {
    let capture = Capture::new();
    let read = || {
        let metrics = capture.metrics().into_iter();
        metrics.map(|m| (m.service, m.name, m.attributes, m.value)).collect::<Vec<_>>()
    };
    let counter = capture.meter_provider().meter("t").u64_counter("sent").build();
    let seconds = capture.service("billing").meter.meter("t").f64_histogram("took").build();
    counter.add(2, &[KeyValue::new("to", "b"), KeyValue::new("from", "a")]);
    seconds.record(0.5, &[]);
    seconds.record(0.7, &[]);
    let sent = |n| (String::new(), "sent".to_owned(), "from=a,to=b".to_owned(), n);
    let took = ("billing".to_owned(), "took".to_owned(), String::new(), 2.0);
    assert_eq!(read(), [sent(2.0), took.clone()]);
    counter.add(1, &[KeyValue::new("to", "b"), KeyValue::new("from", "a")]);
    assert_eq!(read(), [sent(3.0), took]);
}
