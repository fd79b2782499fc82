//! What a server refuses to store, in words, and without harm to what follows.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use bus_core::prelude::*;
use bus_core::transport::{Transport, TransportError};
use bus_core::{EventId, Subject};
use bus_nats::dev_server::DevServer;
use bus_nats::{NatsConfig, NatsTransport};
use tokio::time::Instant;

async fn connect(server: &DevServer) -> NatsTransport {
    let config = NatsConfig { servers: vec![server.url()], ..NatsConfig::default() };
    NatsTransport::connect(config).await.unwrap()
}

fn event(payload: String) -> Envelope {
    Envelope::new(EventId::now(), "placed", Subject::literal("orders.placed"), payload)
}

async fn make(transport: &NatsTransport, limits: Config) {
    let subjects = vec!["orders.>".to_owned()];
    let config = Config { name: "ORDERS".to_owned(), subjects, ..limits };
    jetstream::new(transport.client().clone()).create_stream(config).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_is_full_says_so_at_once() {
    let server = DevServer::start().unwrap();
    let transport = connect(&server).await;
    let discard = DiscardPolicy::New;
    make(&transport, Config { max_messages: 1, discard, ..Config::default() }).await;
    transport.publish(event("fits".into())).await.unwrap();
    let begun = Instant::now();
    let full = transport.publish(event("does not".into())).await.unwrap_err();
    assert!(matches!(full, TransportError::Full { .. }), "{full}");
    assert!(
        begun.elapsed() < Duration::from_secs(1) && full.to_string().contains("maximum messages")
    );
}

#[tokio::test]
async fn a_message_that_is_larger_than_its_stream_takes_is_refused() {
    let server = DevServer::start().unwrap();
    let transport = connect(&server).await;
    make(&transport, Config { max_message_size: 1024, ..Config::default() }).await;
    let large = transport.publish(event("x".repeat(2000))).await.unwrap_err();
    assert!(matches!(large, TransportError::Full { .. }), "{large}");
    transport.publish(event("small".into())).await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_larger_than_the_server_takes_is_not_sent_and_breaks_nothing() {
    let server = DevServer::start_with("max_payload: 4096\n").unwrap();
    let transport = connect(&server).await;
    let large = transport.publish(event("x".repeat(5000))).await.unwrap_err();
    assert!(matches!(large, TransportError::Full { .. }), "{large}");
    transport.publish(event("small".into())).await.unwrap();
    assert_eq!(
        transport.client().statistics().connects.load(std::sync::atomic::Ordering::Relaxed),
        1
    );
}

#[tokio::test]
async fn a_server_that_is_frozen_makes_a_publish_unknown_and_it_is_stored_once_all_the_same() {
    let server = DevServer::start().unwrap();
    let transport = connect(&server).await;
    transport.publish(event("before".into())).await.unwrap();
    server.signal("STOP").unwrap();
    let frozen = event("frozen".into());
    let unknown = transport.publish(frozen.clone()).await.unwrap_err();
    assert!(matches!(unknown, TransportError::Unknown { .. }), "{unknown}");
    server.signal("CONT").unwrap();
    transport.publish(frozen).await.unwrap();
    let stream = jetstream::new(transport.client().clone()).get_stream("ORDERS").await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 2);
}
