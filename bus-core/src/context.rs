//! What a handler knows of the delivery, and how it publishes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::delivery::History;
use crate::envelope::{Envelope, EventId, Headers};
use crate::event::Event;
use crate::failure::HandlerResult;
use crate::middleware::{Passage, sealed};
use crate::publish::{Bus, Publish};
use crate::state::States;
use crate::telemetry::{Carried, captured_or};
use crate::transport::{GroupName, TransportError};

/// The facts of a delivery, and publishing from a handler. Cheap to clone; can move to a task.
#[derive(Clone)]
pub struct Context(Arc<Run>);

struct Run {
    envelope: Arc<Envelope>,
    history: History,
    desk: Arc<Desk>,
    /// How often this run published what; only looked up.
    children: Mutex<HashMap<EventId, u64>>,
    /// The trace that this run is part of.
    carried: Carried,
}

/// What all runs of one handler share.
pub(crate) struct Desk {
    pub(crate) bus: Bus,
    pub(crate) states: States,
    pub(crate) group: GroupName,
}

impl Context {
    pub(crate) fn new(
        envelope: Arc<Envelope>,
        history: History,
        desk: Arc<Desk>,
        carried: Carried,
    ) -> Self {
        Self(Arc::new(Run { envelope, history, desk, children: Mutex::default(), carried }))
    }

    /// Publishes an event that follows from this one. It carries the correlation on, names this
    /// event as its cause, and has an id made of both and its content: a handler that runs again
    /// publishes the same ids, and the transport drops what it has already. Equal events of one run
    /// are told apart by their order, so a publish that failed is repeated under its own id: that of
    /// [`PublishError::Unknown`](crate::PublishError::Unknown), or of
    /// [`Publish::event_id`] before it was awaited.
    pub fn publish<E: Event>(&self, event: &E) -> Publish {
        let Run { envelope, desk, .. } = &*self.0;
        let draft = desk.bus.seal(event).map(|mut child| {
            child.id = self.child_id(&child);
            child.correlation = envelope.correlation.clone();
            child.causation = Some(envelope.id.clone());
            child.hops = envelope.hops.saturating_add(1);
            child
        });
        // Also from a task that the run has spawned, where nothing is current.
        let carried = captured_or(self.0.carried.clone());
        Publish::new(desk.bus.clone(), draft, E::SUBJECT, carried)
    }

    /// Takes back an event that waits for its time, as [`Bus::cancel`] does.
    pub async fn cancel<E: Event>(&self, id: &EventId) -> Result<bool, TransportError> {
        self.0.desk.bus.cancel::<E>(id).await
    }

    /// The event as it arrived: id, source, time, subject, headers, payload.
    pub fn envelope(&self) -> &Envelope {
        &self.0.envelope
    }

    /// The id of the event: what makes a handler idempotent.
    pub fn id(&self) -> &EventId {
        &self.0.envelope.id
    }

    /// The publisher's headers.
    pub fn headers(&self) -> &Headers {
        &self.0.envelope.headers
    }

    /// The number of this run, from 1. A run that was killed may be missing from the count.
    pub fn attempt(&self) -> u32 {
        self.0.history.next_attempt()
    }

    /// How often the event came back from the dead letters.
    pub fn redrives(&self) -> u32 {
        self.0.history.redrives
    }

    /// Service and handler.
    pub fn group(&self) -> &GroupName {
        &self.0.desk.group
    }

    pub(crate) fn states(&self) -> &States {
        &self.0.desk.states
    }

    /// Equal events of one run are told apart by their count.
    fn child_id(&self, child: &Envelope) -> EventId {
        let id = self.0.envelope.id.derive(&[
            self.group().as_str().as_bytes(),
            child.type_name.as_bytes(),
            child.subject.as_str().as_bytes(),
            &child.payload,
        ]);
        let mut children = self.0.children.lock().unwrap_or_else(PoisonError::into_inner);
        let before = children.entry(id.clone()).or_default();
        let equal = *before;
        *before += 1;
        if equal == 0 { id } else { id.derive(&[&equal.to_be_bytes()]) }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("id", self.id())
            .field("group", self.group())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}

impl sealed::Sealed for Context {}

impl Passage for Context {
    type Answer = HandlerResult;
}
