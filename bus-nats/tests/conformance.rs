//! The conformance cases on a real server, each by two connections.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use async_trait::async_trait;
use bus_core::answer::Answer;
use bus_core::operator::Operator;
use bus_core::prelude::*;
use bus_core::testing::conformance::{Bench, Settings};
use bus_core::transport::{Deliveries, Group, Health, Plan, Survey, Transport, TransportError};
use bus_nats::dev_server::DevServer;
use bus_nats::{NatsConfig, NatsTransport};
use tokio::sync::watch;

/// One server for all cases that run at the same time; it ends with the last of them.
fn server() -> Arc<DevServer> {
    static SERVER: Mutex<Weak<DevServer>> = Mutex::new(Weak::new());
    let mut shared = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(DevServer::start().unwrap());
    *shared = Arc::downgrade(&server);
    server
}

/// A connection that keeps its server alive.
struct Connection {
    transport: NatsTransport,
    _server: Arc<DevServer>,
}

impl Connection {
    async fn new(server: &Arc<DevServer>) -> Self {
        let config = NatsConfig { servers: vec![server.url()], ..NatsConfig::default() };
        let transport = NatsTransport::connect(config).await.unwrap();
        Self { transport, _server: Arc::clone(server) }
    }
}

#[async_trait]
impl Transport for Connection {
    fn publish(&self, envelope: Envelope) -> Answer<Result<(), TransportError>> {
        self.transport.publish(envelope)
    }

    fn publish_at(
        &self,
        envelope: Envelope,
        due: SystemTime,
    ) -> Answer<Result<(), TransportError>> {
        self.transport.publish_at(envelope, due)
    }

    fn cancel(&self, domain: &str, id: &EventId) -> Answer<Result<bool, TransportError>> {
        self.transport.cancel(domain, id)
    }

    async fn subscribe(&self, group: Group) -> Result<Box<dyn Deliveries>, TransportError> {
        self.transport.subscribe(group).await
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.transport.health()
    }

    fn operator(&self) -> Option<&dyn Operator> {
        self.transport.operator()
    }

    async fn survey(&self, plan: &Plan) -> Result<Survey, TransportError> {
        self.transport.survey(plan).await
    }
}

async fn nats() -> Bench {
    let server = server();
    let here = Arc::new(Connection::new(&server).await);
    let elsewhere = Arc::new(Connection::new(&server).await);
    Bench::new(here, Settings::default()).elsewhere(elsewhere)
}

bus_core::conformance!(nats);
