//! A publish under way.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::consume_budget;

use super::delay::Due;
use super::send::{self, Begun, Sent};
use super::{Bus, PublishError};
use crate::envelope::{Envelope, EventId};
use crate::subject::Template;
use crate::telemetry::{Carried, Sending, captured_or};

/// A publish: resolves when the event is stored. It holds no borrow and no type of the event, so
/// it can be joined, timed out or moved to a task.
#[must_use = "nothing is published until this is awaited"]
pub struct Publish {
    bus: Bus,
    draft: Option<Result<Envelope, PublishError>>,
    pub(super) due: Due,
    template: Template,
    carried: Carried,
    told: Option<Sending>,
    done: Option<Sent>,
    sending: Option<BoxFuture<'static, Sent>>,
}

impl Publish {
    /// `carried` is where the caller is now.
    pub(crate) fn new(
        bus: Bus,
        draft: Result<Envelope, PublishError>,
        template: Template,
        carried: Carried,
    ) -> Self {
        let (draft, due) = (Some(draft), Due::Now);
        Self { bus, draft, due, template, carried, told: None, done: None, sending: None }
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

    /// Asks whoever handles it to begin a trace of its own, linked to this one: for events that many
    /// handle, or that begin something long.
    pub fn new_trace(self) -> Self {
        self.set(|envelope| envelope.trace.fresh = true)
    }

    /// At once, so that publishes that are polled in order are sent in order.
    fn begin(&mut self, mut envelope: Envelope) {
        let (live, delay) = (self.bus.live(), self.due.delay());
        // Where it is awaited, as in a span around it; where nothing is, as in a task, what called.
        let carried = captured_or(self.carried.take());
        self.told = live.sends(&mut envelope, carried, self.template, delay);
        match send::begin(&self.bus, envelope, self.due, self.told.as_mut()) {
            Begun::Done(result) => self.done = Some(result),
            Begun::Sending(sending) => self.sending = Some(sending),
        }
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
            self.begin(draft?);
        }
        if self.done.is_some() {
            // A transport that always answers at once must not keep others from their turn.
            ready!(pin!(consume_budget()).poll(cx));
        }
        let result = match (self.done.take(), &mut self.sending) {
            (Some(result), _) => result,
            (None, Some(sending)) => ready!(sending.poll_unpin(cx)),
            (None, None) => return Poll::Pending,
        };
        if let Some(told) = self.told.take() {
            told.end(result.as_ref().err().map(|error| (error.class(), error.shown())));
        }
        Poll::Ready(result)
    }
}

impl std::fmt::Debug for Publish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publish").field("draft", &self.draft).finish_non_exhaustive()
    }
}
