//! Event → envelope → transport.

use std::fmt;
use std::sync::Arc;

use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{Semaphore, watch};
use tokio::task::{consume_budget, unconstrained};

use crate::clock::Clock;
use crate::codec::Codec;
use crate::dead_letters::DeadLetters;
use crate::envelope::{Envelope, EventId};
use crate::event::Event;
use crate::middleware::{Layers, Middleware, Passage, sealed};
use crate::operator::Operator;
use crate::telemetry::{Lazy, Live, Telemetry, captured};
use crate::transport::{Health, Transport};

pub use self::error::PublishError;
pub use self::future::Publish;
pub use self::limits::PublishLimits;

mod delay;
mod error;
mod future;
mod limits;
mod send;

/// Publishes typed events; cheap to clone.
///
/// ```
/// use bus_core::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Event)]
/// #[event(subject = "orders.placed")]
/// struct OrderPlaced { total_cents: i64 }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), PublishError> {
/// let bus = Bus::in_memory().source("shop");
/// let id = bus.publish(&OrderPlaced { total_cents: 995 }).header("tenant", "acme").await?;
/// println!("stored as {id}");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Bus {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    transport: Arc<dyn Transport>,
    clock: Clock,
    source: Arc<str>,
    layers: Layers,
    /// Those of the layers that wrap a publish.
    outgoing: Vec<Arc<dyn Middleware<Envelope>>>,
    limits: PublishLimits,
    slots: Arc<Semaphore>,
    room: Arc<Semaphore>,
    telemetry: Arc<Lazy>,
}

/// The longest key in bytes: it travels as a header.
pub const MAX_KEY: usize = 1024;

impl Bus {
    /// A bus on a transport.
    pub fn new(transport: impl Transport) -> Self {
        Self::with_clock(Arc::new(transport), Clock::system())
    }

    pub(crate) fn with_clock(transport: Arc<dyn Transport>, clock: Clock) -> Self {
        let limits = PublishLimits::default();
        let (slots, room) = limits.semaphores();
        let (layers, outgoing) = (Layers::default(), Vec::new());
        let source = Arc::from("bus");
        let telemetry = Arc::new(Lazy::new(Telemetry::new()));
        let inner =
            Inner { transport, clock, source, layers, outgoing, limits, slots, room, telemetry };
        Self { inner: Arc::new(inner) }
    }

    /// Publishes an event: encoded here and now, stored when the future resolves, with the id
    /// under which it is stored.
    pub fn publish<E: Event>(&self, event: &E) -> Publish {
        Publish::new(self.clone(), self.seal(event), E::SUBJECT, captured())
    }

    /// Publishes many events, pipelined within the limits of the bus. They are sent in order, unless
    /// middleware that waits lets one overtake another, and the results stand in the same order.
    pub async fn publish_all<'a, E: Event + Sync>(
        &self,
        events: impl IntoIterator<Item = &'a E>,
    ) -> Vec<Result<EventId, PublishError>> {
        let limits = &self.inner.limits;
        let (mut results, mut under_way, mut bytes) = (Vec::new(), FuturesOrdered::new(), 0);
        let mut done = |bytes: &mut usize, (size, result): (usize, _)| {
            *bytes -= size;
            results.push(result);
        };
        for event in events {
            let publish = self.publish(event);
            let size = publish.size();
            while under_way.len() >= limits.in_flight.max(1)
                || (!under_way.is_empty() && bytes + size > limits.in_flight_bytes)
            {
                if let Some(ended) = under_way.next().await {
                    done(&mut bytes, ended);
                }
            }
            bytes += size;
            // Unconstrained, because tokio would interrupt some on the way, and wake them in another
            // order; so it is this loop that lets others have their turn.
            under_way.push_back(unconstrained(async move { (size, publish.await) }));
            // Sent now, and not when so many are together that some have to be waited for.
            if let Some(Some(ended)) = under_way.next().now_or_never() {
                done(&mut bytes, ended);
            }
            consume_budget().await;
        }
        while let Some(ended) = under_way.next().await {
            done(&mut bytes, ended);
        }
        results
    }

    /// Names the publisher in every envelope; a service sets its own name.
    pub fn source(self, name: impl Into<Arc<str>>) -> Self {
        self.with(|inner| inner.source = name.into())
    }

    /// Wraps every publish of this bus (`Middleware<Envelope>`), or every run of the handlers of
    /// its services (`Middleware<Context>`). The first one added is the outermost.
    pub fn middleware<T: Passage>(self, middleware: impl Middleware<T>) -> Self {
        let mut layers = Layers::default();
        layers.push(middleware);
        self.layered(&layers)
    }

    /// Sets what may be under way at once.
    pub fn limits(self, limits: PublishLimits) -> Self {
        self.with(|inner| {
            (inner.slots, inner.room) = limits.semaphores();
            inner.limits = limits;
        })
    }

    /// Sets what is told to an observability tool; by default everything, by what is installed.
    pub fn telemetry(self, telemetry: Telemetry) -> Self {
        self.with(|inner| inner.telemetry = Arc::new(Lazy::new(telemetry)))
    }

    /// Whether the transport can do its work.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.inner.transport.health()
    }

    /// Lag, dead letters and redrive, where the transport has them.
    pub fn operator(&self) -> Option<&dyn Operator> {
        self.inner.transport.operator()
    }

    /// The dead letters: to be listed, counted, redriven and purged.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::of(Arc::clone(&self.inner.transport), Arc::clone(self.live()))
    }

    pub(crate) fn transport(&self) -> &Arc<dyn Transport> {
        &self.inner.transport
    }

    pub(crate) fn live(&self) -> &Arc<Live> {
        self.inner.telemetry.get(&self.inner.transport)
    }

    pub(crate) fn layers(&self) -> &Layers {
        &self.inner.layers
    }

    pub(crate) fn layered(self, inside: &Layers) -> Self {
        self.with(|inner| {
            inner.layers.append(inside);
            inner.outgoing = inner.layers.of();
        })
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Everything but the sending.
    pub(crate) fn seal<E: Event>(&self, event: &E) -> Result<Envelope, PublishError> {
        let payload = E::Codec::encode(event)?;
        let mut envelope =
            Envelope::new(self.inner.clock.next_id(), E::TYPE, event.subject()?, payload);
        envelope.version = E::VERSION;
        envelope.source = Arc::clone(&self.inner.source);
        envelope.time = self.inner.clock.wall();
        envelope.key = event.key();
        envelope.content_type = <E::Codec as Codec>::CONTENT_TYPE.into();
        Ok(envelope)
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.inner));
        self
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("source", &self.inner.source).finish_non_exhaustive()
    }
}

impl sealed::Sealed for Envelope {}

impl Passage for Envelope {
    type Answer = Result<EventId, PublishError>;
}
