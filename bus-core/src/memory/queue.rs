//! Publishers that wait for room, first come, first served.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

/// Who waits for room in which groups. A newcomer for one of them queues behind.
#[derive(Debug, Default)]
pub(super) struct Queue {
    tickets: u64,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    groups: Vec<usize>,
    turn: Arc<Notify>,
}

/// A place in the queue.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    number: u64,
    /// Told when there may be room for it.
    pub(super) turn: Arc<Notify>,
}

impl Queue {
    /// Waits for these groups, at its place if it has one already.
    pub(super) fn join(&mut self, ticket: Option<&Ticket>, groups: Vec<usize>) -> Ticket {
        let ticket = ticket.cloned().unwrap_or_else(|| {
            self.tickets += 1;
            Ticket { number: self.tickets, turn: Arc::default() }
        });
        let turn = Arc::clone(&ticket.turn);
        self.waiting.insert(ticket.number, Waiting { groups, turn });
        ticket
    }

    /// Those who waited behind it, for it may have left room. To be told where nothing is locked.
    pub(super) fn leave(&mut self, ticket: &Ticket) -> Vec<Arc<Notify>> {
        let left = self.waiting.remove(&ticket.number);
        let groups = left.iter().flat_map(|left| &left.groups);
        groups.filter_map(|group| self.first(*group)).collect()
    }

    /// Whom to tell of room in a group: the first one that waits for it. Were it all of them, each
    /// place would cost as much as there are publishers.
    pub(super) fn first(&self, group: usize) -> Option<Arc<Notify>> {
        let first = self.waiting.values().find(|one| one.groups.contains(&group));
        first.map(|first| Arc::clone(&first.turn))
    }

    /// Whether somebody came before who waits for one of these groups.
    pub(super) fn is_behind(&self, ticket: Option<&Ticket>, groups: &[usize]) -> bool {
        let before = self.waiting.range(..ticket.map_or(u64::MAX, |ticket| ticket.number));
        before.into_iter().any(|(_, other)| other.groups.iter().any(|one| groups.contains(one)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
