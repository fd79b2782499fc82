//! The transport: one connection, on a thread of its own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::{self, Context};
use async_trait::async_trait;
use bus_core::answer::Answer;
use bus_core::operator::Operator;
use bus_core::transport::{
    Deliveries, Group, GroupName, Health, Plan, Survey, System, Transport, TransportError,
};
use bus_core::{Envelope, EventId};
use tokio::sync::{OnceCell, watch};
use tokio::task::unconstrained;
use tokio::time::Instant;

use crate::acks::Acks;
use crate::capabilities::{self, Capabilities, Version};
use crate::config::{NatsConfig, Provision};
use crate::connection::{self, ConnectError, Signals};
use crate::deliveries::Member;
use crate::engine::Engine;
use crate::headers::Writer;
use crate::knock::knock;
use crate::lock::lock;
use crate::refusals::permitted;
use crate::topology::domains::Domains;
use crate::topology::floor::Floors;
use crate::topology::own;
use crate::{delay, health, publish};

mod provide;

/// How long an answer may take to those who will ask again.
pub(crate) const HASTE: Duration = Duration::from_secs(1);

/// A lease that is shorter could end between two signs of life.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// A worker that dies keeps its events for so long; nobody can want more.
const LONGEST_LEASE: Duration = Duration::from_secs(24 * 60 * 60);

/// NATS JetStream as a transport. Clones are one connection.
///
/// ```no_run
/// use bus_core::prelude::*;
/// use bus_nats::{NatsConfig, NatsTransport};
///
/// #[tokio::main]
/// async fn main() -> Result<(), bus_core::Error> {
///     let bus = Bus::new(NatsTransport::connect(NatsConfig::from_env()?).await?);
///     Service::new("billing", bus).handlers(discover!()).run().await
/// }
/// ```
#[derive(Clone, Debug)]
pub struct NatsTransport(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) context: Context,
    /// For those who will ask again: a cluster without a leader gives no answer at all, and who
    /// waits for one misses the leader.
    pub(crate) hasty: Context,
    pub(crate) acks: Arc<Acks>,
    pub(crate) headers: Writer,
    pub(crate) signals: Signals,
    pub(crate) floors: Floors,
    domains: Domains,
    /// Groups that were joined once.
    joined: Mutex<BTreeSet<GroupName>>,
    client: Client,
    config: NatsConfig,
    capabilities: Capabilities,
    /// The bus's own streams were there once.
    own: OnceCell<()>,
    /// Dropped last: the client lives on it.
    engine: Engine,
}

impl NatsTransport {
    /// Checks the configuration, connects within its deadline, and reads what the server can do.
    pub async fn connect(config: NatsConfig) -> Result<Self, ConnectError> {
        let (servers, deadline) = (config.check()?, Instant::now() + config.deadline);
        let engine = Engine::start().map_err(ConnectError::Thread)?;
        let signals = Signals::new();
        let connect = connection::connect(config.clone(), servers, signals.clone());
        let client = engine.run(connect).await.ok_or(ConnectError::Ended)??;
        let (asked, told, made) = (client.clone(), signals.clone(), client.clone());
        let provision = config.provision;
        let detect = async move { capabilities::detect(&asked, &told, provision, deadline).await };
        let capabilities = engine.run(detect).await.ok_or(ConnectError::Ended)??;
        capabilities.tell();
        let told = signals.clone();
        let open = async move {
            let (acks, inbox) = Acks::open(&made).await?;
            let hasty = ContextBuilder::new().timeout(HASTE).build(made.clone());
            Some((acks, inbox, jetstream::new(made), hasty))
        };
        let (acks, inbox, context, hasty) =
            engine.run(open).await.flatten().ok_or(ConnectError::Ended)?;
        engine.spawn(Arc::clone(&acks).listen(inbox, told));
        let state = client.clone();
        let is_up = move || state.connection_state() == State::Connected;
        engine.spawn(health::check(is_up, signals.health.clone()));
        Ok(Self(Arc::new(Shared {
            acks,
            headers: Writer::default(),
            floors: Floors::default(),
            domains: Domains::default(),
            own: OnceCell::new(),
            hasty,
            context,
            joined: Mutex::default(),
            signals,
            client,
            config,
            capabilities,
            engine,
        })))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
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
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The bytes of the largest message that the server takes now, headers included.
    pub(crate) fn max_payload(&self) -> usize {
        self.client.server_info().max_payload
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Whether the server may be asked for what there is.
    pub(crate) fn may_look(&self) -> bool {
        self.config.provision != Provision::Never
    }

    /// Runs a task on the client's thread.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.engine.spawn(task);
    }

    pub(crate) fn version(&self) -> Version {
        self.capabilities.version
    }

    /// Whether the server can keep a message until its time.
    pub(crate) fn has_schedules(&self) -> bool {
        self.capabilities.schedules
    }
}

#[async_trait]
impl Transport for NatsTransport {
    fn publish(&self, envelope: Envelope) -> Answer<Result<(), TransportError>> {
        // With tokio's budget, many at once would be sent in another order than that of the calls.
        Answer::later(unconstrained(publish::publish(Arc::clone(&self.0), envelope)))
    }

    fn publish_at(
        &self,
        envelope: Envelope,
        due: SystemTime,
    ) -> Answer<Result<(), TransportError>> {
        Answer::later(unconstrained(delay::publish(Arc::clone(&self.0), envelope, due)))
    }

    fn cancel(&self, domain: &str, id: &EventId) -> Answer<Result<bool, TransportError>> {
        Answer::later(delay::cancel(Arc::clone(&self.0), domain.to_owned(), id.clone()))
    }

    async fn subscribe(&self, mut group: Group) -> Result<Box<dyn Deliveries>, TransportError> {
        group.lease = group.lease.clamp(SHORTEST_LEASE, LONGEST_LEASE);
        let again = lock(&self.0.joined).contains(&group.name);
        let (stream, made) = permitted(&self.0.signals, self.0.join(&group, again)).await??;
        knock(&self.0, &stream.name, &group.name, again.then_some(HASTE)).await?;
        lock(&self.0.joined).insert(group.name.clone());
        Ok(Box::new(Member::new(&self.0, group, stream.name, made)))
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.signals.health.subscribe()
    }

    fn system(&self) -> System {
        let mut system = System::new("nats");
        let info = self.0.client.server_info();
        let address = connection::address(&self.0.config.servers, &info.host, info.port);
        (system.address, system.port) = address.unzip();
        system.dead_letters = own::LETTERS;
        system.log = "messaging.nats.stream";
        system.sequence = "messaging.nats.sequence";
        system.deliveries = "messaging.nats.message.delivery_count";
        system
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    fn operator(&self) -> Option<&dyn Operator> {
        Some(self)
    }

    async fn survey(&self, plan: &Plan) -> Result<Survey, TransportError> {
        permitted(&self.0.signals, self.0.survey(plan)).await?
    }
}
