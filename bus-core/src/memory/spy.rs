//! What test support sees of the broker, and how it disturbs it.

use std::sync::Arc;
use std::time::Duration;

use super::broker::Broker;
use super::entry::Entry;
use crate::envelope::Envelope;
use crate::transport::GroupName;

impl Broker {
    /// Whether there is something open in any group; see [`Members::any_open`](super::group::Members::any_open).
    pub(crate) fn any_open(&self, later: bool, of: impl Fn(&Envelope) -> bool) -> bool {
        self.groups.iter().any(|group| group.any_open(later, &of))
    }

    /// When the next event comes that waits for its time, in any group with members or in front of
    /// them all.
    pub(crate) fn due(&self, of: impl Fn(&Envelope) -> bool) -> Option<Duration> {
        let alive = self.groups.iter().filter(|group| group.count > 0);
        let back = alive.filter_map(|group| group.due(&of));
        let first = self.later.iter().find(|(_, envelope)| of(envelope)).map(|(due, _)| due);
        back.chain(first).min()
    }

    /// After a manual clock was moved, all members look again.
    pub(crate) fn wake_all(&mut self) {
        self.groups.iter_mut().for_each(|group| group.wake(&mut self.woken));
    }

    /// The names of all groups, sorted.
    pub(crate) fn group_names(&self) -> Vec<GroupName> {
        self.names.keys().cloned().collect()
    }

    /// Gives an event to one group, past the duplicate window.
    pub(crate) fn deliver(&mut self, group: &GroupName, envelope: &Arc<Envelope>, now: Duration) {
        if let Some(at) = self.names.get(group) {
            self.sequence += 1;
            let entry = Entry::new(self.sequence, envelope, now);
            self.groups[*at].push(entry, &mut self.woken);
        }
    }
}
