//! Where spans and numbers are easily wrong: replicas, buses that are gone, contexts that are none.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bus_core::envelope::{TraceContext, TraceParent};
use bus_core::memory::Memory;
use bus_core::prelude::*;
use bus_core::telemetry::Telemetry;
use bus_core::testing::TestBus;
use bus_core::transport::Transport;
use bus_otel::testing::Capture;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{FutureExt, SpanContext, TraceContextExt};
use opentelemetry::{Context as Cx, KeyValue, SpanId, TraceFlags, TraceId};

use super::shop::{Does, Invoice, Placed, placed};

pub(crate) fn sum(capture: &Capture, name: &str, part: &str) -> Option<f64> {
    let metrics = capture.metrics().into_iter();
    let found = metrics.filter(|metric| metric.name == name && metric.attributes.contains(part));
    found.map(|metric| metric.value).reduce(|a, b| a + b)
}

pub(crate) fn telemetry(capture: &Capture) -> Telemetry {
    Telemetry::new()
        .tracer_provider(&capture.tracer_provider())
        .meter_provider(&capture.meter_provider())
}

#[tokio::test]
async fn replicas_in_one_process_are_counted_together() {
    let capture = Capture::new();
    let bus = Bus::in_memory().telemetry(telemetry(&capture));
    let begun = Arc::new(tokio::sync::Semaphore::new(0));
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let begun = Arc::clone(&begun);
        let hang = move |_: Placed, _: Context| {
            begun.add_permits(1);
            std::future::pending::<()>()
        };
        let service = Service::new("twice", bus.clone()).on("hang", hang);
        let service = service.tune("hang", |options| options.concurrency(1));
        replicas.push(service.grace(Duration::ZERO).start().await.unwrap());
    }
    for _ in 0..2 {
        bus.publish(&placed(&[Does::Nothing])).await.unwrap();
    }
    drop(begun.acquire_many(2).await.unwrap());
    assert_eq!(sum(&capture, "bus.process.active", "twice_hang"), Some(2.0));
}

#[tokio::test]
async fn a_bus_that_is_gone_is_not_up() {
    let capture = Capture::new();
    let bus = Bus::in_memory().telemetry(telemetry(&capture));
    bus.publish(&placed(&[Does::Nothing])).await.unwrap();
    assert_eq!(sum(&capture, "bus.connection.up", ""), Some(1.0));
    drop(bus);
    assert_eq!(sum(&capture, "bus.connection.up", ""), None);
}

fn request() -> Cx {
    let (trace, span) = (TraceId::from(7), SpanId::from(9));
    Cx::new().with_remote_span_context(SpanContext::new(
        trace,
        span,
        TraceFlags::SAMPLED,
        true,
        Default::default(),
    ))
}

/// What a task of a handler publishes by the handler's own context, inside of something.
async fn published_within(inside: Cx) -> Option<TraceContext> {
    let test = TestBus::new();
    test.bus().publish(&placed(&[Does::Nothing])).with_context(request()).await.unwrap();
    let spawn = move |_: Placed, ctx: Context| {
        let inside = inside.clone();
        async move {
            let publish = async move { ctx.publish(&Invoice { runs: Vec::new() }).await };
            tokio::task::JoinSet::from_iter([publish.with_context(inside)]).join_all().await;
        }
    };
    test.start(Service::new("tasks", test.bus()).on("spawn", spawn)).await.unwrap();
    test.settled().await;
    let stored = super::shop::envelopes(&test);
    stored[1].trace.hop.clone()
}

#[tokio::test]
async fn what_is_no_span_does_not_cut_a_handlers_trace() {
    let hop = Some(TraceContext::new(TraceParent::new(7, 9, 1).unwrap(), None));
    let nothing = Cx::new().with_remote_span_context(SpanContext::NONE);
    assert_eq!(published_within(nothing).await, hop);
    let baggage = Cx::new().with_baggage([KeyValue::new("tenant", "acme")]);
    assert_eq!(published_within(baggage).await, hop);
}

#[tokio::test]
async fn a_breaker_that_ramps_up_is_not_closed_yet() {
    let capture = Capture::new();
    let bus = Bus::in_memory().telemetry(telemetry(&capture));
    let does = |order: Placed, ctx: Context| async move {
        match order.runs[0] {
            Does::Fails if ctx.attempt() == 1 => Err(HandlerError::from("away".to_owned())),
            _ => Ok(()),
        }
    };
    let service = Service::new("s", bus.clone()).on("does", does).tune("does", |options| {
        let breaker = Breaker::new().minimum(1).pause(MILLI * 10, MILLI * 10);
        options.concurrency(4).breaker(breaker).retry(Retry::fixed(MILLI))
    });
    let running = service.start().await.unwrap();
    bus.publish(&placed(&[Does::Fails])).await.unwrap();
    while sum(&capture, "bus.process.outcomes", "ack").is_none() {
        tokio::time::sleep(MILLI).await;
    }
    // Its worker has told the probe what it has told before to the number.
    while !running.probe().readiness().ready {
        tokio::time::sleep(MILLI).await;
    }
    assert_eq!(sum(&capture, "bus.breaker.state", ""), Some(1.0));
    for _ in 0..10 {
        bus.publish(&placed(&[Does::Nothing])).await.unwrap();
    }
    let begun = tokio::time::Instant::now();
    while sum(&capture, "bus.breaker.state", "") != Some(0.0) {
        assert!(begun.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(MILLI).await;
    }
    running.stop().await;
}

pub(crate) const MILLI: Duration = Duration::from_millis(1);

/// Whoever writes both headers may leave one of the states out.
#[tokio::test]
async fn a_hop_with_a_state_is_the_origin_all_the_same() {
    let capture = Capture::new();
    let memory = Memory::new();
    let bus = memory.bus().telemetry(telemetry(&capture));
    let rejects = |_: Placed, ctx: Context| async move {
        if ctx.redrives() == 0 { Err(HandlerError::reject("no")) } else { Ok(()) }
    };
    let running = Service::new("s", bus).on("rejects", rejects).start().await.unwrap();
    let mut envelope = Envelope::new(
        EventId::now(),
        "orders.placed",
        Subject::literal("orders.eu.placed"),
        r#"{"region":"eu","runs":[]}"#,
    );
    envelope.time = SystemTime::now();
    let parent = TraceParent::new(7, 9, 1).unwrap();
    envelope.trace.hop = Some(TraceContext::new(parent, Some("vendor=1")));
    envelope.trace.origin = Some(TraceContext::new(parent, None));
    memory.publish(envelope).await.unwrap();
    while sum(&capture, "bus.dead_letters", "").is_none() {
        tokio::time::sleep(MILLI).await;
    }
    memory.bus().dead_letters().redrive().await.unwrap();
    while sum(&capture, "bus.process.outcomes", "ack").is_none() {
        tokio::time::sleep(MILLI).await;
    }
    let spans = capture.spans();
    let runs: Vec<_> = spans.iter().filter(|span| span.name.starts_with("process")).collect();
    let traces: Vec<_> =
        runs.iter().map(|span| span.span_context.trace_id() == TraceId::from(7)).collect();
    let links: Vec<_> = runs.iter().map(|span| span.links.len()).collect();
    assert_eq!((traces, links), (vec![true, false], vec![1, 1]));
    running.stop().await;
}
