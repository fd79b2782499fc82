//! The limits of the in-process broker.

use std::time::Duration;

/// The limits of the in-process broker, and how it differs from a real one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// The first tokens of the subjects that are stored; `None` stores all.
    pub domains: Option<Vec<String>>,
    /// How many events are kept for groups that do not exist yet; the oldest go first.
    pub retain: usize,
    /// How many bytes of them.
    pub retain_bytes: usize,
    /// How many events one group may have undone before publishers have to wait.
    pub backlog: usize,
    /// How long a publisher waits for room before it is refused.
    pub patience: Duration,
    /// How many dead letters are kept; one more is not stored, and its event stays undone.
    pub dead_letters: usize,
    /// How many events may wait for their time; one more is refused. They do not count as undone
    /// before, and reach their groups also where a backlog has grown full meanwhile.
    pub delayed: usize,
    /// How long an id is remembered, so that the same event is not stored twice.
    pub duplicate_window: Duration,
    /// How many ids are remembered at most.
    pub duplicate_ids: usize,
    /// Whether leases are renewed while a delivery is held and its run is within its time-out.
    pub renew: bool,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            domains: None,
            retain: 65_536,
            retain_bytes: 64 * 1024 * 1024,
            backlog: 65_536,
            patience: Duration::from_secs(5),
            dead_letters: 65_536,
            delayed: 65_536,
            duplicate_window: Duration::from_secs(120),
            duplicate_ids: 65_536,
            renew: true,
        }
    }
}
