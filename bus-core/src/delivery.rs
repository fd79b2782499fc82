//! One arrival of one envelope at one group.

use std::sync::Arc;
use std::time::SystemTime;

use crate::answer::Answer;
use crate::envelope::{Envelope, TraceParent};
use crate::settle::{Settle, SettleError, Settlement};

/// One arrival of one envelope at one group, consumed by settling it. One that is dropped comes
/// back after its lease.
#[must_use = "a delivery that is dropped comes back after its lease"]
pub struct Delivery {
    envelope: Arc<Envelope>,
    history: History,
    place: Option<Place>,
    token: u64,
    lane: Option<Arc<dyn Settle>>,
}

/// What happened to the event in this group before this arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// Runs of the handler that ended without success, and those that never ended.
    pub attempts: u32,
    /// When a run failed for the first time.
    pub first_failure: Option<SystemTime>,
    /// How often it came back from the dead letters.
    pub redrives: u32,
    /// The span of the run that failed last.
    pub previous: Option<TraceParent>,
}

/// Where the broker keeps what it delivered, and since when: what traces and metrics say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The name of the log that it stands in, where there is more than one.
    pub log: Option<Arc<str>>,
    /// Its number there.
    pub sequence: u64,
    /// How often it was delivered, this one counted, to whomever.
    pub deliveries: u64,
    /// When it could be delivered at first: when it was stored, or when its retry was due.
    pub since: Option<SystemTime>,
}

impl Place {
    /// A place in the only log, delivered for the first time.
    pub fn new(sequence: u64) -> Self {
        Self { log: None, sequence, deliveries: 1, since: None }
    }
}

impl History {
    /// The number that the next run has, from 1.
    pub fn next_attempt(&self) -> u32 {
        self.attempts.saturating_add(1)
    }
}

impl Delivery {
    /// An arrival; `lane` takes the answer under `token`.
    pub fn new(
        envelope: Arc<Envelope>,
        history: History,
        token: u64,
        lane: Arc<dyn Settle>,
    ) -> Self {
        Self { envelope, history, place: None, token, lane: Some(lane) }
    }

    /// The same, where the broker says where it keeps it.
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The event.
    pub fn envelope(&self) -> &Arc<Envelope> {
        &self.envelope
    }

    /// What happened before.
    pub fn history(&self) -> History {
        self.history
    }

    /// Where the broker keeps it, if it says so.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Says that the handler is about to run; to be awaited before it does.
    pub fn begin(&self) -> Answer<Result<(), SettleError>> {
        match &self.lane {
            Some(lane) => lane.begin(self.token),
            None => Answer::now(Ok(())),
        }
    }

    /// Answers. An error means that the event comes again, never that it is lost.
    pub fn settle(mut self, settlement: Settlement) -> Answer<Result<(), SettleError>> {
        match self.lane.take() {
            Some(lane) => lane.settle(self.token, settlement),
            None => Answer::now(Ok(())),
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            lane.abandon(self.token);
        }
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.envelope.id)
            .field("history", &self.history)
            .finish_non_exhaustive()
    }
}
