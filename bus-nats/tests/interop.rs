//! With a client of somebody else's, nats-py: it reads what we publish, and we handle what it does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;
use std::time::Duration;

use bus_core::operator::DeadLetter;
use bus_core::prelude::*;
use bus_core::settle::Reason;
use bus_core::transport::{GroupName, Transport};
use bus_nats::dev_server::{self, DevServer};
use bus_nats::{NatsConfig, NatsTransport};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::time::{Instant, sleep, timeout};

/// Of `nats-py`.
const VERSION: &str = "2.16.0";

const PATIENCE: Duration = Duration::from_secs(20);

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop.py");

#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct Placed {
    #[event(key)]
    city: String,
    cents: i64,
}

/// Runs the other side, and gives what it printed.
fn python(command: &str, server: &DevServer, argument: &str) -> Vec<Value> {
    let package = dev_server::package("nats-py", VERSION).unwrap();
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", package).args([SCRIPT, command, &server.url(), argument]);
    let output = python.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn connect(server: &DevServer) -> (NatsTransport, Bus) {
    let config = NatsConfig { servers: vec![server.url()], ..NatsConfig::default() };
    let transport = NatsTransport::connect(config).await.unwrap();
    (transport.clone(), Bus::new(transport).source("/shop/zürich"))
}

#[tokio::test]
async fn what_we_publish_is_read_as_a_cloud_event() {
    let server = DevServer::start().unwrap();
    let (_, bus) = connect(&server).await;
    let event = Placed { city: "Zürich €".into(), cents: 995 };
    let id = bus.publish(&event).header("tenant", "acme").await.unwrap();
    let mut read = python("read", &server, "ORDERS");
    let headers = read[0]["headers"].as_object_mut().unwrap();
    let time = headers.remove("ce-time").unwrap();
    assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
    let expected = json!({
        "subject": "orders.placed",
        "headers": {
            "Nats-Msg-Id": id.to_string(),
            "ce-specversion": "1.0",
            "ce-id": id.to_string(),
            "ce-source": "/shop/z%C3%BCrich",
            "ce-type": "orders.placed",
            "ce-subject": "orders.placed",
            "ce-dataversion": "1",
            "ce-correlationid": id.to_string(),
            "ce-partitionkey": "Z%C3%BCrich%20%E2%82%AC",
            "content-type": "application/json",
            "ce-datacontenttype": "application/json",
            "tenant": "acme",
        },
        "data": "{\"city\":\"Zürich €\",\"cents\":995}",
    });
    assert_eq!(read, [expected]);
}

/// What a handler is given of an event: its id, source and key, a header, and the event.
type Given = [String; 5];

#[handler]
async fn keep(order: Placed, ctx: Context, State(given): State<UnboundedSender<Given>>) {
    let (id, envelope) = (ctx.id().to_string(), ctx.envelope());
    let key = envelope.key.clone().unwrap_or_default();
    let tenant = ctx.headers().get("tenant").unwrap_or_default().to_owned();
    given.send([id, envelope.source.to_string(), key, tenant, order.city]).unwrap_or_default();
}

#[tokio::test]
async fn what_they_publish_is_handled_or_kept_as_a_dead_letter() {
    let server = DevServer::start().unwrap();
    let (transport, bus) = connect(&server).await;
    let (given, mut seen) = mpsc::unbounded_channel::<Given>();
    let service = Service::new("archive", bus.clone()).handlers(handlers![keep]).state(given);
    let running = service.start().await.unwrap();
    python("publish", &server, "orders.placed");
    for id in ["py-binary", "py-structured"] {
        let expected = [id, "/shop/zürich", "Zürich €", "acme", "Zürich"].map(str::to_owned);
        assert_eq!(timeout(PATIENCE, seen.recv()).await.unwrap().unwrap(), expected);
    }
    let mut letters = dead_letters(&transport, 2).await;
    letters.sort_by_key(|letter| letter.envelope.payload.clone());
    assert_eq!(running.stop().await.abandoned, 0);
    let kept = |letter: &DeadLetter| (letter.reason, letter.envelope.payload.clone());
    assert_eq!(kept(&letters[0]), (Reason::UnknownType, "hello".into()));
    assert_eq!(kept(&letters[1]), (Reason::Undecodable, "{}".into()));
}

/// So many, as soon as they are there.
async fn dead_letters(transport: &NatsTransport, count: usize) -> Vec<DeadLetter> {
    let group = GroupName::new("archive", "keep").unwrap();
    let operator = transport.operator().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let letters = operator.dead_letters(Some(&group), 10).await.unwrap();
        if letters.len() >= count || Instant::now() > deadline {
            return letters;
        }
        sleep(Duration::from_millis(50)).await;
    }
}
