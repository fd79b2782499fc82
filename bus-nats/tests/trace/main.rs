//! What traces and metrics need: as others see it on the wire, and as the bus is told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::poll_fn;
use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::{self, Context as JetStream};
use bus_core::delivery::Delivery;
use bus_core::envelope::{Trace, TraceContext, TraceParent};
use bus_core::operator::{DeadLetterId, Operator};
use bus_core::prelude::*;
use bus_core::settle::{Failed, Reason, Settlement};
use bus_core::subject::Filter;
use bus_core::transport::{Deliveries, Group, GroupName, Transport};
use bus_nats::dev_server::DevServer;
use bus_nats::{NatsConfig, NatsTransport};
use tokio::time::timeout;

mod told;
mod wire;

const SUBJECT: Subject = Subject::literal("orders.placed");

const SECOND: Duration = Duration::from_secs(1);

/// The span of a run that failed.
const SPAN: &str = "00-11111111111111111111111111111111-2222222222222222-01";

/// A group with one member, and a client that knows nothing of a bus.
struct Bench {
    server: DevServer,
    transport: NatsTransport,
    raw: JetStream,
    group: Group,
    deliveries: Box<dyn Deliveries>,
}

impl Bench {
    async fn new(lease: Duration) -> Self {
        let server = DevServer::start().unwrap();
        let config = NatsConfig { servers: vec![server.url()], ..NatsConfig::default() };
        let transport = NatsTransport::connect(config).await.unwrap();
        let name = GroupName::new("billing", "charge").unwrap();
        let mut group = Group::new(name, Filter::from(&SUBJECT));
        group.lease = lease;
        let deliveries = transport.subscribe(group.clone()).await.unwrap();
        let raw = jetstream::new(async_nats::connect(server.url()).await.unwrap());
        Self { server, transport, raw, group, deliveries }
    }

    async fn publish(&self, trace: Trace) {
        let mut envelope = Envelope::new(EventId::now(), "placed", SUBJECT, "{}");
        envelope.trace = trace;
        self.transport.publish(envelope).await.unwrap();
    }

    async fn publish_raw(&self, headers: &[(&str, &str)]) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, *value);
        }
        let sent = self.raw.publish_with_headers(SUBJECT.as_str().to_owned(), map, "{}".into());
        sent.await.unwrap().await.unwrap();
    }

    /// The next run.
    async fn run(&mut self) -> Delivery {
        let next = poll_fn(|cx| self.deliveries.poll_next(cx));
        let delivery = timeout(30 * SECOND, next).await.unwrap().unwrap();
        delivery.begin().await.unwrap();
        delivery
    }

    /// The next run gives up: the record of it.
    async fn give_up(&mut self) -> DeadLetterId {
        let delivery = self.run().await;
        let (reason, failed) = (Reason::Rejected, failed(&delivery));
        delivery.settle(Settlement::DeadLetter { reason, failed }).await.unwrap();
        self.transport.dead_letters(None, 1).await.unwrap().remove(0).id
    }

    /// The last message of a stream, as it stands there.
    async fn last(&self, stream: &str) -> StreamMessage {
        let stream = self.raw.get_stream(stream).await.unwrap();
        stream.get_raw_message(stream.cached_info().state.last_sequence).await.unwrap()
    }
}

async fn retry(delivery: Delivery, after: Duration) {
    let failed = failed(&delivery);
    delivery.settle(Settlement::Retry { after, failed }).await.unwrap();
}

fn failed(delivery: &Delivery) -> Failed {
    let attempt = delivery.history().next_attempt();
    let mut failed = Failed::new("away", "", attempt, SystemTime::now());
    failed.span = TraceParent::parse(SPAN);
    failed
}

fn context(parent: &str, state: &str) -> Option<TraceContext> {
    TraceContext::read(Some(parent), Some(state))
}
