//! Dead letters on a real server: many of them, and a redrive that ends where it hurts most.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{self, Context as JetStream};
use bus_core::dead_letters::Redriven;
use bus_core::operator::OperatorError;
use bus_core::prelude::*;
use bus_nats::dev_server::DevServer;
use bus_nats::{Auth, NatsConfig, NatsTransport, Provision, Secret};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct Placed {
    order: u32,
}

/// How often each order was run, by how often it had been redriven.
type Seen = Arc<Mutex<BTreeMap<(u32, u32), u32>>>;

/// Fails until it is redriven.
#[handler(concurrency = 64)]
async fn charge(placed: Placed, ctx: Context, State(seen): State<Seen>) -> HandlerResult {
    *seen.lock().unwrap().entry((placed.order, ctx.redrives())).or_default() += 1;
    if ctx.redrives() == 0 {
        return Err(HandlerError::reject("no card").classed(if placed.order.is_multiple_of(2) {
            "even"
        } else {
            "odd"
        }));
    }
    Ok(())
}

/// `broken` may do everything but mark a record, `unable` everything but store a copy.
fn server() -> DevServer {
    let user = |name: &str, denied: &str| {
        let permissions = format!("permissions: {{ publish: {{ deny: [{denied:?}] }} }}");
        format!("{{ user: {name}, password: x, {permissions} }}\n")
    };
    let whole = "{ user: whole, password: x }\n".to_owned();
    let broken = user("broken", "BUS.dead.>");
    let users = [whole, broken, user("unable", "BUS.copies.>")].concat();
    DevServer::start_with(&format!("authorization {{ users = [\n{users}] }}\n")).unwrap()
}

async fn bus(server: &DevServer, user: &str) -> Bus {
    let auth = Auth::User { name: user.into(), password: Secret::new("x") };
    let config = NatsConfig { servers: vec![server.url()], auth, ..NatsConfig::default() };
    Bus::new(NatsTransport::connect(config).await.unwrap())
}

async fn work(bus: &Bus, seen: &Seen) -> Running {
    let service = Service::new("billing", bus.clone()).state(Arc::clone(seen));
    service.handlers(handlers![charge]).start().await.unwrap()
}

async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !is().await {
            sleep(SECOND / 50).await;
        }
    };
    assert!(timeout(30 * SECOND, waited).await.is_ok(), "{what}: not within 30 s");
}

/// A group that gave `count` orders up.
async fn failed(bus: &Bus, count: u32) -> (Running, Seen) {
    let seen = Seen::default();
    let orders: Vec<_> = (0..count).map(|order| Placed { order }).collect();
    assert!(bus.publish_all(&orders).await.iter().all(Result::is_ok));
    let running = work(bus, &seen).await;
    until("dead letters", async || bus.dead_letters().count().await.unwrap() == u64::from(count))
        .await;
    (running, seen)
}

fn redriven(seen: &Seen) -> Vec<(u32, u32)> {
    let seen = seen.lock().unwrap();
    seen.iter()
        .filter(|((_, redrives), _)| *redrives == 1)
        .map(|((order, _), runs)| (*order, *runs))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_counted_by_their_causes_and_redriven_at_a_rate() {
    let server = server();
    let bus = bus(&server, "whole").await;
    let (running, seen) = failed(&bus, 1203).await;
    let causes = bus.dead_letters().causes().await.unwrap();
    let told: Vec<_> = causes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "billing_charge: 602 rejected (even): no card",
            "billing_charge: 601 rejected (odd): no card"
        ]
    );
    assert_eq!(bus.dead_letters().event("orders.placed").count().await, Ok(1203));
    assert_eq!(bus.dead_letters().list(1100).await.unwrap().len(), 1100);
    assert_eq!(bus.dead_letters().class("even").purge().limit(2).await.unwrap().purged, 2);
    let begun = Instant::now();
    let done = bus.dead_letters().class("even").redrive().rate(300).await.unwrap();
    let took = begun.elapsed();
    assert_eq!(done.redriven, 600);
    assert!(took > SECOND * 19 / 10, "{took:?}");
    until("all run", async || redriven(&seen).len() == 600).await;
    assert_eq!(bus.dead_letters().count().await, Ok(601));
    assert!(redriven(&seen).iter().all(|(order, runs)| order % 2 == 0 && *runs == 1));
    running.stop().await;
}

/// The copy is stored, and then the redrive ends before the record is removed: as by `kill -9`.
async fn ends_in_the_middle(server: &DevServer) {
    let broken = bus(server, "broken").await;
    let ended = broken.dead_letters().redrive().await;
    assert!(
        matches!(&ended, Err(OperatorError::Unavailable { reason }) if reason.contains("BUS.dead.")),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_ended_in_the_middle_is_not_doubled_by_the_next_one() {
    let server = server();
    let bus = bus(&server, "whole").await;
    let (running, seen) = failed(&bus, 3).await;
    running.stop().await;
    ends_in_the_middle(&server).await;
    ends_in_the_middle(&server).await;
    // Nobody has run the copy yet, so the record is still there, and the copy is not stored again.
    assert_eq!(bus.dead_letters().redrive().await.unwrap().redriven, 3);
    let running = work(&bus, &seen).await;
    until("all run", async || redriven(&seen).len() == 3).await;
    sleep(SECOND).await;
    assert_eq!(redriven(&seen), [(0, 1), (1, 1), (2, 1)]);
    assert_eq!(bus.dead_letters().count().await, Ok(0));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_run_after_a_redrive_that_ended_in_the_middle_is_not_redriven_again() {
    let server = server();
    let bus = bus(&server, "whole").await;
    let (running, seen) = failed(&bus, 1).await;
    ends_in_the_middle(&server).await;
    until("it runs", async || redriven(&seen).len() == 1).await;
    until("no record", async || bus.dead_letters().count().await == Ok(0)).await;
    assert_eq!(bus.dead_letters().redrive().await, Ok(Redriven::default()));
    sleep(SECOND).await;
    assert_eq!(redriven(&seen), [(0, 1)]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_can_not_store_its_copies_keeps_the_records() {
    let server = server();
    let whole = bus(&server, "whole").await;
    let (running, seen) = failed(&whole, 2).await;
    let unable = bus(&server, "unable").await.dead_letters().redrive().await;
    assert!(matches!(unable, Err(OperatorError::Unavailable { .. })), "{unable:?}");
    assert_eq!(whole.dead_letters().count().await, Ok(2));
    assert_eq!(whole.dead_letters().redrive().await.unwrap().redriven, 2);
    until("all run", async || redriven(&seen).len() == 2).await;
    running.stop().await;
}

async fn raw(server: &DevServer) -> JetStream {
    let options = async_nats::ConnectOptions::with_user_and_password("whole".into(), "x".into());
    jetstream::new(options.connect(server.url()).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_an_earlier_version_is_brought_up_to_date_or_refused() {
    let server = server();
    drop(bus(&server, "whole").await.publish(&Placed { order: 1 }).await);
    let raw = raw(&server).await;
    let running = work(&bus(&server, "whole").await, &Seen::default()).await;
    running.stop().await;
    let made = raw.get_stream("BUS_DLQ").await.unwrap().cached_info().config.clone();
    raw.delete_stream("BUS_DLQ").await.unwrap();
    let earlier = Config { max_messages_per_subject: -1, allow_message_ttl: false, ..made.clone() };
    raw.create_stream(earlier).await.unwrap();

    let auth = Auth::User { name: "whole".into(), password: Secret::new("x") };
    let config = NatsConfig {
        servers: vec![server.url()],
        auth,
        provision: Provision::Verify,
        ..NatsConfig::default()
    };
    let strict = Bus::new(NatsTransport::connect(config).await.unwrap());
    let service = Service::new("billing", strict).state(Seen::default());
    let refused = service.handlers(handlers![charge]).start().await.unwrap_err().to_string();
    assert!(refused.contains("1 messages per subject, TTLs of messages"), "{refused}");

    work(&bus(&server, "whole").await, &Seen::default()).await.stop().await;
    let now = raw.get_stream("BUS_DLQ").await.unwrap().cached_info().config.clone();
    assert_eq!((now.max_messages_per_subject, now.allow_message_ttl), (1, true));
}
