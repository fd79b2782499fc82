//! Events that wait for their time, on real servers: what their stream needs, what it becomes where it
//! is ours, and what is said where the server or the stream can not.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and tells figures"
)]

use std::time::{Duration, SystemTime};

use async_nats::jetstream::stream::Config as Stream;
use async_nats::jetstream::{self, Context as Raw};
use bus_core::prelude::*;
use bus_core::transport::TransportError;
use bus_nats::dev_server::DevServer;
use bus_nats::{NatsConfig, NatsTransport, Provision, Streams};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout};

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.{region}.reminder")]
struct Reminder {
    region: String,
    order: u32,
}

fn reminder(order: u32) -> Reminder {
    Reminder { region: "eu".into(), order }
}

#[handler]
async fn remind(reminder: Reminder, State(seen): State<UnboundedSender<u32>>) {
    seen.send(reminder.order).unwrap_or_default();
}

fn config(server: &DevServer) -> NatsConfig {
    NatsConfig { servers: vec![server.url()], ..NatsConfig::default() }
}

async fn connect(config: NatsConfig) -> (Bus, Raw) {
    let transport = NatsTransport::connect(config).await.unwrap();
    let raw = jetstream::new(transport.client().clone());
    (Bus::new(transport), raw)
}

async fn start(bus: &Bus) -> (Running, UnboundedReceiver<u32>) {
    let (seen, come) = unbounded_channel::<u32>();
    let service = Service::new("shop", bus.clone()).state(seen).handlers(handlers![remind]);
    (service.start().await.unwrap(), come)
}

async fn next(come: &mut UnboundedReceiver<u32>) -> u32 {
    timeout(Duration::from_secs(20), come.recv()).await.unwrap().unwrap()
}

async fn stream(raw: &Raw) -> Stream {
    raw.get_stream("ORDERS").await.unwrap().cached_info().config.clone()
}

fn unsupported<T>(refused: Result<T, PublishError>) -> String {
    match refused.map(drop).unwrap_err() {
        PublishError::Refused(TransportError::Unsupported { reason }) => reason,
        error => unreachable!("{error}"),
    }
}

/// As an earlier version of this crate made it.
fn earlier(metadata: &[&str]) -> Stream {
    Stream {
        name: "ORDERS".into(),
        subjects: vec!["orders.>".into()],
        max_age: Streams::default().max_age,
        max_consumers: Streams::default().max_consumers,
        metadata: metadata.iter().map(|key| ((*key).to_owned(), "0.1.0".to_owned())).collect(),
        ..Stream::default()
    }
}

#[tokio::test]
async fn what_waits_outlives_the_age_of_the_stream() {
    let server = DevServer::start().unwrap();
    let second = Duration::from_secs(1);
    let streams = Streams { max_age: second, duplicate_window: second, ..Streams::default() };
    let (bus, raw) = connect(NatsConfig { streams, ..config(&server) }).await;
    let (running, mut come) = start(&bus).await;
    let begun = Instant::now();
    bus.publish(&reminder(7)).after(3 * second).await.unwrap();
    assert_eq!(next(&mut come).await, 7);
    assert!(begun.elapsed() >= 3 * second, "{:?}", begun.elapsed());
    running.stop().await;
    let made = stream(&raw).await;
    assert_eq!(made.subjects, ["orders.>", "BUS.at.orders.>"]);
    assert!(made.allow_message_schedules && made.allow_message_ttl);
}

#[tokio::test]
async fn what_waits_survives_a_killed_server_and_comes_once() {
    let mut server = DevServer::start().unwrap();
    let (bus, _) = connect(config(&server)).await;
    let (running, mut come) = start(&bus).await;
    bus.publish(&reminder(1)).after(Duration::from_secs(2)).await.unwrap();
    bus.publish(&reminder(2)).after(Duration::from_secs(8)).await.unwrap();
    server.kill().unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    server.restart().unwrap();
    assert_eq!(next(&mut come).await, 1, "it was due while the server was away");
    assert_eq!(next(&mut come).await, 2);
    assert!(timeout(Duration::from_secs(1), come.recv()).await.is_err());
    running.stop().await;
}

#[tokio::test]
async fn a_stream_that_we_made_earlier_learns_it() {
    let server = DevServer::start().unwrap();
    let (bus, raw) = connect(config(&server)).await;
    raw.create_stream(earlier(&["bus-managed"])).await.unwrap();
    bus.publish(&reminder(7)).after(HOUR).await.unwrap();
    let config = stream(&raw).await;
    assert_eq!(config.subjects, ["orders.>", "BUS.at.orders.>"]);
    assert!(config.allow_message_schedules && config.allow_message_ttl);
}

#[tokio::test]
async fn a_stream_that_is_not_ours_to_change_is_named_with_what_it_needs() {
    for (provision, metadata) in
        [(Provision::Create, &[][..]), (Provision::Verify, &["bus-managed"][..])]
    {
        let server = DevServer::start().unwrap();
        let (bus, raw) = connect(NatsConfig { provision, ..config(&server) }).await;
        raw.create_stream(earlier(metadata)).await.unwrap();
        let before = stream(&raw).await;
        let id = bus.publish(&reminder(7)).await.unwrap();
        let begun = Instant::now();
        let reason = unsupported(bus.publish(&reminder(7)).after(HOUR).await);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        for part in ["`ORDERS`", "`BUS.at.orders.>`", "`allow_msg_schedules`", "2.14.3 or later"] {
            assert!(reason.contains(part), "{part}: {reason}");
        }
        assert!(!bus.cancel::<Reminder>(&id).await.unwrap(), "nothing waits");
        assert_eq!(stream(&raw).await, before);
        // Where the subject is there and a flag is not, it is the server that refuses.
        let subjects = vec!["orders.>".into(), "BUS.at.orders.>".into()];
        let changed = Stream { subjects, allow_message_schedules: true, ..before };
        raw.update_stream(changed.clone()).await.unwrap();
        let reason = unsupported(bus.publish(&reminder(7)).after(HOUR).await);
        assert!(reason.contains("`allow_msg_ttl`"), "{reason}");
        raw.update_stream(Stream { allow_message_ttl: true, ..changed }).await.unwrap();
        let id = bus.publish(&reminder(7)).after(HOUR).await.unwrap();
        assert!(bus.cancel::<Reminder>(&id).await.unwrap());
    }
}

#[tokio::test]
async fn a_server_that_can_not_is_told_by_its_version() {
    let server = DevServer::start_version("2.12.8").unwrap();
    let (bus, raw) = connect(config(&server)).await;
    let id = bus.publish(&reminder(7)).await.unwrap();
    assert_eq!(stream(&raw).await.subjects, ["orders.>"]);
    let reason = unsupported(bus.publish(&reminder(7)).after(HOUR).await);
    let expected =
        "nats-server 2.12.8 can not keep an event until its time: 2.14.3 or later is needed";
    assert_eq!(reason, expected);
    let error = bus.cancel::<Reminder>(&id).await.unwrap_err();
    assert_eq!(error, TransportError::Unsupported { reason });
}

#[tokio::test]
async fn a_time_that_can_not_be_written_is_refused() {
    let server = DevServer::start().unwrap();
    let (bus, _) = connect(config(&server)).await;
    let years = Duration::from_secs(10_000 * 366 * 24 * 60 * 60);
    let reason = unsupported(bus.publish(&reminder(7)).after(years).await);
    assert!(reason.contains("is no time that can be written"), "{reason}");
    let id = bus.publish(&reminder(7)).after(years / 100).await.unwrap();
    assert!(bus.cancel::<Reminder>(&id).await.unwrap());
}

#[tokio::test]
async fn an_id_that_was_taken_back_is_spent_inside_the_window() {
    let server = DevServer::start().unwrap();
    let streams = Streams { duplicate_window: Duration::from_secs(2), ..Streams::default() };
    let (bus, _) = connect(NatsConfig { streams, ..config(&server) }).await;
    let id = bus.publish(&reminder(7)).after(HOUR).await.unwrap();
    assert!(bus.cancel::<Reminder>(&id).await.unwrap());
    bus.publish(&reminder(7)).id(id.clone()).after(HOUR).await.unwrap();
    assert!(!bus.cancel::<Reminder>(&id).await.unwrap(), "it was a duplicate");
    tokio::time::sleep(Duration::from_secs(4)).await;
    bus.publish(&reminder(7)).id(id.clone()).after(HOUR).await.unwrap();
    assert!(bus.cancel::<Reminder>(&id).await.unwrap());
}

#[tokio::test]
async fn where_nothing_is_looked_at_the_stream_is_known_by_its_name() {
    let server = DevServer::start().unwrap();
    let (bus, raw) = connect(config(&server)).await;
    bus.publish(&reminder(1)).await.unwrap();
    let provision = Provision::Never;
    let (blind, _) = connect(NatsConfig { provision, ..config(&server) }).await;
    let id = blind.publish(&reminder(2)).after(HOUR).await.unwrap();
    assert!(blind.cancel::<Reminder>(&id).await.unwrap());
    raw.delete_stream("ORDERS").await.unwrap();
    raw.create_stream(earlier(&[])).await.unwrap();
    let reason = unsupported(blind.publish(&reminder(3)).after(HOUR).await);
    assert!(reason.contains("`BUS.at.orders.>`, `allow_msg_schedules`"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_that_wait_come_once_each() {
    const COUNT: u32 = 5_000;
    let server = DevServer::start().unwrap();
    let (bus, raw) = connect(config(&server)).await;
    let (running, mut come) = start(&bus).await;
    let (begun, due) = (Instant::now(), SystemTime::now() + Duration::from_secs(5));
    let sent = join_all((0..COUNT).map(|order| bus.publish(&reminder(order)).at(due))).await;
    assert!(sent.iter().all(Result::is_ok), "{:?}", sent.iter().find(|sent| sent.is_err()));
    println!("{COUNT} were stored in {:?}", begun.elapsed());
    let mut orders = Vec::new();
    while orders.len() < COUNT as usize {
        orders.push(next(&mut come).await);
    }
    println!("{COUNT} came until {:?} after they were due", due.elapsed().unwrap_or_default());
    orders.sort_unstable();
    assert!(orders.into_iter().eq(0..COUNT));
    let state = raw.get_stream("ORDERS").await.unwrap().cached_info().state.clone();
    assert_eq!(state.messages, u64::from(COUNT), "what waited is gone");
    running.stop().await;
}
