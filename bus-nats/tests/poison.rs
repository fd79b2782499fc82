//! Messages on which the client drops its connection: found, kept whole, and everything around them is
//! delivered.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus_core::operator::DeadLetter;
use bus_core::prelude::*;
use bus_core::settle::Reason;
use bus_nats::dev_server::DevServer;
use bus_nats::{NatsConfig, NatsTransport};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.{region}.placed")]
struct Placed {
    region: String,
    order: u32,
}

type Seen = Arc<Mutex<BTreeSet<u32>>>;

#[handler(concurrency = 4)]
async fn charge(placed: Placed, State(seen): State<Seen>) {
    seen.lock().unwrap().insert(placed.order);
}

/// Publishes without a client, which would not let this through.
fn publish(server: &DevServer, subject: &[u8], headers: &[u8], payload: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let mut message = b"CONNECT {\"verbose\":false,\"headers\":true}\r\n".to_vec();
    let sizes = format!(" {} {}\r\n", headers.len(), headers.len() + payload.len());
    for part in [b"HPUB ", subject, sizes.as_bytes(), headers, payload, b"\r\nPING\r\n"] {
        message.extend_from_slice(part);
    }
    stream.write_all(&message).unwrap();
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    while !answer.contains("PONG") {
        let count = stream.read(&mut buffer).unwrap();
        answer.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        assert!(count > 0 && !answer.contains("-ERR"), "{answer}");
    }
}

async fn around(poison: &[(&[u8], &[u8])]) -> Vec<DeadLetter> {
    let server = DevServer::start().unwrap();
    let config = NatsConfig { servers: vec![server.url()], ..NatsConfig::default() };
    let bus = Bus::new(NatsTransport::connect(config).await.unwrap());
    let orders = |from| (from..from + 10).map(|order| Placed { region: "eu".into(), order });
    let good = async |from| {
        let orders: Vec<_> = orders(from).collect();
        assert!(bus.publish_all(&orders).await.iter().all(Result::is_ok));
    };
    good(0).await;
    for (subject, headers) in poison {
        publish(&server, subject, headers, b"poison");
    }
    good(10).await;
    let seen = Seen::default();
    let service =
        Service::new("billing", bus.clone()).lease(Duration::from_secs(2)).state(Arc::clone(&seen));
    let running = service.handlers(handlers![charge]).start().await.unwrap();
    let (begun, mut letters) = (Instant::now(), Vec::new());
    // One lease, and ten seconds.
    while begun.elapsed() < Duration::from_secs(12)
        && (seen.lock().unwrap().len() < 20 || letters.len() < poison.len())
    {
        sleep(Duration::from_millis(50)).await;
        // While there is no connection it can not be asked.
        letters = bus.operator().unwrap().dead_letters(None, 10).await.unwrap_or_default();
    }
    let group = bus_core::transport::GroupName::new("billing", "charge").unwrap();
    let lag = bus.operator().unwrap().lag(&group).await;
    assert_eq!(
        *seen.lock().unwrap(),
        (0..20).collect(),
        "after {:?}: {lag:?}, {letters:?}",
        begun.elapsed()
    );
    running.stop().await;
    letters
}

#[tokio::test]
async fn a_header_that_is_not_text_is_kept_with_its_bytes() {
    let headers = b"NATS/1.0\r\nname: \xff\xfe\r\n\r\n";
    let letters = around(&[(b"orders.eu.placed", headers)]).await;
    let [letter] = letters.as_slice() else { unreachable!("{letters:?}") };
    assert_eq!((letter.reason, &*letter.failed.class), (Reason::Undecodable, "wire"));
    assert_eq!(letter.failed.text, "its headers are not UTF-8");
    assert_eq!(&*letter.envelope.payload, b"poison");
    assert_eq!(letter.group.as_str(), "billing_charge");
}

#[tokio::test]
async fn a_large_header_that_is_not_text_holds_up_nobody() {
    let headers = [b"NATS/1.0\r\nname: \xff", "x".repeat(60_000).as_bytes(), b"\r\n\r\n"].concat();
    let letters = around(&[(b"orders.eu.placed", &headers)]).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].failed.text, "its headers are not UTF-8");
}

#[tokio::test]
async fn a_header_without_a_colon_holds_up_nobody() {
    let letters = around(&[(b"orders.eu.placed", b"NATS/1.0\r\nno colon here\r\n\r\n")]).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].failed.text, "a header has no colon");
}

#[tokio::test]
async fn a_subject_that_is_not_text_holds_up_nobody() {
    let letters = around(&[(b"orders.\xff\xfe.placed", b"NATS/1.0\r\n\r\n")]).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].failed.text, "its subject is not UTF-8");
}

#[tokio::test]
async fn several_of_all_kinds_hold_up_nobody() {
    let headers = [&b"NATS/1.0\r\na: \xff\r\n\r\n"[..], b"NATS/1.0\r\nnone\r\n\r\n"];
    let letters = around(&[
        (b"orders.eu.placed", headers[0]),
        (b"orders.\xff.placed", headers[1]),
        (b"orders.us.placed", headers[1]),
    ])
    .await;
    assert_eq!(letters.len(), 3);
}
