//! Which ids were stored lately.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::envelope::EventId;
use crate::transport::ByNumber;

/// Remembers ids for a time, and never more than a number of them.
#[derive(Debug)]
pub(super) struct Window {
    /// By a hash that nobody else can guess. Of two with the same, once in 2⁶⁴, the second is known.
    ids: ByNumber<EventId>,
    order: VecDeque<(Duration, u64)>,
    hash: RandomState,
    length: Duration,
    limit: usize,
}

/// An id, and where it is looked up.
#[derive(Clone, Copy)]
pub(super) struct Mark(u64);

impl Window {
    pub(super) fn new(length: Duration, limit: usize) -> Self {
        let (ids, order, hash) = Default::default();
        Self { ids, order, hash, length, limit }
    }

    /// To be made once, and used for both that follow.
    pub(super) fn mark(&self, id: &EventId) -> Mark {
        Mark(self.hash.hash_one(id))
    }

    pub(super) fn contains(&mut self, mark: Mark, id: &EventId, now: Duration) -> bool {
        self.forget(now);
        self.ids.get(&mark.0).is_some_and(|known| known == id)
    }

    pub(super) fn insert(&mut self, Mark(mark): Mark, id: EventId, now: Duration) {
        self.ids.insert(mark, id);
        self.order.push_back((now, mark));
        self.forget(now);
    }

    fn forget(&mut self, now: Duration) {
        while let Some((stored, mark)) = self.order.front()
            && (stored.saturating_add(self.length) <= now || self.order.len() > self.limit)
        {
            self.ids.remove(mark);
            self.order.pop_front();
        }
    }
}
