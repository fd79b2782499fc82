//! A member of a group where things around it are deleted, made anew, cut off, refused or too large.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, SystemTime};

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, Context};
use bus_core::delivery::Delivery;
use bus_core::operator::{Operator, OperatorError};
use bus_core::prelude::*;
use bus_core::settle::{Failed, Reason, SettleError, Settlement};
use bus_core::subject::Filter;
use bus_core::transport::{Deliveries, Group, GroupName, Health, Plan, Transport};
use bus_core::{EventId, Subject};
use bus_nats::dev_server::DevServer;
use bus_nats::{Auth, NatsConfig, NatsTransport, Provision, Secret};
use tokio::time::{Instant, sleep, timeout};

mod anew;
mod leaks;
mod letters;
mod stalls;

const SECOND: Duration = Duration::from_secs(1);
const NAME: &str = "billing_charge";

struct Bench {
    server: DevServer,
    raw: Context,
    transport: NatsTransport,
}

impl Bench {
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(configuration: &str) -> Self {
        let server = DevServer::start_with(configuration).unwrap();
        let raw = raw(&server).await;
        let transport = connect(&server, Provision::Create).await;
        Self { server, raw, transport }
    }

    async fn publish(&self, numbers: impl Iterator<Item = u32>) {
        for number in numbers {
            let subject = Subject::parse("orders.eu.placed").unwrap();
            let envelope = Envelope::new(EventId::now(), "placed", subject, number.to_string());
            self.transport.publish(envelope).await.unwrap();
        }
    }

    async fn subscribe(&self, group: &Group) -> Box<dyn Deliveries> {
        self.transport.subscribe(group.clone()).await.unwrap()
    }
}

async fn raw(server: &DevServer) -> Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

async fn connect(server: &DevServer, provision: Provision) -> NatsTransport {
    let servers = vec![server.url()];
    NatsTransport::connect(NatsConfig { servers, provision, ..NatsConfig::default() })
        .await
        .unwrap()
}

fn group(lease: Duration) -> Group {
    let filter = Filter::parse("orders.*.placed").unwrap();
    let mut group = Group::new(GroupName::new("billing", "charge").unwrap(), filter);
    group.lease = lease;
    group
}

async fn within(deliveries: &mut Box<dyn Deliveries>, limit: Duration) -> Option<Option<Delivery>> {
    timeout(limit, poll_fn(|cx| deliveries.poll_next(cx))).await.ok()
}

async fn next(deliveries: &mut Box<dyn Deliveries>) -> Delivery {
    within(deliveries, 20 * SECOND).await.expect("nothing arrived").expect("it ended")
}

async fn ends(deliveries: &mut Box<dyn Deliveries>) {
    let end = within(deliveries, 20 * SECOND).await.expect("its end was not told");
    assert!(end.is_none());
}

fn text(delivery: &Delivery) -> String {
    String::from_utf8(delivery.envelope().payload.to_vec()).unwrap()
}

fn failed(attempt: u32) -> Failed {
    Failed::new("broken", "it is broken", attempt, SystemTime::now())
}

fn bury() -> Settlement {
    Settlement::DeadLetter { reason: Reason::Rejected, failed: failed(1) }
}

fn retry(attempt: u32) -> Settlement {
    Settlement::Retry { after: Duration::ZERO, failed: failed(attempt) }
}

// ---- A
