//! A publish under way.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::consume_budget;
use tokio::time::{Instant, timeout_at};

use super::{Bus, PublishError};
use crate::answer::Answer;
use crate::envelope::{Envelope, EventId};
use crate::middleware::Next;
use crate::transport::TransportError;

/// A publish: resolves when the event is stored. It holds no borrow and no type of the event, so
/// it can be joined, timed out or moved to a task.
#[must_use = "nothing is published until this is awaited"]
pub struct Publish {
    bus: Bus,
    draft: Option<Result<Envelope, PublishError>>,
    sending: Option<BoxFuture<'static, Sent>>,
}

impl Publish {
    pub(crate) fn new(bus: Bus, draft: Result<Envelope, PublishError>) -> Self {
        Self { bus, draft: Some(draft), sending: None }
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

    /// The id under which it will be stored, where the event could be encoded.
    pub fn event_id(&self) -> Option<&EventId> {
        self.draft.as_ref()?.as_ref().ok().map(|envelope| &envelope.id)
    }
}

impl Future for Publish {
    type Output = Result<EventId, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.draft.is_some() {
            // A transport that always answers at once must not keep others from their turn.
            ready!(pin!(consume_budget()).poll(cx));
        }
        if let Some(draft) = self.draft.take() {
            match begin(&self.bus, draft?) {
                Begun::Done(result) => return Poll::Ready(result),
                Begun::Sending(sending) => self.sending = Some(sending),
            }
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
fn begin(bus: &Bus, envelope: Envelope) -> Begun {
    let now = || {
        let slot = Arc::clone(&bus.inner.slots).try_acquire_owned().ok()?;
        let room =
            Arc::clone(&bus.inner.room).try_acquire_many_owned(bytes(bus, &envelope)).ok()?;
        bus.inner.outgoing.is_empty().then_some((slot, room))
    };
    let Some(permits) = now() else {
        return Begun::Sending(send(bus.clone(), envelope).boxed());
    };
    let (id, limit) = (envelope.id.clone(), bus.inner.limits.deadline);
    match store(bus, envelope) {
        Err(error) => Begun::Done(Err(error)),
        Ok(answer) => match answer.into_now() {
            Ok(stored) => Begun::Done(sent(id, stored)),
            Err(answer) => Begun::Sending(Box::pin(async move {
                let _permits = permits;
                wait(id, answer, Instant::now() + limit, limit).await
            })),
        },
    }
}

async fn send(bus: Bus, envelope: Envelope) -> Sent {
    let limit = bus.inner.limits.deadline;
    let deadline = Instant::now() + limit;
    // The permits live until the broker has answered.
    let busy = |_| PublishError::Busy { waited: limit };
    let _slot = take(&bus.inner.slots, 1, deadline).await.map_err(busy)?;
    let bytes = bytes(&bus, &envelope);
    let _room = take(&bus.inner.room, bytes, deadline).await.map_err(busy)?;
    let end = |envelope: Envelope| {
        let (id, answer) = (envelope.id.clone(), store(&bus, envelope));
        async move { wait(id, answer?, deadline, limit).await }.boxed()
    };
    Next::new(&bus.inner.outgoing, end).run(envelope).await
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

type Stored = Result<(), TransportError>;

/// The last step, behind all middleware, so that it checks what really leaves.
fn store(bus: &Bus, envelope: Envelope) -> Result<Answer<Stored>, PublishError> {
    let (bytes, limit) = (envelope.payload.len(), bus.inner.limits.payload);
    if bytes > limit {
        return Err(PublishError::TooLarge { bytes, limit });
    }
    Ok(bus.inner.transport.publish(envelope))
}

async fn wait(id: EventId, answer: Answer<Stored>, deadline: Instant, limit: Duration) -> Sent {
    match timeout_at(deadline, answer).await {
        Ok(stored) => sent(id, stored),
        Err(_) => Err(PublishError::Unknown { id, reason: format!("nothing within {limit:?}") }),
    }
}

fn sent(id: EventId, stored: Stored) -> Sent {
    match stored {
        Ok(()) => Ok(id),
        Err(TransportError::Unknown { reason }) => Err(PublishError::Unknown { id, reason }),
        Err(error) => Err(PublishError::Refused(error)),
    }
}
