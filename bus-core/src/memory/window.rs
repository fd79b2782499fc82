//! Which ids were stored lately.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::envelope::EventId;

/// Remembers ids for a time, and never more than a number of them.
#[derive(Debug)]
pub(super) struct Window {
    /// Only looked up, never walked: its order is not the same twice.
    ids: HashMap<EventId, Duration>,
    order: VecDeque<(Duration, EventId)>,
    length: Duration,
    limit: usize,
}

impl Window {
    pub(super) fn new(length: Duration, limit: usize) -> Self {
        Self { ids: HashMap::new(), order: VecDeque::new(), length, limit }
    }

    pub(super) fn contains(&mut self, id: &EventId, now: Duration) -> bool {
        self.forget(now);
        self.ids.contains_key(id)
    }

    pub(super) fn insert(&mut self, id: EventId, now: Duration) {
        self.ids.insert(id.clone(), now);
        self.order.push_back((now, id));
        self.forget(now);
    }

    fn forget(&mut self, now: Duration) {
        while let Some((stored, _)) = self.order.front()
            && (stored.saturating_add(self.length) <= now || self.order.len() > self.limit)
        {
            if let Some((_, id)) = self.order.pop_front() {
                self.ids.remove(&id);
            }
        }
    }
}
