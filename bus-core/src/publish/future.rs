//! A publish under way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::{Bus, PublishError};
use crate::envelope::{Envelope, EventId};
use crate::middleware::Next;
use crate::transport::TransportError;

/// A publish: resolves when the event is stored. It holds no borrow and no type of the event, so
/// it can be joined, timed out or moved to a task.
#[must_use = "nothing is published until this is awaited"]
pub struct Publish {
    bus: Bus,
    draft: Option<Result<Envelope, PublishError>>,
    sending: Option<BoxFuture<'static, Result<EventId, PublishError>>>,
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

    /// Adds a header. A name or value that can not travel fails the publish.
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
        match self.draft.take() {
            Some(Ok(envelope)) => self.sending = Some(send(self.bus.clone(), envelope).boxed()),
            Some(Err(error)) => return Poll::Ready(Err(error)),
            None => {}
        }
        self.sending.as_mut().map_or(Poll::Pending, |sending| sending.poll_unpin(cx))
    }
}

impl std::fmt::Debug for Publish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publish").field("draft", &self.draft).finish_non_exhaustive()
    }
}

async fn send(bus: Bus, envelope: Envelope) -> Result<EventId, PublishError> {
    let limits = &bus.inner.limits;
    let deadline = Instant::now() + limits.deadline;
    // The permits live until the broker has answered.
    let busy = |_| PublishError::Busy { waited: limits.deadline };
    let _slot = take(&bus.inner.slots, 1, deadline).await.map_err(busy)?;
    let bytes = envelope.size().min(limits.in_flight_bytes);
    let _room = take(&bus.inner.room, bytes, deadline).await.map_err(busy)?;
    if bus.inner.outgoing.is_empty() {
        return hand_over(&bus, envelope, deadline).await;
    }
    let end = |envelope| hand_over(&bus, envelope, deadline).boxed();
    Next::new(&bus.inner.outgoing, end).run(envelope).await
}

struct Late;

async fn take(
    semaphore: &Arc<Semaphore>,
    permits: usize,
    deadline: Instant,
) -> Result<OwnedSemaphorePermit, Late> {
    let permits = u32::try_from(permits).unwrap_or(u32::MAX);
    if let Ok(permit) = Arc::clone(semaphore).try_acquire_many_owned(permits) {
        return Ok(permit);
    }
    match timeout_at(deadline, Arc::clone(semaphore).acquire_many_owned(permits)).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Late),
    }
}

/// The last step, behind all middleware, so that it checks what really leaves.
async fn hand_over(
    bus: &Bus,
    envelope: Envelope,
    deadline: Instant,
) -> Result<EventId, PublishError> {
    let (bytes, limit) = (envelope.payload.len(), bus.inner.limits.payload);
    if bytes > limit {
        return Err(PublishError::TooLarge { bytes, limit });
    }
    let id = envelope.id.clone();
    match timeout_at(deadline, bus.inner.transport.publish(envelope)).await {
        Ok(Ok(())) => Ok(id),
        Ok(Err(TransportError::Unknown { reason })) => Err(PublishError::Unknown { id, reason }),
        Ok(Err(error)) => Err(PublishError::Refused(error)),
        Err(_) => {
            let reason = format!("nothing within {:?}", bus.inner.limits.deadline);
            Err(PublishError::Unknown { id, reason })
        }
    }
}
