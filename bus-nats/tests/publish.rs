//! Publishing to a real server: stored once, through faults, and every "no" in words.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use async_nats::jetstream;
use bus_core::prelude::*;
use bus_core::transport::{Health, Transport, TransportError};
use bus_nats::dev_server::DevServer;
use bus_nats::{
    Auth, ConfigError, ConnectError, NatsConfig, NatsTransport, Provision, Secret, Streams,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.{region}.placed", version = 2)]
struct Placed {
    region: String,
    #[event(key)]
    order: u32,
}

fn placed(order: u32) -> Placed {
    Placed { region: "eu".into(), order }
}

fn config(server: &DevServer) -> NatsConfig {
    NatsConfig { servers: vec![server.url()], ..NatsConfig::default() }
}

async fn connect(config: NatsConfig) -> (NatsTransport, Bus) {
    let transport = NatsTransport::connect(config).await.unwrap();
    let bus = Bus::new(transport.clone()).source("web");
    (transport, bus)
}

fn context(transport: &NatsTransport) -> jetstream::Context {
    jetstream::new(transport.client().clone())
}

async fn stored(transport: &NatsTransport) -> u64 {
    let stream = context(transport).get_stream("ORDERS").await.unwrap();
    stream.get_info().await.unwrap().state.messages
}

#[tokio::test]
async fn an_event_is_a_cloud_event_in_the_stream_of_its_domain() {
    let server = DevServer::start().unwrap();
    let (transport, bus) = connect(config(&server)).await;
    assert!(transport.capabilities().schedules && transport.capabilities().max_payload > 0);
    let id = bus.publish(&placed(7)).header("tenant", "acme").await.unwrap();
    bus.publish(&placed(7)).id(id.clone()).await.unwrap();
    assert_eq!(stored(&transport).await, 1, "the same id is stored once");
    let stream = context(&transport).get_stream("ORDERS").await.unwrap();
    let config = &stream.cached_info().config;
    assert_eq!(config.subjects, ["orders.>", "BUS.at.orders.>"]);
    assert_eq!((config.max_age, config.max_consumers), (Duration::from_secs(604_800), 10_000));
    let message = stream.get_raw_message(1).await.unwrap();
    let header =
        |name| message.headers.get(name).map(|value| value.to_string()).unwrap_or_default();
    assert_eq!(message.subject.as_str(), "orders.eu.placed");
    for (name, value) in [
        ("Nats-Msg-Id", id.to_string().as_str()),
        ("ce-id", id.to_string().as_str()),
        ("ce-specversion", "1.0"),
        ("ce-type", "orders.placed"),
        ("ce-source", "web"),
        ("ce-partitionkey", "7"),
        ("ce-dataversion", "2"),
        ("content-type", "application/json"),
        ("tenant", "acme"),
    ] {
        assert_eq!(header(name), value, "{name}");
    }
    assert_eq!(&*message.payload, br#"{"region":"eu","order":7}"#);
}

#[tokio::test]
async fn a_batch_is_stored_in_its_order() {
    let server = DevServer::start().unwrap();
    let (transport, bus) = connect(config(&server)).await;
    bus.publish(&placed(0)).await.unwrap();
    let orders: Vec<_> = (1..=2000).map(placed).collect();
    assert!(bus.publish_all(&orders).await.iter().all(Result::is_ok));
    let stream = context(&transport).get_stream("ORDERS").await.unwrap();
    for sequence in [1, 2, 1000, 2001] {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let order: Placed = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(u64::from(order.order) + 1, sequence);
    }
    assert_eq!(stored(&transport).await, 2001);
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_has_every_event_once() {
    let mut server = DevServer::start().unwrap();
    let (transport, bus) = connect(config(&server)).await;
    let orders: Vec<_> = (0..3000).map(placed).collect();
    let (results, server) = tokio::join!(bus.publish_all(&orders), async {
        while stored_or_none(&transport).await < 300 {
            tokio::task::yield_now().await;
        }
        tokio::task::spawn_blocking(move || {
            server.kill().unwrap();
            server.restart().unwrap();
            server
        })
        .await
        .unwrap()
    });
    let failed: Vec<_> = results.iter().filter(|result| result.is_err()).collect();
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), failed.first());
    assert_eq!(stored(&transport).await, 3000);
    drop(server);
}

async fn stored_or_none(transport: &NatsTransport) -> u64 {
    match context(transport).get_stream("ORDERS").await {
        Ok(stream) => stream.cached_info().state.messages,
        Err(_) => 0,
    }
}

#[tokio::test]
async fn without_a_server_a_publish_is_unknown_within_its_deadline_and_health_says_why() {
    let mut server = DevServer::start().unwrap();
    let (transport, bus) = connect(config(&server)).await;
    bus.publish(&placed(0)).await.unwrap();
    server.kill().unwrap();
    let mut health = transport.health();
    let down = health.wait_for(|health| matches!(health, Health::Unready { .. }));
    tokio::time::timeout(Duration::from_secs(5), down).await.unwrap().unwrap();
    let begun = Instant::now();
    let error = bus.publish(&placed(1)).await.unwrap_err();
    assert!(matches!(error, PublishError::Unknown { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(11), "{:?}", begun.elapsed());
    server.restart().unwrap();
    let up = health.wait_for(|health| *health == Health::Ready);
    tokio::time::timeout(Duration::from_secs(10), up).await.unwrap().unwrap();
    bus.publish(&placed(2)).await.unwrap();
}

#[tokio::test]
async fn what_is_not_permitted_is_said_within_a_second() {
    let users = "authorization { users = [ { user: u, password: p, permissions: { \
                 publish: [\"$JS.API.>\", \"allowed.>\"], subscribe: [\"_INBOX_bus.>\"] } } ] }\n";
    let server = DevServer::start_with(users).unwrap();
    let auth = Auth::User { name: "u".into(), password: Secret::new("p") };
    let (_, bus) = connect(NatsConfig { auth, ..config(&server) }).await;
    let begun = Instant::now();
    let error = bus.publish(&placed(1)).await.unwrap_err();
    let PublishError::Refused(TransportError::Denied { reason }) = &error else {
        panic!("{error}")
    };
    assert!(reason.contains("orders.eu.placed"), "{reason}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn without_a_stream_it_is_refused_at_once_and_nothing_is_made() {
    let server = DevServer::start().unwrap();
    let (transport, bus) =
        connect(NatsConfig { provision: Provision::Verify, ..config(&server) }).await;
    let begun = Instant::now();
    let error = bus.publish(&placed(1)).await.unwrap_err();
    let PublishError::Refused(TransportError::NoStream { subject }) = &error else {
        panic!("{error}")
    };
    assert_eq!(subject, "orders.eu.placed");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(context(&transport).get_stream("ORDERS").await.is_err());
}

async fn survey(config: NatsConfig) -> Result<(), TransportError> {
    let transport = NatsTransport::connect(config).await.unwrap();
    let plan = bus_core::transport::Plan::new("billing", vec![Placed::SUBJECT.filter()]);
    transport.survey(&plan).await.map(|survey| assert_eq!(survey.uncovered, []))
}

#[tokio::test]
async fn a_stream_that_differs_is_refused_field_by_field_or_changed_if_it_is_ours() {
    let server = DevServer::start().unwrap();
    let day = Duration::from_secs(86_400);
    let wanted = |max_age, provision| NatsConfig {
        streams: Streams { max_age, ..Streams::default() },
        provision,
        ..config(&server)
    };
    survey(wanted(day, Provision::Create)).await.unwrap();
    let error = survey(wanted(day * 2, Provision::Verify)).await.unwrap_err();
    let expected = "not supported: the stream `ORDERS` is not as it is wanted: max_age is 86400s, 172800s is wanted";
    assert_eq!(error.to_string(), expected);
    survey(wanted(day * 2, Provision::Create)).await.unwrap();
    survey(wanted(day * 2, Provision::Verify)).await.unwrap();
}

#[tokio::test]
async fn a_stream_of_somebody_elses_is_used_as_it_is_or_refused_and_never_changed() {
    let server = DevServer::start().unwrap();
    let (transport, bus) = connect(config(&server)).await;
    let theirs = jetstream::stream::Config {
        name: "THEIRS".into(),
        subjects: vec!["orders.>".into()],
        max_age: Duration::from_secs(3600),
        ..Default::default()
    };
    let context = context(&transport);
    context.create_stream(theirs.clone()).await.unwrap();
    survey(config(&server)).await.unwrap();
    bus.publish(&placed(1)).await.unwrap();
    let info = context.get_stream("THEIRS").await.unwrap().cached_info().clone();
    assert_eq!((info.config.max_age, info.state.messages), (Duration::from_secs(3600), 1));
    context.delete_stream("THEIRS").await.unwrap();
    let queue = jetstream::stream::RetentionPolicy::WorkQueue;
    context.create_stream(jetstream::stream::Config { retention: queue, ..theirs }).await.unwrap();
    let error = survey(config(&server)).await.unwrap_err();
    assert!(error.to_string().contains("retention is WorkQueue, Limits is wanted"), "{error}");
}

async fn refusal(config: NatsConfig) -> ConnectError {
    NatsTransport::connect(config).await.unwrap_err()
}

#[tokio::test]
async fn a_connection_that_can_not_be_is_an_error_in_words_without_secrets() {
    let one_second = |servers: Vec<String>| NatsConfig {
        servers,
        deadline: Duration::from_secs(1),
        auth: Auth::Token(Secret::new("s3cr3t")),
        ..NatsConfig::default()
    };
    let begun = Instant::now();
    let error = refusal(one_second(vec!["nats://127.0.0.1:1".into()])).await;
    assert!(matches!(&error, ConnectError::Unreachable { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(3) && !format!("{error:?}").contains("s3cr3t"));

    let locked = DevServer::start_with("authorization { token: other }\n").unwrap();
    let error = refusal(one_second(vec![locked.url()])).await;
    assert!(matches!(&error, ConnectError::Refused { .. }), "{error}");
    assert!(!format!("{error:?} {error}").contains("s3cr3t"));

    let error = refusal(one_second(vec!["nats://me:s3cr3t@127.0.0.1:4222".into()])).await;
    assert!(matches!(&error, ConnectError::Config(ConfigError::Credentials { at: 1 })), "{error}");
    assert!(!format!("{error:?} {error}").contains("s3cr3t"));
}

/// A server that only greets, with this version.
fn greeter(version: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("nats://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let info =
                format!("INFO {{\"version\":\"{version}\",\"max_payload\":1048576}}\r\nPONG\r\n");
            stream.write_all(info.as_bytes()).unwrap_or_default();
            thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
        }
    });
    address
}

#[tokio::test]
async fn a_server_that_is_too_old_or_has_no_jetstream_is_refused() {
    let servers = vec![greeter("2.11.9")];
    let error = refusal(NatsConfig { servers, ..NatsConfig::default() }).await;
    assert_eq!(error.to_string(), "nats-server 2.11.9 is too old: 2.12.8 or later is needed");
    let accounts = "accounts { A { users = [{ user: a, password: p }] } }\n";
    let server = DevServer::start_with(accounts).unwrap();
    let auth = Auth::User { name: "a".into(), password: Secret::new("p") };
    let error = refusal(NatsConfig { auth, ..config(&server) }).await;
    assert!(matches!(&error, ConnectError::NoJetStream { .. }), "{error}");
}
