//! Events that wait for their time, in front of all groups.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::broker::Broker;
use super::group::FOREVER;
use crate::envelope::{Envelope, EventId};
use crate::transport::TransportError;

/// When something is due, and which of equals came first.
type Place = (Duration, u64);

/// What waits, by its time.
#[derive(Debug, Default)]
pub(super) struct Later {
    waiting: BTreeMap<Place, Arc<Envelope>>,
    /// Only looked up, never walked.
    places: HashMap<EventId, Place>,
    count: u64,
}

impl Later {
    pub(super) fn contains(&self, id: &EventId) -> bool {
        self.places.contains_key(id)
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    #[cfg(feature = "testing")]
    pub(super) fn iter(&self) -> impl Iterator<Item = (Duration, &Envelope)> {
        self.waiting.iter().map(|((due, _), envelope)| (*due, &**envelope))
    }

    fn insert(&mut self, due: Duration, envelope: &Arc<Envelope>) {
        let place = (due.min(FOREVER), self.count);
        self.count += 1;
        self.places.insert(envelope.id.clone(), place);
        self.waiting.insert(place, Arc::clone(envelope));
    }

    fn take_due(&mut self, now: Duration) -> Option<(Duration, Arc<Envelope>)> {
        let first = self.waiting.first_entry().filter(|first| first.key().0 <= now)?;
        let ((due, _), envelope) = first.remove_entry();
        self.places.remove(&envelope.id);
        Some((due, envelope))
    }

    fn remove(&mut self, domain: &str, id: &EventId) -> bool {
        let Some(place) = self.places.get(id) else { return false };
        let ours = |envelope: &Arc<Envelope>| envelope.subject.domain() == domain;
        if !self.waiting.get(place).is_some_and(ours) {
            return false;
        }
        self.waiting.remove(place);
        self.places.remove(id);
        true
    }
}

impl Broker {
    pub(super) fn keep_until(
        &mut self,
        due: Duration,
        envelope: &Arc<Envelope>,
    ) -> Result<(), TransportError> {
        let limit = self.config.delayed;
        if self.later.waiting.len() >= limit {
            let reason = format!("{limit} events wait for their time already");
            return Err(TransportError::Full { reason });
        }
        self.later.insert(due, envelope);
        for at in self.routes.of(&envelope.subject) {
            // Members that wait have to learn of the new time.
            self.groups[at].wake(&mut self.woken);
        }
        Ok(())
    }

    /// What is due is stored as if it were published at its time.
    pub(super) fn store_due(&mut self, now: Duration) {
        while let Some((due, envelope)) = self.later.take_due(now) {
            self.store(&envelope, due);
        }
    }

    pub(super) fn cancel(&mut self, domain: &str, id: &EventId) -> bool {
        let cancelled = self.later.remove(domain, id);
        self.recorder.changed();
        cancelled
    }
}
