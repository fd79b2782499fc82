//! What happened on the in-process broker, for tests: event by event, in order.

use std::sync::Arc;
use std::time::Duration;

use crate::envelope::{Envelope, EventId};
use crate::settle::Settlement;
use crate::transport::GroupName;

/// The most facts that are kept; a test that makes more of them is told so.
const MAX_FACTS: usize = 1_000_000;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "what a test records, and most of it are answers")]
pub enum Fact {
    /// An event was stored, now or for its time, or was known already.
    Published {
        /// The event.
        envelope: Arc<Envelope>,
        /// Whether its id was in the duplicate window, so that nothing was stored.
        duplicate: bool,
    },
    /// The event that was stored just before waits for its time.
    Delayed {
        /// The event.
        id: EventId,
        /// When it is due, counted from when the broker was made.
        due: Duration,
    },
    /// An event was given to a member of a group.
    Delivered {
        /// The group.
        group: GroupName,
        /// The event.
        id: EventId,
        /// The number that the run would have.
        attempt: u32,
    },
    /// A delivery was answered.
    Settled {
        /// The group.
        group: GroupName,
        /// The event.
        id: EventId,
        /// The answer.
        settlement: Settlement,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) on: bool,
    pub(crate) facts: Vec<Fact>,
    /// Facts that were not kept any more.
    pub(crate) dropped: u64,
    /// Answers that get lost, as if the worker had crashed before them.
    pub(crate) crashes: Vec<(GroupName, EventId)>,
    /// Told after every fact.
    pub(crate) changed: Arc<tokio::sync::Notify>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn published(&mut self, envelope: &Arc<Envelope>, duplicate: bool) {
        self.add(|| Fact::Published { envelope: Arc::clone(envelope), duplicate });
    }

    pub(crate) fn delayed(&mut self, id: &EventId, due: Duration) {
        self.add(|| Fact::Delayed { id: id.clone(), due });
    }

    pub(crate) fn delivered(&mut self, group: &GroupName, id: &EventId, attempt: u32) {
        self.add(|| Fact::Delivered { group: group.clone(), id: id.clone(), attempt });
    }

    pub(crate) fn settled(&mut self, group: &GroupName, id: &EventId, settlement: &Settlement) {
        self.add(|| {
            let (group, id, settlement) = (group.clone(), id.clone(), settlement.clone());
            Fact::Settled { group, id, settlement }
        });
    }

    /// Something happened that is not worth a fact.
    pub(crate) fn changed(&self) {
        self.changed.notify_waiters();
    }

    fn add(&mut self, fact: impl FnOnce() -> Fact) {
        if !self.on {
            return;
        }
        if self.facts.len() < MAX_FACTS {
            self.facts.push(fact());
        } else {
            self.dropped += 1;
        }
        self.changed();
    }

    pub(crate) fn loses_answer(&mut self, group: &GroupName, id: &EventId) -> bool {
        let at = self.crashes.iter().position(|crash| crash.0 == *group && crash.1 == *id);
        if let Some(at) = at {
            self.crashes.swap_remove(at);
            self.changed.notify_waiters();
        }
        at.is_some()
    }
}
