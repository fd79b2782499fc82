//! What arrives, as it goes through a member's hands.

use std::sync::Arc;
use std::time::SystemTime;

use async_nats::Subject;
use bus_core::delivery::{History, Place};
use bus_core::{Envelope, EventId};
use bytes::Bytes;

use crate::headers::{self, Flat, Unreadable};
use crate::runs::{Origin, Runs};

/// Which of the group's two consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Events,
    Copies,
}

/// One arrival.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) kind: Kind,
    /// Where the message itself stands: of a copy, in the stream of copies.
    pub(crate) sequence: u64,
    /// Whether it is one of those that were asked for last.
    pub(crate) asked: bool,
    /// Where its answer goes.
    pub(crate) reply: Subject,
    pub(crate) original: Arc<Original>,
    pub(crate) history: History,
    /// Whether it was delivered before, to whomever.
    pub(crate) again: bool,
    /// How often, this time counted.
    pub(crate) deliveries: u64,
    /// Since when it could be delivered.
    pub(crate) since: SystemTime,
    /// Where the dead letter stands that it was redriven from, and has to be gone before it runs.
    pub(crate) letter: Option<u64>,
}

impl Arrival {
    /// One number for each message of both consumers.
    pub(super) fn place(&self) -> u64 {
        self.sequence * 2 + self.kind as u64
    }
}

/// A message as it was published, also where a copy of it arrived.
#[derive(Debug)]
pub(crate) struct Original {
    pub(crate) origin: Origin,
    pub(crate) subject: Subject,
    pub(crate) headers: Flat,
    pub(crate) payload: Bytes,
}

impl Original {
    pub(crate) fn envelope(&self) -> Result<Envelope, Unreadable> {
        headers::read(&self.subject, &self.headers, self.payload.clone(), self.origin.at())
    }

    /// The event's id, or one for the message if it can not be read.
    pub(crate) fn id(&self) -> EventId {
        self.envelope().map_or_else(|_| self.origin.at().id(), |envelope| envelope.id)
    }
}

/// What has to be written down before a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) origin: Origin,
    /// That it begins, for an event that came before.
    pub(crate) runs: Option<Runs>,
    /// That the dead letter at this sequence is redriven.
    pub(crate) letter: Option<u64>,
}

/// What the bus is given.
#[derive(Debug)]
pub(crate) struct Yielded {
    pub(crate) token: u64,
    pub(crate) original: Arc<Original>,
    pub(crate) history: History,
    pub(crate) deliveries: u64,
    pub(crate) since: SystemTime,
}

impl Yielded {
    /// Where its original stands, also where a copy of it arrived.
    pub(crate) fn place(&self) -> Place {
        let Origin { stream, sequence, .. } = &self.original.origin;
        let mut place = Place::new(*sequence);
        place.log = Some(Arc::clone(stream));
        (place.deliveries, place.since) = (self.deliveries, Some(self.since));
        place
    }
}
