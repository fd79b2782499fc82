//! What travels with an event where there is little or nothing to tell.

use std::sync::Arc;

use bus_core::envelope::{TraceContext, TraceParent};
use bus_core::prelude::*;
use bus_core::telemetry::Telemetry;
use bus_core::testing::TestBus;
use opentelemetry::trace::{FutureExt, SpanContext, TraceContextExt, TraceState};
use opentelemetry::{Context as Cx, SpanId, TraceFlags, TraceId};

use super::shop::{Does, Placed, Watched, charge, placed};

/// A request of another process.
fn request(sampled: bool) -> Cx {
    let state = "vendor=1".parse().unwrap();
    let flags = TraceFlags::new(u8::from(sampled));
    let (trace, span) = (TraceId::from(7), SpanId::from(9));
    Cx::new().with_remote_span_context(SpanContext::new(trace, span, flags, true, state))
}

/// What reaches a group that looks at it, and what is published by it.
async fn reaches(bus: Bus, test: &TestBus) -> Vec<Envelope> {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (first, then) = (Arc::clone(&seen), Arc::clone(&seen));
    let look = move |_: Placed, ctx: Context| {
        first.lock().unwrap().push(ctx.envelope().clone());
        async move { ctx.publish(&super::shop::Invoice { runs: Vec::new() }).await.map(drop) }
    };
    let look_again = move |_: super::shop::Invoice, ctx: Context| {
        then.lock().unwrap().push(ctx.envelope().clone());
        async {}
    };
    let service = Service::new("looks", bus).on("look", look).on("look-again", look_again);
    test.start(service).await.unwrap();
    test.settled().await;
    seen.lock().unwrap().clone()
}

#[tokio::test]
async fn without_an_sdk_the_context_is_passed_on() {
    let test = TestBus::new();
    let order = placed(&[Does::Nothing]);
    test.bus().publish(&order).with_context(request(true)).await.unwrap();
    let seen = reaches(test.bus(), &test).await;
    let parent = TraceParent::new(7, 9, 1).unwrap();
    let hop = Some(TraceContext::new(parent, Some("vendor=1")));
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|envelope| envelope.trace.hop == hop), "{seen:?}");
    assert!(seen.iter().all(|envelope| envelope.trace.origin == hop), "{seen:?}");
}

#[tokio::test]
async fn without_a_context_and_an_sdk_there_is_none() {
    let test = TestBus::new();
    test.bus().publish(&placed(&[Does::Nothing])).await.unwrap();
    let seen = reaches(test.bus(), &test).await;
    assert_eq!(
        seen.iter().map(|envelope| envelope.trace.hop.is_some()).collect::<Vec<_>>(),
        [false; 2]
    );
}

#[tokio::test]
async fn switched_off_nothing_is_passed_on() {
    let test = TestBus::new();
    let off = test.bus().telemetry(Telemetry::off());
    off.publish(&placed(&[Does::Nothing])).with_context(request(true)).await.unwrap();
    let seen = reaches(off.clone(), &test).await;
    assert!(seen.iter().all(|envelope| envelope.trace.hop.is_none()), "{seen:?}");

    test.bus().publish(&placed(&[Does::Nothing])).with_context(request(true)).await.unwrap();
    test.settled().await;
    let invoices = test.published::<super::shop::Invoice>();
    assert_eq!(invoices.len(), 2);
}

#[tokio::test]
async fn a_parent_that_is_not_sampled_keeps_all_of_it_unsampled_and_whole() {
    let shop = Watched::new().await;
    let publish = shop.orders().publish(&placed(&[Does::Bills]));
    publish.with_context(request(false)).await.unwrap();
    shop.all().await;
    assert_eq!(shop.capture.tree(), "", "nothing is recorded");
    let seen = reaches(shop.bus("looks", |telemetry| telemetry), &shop.test).await;
    let hops = seen.iter().map(|envelope| envelope.trace.hop.as_ref().unwrap());
    for hop in hops {
        assert_eq!((hop.parent.trace_id(), hop.parent.is_sampled()), (7, false));
        assert_ne!(hop.parent.span_id(), 9, "each hop has its own id");
        assert_eq!(hop.state.as_deref(), Some("vendor=1"));
    }
}

#[tokio::test]
async fn an_sdk_that_was_shut_down_breaks_no_trace() {
    let test = TestBus::new();
    let capture = bus_otel::testing::Capture::new();
    let provider = capture.tracer_provider();
    let bus = test.bus().telemetry(Telemetry::new().tracer_provider(&provider));
    test.start(Service::new("billing", bus.clone()).handlers(handlers![charge])).await.unwrap();
    provider.shutdown().unwrap();
    let order = placed(&[Does::Nothing]);
    bus.publish(&order).with_context(request(true)).await.unwrap();
    let seen = reaches(bus, &test).await;
    let ids = seen.iter().map(|envelope| envelope.trace.hop.as_ref().unwrap().parent.trace_id());
    assert_eq!(ids.collect::<Vec<_>>(), [7, 7]);
}

#[tokio::test]
async fn a_state_that_is_none_is_no_header() {
    let shop = Watched::new().await;
    shop.orders().publish(&placed(&[Does::Nothing])).await.unwrap();
    let seen = reaches(shop.bus("looks", |telemetry| telemetry), &shop.test).await;
    assert!(seen.iter().all(|envelope| envelope.trace.hop.as_ref().unwrap().state.is_none()));
    assert_eq!(TraceState::NONE.header(), "");
}
