//! The same on a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus_core::prelude::*;
use bus_nats::dev_server::DevServer;
use bus_nats::{NatsConfig, NatsTransport};
use bus_otel::testing::Capture;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use super::shop::{Does, Placed, attribute, placed};

const PATIENCE: Duration = Duration::from_secs(20);

async fn bus(server: &DevServer, capture: &Capture, name: &str) -> Bus {
    let config = NatsConfig { servers: vec![server.url()], ..NatsConfig::default() };
    let transport = NatsTransport::connect(config).await.unwrap();
    let telemetry = capture.service(name).telemetry().lag_every(SECOND);
    Bus::new(transport).source(name).telemetry(telemetry)
}

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Two processes could not know less of each other than two transports do.
#[tokio::test(flavor = "multi_thread")]
async fn attempts_in_two_processes_are_linked_and_say_where_the_event_stands() {
    let server = block_in_place(DevServer::start).unwrap();
    let capture = Capture::new();
    let first = bus(&server, &capture, "first").await;
    let fails = |_: Placed, _: Context| async { Err(HandlerError::from("not here")) };
    let retry = |options: Options| options.retry(Retry::fixed(SECOND * 2).attempts(5));
    let service = Service::new("billing", first.clone()).on("charge", fails).tune("charge", retry);
    let running = service.start().await.unwrap();
    let published = Instant::now();
    let id = first.publish(&placed(&[Does::Nothing])).await.unwrap();
    let named = |name: &str| {
        let spans = capture.spans().into_iter();
        spans.filter(|span| span.name.starts_with(name)).collect::<Vec<_>>()
    };
    until("an attempt", || named("retry").len() == 1).await;
    running.stop().await;

    let second = bus(&server, &capture, "second").await;
    let works = |_: Placed, _: Context| async {};
    let service = Service::new("billing", second).on("charge", works).tune("charge", retry);
    let running = service.start().await.unwrap();
    until("another attempt", || named("process").len() == 2).await;
    let took = published.elapsed().as_secs_f64();
    running.stop().await;

    let (publish, attempts) = (&named("publish")[0], named("process"));
    let trace = publish.span_context.trace_id();
    assert!(attempts.iter().all(|attempt| attempt.span_context.trace_id() == trace));
    assert!(
        attempts.iter().all(|attempt| attempt.parent_span_id == publish.span_context.span_id())
    );
    let linked = attempts[1].links.links[1].span_context.span_id();
    assert_eq!(linked, attempts[0].span_context.span_id());
    let port = server.port().to_string();
    let wanted = [
        ("messaging.system", "nats"),
        ("messaging.nats.stream", "ORDERS"),
        ("messaging.nats.sequence", "1"),
        ("messaging.message.id", &id.to_string()),
        ("server.address", "127.0.0.1"),
        ("server.port", &port),
        ("bus.attempt", "2"),
    ];
    for (key, value) in wanted {
        assert_eq!(attribute(&attempts[1], key).unwrap().to_string(), value, "{key}");
    }
    let wait = |attempt: usize| match attribute(&attempts[attempt], "bus.message.wait").unwrap() {
        opentelemetry::Value::F64(wait) => wait,
        other => panic!("{other:?} is no number"),
    };
    // From when the retry was due, and not from when the event was published, 2 s before.
    assert!(wait(1) < took - 1.5, "{} of {took}", wait(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_holds_is_seen_in_numbers() {
    let server = block_in_place(DevServer::start).unwrap();
    let capture = Capture::new();
    let bus = bus(&server, &capture, "slow").await;
    let go_on = Arc::new(AtomicBool::new(false));
    let on = Arc::clone(&go_on);
    let slow = move |_: Placed, _: Context| {
        let on = Arc::clone(&on);
        async move {
            while !on.load(Ordering::Relaxed) {
                sleep(Duration::from_millis(20)).await;
            }
        }
    };
    let service = Service::new("slow", bus.clone()).on("work", slow).lease(SECOND);
    let service = service.tune("work", |options| options.concurrency(2));
    let running = service.start().await.unwrap();
    for _ in 0..5 {
        bus.publish(&placed(&[Does::Nothing])).await.unwrap();
    }
    let seen = |name: &str| {
        let metrics = capture.metrics().into_iter();
        let of = |metric: &bus_otel::testing::Metric| metric.attributes.contains("slow_work");
        metrics.filter(|metric| metric.name == name).find(of).map(|metric| metric.value)
    };
    until("leases", || seen("bus.lease.renewals") > Some(2.0)).await;
    assert!(seen("bus.lease.credit") >= Some(2.0), "{:?}", capture.metrics());
    assert!(seen("bus.lease.held") >= Some(2.0), "{:?}", capture.metrics());
    until("lag", || seen("bus.consumer.lag") == Some(5.0)).await;
    assert_eq!(seen("bus.process.active"), Some(2.0));
    go_on.store(true, Ordering::Relaxed);
    until("all done", || seen("bus.consumer.lag") == Some(0.0)).await;
    running.stop().await;
}
