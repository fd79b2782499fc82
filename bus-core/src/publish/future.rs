//! A publish under way.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::consume_budget;
use tokio::time::{Instant, timeout_at};

use super::delay::Due;
use super::{Bus, MAX_KEY, PublishError};
use crate::answer::Answer;
use crate::clock::after;
use crate::envelope::{Envelope, EventId};
use crate::middleware::Next;
use crate::transport::TransportError;

/// A publish: resolves when the event is stored. It holds no borrow and no type of the event, so
/// it can be joined, timed out or moved to a task.
#[must_use = "nothing is published until this is awaited"]
pub struct Publish {
    bus: Bus,
    draft: Option<Result<Envelope, PublishError>>,
    pub(super) due: Due,
    done: Option<Sent>,
    sending: Option<BoxFuture<'static, Sent>>,
}

impl Publish {
    pub(crate) fn new(bus: Bus, draft: Result<Envelope, PublishError>) -> Self {
        Self { bus, draft: Some(draft), due: Due::Now, done: None, sending: None }
    }

    /// Publishes under this id: again after [`PublishError::Unknown`], or under one that makes a
    /// repetition harmless.
    pub fn id(self, id: EventId) -> Self {
        self.set(|envelope| {
            if envelope.correlation == envelope.id {
                envelope.correlation = id.clone();
            }
            envelope.id = id;
        })
    }

    /// Says what the event is about, in place of its `#[event(key)]`.
    pub fn key(self, key: impl Into<String>) -> Self {
        self.set(|envelope| envelope.key = Some(key.into()))
    }

    /// Makes the event part of a story that began elsewhere.
    pub fn correlation(self, id: EventId) -> Self {
        self.set(|envelope| envelope.correlation = id)
    }

    /// Adds a header, as [`Headers::insert`](crate::Headers::insert) does. One that can not travel fails
    /// the publish.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Some(Ok(envelope)) = &mut self.draft
            && let Err(error) = envelope.headers.insert(name, value)
        {
            self.draft = Some(Err(error.into()));
        }
        self
    }

    pub(crate) fn set(mut self, change: impl FnOnce(&mut Envelope)) -> Self {
        if let Some(Ok(envelope)) = &mut self.draft {
            change(envelope);
        }
        self
    }

    /// What it takes of the room for what is under way, in bytes.
    pub(super) fn size(&self) -> usize {
        self.draft.as_ref().and_then(|draft| draft.as_ref().ok()).map_or(0, Envelope::size)
    }

    /// The story that the event will be part of.
    #[cfg(feature = "testing")]
    pub(crate) fn correlation_id(&self) -> Option<&EventId> {
        self.draft.as_ref()?.as_ref().ok().map(|envelope| &envelope.correlation)
    }

    /// The id under which it will be stored, where the event could be encoded.
    pub fn event_id(&self) -> Option<&EventId> {
        self.draft.as_ref()?.as_ref().ok().map(|envelope| &envelope.id)
    }
}

impl Future for Publish {
    type Output = Result<EventId, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(draft) = self.draft.take() {
            // At once, so that publishes that are polled in order are sent in order.
            match begin(&self.bus, draft?, self.due) {
                Begun::Done(result) => self.done = Some(result),
                Begun::Sending(sending) => self.sending = Some(sending),
            }
        }
        if self.done.is_some() {
            // A transport that always answers at once must not keep others from their turn.
            ready!(pin!(consume_budget()).poll(cx));
        }
        if let Some(result) = self.done.take() {
            return Poll::Ready(result);
        }
        self.sending.as_mut().map_or(Poll::Pending, |sending| sending.poll_unpin(cx))
    }
}

impl std::fmt::Debug for Publish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publish").field("draft", &self.draft).finish_non_exhaustive()
    }
}

type Sent = Result<EventId, PublishError>;

enum Begun {
    Done(Sent),
    Sending(BoxFuture<'static, Sent>),
}

/// Where there is room, no middleware, and a transport that answers at once, nothing is boxed.
fn begin(bus: &Bus, envelope: Envelope, due: Due) -> Begun {
    let now = || {
        if !bus.inner.outgoing.is_empty() {
            return None;
        }
        let slot = Arc::clone(&bus.inner.slots).try_acquire_owned().ok()?;
        let room =
            Arc::clone(&bus.inner.room).try_acquire_many_owned(bytes(bus, &envelope)).ok()?;
        Some((slot, room))
    };
    let Some(permits) = now() else {
        return Begun::Sending(send(bus.clone(), envelope, due).boxed());
    };
    let (id, limit) = (envelope.id.clone(), bus.inner.limits.deadline);
    match store(bus, envelope, due) {
        Err(error) => Begun::Done(Err(error)),
        Ok(answer) => match answer.into_now() {
            Ok(stored) => Begun::Done(sent(id, stored)),
            Err(answer) => Begun::Sending(Box::pin(async move {
                let _permits = permits;
                wait(id, answer, after(limit), limit).await
            })),
        },
    }
}

async fn send(bus: Bus, envelope: Envelope, due: Due) -> Sent {
    let limit = bus.inner.limits.deadline;
    let deadline = after(limit);
    // The permits live until the broker has answered, or nobody waits for it any more.
    let busy = |_| PublishError::Busy { waited: limit };
    let _slot = take(&bus.inner.slots, 1, deadline).await.map_err(busy)?;
    let bytes = bytes(&bus, &envelope);
    let _room = take(&bus.inner.room, bytes, deadline).await.map_err(busy)?;
    let (id, handed) = (envelope.id.clone(), AtomicBool::new(false));
    let end = |envelope: Envelope| hand_over(&bus, envelope, due, deadline, &handed).boxed();
    let sent = Next::new(&bus.inner.outgoing, end).run(envelope);
    match timeout_at(deadline, sent).await {
        Ok(sent) => sent,
        Err(_) if handed.load(Ordering::Relaxed) => Err(unknown(id, limit)),
        Err(_) => Err(PublishError::Busy { waited: limit }),
    }
}

/// Behind all middleware. After the deadline nothing is sent: nobody would hear the answer.
async fn hand_over(
    bus: &Bus,
    envelope: Envelope,
    due: Due,
    deadline: Instant,
    handed: &AtomicBool,
) -> Sent {
    let limit = bus.inner.limits.deadline;
    if Instant::now() >= deadline {
        return Err(PublishError::Busy { waited: limit });
    }
    let (id, answer) = (envelope.id.clone(), store(bus, envelope, due)?);
    handed.store(true, Ordering::Relaxed);
    wait(id, answer, deadline, limit).await
}

/// What the event takes of the room for what is under way.
fn bytes(bus: &Bus, envelope: &Envelope) -> u32 {
    let bytes = envelope.size().min(bus.inner.limits.in_flight_bytes);
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

struct Late;

async fn take(
    semaphore: &Arc<Semaphore>,
    permits: u32,
    deadline: Instant,
) -> Result<OwnedSemaphorePermit, Late> {
    match timeout_at(deadline, Arc::clone(semaphore).acquire_many_owned(permits)).await {
        // What comes free at the very end comes too late: nobody would hear the broker's answer.
        Ok(Ok(permit)) if Instant::now() < deadline => Ok(permit),
        _ => Err(Late),
    }
}

pub(super) type Stored = Result<(), TransportError>;

/// The last step, behind all middleware, so that it checks what really leaves.
fn store(bus: &Bus, envelope: Envelope, due: Due) -> Result<Answer<Stored>, PublishError> {
    let (bytes, limit) = (envelope.size(), bus.inner.limits.payload);
    if bytes > limit {
        return Err(PublishError::TooLarge { bytes, limit });
    }
    let bytes = envelope.key.as_ref().map_or(0, String::len);
    if bytes > MAX_KEY {
        return Err(PublishError::KeyTooLong { bytes });
    }
    let (hops, limit) = (envelope.hops, bus.inner.limits.hops);
    if hops > limit {
        return Err(PublishError::Circle { hops, limit });
    }
    due.hand_over(bus, envelope)
}

async fn wait(id: EventId, answer: Answer<Stored>, deadline: Instant, limit: Duration) -> Sent {
    match timeout_at(deadline, answer).await {
        Ok(stored) => sent(id, stored),
        Err(_) => Err(unknown(id, limit)),
    }
}

fn unknown(id: EventId, limit: Duration) -> PublishError {
    PublishError::Unknown { id, reason: format!("nothing within {limit:?}") }
}

fn sent(id: EventId, stored: Stored) -> Sent {
    match stored {
        Ok(()) => Ok(id),
        Err(TransportError::Unknown { reason }) => Err(PublishError::Unknown { id, reason }),
        Err(error) => Err(PublishError::Refused(error)),
    }
}
