//! From the first poll to the transport's answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::delay::Due;
use super::{Bus, MAX_KEY, PublishError};
use crate::answer::Answer;
use crate::clock::after;
use crate::envelope::{Envelope, EventId};
use crate::middleware::Next;
use crate::telemetry::Sending;
use crate::transport::TransportError;

pub(super) type Sent = Result<EventId, PublishError>;

/// How a publish goes on.
pub(super) enum Begun {
    Done(Sent),
    Sending(BoxFuture<'static, Sent>),
}

/// Where there is room, no middleware, and a transport that answers at once, nothing is boxed.
pub(super) fn begin(bus: &Bus, envelope: Envelope, due: Due, told: Option<&mut Sending>) -> Begun {
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
        let sending = send(bus.clone(), envelope, due);
        // What middleware does is part of the publish.
        return Begun::Sending(match told {
            Some(told) => told.within(sending).boxed(),
            None => sending.boxed(),
        });
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
