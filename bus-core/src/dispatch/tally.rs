//! What became of a handler's deliveries, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// How the deliveries of one handler ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) started: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) released: AtomicU64,
    pub(super) lost: AtomicU64,
}

/// A [`Tally`] at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) started: u64,
    pub(crate) answered: u64,
    pub(crate) released: u64,
    pub(crate) lost: u64,
}

impl Tally {
    pub(crate) fn read(&self) -> Count {
        let read = |count: &AtomicU64| count.load(Ordering::Acquire);
        let Self { started, answered, released, lost } = self;
        let (answered, released, lost) = (read(answered), read(released), read(lost));
        // Read last: what has ended has started.
        Count { started: read(started), answered, released, lost }
    }
}

impl Count {
    /// What was begun and has not ended.
    pub(crate) fn held(&self) -> u64 {
        self.started - self.answered - self.released - self.lost
    }
}
