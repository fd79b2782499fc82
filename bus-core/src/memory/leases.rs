//! What the members of a group hold, and when it comes back.

use std::time::Duration;

use super::entry::Entry;
use crate::transport::ByNumber;

/// An entry that was delivered and is not settled.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) entry: Entry,
    pub(super) delivered: Duration,
    pub(super) begun: bool,
    pub(super) abandoned: bool,
    /// When it comes back; `None` while it is renewed.
    pub(super) deadline: Option<Duration>,
}

/// Everything that is held, by token.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// Its order is not the same twice: looked up, counted and folded, never walked in it.
    held: ByNumber<Held>,
    /// No lease ends before this.
    earliest: Option<Duration>,
}

impl Leases {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn get(&self, token: u64) -> Option<&Entry> {
        self.held.get(&token).map(|held| &held.entry)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    pub(super) fn insert(&mut self, token: u64, held: Held) {
        self.earliest = self.earliest.into_iter().chain(held.deadline).min();
        self.held.insert(token, held);
    }

    /// Changes what is held under the token, if anything is.
    pub(super) fn change(&mut self, token: u64, change: impl FnOnce(&mut Held)) -> bool {
        let Some(held) = self.held.get_mut(&token) else { return false };
        change(held);
        self.earliest = self.earliest.into_iter().chain(held.deadline).min();
        true
    }

    pub(super) fn remove(&mut self, token: u64) -> Option<Held> {
        self.held.remove(&token)
    }

    /// Takes out what is over, the oldest first.
    pub(super) fn ended(&mut self, now: Duration) -> Vec<Entry> {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return Vec::new();
        }
        let deadline = |(token, held): (&u64, &Held)| Some((held.deadline?, *token));
        let mut ended: Vec<_> = self.held.iter().filter_map(deadline).collect();
        ended.retain(|(deadline, _)| *deadline <= now);
        ended.sort_unstable();
        let ended = ended.into_iter().filter_map(|(_, token)| self.held.remove(&token));
        let back = |mut held: Held| {
            // A run that never ended counts; one that never began does not.
            held.entry.history.attempts += u32::from(held.begun);
            held.entry
        };
        let entries = ended.map(back).collect();
        self.earliest = self.held.values().filter_map(|held| held.deadline).min();
        entries
    }
}
