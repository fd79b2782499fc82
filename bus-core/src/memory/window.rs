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
    length: Duration,
    limit: usize,
}

/// Where an id is looked up.
#[derive(Clone, Copy)]
pub(super) struct Mark(u64);

/// Makes marks, where nothing is locked.
#[derive(Debug, Default)]
pub(super) struct Marks(RandomState);

impl Marks {
    pub(super) fn of(&self, id: &EventId) -> Mark {
        Mark(self.0.hash_one(id))
    }
}

impl Window {
    pub(super) fn new(length: Duration, limit: usize) -> Self {
        let (ids, order) = Default::default();
        Self { ids, order, length, limit }
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
