//! What is kept for groups that do not exist yet.

use std::collections::VecDeque;
use std::sync::Arc;

use tracing::debug;

use super::entry::Entry;
use crate::envelope::Envelope;

/// The latest events, up to a number and to a number of bytes.
#[derive(Debug)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

impl Log {
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, most, most_bytes }
    }

    /// What goes for it is to be freed where nothing is locked; more than one goes only where they
    /// are smaller.
    #[must_use]
    pub(super) fn keep(&mut self, entry: Entry) -> Option<Arc<Envelope>> {
        self.bytes += entry.envelope.size();
        self.entries.push_back(entry);
        let mut gone = None;
        while self.entries.len() > self.most || self.bytes > self.most_bytes {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.envelope.size();
            debug!(id = %oldest.envelope.id, "not kept any longer for groups that do not exist yet");
            gone = Some(oldest.envelope);
        }
        gone
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}
