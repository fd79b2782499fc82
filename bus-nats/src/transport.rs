//! The transport: one connection, on a thread of its own.

use std::sync::Arc;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_trait::async_trait;
use bus_core::Envelope;
use bus_core::answer::Answer;
use bus_core::transport::{Deliveries, Group, Health, Plan, Survey, Transport, TransportError};
use tokio::sync::watch;

use crate::capabilities::{self, Capabilities};
use crate::config::{NatsConfig, Provision};
use crate::connection::{self, ConnectError, Signals};
use crate::engine::Engine;
use crate::{publish, topology};

/// How many publishes of one connection wait for their acks at most; the bus allows fewer.
const MAX_IN_FLIGHT: usize = 65_536;

/// NATS JetStream as a transport: it publishes, and does not consume yet.
///
/// ```no_run
/// use bus_core::prelude::*;
/// use bus_nats::{NatsConfig, NatsTransport};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = Bus::new(NatsTransport::connect(NatsConfig::from_env()?).await?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct NatsTransport(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) context: Context,
    pub(crate) signals: Signals,
    client: Client,
    config: NatsConfig,
    capabilities: Capabilities,
    /// Dropped last: the client lives on it.
    _engine: Engine,
}

impl NatsTransport {
    /// Checks the configuration, connects within its deadline, and reads what the server can do.
    pub async fn connect(config: NatsConfig) -> Result<Self, ConnectError> {
        let servers = config.check()?;
        let engine = Engine::start().map_err(ConnectError::Thread)?;
        let signals = Signals::new();
        let connect = connection::connect(config.clone(), servers, signals.clone());
        let client = engine.run(connect).await.ok_or(ConnectError::Ended)??;
        let (asked, made) = (client.clone(), client.clone());
        let detect = async move { capabilities::detect(&asked).await };
        let capabilities = engine.run(detect).await.ok_or(ConnectError::Ended)??;
        let context =
            async move { ContextBuilder::new().max_ack_inflight(MAX_IN_FLIGHT).build(made) };
        let context = engine.run(context).await.ok_or(ConnectError::Ended)?;
        let shared = Shared { context, signals, client, config, capabilities, _engine: engine };
        Ok(Self(Arc::new(shared)))
    }

    /// What was read of the server at the start.
    pub fn capabilities(&self) -> Capabilities {
        self.0.capabilities
    }

    /// The client itself, of the version of `async-nats` that this crate is built with: the one
    /// door out, for what is not done through the bus.
    pub fn client(&self) -> &Client {
        &self.0.client
    }
}

impl Shared {
    /// The stream of a domain, made or compared as the configuration says.
    pub(crate) async fn stream(&self, domain: &str) -> Result<Option<String>, TransportError> {
        let NatsConfig { provision, streams, .. } = &self.config;
        topology::stream(&self.context, domain, *provision, streams).await
    }
}

#[async_trait]
impl Transport for NatsTransport {
    fn publish(&self, envelope: Envelope) -> Answer<Result<(), TransportError>> {
        Answer::later(publish::publish(Arc::clone(&self.0), envelope))
    }

    async fn subscribe(&self, group: Group) -> Result<Box<dyn Deliveries>, TransportError> {
        let reason = format!("`{}` can not be joined: bus-nats publishes only, so far", group.name);
        Err(TransportError::Unsupported { reason })
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.signals.health.subscribe()
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    async fn survey(&self, plan: &Plan) -> Result<Survey, TransportError> {
        let mut survey = Survey::default();
        if self.0.config.provision == Provision::Never {
            return Ok(survey);
        }
        for filter in &plan.filters {
            if self.0.stream(filter.domain()).await?.is_none() {
                survey.uncovered.push(filter.clone());
            }
        }
        Ok(survey)
    }
}
