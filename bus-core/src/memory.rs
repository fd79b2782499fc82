//! The in-process broker: an honest model of a real one, and the example for authors of
//! transports.
//!
//! It has groups with competing workers, leases that expire, redelivery, delays, dead letters, a
//! duplicate window, events that wait for their time, and a bounded backlog. It keeps nothing when the
//! process ends.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::answer::Answer;
use crate::clock::Clock;
use crate::envelope::{Envelope, EventId};
use crate::operator::Operator;
use crate::publish::Bus;
use crate::transport::{
    Deliveries, Group, Health, Plan, Survey, System, Transport, TransportError,
};

pub use self::config::MemoryConfig;

use self::broker::{Broker, Refusal};
use self::subscription::Subscription;
use self::turn::Turn;
use self::window::Marks;

mod broker;
mod config;
mod entry;
mod group;
#[cfg(feature = "testing")]
pub mod history;
#[cfg(not(feature = "testing"))]
#[path = "memory/silent.rs"]
mod history;
mod later;
mod leases;
mod letters;
mod log;
mod operator;
mod queue;
mod routes;
#[cfg(feature = "testing")]
mod spy;
mod subscription;
mod turn;
mod window;
mod woken;

/// The in-process broker. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    broker: Mutex<Broker>,
    marks: Marks,
    clock: Clock,
    patience: Duration,
    health: watch::Sender<Health>,
}

impl Memory {
    /// A broker with default limits.
    pub fn new() -> Self {
        Self::with(MemoryConfig::default())
    }

    /// A broker with limits of your own.
    pub fn with(config: MemoryConfig) -> Self {
        Self::clocked(config, Clock::system())
    }

    /// A broker whose clock is tokio's, which a test can pause, and whose ids come from `seed`:
    /// the same seed and the same calls make the same history.
    pub fn seeded(config: MemoryConfig, seed: u64) -> Self {
        Self::clocked(config, Clock::seeded(seed))
    }

    pub(crate) fn clocked(config: MemoryConfig, clock: Clock) -> Self {
        let patience = config.patience;
        // A run's time-out goes by the time of the machine, so a clock that is moved by hand must not
        // end its lease.
        let broker = Mutex::new(Broker::new(config, !clock.is_manual()));
        let health = watch::Sender::new(Health::Ready);
        Self(Arc::new(Shared { broker, marks: Marks::default(), clock, patience, health }))
    }

    /// A bus on this broker, with its clock and its ids.
    pub fn bus(&self) -> Bus {
        Bus::with_clock(Arc::new(self.clone()), self.0.clock.clone())
    }

    /// Records from here on what happens; see [`history`](Self::history).
    #[cfg(feature = "testing")]
    pub fn record(&self) {
        self.broker(|broker| broker.recorder.on = true);
    }

    /// What happened since [`record`](Self::record), in order; at most a million facts.
    #[cfg(feature = "testing")]
    pub fn history(&self) -> Vec<history::Fact> {
        self.broker(|broker| broker.recorder.facts.clone())
    }

    #[cfg(feature = "testing")]
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// For test support, which reads and disturbs.
    #[cfg(feature = "testing")]
    pub(crate) fn broker<T>(&self, look: impl FnOnce(&mut Broker) -> T) -> T {
        self.0.with(look)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus {
    /// A bus inside this process, without a server: for a first try and for tests.
    pub fn in_memory() -> Self {
        Memory::new().bus()
    }
}

impl Shared {
    /// Asks the broker; what follows for others, who would want the lock, waits until it is free.
    fn with<T>(&self, ask: impl FnOnce(&mut Broker) -> T) -> T {
        // The broker's own code does not panic while it holds the lock.
        let mut broker = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        if broker.later.next().is_some() {
            // Whoever looks, what is due came before.
            broker.store_due(self.clock.elapsed());
        }
        let answer = ask(&mut broker);
        let (woken, gone) = (mem::take(&mut broker.woken), broker.gone.take());
        drop(broker);
        woken.wake();
        drop(gone);
        answer
    }

    /// Tells its health where that changes.
    fn is(&self, health: Health) {
        self.health.send_if_modified(|told| {
            let changed = *told != health;
            *told = health;
            changed
        });
    }

    fn publish(
        self: &Arc<Self>,
        envelope: Envelope,
        due: Option<Duration>,
    ) -> Answer<Result<(), TransportError>> {
        let (mark, envelope) = (self.marks.of(&envelope.id), Arc::new(envelope));
        let now = self.clock.elapsed();
        let published = self.with(|broker| broker.publish(&envelope, mark, due, now, None));
        match published {
            Ok(()) => Answer::now(Ok(())),
            Err(Refusal::Final(error)) => Answer::now(Err(error)),
            Err(Refusal::Full { ticket, .. }) => {
                let turn = Turn { shared: Arc::clone(self), ticket };
                Answer::later(Arc::clone(self).publish_in_turn(envelope, due, turn))
            }
        }
    }
}

#[async_trait]
impl Transport for Memory {
    fn publish(&self, envelope: Envelope) -> Answer<Result<(), TransportError>> {
        self.0.publish(envelope, None)
    }

    fn publish_at(
        &self,
        envelope: Envelope,
        due: SystemTime,
    ) -> Answer<Result<(), TransportError>> {
        let (now, wall) = (self.0.clock.elapsed(), self.0.clock.wall());
        let wait = due.duration_since(wall).unwrap_or_default();
        self.0.publish(envelope, Some(now.saturating_add(wait)))
    }

    fn cancel(&self, domain: &str, id: &EventId) -> Answer<Result<bool, TransportError>> {
        Answer::now(Ok(self.0.with(|broker| broker.cancel(domain, id))))
    }

    async fn subscribe(&self, group: Group) -> Result<Box<dyn Deliveries>, TransportError> {
        Ok(Box::new(Subscription::join(&self.0, &group)?))
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }

    async fn survey(&self, plan: &Plan) -> Result<Survey, TransportError> {
        Ok(self.0.with(|broker| broker.survey(plan)))
    }

    fn operator(&self) -> Option<&dyn Operator> {
        Some(self)
    }

    fn system(&self) -> System {
        System::new("memory")
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }
}
