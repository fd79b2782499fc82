//! What is easily left out: views, middleware, redrives by others, events that no handler is given.

use std::collections::BTreeSet;
use std::time::Duration;

use bus_core::memory::Memory;
use bus_core::prelude::*;
use bus_core::telemetry::Telemetry;
use bus_core::testing::TestBus;
use bus_core::transport::Transport;
use bus_nats::dev_server::DevServer;
use bus_nats::{NatsConfig, NatsTransport};
use bus_otel::testing::Capture;
use opentelemetry_sdk::metrics::{
    Aggregation, InMemoryMetricExporter, Instrument, PeriodicReader, SdkMeterProvider, Stream,
};
use tokio::task::block_in_place;

use super::edges::{sum, telemetry};
use super::shop::{Does, Invoice, Placed, Watched, placed};

#[tokio::test]
async fn a_view_without_our_gauges_leaves_the_rest() {
    let memory = InMemoryMetricExporter::default();
    let view = |instrument: &Instrument| {
        let drop = || Stream::builder().with_aggregation(Aggregation::Drop).build().unwrap();
        instrument.name().starts_with("bus.").then(drop)
    };
    let reader = PeriodicReader::builder(memory.clone()).build();
    let meters = SdkMeterProvider::builder().with_reader(reader).with_view(view).build();
    let bus = Bus::in_memory().telemetry(Telemetry::new().meter_provider(&meters));
    bus.publish(&placed(&[Does::Nothing])).await.unwrap();
    meters.force_flush().unwrap();
    let text = format!("{:?}", memory.get_finished_metrics().unwrap());
    assert!(text.contains("messaging.client.sent.messages"), "{text}");
    assert!(!text.contains("bus_core_is_asked"), "{text}");
}

#[tokio::test]
async fn what_no_handler_was_given_was_not_consumed() {
    let (capture, memory) = (Capture::new(), Memory::new());
    let bus = memory.bus().telemetry(telemetry(&capture));
    let never = |_: Placed, _: Context| async {};
    let running = Service::new("other", bus.clone()).on("never", never).start().await.unwrap();
    let subject = Subject::literal("orders.eu.placed");
    let foreign = Envelope::new(EventId::now(), "orders.other", subject, "{}");
    memory.publish(foreign).await.unwrap();
    while sum(&capture, "bus.dead_letters", "unknown_type").is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(sum(&capture, "bus.process.outcomes", "dead_letter"), Some(1.0));
    for name in ["messaging.client.consumed.messages", "messaging.process.duration", "bus.attempts"]
    {
        assert_eq!(sum(&capture, name, ""), None, "{name}");
    }
    running.stop().await;
}

struct Refuses;

#[async_trait]
impl Middleware<Envelope> for Refuses {
    async fn call(&self, _: Envelope, _: Next<'_, Envelope>) -> Result<EventId, PublishError> {
        Err(PublishError::Middleware { reason: "canary".to_owned() })
    }
}

#[tokio::test]
async fn the_words_of_middleware_are_not_shown() {
    let (capture, test) = (Capture::new(), TestBus::new());
    let bus = test.bus().telemetry(telemetry(&capture)).middleware(Refuses);
    let publishes = |_: Placed, ctx: Context| async move {
        ctx.publish(&Invoice { runs: Vec::new() }).await.map(drop)
    };
    let service = Service::new("told", bus).on("publishes", publishes);
    test.start(service.redact(|text| text.replace("canary", "…"))).await.unwrap();
    test.bus().publish(&placed(&[Does::Nothing])).await.unwrap();
    test.settled().await;
    let spans = format!("{:?}", capture.spans());
    assert!(spans.contains("middleware refused") && !spans.contains("canary"), "{spans}");
}

#[tokio::test]
async fn each_redrive_begins_a_trace_also_where_it_has_no_spans() {
    let shop = Watched::new().await;
    shop.order(&[Does::Rejects]).await;
    shop.orders().dead_letters().redrive().await.unwrap();
    shop.all().await;
    shop.test.bus().dead_letters().redrive().await.unwrap();
    shop.all().await;
    let spans = shop.spans("process orders.{region}.placed");
    assert_eq!(spans.len(), 3);
    let traces: BTreeSet<_> =
        spans.iter().map(|span| span.span_context.trace_id().to_bytes()).collect();
    assert_eq!(traces.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_read_is_counted() {
    let server = block_in_place(DevServer::start).unwrap();
    let config = NatsConfig { servers: vec![server.url()], ..NatsConfig::default() };
    let capture = Capture::new();
    let bus = Bus::new(NatsTransport::connect(config).await.unwrap());
    let bus = bus.telemetry(telemetry(&capture));
    let works = |_: Placed, _: Context| async {};
    let running = Service::new("reads", bus.clone()).on("works", works).start().await.unwrap();
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("content-type", "application/cloudevents+json");
    let raw = async_nats::jetstream::new(client);
    let sent = raw.publish_with_headers("orders.eu.placed", headers, "{".into()).await.unwrap();
    sent.await.unwrap();
    let unreadable = || sum(&capture, "bus.dead_letters.unreadable", "reads_works");
    let begun = tokio::time::Instant::now();
    while unreadable() != Some(1.0) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", unreadable());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(bus.dead_letters().count().await.unwrap(), 1);
    running.stop().await;
}
