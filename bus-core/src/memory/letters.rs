//! The dead letters of the in-process broker.

use std::sync::Arc;

use super::group::Entry;
use crate::delivery::History;
use crate::operator::{DeadLetter, DeadLetterId};
use crate::settle::{Failed, Reason};
use crate::transport::GroupName;

/// Dead letters in the order in which they were given up, up to a limit.
#[derive(Debug)]
pub(super) struct Letters {
    kept: Vec<Kept>,
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
        Self { kept: Vec::new(), limit }
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
        let mut letter = DeadLetter::new(id, name.clone(), envelope, reason, failed);
        letter.redrives = redrives;
        self.kept.push(Kept { group, entry, letter });
    }

    pub(super) fn list(&self, group: Option<&GroupName>, limit: usize) -> Vec<DeadLetter> {
        let letters = self.kept.iter().map(|kept| &kept.letter);
        let wanted = |letter: &&DeadLetter| group.is_none_or(|group| letter.group == *group);
        letters.filter(wanted).take(limit).cloned().collect()
    }

    /// Takes a letter out: its group, and the entry with its attempts begun anew.
    pub(super) fn take(&mut self, id: &DeadLetterId) -> Option<(usize, Entry)> {
        let at = self.kept.iter().position(|kept| kept.letter.id == *id)?;
        let Kept { group, entry, .. } = self.kept.remove(at);
        let redrives = entry.history.redrives + 1;
        let history = History { redrives, ..History::default() };
        Some((group, Entry { history, deliveries: 0, ..entry }))
    }
}
