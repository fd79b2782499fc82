//! A transport, whole.
//!
//! It has three parts. [`Transport`] stores envelopes and lets groups join; [`Deliveries`] gives
//! what arrived to one member of a group; [`Settle`] takes its answers. It knows nothing of events,
//! handlers or policies: how often to retry and when to give up is decided before
//! [`Settle::settle`] is called.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use bus_core::answer::Answer;
use bus_core::delivery::{Delivery, History};
use bus_core::prelude::{Envelope, EventId, Start, async_trait};
use bus_core::settle::{Failed, Reason, Settle, SettleError, Settlement};
use bus_core::subject::Filter;
use bus_core::transport::{Deliveries, Group, GroupName, Health, Transport, TransportError};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

/// The transport. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Shelf(Arc<Shared>);

struct Shared {
    store: Mutex<Store>,
    health: watch::Sender<Health>,
    /// The delays of retries.
    timers: TaskTracker,
}

/// Everything that is stored; a lock around it makes each step whole.
#[derive(Default)]
struct Store {
    log: Vec<(SystemTime, Arc<Envelope>)>,
    ids: BTreeSet<EventId>,
    groups: BTreeMap<GroupName, Queue>,
    dead: Vec<(GroupName, Arc<Envelope>, Reason, Failed)>,
}

/// One group. Its members share it, so each event goes to one of them.
struct Queue {
    filter: Filter,
    waiting: VecDeque<Parcel>,
    held: BTreeMap<u64, Parcel>,
    /// Names each delivery, so that an answer finds it; never used twice.
    next_token: u64,
    wakers: Vec<Waker>,
}

/// One event for one group.
#[derive(Clone)]
struct Parcel {
    envelope: Arc<Envelope>,
    history: History,
    begun: bool,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        let (health, timers) = (watch::Sender::new(Health::Ready), TaskTracker::new());
        Self(Arc::new(Shared { store: Mutex::default(), health, timers }))
    }

    pub(crate) fn dead_letters(&self) -> Vec<String> {
        let store = self.0.lock();
        let letters = store.dead.iter().map(|(group, envelope, reason, failed)| {
            format!("{group}: {} {reason}, {}", envelope.subject, failed.text)
        });
        letters.collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        // Nothing here panics while it holds the lock.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
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
            store.log.push((SystemTime::now(), Arc::clone(&envelope)));
            for queue in store.groups.values_mut() {
                queue.offer(&envelope);
            }
        }
        Answer::now(Ok(()))
    }

    async fn subscribe(&self, group: Group) -> Result<Box<dyn Deliveries>, TransportError> {
        let mut guard = self.0.lock();
        let Store { log, groups, .. } = &mut *guard;
        // A group that exists goes on where it was; a new one begins where it asks to.
        groups.entry(group.name.clone()).or_insert_with(|| {
            let mut queue = Queue::new(group.filter);
            let wanted = |stored| match group.start {
                Start::Beginning => true,
                Start::Now => false,
                Start::At(start) => stored >= start,
            };
            for (_, envelope) in log.iter().filter(|(stored, _)| wanted(*stored)) {
                queue.offer(envelope);
            }
            queue
        });
        Ok(Box::new(Member(Arc::new(Lane { shared: Arc::clone(&self.0), group: group.name }))))
    }

    /// A transport that loses its broker says so here, and so does the service's readiness.
    fn health(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }
}

impl Queue {
    fn new(filter: Filter) -> Self {
        let (waiting, held) = (VecDeque::new(), BTreeMap::new());
        Self { filter, waiting, held, next_token: 0, wakers: Vec::new() }
    }

    fn offer(&mut self, envelope: &Arc<Envelope>) {
        if self.filter.matches(&envelope.subject) {
            let envelope = Arc::clone(envelope);
            self.waiting.push_back(Parcel { envelope, history: History::default(), begun: false });
            self.wake();
        }
    }

    /// What was delivered before goes first.
    fn put_back(&mut self, parcel: Parcel) {
        self.waiting.push_front(Parcel { begun: false, ..parcel });
        self.wake();
    }

    /// All members look again; those that find nothing leave their waker anew.
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

/// Where the answers of one member go.
struct Lane {
    shared: Arc<Shared>,
    group: GroupName,
}

struct Member(Arc<Lane>);

impl Deliveries for Member {
    /// Cancel safe: a parcel moves from `waiting` to `held` in the poll that yields it.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let lane = &self.0;
        lane.with_queue(|queue| {
            let Some(parcel) = queue.waiting.pop_front() else {
                queue.wakers.push(cx.waker().clone());
                return Poll::Pending;
            };
            let token = queue.next_token;
            queue.next_token += 1;
            queue.held.insert(token, parcel.clone());
            let lane = Arc::clone(lane) as Arc<dyn Settle>;
            Poll::Ready(Some(Delivery::new(parcel.envelope, parcel.history, token, lane)))
        })
        // `None` makes the service subscribe again.
        .unwrap_or(Poll::Ready(None))
    }
}

impl Lane {
    fn with_queue<T>(&self, work: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        self.shared.lock().groups.get_mut(&self.group).map(work)
    }

    /// Not under the lock: the task takes it when the time has come.
    fn put_back_later(&self, parcel: Parcel, after: Duration) {
        let (shared, group) = (Arc::clone(&self.shared), self.group.clone());
        self.shared.timers.spawn(async move {
            sleep(after).await;
            if let Some(queue) = shared.lock().groups.get_mut(&group) {
                queue.put_back(parcel);
            }
        });
    }
}

impl Settle for Lane {
    /// A handler is about to run: if that run has no end, it counts all the same.
    fn begin(&self, token: u64) -> Answer<Result<(), SettleError>> {
        let begun =
            self.with_queue(|queue| queue.held.get_mut(&token).map(|parcel| parcel.begun = true));
        Answer::now(begun.flatten().ok_or(SettleError::Expired))
    }

    fn settle(&self, token: u64, settlement: Settlement) -> Answer<Result<(), SettleError>> {
        let taken = self.with_queue(|queue| queue.held.remove(&token)).flatten();
        let Some(mut parcel) = taken else { return Answer::now(Err(SettleError::Expired)) };
        match settlement {
            Settlement::Ack => {}
            Settlement::Release => {
                self.with_queue(|queue| queue.put_back(parcel));
            }
            Settlement::Retry { after, failed } => {
                parcel.history.attempts = failed.attempt;
                parcel.history.first_failure.get_or_insert(failed.first);
                self.put_back_later(parcel, after);
            }
            // Where storing it can fail, the event stays held until it is stored.
            Settlement::DeadLetter { reason, failed } => {
                let letter = (self.group.clone(), parcel.envelope, reason, failed);
                self.shared.lock().dead.push(letter);
            }
        }
        Answer::now(Ok(()))
    }

    /// A delivery was dropped without an answer: it comes again.
    fn abandon(&self, token: u64) {
        self.with_queue(|queue| {
            if let Some(mut parcel) = queue.held.remove(&token) {
                parcel.history.attempts += u32::from(parcel.begun);
                queue.put_back(parcel);
            }
        });
    }
}
