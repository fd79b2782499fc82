//! Publishers that wait for room, first come, first served.

use std::collections::BTreeMap;

/// Who waits for room in which groups. A newcomer for one of them queues behind.
#[derive(Debug, Default)]
pub(super) struct Queue {
    tickets: u64,
    waiting: BTreeMap<u64, Vec<usize>>,
}

impl Queue {
    /// Queues up for these groups.
    pub(super) fn join(&mut self, groups: Vec<usize>) -> u64 {
        let ticket = self.tickets;
        self.tickets += 1;
        self.waiting.insert(ticket, groups);
        ticket
    }

    pub(super) fn leave(&mut self, ticket: u64) {
        self.waiting.remove(&ticket);
    }

    /// Whether somebody came before who waits for one of these groups.
    pub(super) fn is_behind(&self, ticket: Option<u64>, groups: &[usize]) -> bool {
        let before = self.waiting.range(..ticket.unwrap_or(u64::MAX));
        before.into_iter().any(|(_, other)| other.iter().any(|group| groups.contains(group)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
