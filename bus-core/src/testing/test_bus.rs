//! A bus for tests: it knows when everything has settled, and its clock is moved by hand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::test_publish::TestPublish;
use crate::clock::Clock;
use crate::codec::Codec;
use crate::envelope::Envelope;
use crate::event::Event;
use crate::memory::history::Fact;
use crate::memory::{Memory, MemoryConfig};
use crate::operator::{DeadLetter, DeadLetterId};
use crate::publish::Bus;
use crate::service::{Running, Service, StartError};
use crate::settle::{Failed, Settlement};
use crate::transport::GroupName;

/// An in-process bus whose clock stands still until it is moved, and which knows when all has
/// settled. Only retries, leases and delays follow its clock: a handler may do real I/O. Circuit
/// breakers are off.
#[derive(Debug)]
pub struct TestBus {
    memory: Memory,
    bus: Bus,
    running: Mutex<Vec<Running>>,
}

impl TestBus {
    /// A bus without services.
    pub fn new() -> Self {
        Self::seeded(0)
    }

    /// The same, whose ids, and so the jitter of retries, come from this seed.
    pub fn seeded(seed: u64) -> Self {
        let memory = Memory::clocked(MemoryConfig::default(), Clock::manual(seed));
        memory.broker(|broker| broker.recorder.on = true);
        Self { bus: memory.bus().source("test"), memory, running: Mutex::default() }
    }

    /// The bus, for services and for what publishes.
    pub fn bus(&self) -> Bus {
        self.bus.clone()
    }

    /// Starts a service that was made on [`bus`](Self::bus); it stops with the test.
    ///
    /// # Panics
    /// If it was made on another bus.
    pub async fn start(&self, service: Service) -> Result<(), StartError> {
        let ours = service.is_on(&self.bus);
        assert!(ours, "{service:?} was not made on `test.bus()`, and nothing would reach it");
        let running = service.start().await?;
        self.running.lock().unwrap_or_else(PoisonError::into_inner).push(running);
        Ok(())
    }

    /// Publishes an event; say what is to be waited for.
    pub fn publish<E: Event>(&self, event: &E) -> TestPublish<'_> {
        TestPublish::new(self, self.bus.publish(event))
    }

    /// Waits until every delivery has been answered: retries may wait for their time. A handler that
    /// hangs is waited for until its time-out, in real time.
    ///
    /// # Panics
    /// If there is no end to it, as where a handler publishes the event that it handles.
    pub async fn settled(&self) {
        self.wait(|_| true, false).await;
    }

    /// Moves the clock, stops at every retry and lease on the way, and waits each time until all
    /// has settled.
    pub async fn advance(&self, by: Duration) {
        self.settled().await;
        let end = self.memory.clock().elapsed().saturating_add(by);
        while let Some(due) = self.memory.broker(|broker| broker.due(|_| true))
            && due <= end
        {
            self.move_to(due, |_| true).await;
        }
        self.move_to(end, |_| true).await;
    }

    /// How many deliveries to the handler were a success.
    ///
    /// # Panics
    /// As all that take the name of a handler: if no service has such a one.
    #[track_caller]
    pub fn handled(&self, handler: &str) -> usize {
        self.settlements(handler)
            .iter()
            .filter(|settlement| **settlement == Settlement::Ack)
            .count()
    }

    /// How many deliveries to the handler failed and will be, or were, retried.
    #[track_caller]
    pub fn retried(&self, handler: &str) -> usize {
        let retry = |settlement: &&Settlement| matches!(settlement, Settlement::Retry { .. });
        self.settlements(handler).iter().filter(retry).count()
    }

    /// The failures of the handler in order, those behind dead letters included.
    #[track_caller]
    pub fn failures(&self, handler: &str) -> Vec<Failed> {
        let failed = |settlement| match settlement {
            Settlement::Retry { failed, .. } | Settlement::DeadLetter { failed, .. } => {
                Some(failed)
            }
            Settlement::Ack | Settlement::Release => None,
        };
        self.settlements(handler).into_iter().filter_map(failed).collect()
    }

    /// The dead letters of the handler, oldest first.
    #[track_caller]
    pub fn dead_letters(&self, handler: &str) -> Vec<DeadLetter> {
        let group = self.group(handler);
        self.memory.broker(|broker| broker.dead_letters(&group))
    }

    /// Sends a dead letter back to its group, and waits until all has settled.
    pub async fn redrive(&self, id: &DeadLetterId) -> bool {
        let redriven = self.memory.broker(|broker| broker.redrive(id, None));
        self.settled().await;
        redriven
    }

    /// All events of a type that were stored, decoded, in order.
    ///
    /// # Panics
    /// If a payload does not decode.
    #[track_caller]
    #[expect(clippy::panic, reason = "a test has to fail here")]
    pub fn published<E: Event>(&self) -> Vec<E> {
        let mut events = Vec::new();
        for fact in self.history() {
            if let Fact::Published { envelope, duplicate: false } = fact
                && envelope.type_name == E::TYPE
            {
                match E::Codec::decode(&envelope.payload) {
                    Ok(event) => events.push(event),
                    Err(error) => panic!("a published `{}` does not decode: {error}", E::TYPE),
                }
            }
        }
        events
    }

    /// Everything that happened, in order.
    ///
    /// # Panics
    /// If more happened than is kept.
    #[track_caller]
    pub fn history(&self) -> Vec<Fact> {
        let (facts, dropped) =
            self.memory.broker(|broker| (broker.recorder.facts.clone(), broker.recorder.dropped));
        assert_eq!(dropped, 0, "too much happened for the history of one test");
        facts
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The group of a handler, by the handler's name or by `service_handler`.
    #[track_caller]
    #[expect(clippy::panic, reason = "a test that asks for what is not there must not pass")]
    pub(super) fn group(&self, handler: &str) -> GroupName {
        let names = self.memory.broker(|broker| broker.group_names());
        let fits = |name: &&GroupName| name.handler() == handler || name.as_str() == handler;
        match names.iter().filter(fits).collect::<Vec<_>>()[..] {
            [name] => name.clone(),
            [] => panic!("no service on this bus has a handler `{handler}`; there are {names:?}"),
            _ => panic!("several services have a handler `{handler}`; say which of {names:?}"),
        }
    }

    #[track_caller]
    fn settlements(&self, handler: &str) -> Vec<Settlement> {
        let ours = self.group(handler);
        let settlement = |fact| match fact {
            Fact::Settled { group, settlement, .. } if group == ours => Some(settlement),
            _ => None,
        };
        self.history().into_iter().filter_map(settlement).collect()
    }

    /// Moves the clock, and waits until all of these events that came back by it have settled.
    pub(super) async fn move_to(&self, time: Duration, of: impl Fn(&Envelope) -> bool) {
        let clock = self.memory.clock();
        clock.advance(time.saturating_sub(clock.elapsed()));
        self.memory.broker(|broker| broker.wake_all());
        // What is due leaves the delayed ones only when a member has looked.
        let looked = || self.memory.broker(|broker| broker.due(&of)).is_none_or(|due| due > time);
        self.wait_until(looked).await;
        self.wait(of, false).await;
    }

    pub(super) async fn wait(&self, of: impl Fn(&Envelope) -> bool, later: bool) {
        self.wait_until(|| !self.memory.broker(|broker| broker.any_open(later, &of))).await;
    }

    /// Looks again after everything that happens on the broker.
    async fn wait_until(&self, mut done: impl FnMut() -> bool) {
        let changed = self.memory.broker(|broker| Arc::clone(&broker.recorder.changed));
        loop {
            let mut change = std::pin::pin!(changed.notified());
            change.as_mut().enable();
            if done() {
                return;
            }
            let dropped = self.memory.broker(|broker| broker.recorder.dropped);
            assert_eq!(dropped, 0, "there is no end to it: a million things happened");
            change.await;
        }
    }
}

impl Default for TestBus {
    fn default() -> Self {
        Self::new()
    }
}
