//! What each span says.

use bus_core::prelude::*;
use opentelemetry::trace::{SpanKind, Status};

use super::shop::{Does, Watched, attribute, placed};

fn pairs(span: &opentelemetry_sdk::trace::SpanData) -> Vec<String> {
    let pairs = span.attributes.iter().map(|pair| format!("{} = {}", pair.key, pair.value));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    pairs
}

#[tokio::test]
async fn a_publish_says_what_went_where() {
    let shop = Watched::new().await;
    let id = shop.orders().publish(&placed(&[Does::Nothing])).await.unwrap();
    let span = &shop.spans("publish orders.{region}.placed")[0];
    let wanted = [
        "cloudevents.event_source = orders".to_owned(),
        "cloudevents.event_type = orders.placed".to_owned(),
        "messaging.destination.name = orders.eu.placed".to_owned(),
        "messaging.destination.template = orders.{region}.placed".to_owned(),
        format!("messaging.message.conversation_id = {id}"),
        format!("messaging.message.id = {id}"),
        "messaging.operation.name = publish".to_owned(),
        "messaging.operation.type = send".to_owned(),
        "messaging.system = memory".to_owned(),
    ];
    assert_eq!(pairs(span), wanted);
    assert_eq!((&span.span_kind, &span.status), (&SpanKind::Producer, &Status::Unset));
}

#[tokio::test]
async fn an_attempt_says_which_it_is_and_how_long_the_event_waited() {
    let shop = Watched::new().await;
    let id = shop.orders().publish(&placed(&[Does::Fails, Does::Nothing])).await.unwrap();
    shop.test.settled().await;
    shop.test.advance(MINUTE).await;
    shop.test.settled().await;
    let spans = shop.spans("process orders.{region}.placed");
    let wanted = |attempt: u32, wait: &str, more: &[&str]| {
        let mut wanted = vec![
            format!("bus.attempt = {attempt}"),
            "bus.handler = charge".to_owned(),
            "bus.max_attempts = 3".to_owned(),
            format!("bus.deliveries = {attempt}"),
            format!("bus.message.wait = {wait}"),
            "bus.sequence = 1".to_owned(),
            "cloudevents.event_source = orders".to_owned(),
            "cloudevents.event_type = orders.placed".to_owned(),
            "messaging.consumer.group.name = billing_charge".to_owned(),
            "messaging.destination.name = orders.eu.placed".to_owned(),
            "messaging.destination.template = orders.{region}.placed".to_owned(),
            format!("messaging.message.conversation_id = {id}"),
            format!("messaging.message.id = {id}"),
            "messaging.operation.name = process".to_owned(),
            "messaging.operation.type = process".to_owned(),
            "messaging.system = memory".to_owned(),
        ];
        wanted.extend(more.iter().map(|more| (*more).to_owned()));
        wanted.sort();
        wanted
    };
    let failed = ["bus.outcome = retry", "error.type = gateway"];
    assert_eq!(pairs(&spans[0]), wanted(1, "0", &failed));
    assert_eq!(pairs(&spans[1]), wanted(2, "0", &["bus.outcome = ack"]));
    assert_eq!(spans[0].status, Status::error("the gateway is away"));
    let event = &spans[0].events.events[0];
    assert_eq!(event.name, "bus.retry.scheduled");
    assert_eq!(
        event.attributes[0].to_owned(),
        opentelemetry::KeyValue::new("bus.retry.delay", 60.0)
    );
    let links: Vec<_> =
        spans[1].links.iter().map(|link| link.attributes[0].value.to_string()).collect();
    assert_eq!(links, ["creation", "previous_attempt"]);
}

#[tokio::test]
async fn an_event_that_waited_says_how_long() {
    let shop = Watched::new().await;
    let test = bus_core::testing::TestBus::new();
    let bus = test.bus().telemetry(
        bus_core::telemetry::Telemetry::new().tracer_provider(&shop.capture.tracer_provider()),
    );
    bus.publish(&placed(&[Does::Nothing])).await.unwrap();
    test.advance(SECOND * 90).await;
    let late = Service::new("late", bus).handlers(handlers![super::shop::charge]);
    test.start(late).await.unwrap();
    test.settled().await;
    let span = &shop.spans("process orders.{region}.placed")[0];
    assert_eq!(attribute(span, "bus.message.wait").unwrap().to_string(), "90");
}

#[tokio::test]
async fn an_attempt_that_will_be_retried_is_an_error_or_not_as_one_likes() {
    let shop = Watched::with(|telemetry| telemetry.retries_are_errors(false)).await;
    shop.order(&[Does::Fails, Does::Fails, Does::Fails]).await;
    let spans = shop.spans("process orders.{region}.placed");
    let errors: Vec<_> = spans.iter().map(|span| span.status != Status::Unset).collect();
    assert_eq!(errors, [false, false, true]);
    assert_eq!(attribute(&spans[0], "error.type").unwrap().to_string(), "gateway");
}

#[tokio::test]
async fn a_publish_that_fails_says_why_and_one_that_is_dropped_says_so() {
    use bus_core::telemetry::Telemetry;
    let shop = Watched::new().await;
    let limits = bus_core::publish::PublishLimits { payload: 3, ..Default::default() };
    let orders = shop.orders().limits(limits);
    let error = orders.publish(&placed(&[Does::Nothing])).await.unwrap_err();
    let span = &shop.spans("publish orders.{region}.placed")[0];
    assert_eq!(attribute(span, "error.type").unwrap().to_string(), "too_large");
    assert_eq!(span.status, Status::error(error.to_string()));

    let memory = bus_core::memory::MemoryConfig { backlog: 0, ..Default::default() };
    let full = bus_core::memory::Memory::with(memory);
    let provider = shop.capture.tracer_provider();
    let bus = full.bus().telemetry(Telemetry::new().tracer_provider(&provider));
    let running = Service::new("billing", bus.clone()).handlers(handlers![super::shop::charge]);
    let running = running.start().await.unwrap();
    let mut waits = Box::pin(bus.publish(&placed(&[Does::Nothing])));
    assert!(futures_util::poll!(&mut waits).is_pending());
    drop(waits);
    let span = &shop.spans("publish orders.{region}.placed")[1];
    assert_eq!(attribute(span, "error.type").unwrap().to_string(), "cancelled");
    running.stop().await;
}

#[tokio::test]
async fn a_run_that_is_cut_short_is_abandoned_and_says_so() {
    let capture = bus_otel::testing::Capture::new();
    let telemetry =
        bus_core::telemetry::Telemetry::new().tracer_provider(&capture.tracer_provider());
    let bus = Bus::in_memory().telemetry(telemetry);
    let begun = std::sync::Arc::new(tokio::sync::Notify::new());
    let tell = std::sync::Arc::clone(&begun);
    let hang = move |_: super::shop::Placed, _: Context| {
        tell.notify_one();
        std::future::pending::<()>()
    };
    let service = Service::new("billing", bus.clone()).on("hang", hang);
    let running = service.grace(std::time::Duration::from_millis(10)).start().await.unwrap();
    bus.publish(&placed(&[Does::Nothing])).await.unwrap();
    begun.notified().await;
    let report = running.stop().await;
    assert_eq!(report.handed_back, 1);
    let spans = capture.spans();
    let process = spans.iter().find(|span| span.name.starts_with("process")).unwrap();
    assert_eq!(attribute(process, "bus.outcome").unwrap().to_string(), "abandoned");
    assert_eq!(attribute(process, "error.type").unwrap().to_string(), "cancelled");
}
