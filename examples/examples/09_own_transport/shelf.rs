//! A transport, whole.
//!
//! It has three parts. [`Transport`] stores envelopes and lets groups join: that is this file.
//! `Deliveries` gives what arrived to one member of a group, and `Settle` takes its answers: both
//! stand in `member.rs`. What a group has to remember is in `queue.rs`. A transport knows nothing
//! of events, handlers or policies: how often to retry and when to give up is decided before
//! `Settle::settle` is called.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bus_core::answer::Answer;
use bus_core::prelude::{Envelope, EventId, Start, async_trait};
use bus_core::transport::{
    Deliveries, Group, GroupName, Health, Plan, Survey, Transport, TransportError,
};
use tokio::sync::watch;
use tokio::time::Instant;

use self::member::{Lane, Member};
use self::queue::Queue;

mod member;
mod queue;

/// The transport. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Shelf(Arc<Shared>);

struct Shared {
    store: Mutex<Store>,
    health: watch::Sender<Health>,
    /// The time of day, and what tokio's clock showed then: the one clock, which a test can pause.
    epoch: (SystemTime, Instant),
}

/// Everything that is stored; a lock around it makes each step whole. Where a lane is locked as
/// well, it is locked second.
#[derive(Default)]
struct Store {
    log: Vec<(SystemTime, Arc<Envelope>)>,
    ids: BTreeSet<EventId>,
    groups: BTreeMap<GroupName, Arc<Lane>>,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        let epoch = (SystemTime::now(), Instant::now());
        let health = watch::Sender::new(Health::Ready);
        Self(Arc::new(Shared { store: Mutex::default(), health, epoch }))
    }

    /// Every event that was given up, in words.
    pub(crate) fn dead_letters(&self) -> Vec<String> {
        let (store, mut told) = (self.0.lock(), Vec::new());
        for (group, lane) in &store.groups {
            for (envelope, reason, failed) in lane.lock().dead_letters() {
                told.push(format!("{group}: {} {reason}, {}", envelope.subject, failed.text));
            }
        }
        told
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        // Nothing here panics while it holds the lock.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> SystemTime {
        let (time, then) = self.epoch;
        time + then.elapsed()
    }
}

#[async_trait]
impl Transport for Shelf {
    /// `Answer::now`, because all is done at once; a real broker is waited for in `Answer::later`.
    fn publish(&self, envelope: Envelope) -> Answer<Result<(), TransportError>> {
        let mut store = self.0.lock();
        // The same id again is a publish that was repeated: stored already, so a success. A real
        // transport remembers ids for a time, not for ever.
        if store.ids.insert(envelope.id.clone()) {
            let envelope = Arc::new(envelope);
            store.log.push((self.0.now(), Arc::clone(&envelope)));
            for lane in store.groups.values() {
                lane.lock().offer(&envelope);
            }
        }
        Answer::now(Ok(()))
    }

    /// A group that exists goes on where it was; a new one begins where it asks to.
    async fn subscribe(&self, group: Group) -> Result<Box<dyn Deliveries>, TransportError> {
        let mut guard = self.0.lock();
        let Store { log, groups, .. } = &mut *guard;
        let lane = groups.entry(group.name.clone()).or_insert_with(|| {
            let mut queue = Queue::new(group.clone());
            let wanted = |stored| match group.start {
                Start::Beginning => true,
                Start::Now => false,
                Start::At(start) => stored >= start,
            };
            for (_, envelope) in log.iter().filter(|(stored, _)| wanted(*stored)) {
                queue.offer(envelope);
            }
            Arc::new(Lane::new(queue))
        });
        lane.lock().join(group)?;
        Ok(Box::new(Member::new(Arc::clone(lane))))
    }

    /// A transport that loses its broker says so here, and so does the service's readiness.
    fn health(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }

    /// Every subject is stored and leases are renewed, as the default says; the groups are ours to
    /// tell.
    async fn survey(&self, plan: &Plan) -> Result<Survey, TransportError> {
        let (store, mut survey) = (self.0.lock(), Survey::default());
        let ours = store.groups.iter().filter(|(name, _)| name.service() == plan.service);
        survey.groups = ours.map(|(name, lane)| (name.clone(), lane.lock().undone())).collect();
        Ok(survey)
    }
}
