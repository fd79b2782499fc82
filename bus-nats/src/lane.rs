//! One member of a group: what it holds, and the tasks on the client's thread that see to it.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_nats::Subject;
use bus_core::settle::SettleError;
use bus_core::transport::{Group, GroupName, TransportError};
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::dead_letter::Stuck;
use crate::lease::{Kind, Leases};
use crate::lock::lock;
use crate::transport::Shared;

mod keeper;

pub(crate) const ACK: Bytes = Bytes::from_static(b"+ACK");

pub(crate) struct Lane {
    pub(crate) shared: Arc<Shared>,
    pub(crate) group: Group,
    leases: Mutex<Leases>,
    /// The keeper has something to do.
    work: Notify,
    /// There is room for events, and for copies.
    rooms: [Notify; 2],
    /// Something was sent that a flush may wait for.
    progress: Notify,
    /// What is on its way to the server.
    busy: AtomicUsize,
    /// Who can bring something more.
    pulls: AtomicUsize,
    pub(crate) stop: CancellationToken,
    /// Nothing more is to be brought: the member has stopped, or its subscription has ended.
    pub(crate) halt: CancellationToken,
    /// Why there will be nothing more.
    broken: Mutex<Option<String>>,
    gone: AtomicBool,
    /// The last ack to each consumer: to send it again is a fence.
    last_acks: Mutex<[Option<Subject>; 2]>,
    /// Whether its dead letters can not be stored.
    pub(crate) stuck: Stuck,
}

impl Lane {
    pub(crate) fn new(shared: Arc<Shared>, group: Group) -> Self {
        let stop = CancellationToken::new();
        let leases = Leases::new(group.concurrency, group.lease, group.timeout, Instant::now());
        Self {
            shared,
            group,
            leases: Mutex::new(leases),
            work: Notify::new(),
            rooms: [Notify::new(), Notify::new()],
            progress: Notify::new(),
            busy: AtomicUsize::new(0),
            pulls: AtomicUsize::new(0),
            halt: stop.child_token(),
            stop,
            broken: Mutex::new(None),
            gone: AtomicBool::new(false),
            last_acks: Mutex::default(),
            stuck: Stuck::default(),
        }
    }

    pub(crate) fn name(&self) -> &GroupName {
        &self.group.name
    }

    /// Looks at what is held, and calls whoever has something to do then.
    pub(crate) fn leases<T>(&self, look: impl FnOnce(&mut Leases) -> T) -> T {
        let (found, calls) = {
            let mut leases = lock(&self.leases);
            (look(&mut leases), leases.calls())
        };
        if let Some(waker) = calls.bus {
            waker.wake();
        }
        if calls.keeper {
            self.work.notify_one();
        }
        if calls.events {
            self.rooms[Kind::Events as usize].notify_one();
        }
        if calls.copies {
            self.rooms[Kind::Copies as usize].notify_one();
        }
        found
    }

    /// Waits until there may be room for more of a kind.
    pub(crate) async fn room(&self, kind: Kind) {
        self.rooms[kind as usize].notified().await;
    }

    /// Nothing more will come, and this is why.
    pub(crate) fn end(&self, reason: String) {
        warn!(group = %self.group.name, reason, "the subscription ends");
        lock(&self.broken).get_or_insert(reason);
        self.halt.cancel();
        self.leases(Leases::end);
    }

    /// As [`end`](Self::end), where what we hold of a consumer is nobody's, because it is gone.
    pub(crate) fn lose(&self, kind: Kind, reason: String) {
        self.leases(|leases| leases.lose(kind));
        lock(&self.last_acks)[kind as usize] = None;
        self.gone.store(true, Ordering::Release);
        self.end(reason);
    }

    /// Whether something that was held is nobody's.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(crate) fn is_broken(&self) -> bool {
        lock(&self.broken).is_some()
    }

    /// Until it is dropped, a flush does not end.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(self))
    }

    /// A pull that can bring something more, until it is dropped.
    pub(crate) fn pull(self: &Arc<Self>) -> Pulling {
        self.pulls.fetch_add(1, Ordering::AcqRel);
        Pulling(Arc::clone(self))
    }

    /// Sees to something on the client's thread; a flush waits for it.
    pub(crate) fn go(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let busy = self.busy();
        self.shared.spawn(async move {
            work.await;
            drop(busy);
        });
    }

    /// Nothing more is to be brought. The keeper may wait for nothing but this.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
        self.work.notify_one();
    }

    fn is_over(&self) -> bool {
        self.stop.is_cancelled() && self.pulls.load(Ordering::Acquire) == 0
    }

    /// Sends an answer, and waits until the server has taken it.
    pub(crate) async fn confirm(&self, reply: Subject, answer: Bytes) -> Result<(), SettleError> {
        let confirmed = self.shared.client().request(reply, answer).await;
        confirmed.map(drop).map_err(|error| SettleError::Unavailable { reason: error.to_string() })
    }

    /// Done when every answer given so far has reached the server.
    pub(crate) async fn flush(self: Arc<Self>) -> Result<(), TransportError> {
        loop {
            let progress = self.progress.notified();
            let mut progress = pin!(progress);
            progress.as_mut().enable();
            let answered = self.leases(|leases| leases.is_answered());
            let ended = !self.stop.is_cancelled() || self.is_over();
            if answered && ended && self.busy.load(Ordering::Acquire) == 0 {
                break;
            }
            progress.await;
        }
        let acks = lock(&self.last_acks).clone();
        for reply in acks.into_iter().flatten() {
            let fenced = self.confirm(reply, ACK).await;
            fenced.map_err(|error| TransportError::Unavailable { reason: error.to_string() })?;
        }
        Ok(())
    }

    /// A flush may be done.
    pub(crate) fn progressed(&self) {
        self.progress.notify_waiters();
    }
}

/// A pull that can bring something more.
pub(crate) struct Pulling(Arc<Lane>);

impl Drop for Pulling {
    fn drop(&mut self) {
        self.0.pulls.fetch_sub(1, Ordering::AcqRel);
        self.0.work.notify_one();
        self.0.progressed();
    }
}

/// Something is on its way.
pub(crate) struct Busy(Arc<Lane>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
        self.0.progressed();
    }
}
