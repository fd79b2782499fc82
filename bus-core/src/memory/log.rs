//! What is kept for groups that do not exist yet.

use std::collections::VecDeque;

use tracing::debug;

use super::entry::Entry;

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

    pub(super) fn keep(&mut self, entry: Entry) {
        self.bytes += entry.envelope.size();
        self.entries.push_back(entry);
        while self.entries.len() > self.most || self.bytes > self.most_bytes {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.envelope.size();
            debug!(id = %oldest.envelope.id, "not kept any longer for groups that do not exist yet");
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}
