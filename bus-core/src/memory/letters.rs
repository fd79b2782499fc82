//! The dead letters of the in-process broker.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::entry::Entry;
use crate::delivery::History;
use crate::operator::{self, DeadLetter, DeadLetterId, Page};
use crate::settle::{Failed, Reason};
use crate::transport::GroupName;

/// Dead letters in the order in which they were given up, up to a limit.
#[derive(Debug)]
pub(super) struct Letters {
    kept: BTreeMap<u64, Kept>,
    positions: BTreeMap<DeadLetterId, u64>,
    newest: u64,
    limit: usize,
}

/// A dead letter, with its group's place and what it was there.
#[derive(Debug)]
struct Kept {
    group: usize,
    entry: Entry,
    letter: DeadLetter,
}

impl Letters {
    pub(super) fn new(limit: usize) -> Self {
        Self { kept: BTreeMap::new(), positions: BTreeMap::new(), newest: 0, limit }
    }

    pub(super) fn is_full(&self) -> bool {
        self.kept.len() >= self.limit
    }

    pub(super) fn bury(
        &mut self,
        group: usize,
        name: &GroupName,
        entry: Entry,
        reason: Reason,
        failed: Failed,
    ) {
        let redrives = entry.history.redrives;
        let id = DeadLetterId::new(format!("{name}/{}/{redrives}", entry.sequence));
        let envelope = Arc::clone(&entry.envelope);
        let mut letter = DeadLetter::new(id.clone(), name.clone(), envelope, reason, failed);
        self.newest += 1;
        (letter.redrives, letter.position) = (redrives, self.newest);
        self.positions.insert(id, self.newest);
        self.kept.insert(self.newest, Kept { group, entry, letter });
    }

    pub(super) fn page(&self, page: &Page) -> operator::Letters {
        let behind = (Bound::Excluded(page.after), Bound::Unbounded);
        let letters = self.kept.range(behind).map(|(_, kept)| &kept.letter);
        let wanted =
            |letter: &&DeadLetter| page.group.as_ref().is_none_or(|group| letter.group == *group);
        let letters: Vec<_> = letters.filter(wanted).take(page.limit).cloned().collect();
        let full = letters.len() >= page.limit;
        let next = letters.last().filter(|_| full).map(|last| last.position);
        operator::Letters::new(letters, next, self.newest)
    }

    pub(super) fn get(&self, id: &DeadLetterId) -> Option<&DeadLetter> {
        Some(&self.kept.get(self.positions.get(id)?)?.letter)
    }

    /// Takes a letter out: its group, and the entry with its attempts begun anew.
    pub(super) fn take(&mut self, id: &DeadLetterId) -> Option<(usize, Entry)> {
        let Kept { group, entry, .. } = self.kept.remove(&self.positions.remove(id)?)?;
        let redrives = entry.history.redrives + 1;
        let history = History { redrives, ..History::default() };
        Some((group, Entry { history, deliveries: 0, ..entry }))
    }
}
