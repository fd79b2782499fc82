//! Dead letters and their marks where the stream does not take what others do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_nats::HeaderMap;
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{self, Context as JetStream};
use bus_core::prelude::*;
use bus_nats::dev_server::DevServer;
use bus_nats::{NatsConfig, NatsTransport, Provision};
use serde::{Deserialize, Serialize};
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct Placed {
    order: u32,
}

/// Fails until it is redriven.
#[handler(retry = Retry::never(), breaker = Breaker::off())]
async fn charge(_: Placed, ctx: Context) -> HandlerResult {
    if ctx.redrives() == 0 { Err(HandlerError::reject("no card")) } else { Ok(()) }
}

struct Bench {
    server: DevServer,
    raw: JetStream,
}

impl Bench {
    async fn new() -> Self {
        let server = block_in_place(DevServer::start).unwrap();
        let raw = jetstream::new(async_nats::connect(server.url()).await.unwrap());
        Self { server, raw }
    }

    async fn bus(&self, provision: Provision) -> Bus {
        let config =
            NatsConfig { servers: vec![self.server.url()], provision, ..NatsConfig::default() };
        Bus::new(NatsTransport::connect(config).await.unwrap())
    }
}

async fn work(bus: &Bus) -> Running {
    Service::new("billing", bus.clone()).handlers(handlers![charge]).start().await.unwrap()
}

async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !is().await {
            sleep(SECOND / 20).await;
        }
    };
    assert!(timeout(20 * SECOND, waited).await.is_ok(), "{what}: not within 20 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_never_stored_keeps_no_other_from_it() {
    let bench = Bench::new().await;
    let bus = bench.bus(Provision::Create).await;
    let running = work(&bus).await;
    bus.publish(&Placed { order: 0 }).await.unwrap();
    until("one letter", async || bus.dead_letters().count().await == Ok(1)).await;
    // A stream takes no more than 64 KiB of headers, and a record has some more.
    let mut headers = HeaderMap::new();
    headers.insert("x-large", "x".repeat(65_480));
    let payload = r#"{"order":1}"#.into();
    let stored = bench.raw.publish_with_headers("orders.placed", headers, payload).await.unwrap();
    stored.await.unwrap();
    let is_ready = || running.probe().readiness().ready;
    until("it can not be stored", async || !is_ready()).await;
    sleep(SECOND).await;
    for order in 2..22 {
        bus.publish(&Placed { order }).await.unwrap();
    }
    until("the others", async || bus.dead_letters().count().await == Ok(21)).await;
    assert!(!is_ready(), "one is not stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_the_stream_refuses_keeps_no_other_from_it() {
    let bench = Bench::new().await;
    let bus = bench.bus(Provision::Create).await;
    let running = work(&bus).await;
    let made = bench.raw.get_stream("BUS_DLQ").await.unwrap().cached_info().config.clone();
    bench.raw.update_stream(Config { max_message_size: 4096, ..made }).await.unwrap();
    let payload = format!("{{\"order\":1,\"more\":\"{}\"}}", "x".repeat(4096));
    bench.raw.publish("orders.placed", payload.into()).await.unwrap().await.unwrap();
    let is_ready = || running.probe().readiness().ready;
    until("it can not be stored", async || !is_ready()).await;
    sleep(SECOND).await;
    for order in 2..22 {
        bus.publish(&Placed { order }).await.unwrap();
    }
    until("the others", async || bus.dead_letters().count().await == Ok(20)).await;
    assert!(!is_ready(), "one is not stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_redriven_runs_also_where_the_stream_of_letters_knows_no_ttl() {
    let bench = Bench::new().await;
    let bus = bench.bus(Provision::Create).await;
    work(&bus).await.stop().await;
    let made = bench.raw.get_stream("BUS_DLQ").await.unwrap().cached_info().config.clone();
    bench.raw.delete_stream("BUS_DLQ").await.unwrap();
    bench.raw.create_stream(Config { allow_message_ttl: false, ..made }).await.unwrap();
    let bus = bench.bus(Provision::Never).await;
    let running = work(&bus).await;
    bus.publish(&Placed { order: 1 }).await.unwrap();
    until("a letter", async || bus.dead_letters().count().await == Ok(1)).await;
    assert_eq!(bus.dead_letters().redrive().await.unwrap().redriven, 1);
    until("the copy is done", async || {
        let stream = bench.raw.get_stream("BUS_RETRY").await.unwrap();
        stream.cached_info().state.messages == 0
    })
    .await;
    assert_eq!(bus.dead_letters().count().await, Ok(0), "it ran, and did not fail");
    running.stop().await;
}
