//! An event as a group keeps it, and as a member is given it.

use std::sync::Arc;
use std::time::Duration;

use crate::delivery::History;
use crate::envelope::Envelope;

/// One event for one group.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) envelope: Arc<Envelope>,
    pub(super) stored: Duration,
    /// When it could be delivered at first, or again.
    pub(super) since: Duration,
    pub(super) history: History,
    pub(super) deliveries: u32,
}

impl Entry {
    pub(super) fn new(sequence: u64, envelope: &Arc<Envelope>, stored: Duration) -> Self {
        let (envelope, history) = (Arc::clone(envelope), History::default());
        Self { sequence, envelope, stored, since: stored, history, deliveries: 0 }
    }
}

/// What a member is given.
pub(super) struct Yielded {
    pub(super) token: u64,
    pub(super) envelope: Arc<Envelope>,
    pub(super) history: History,
    pub(super) sequence: u64,
    pub(super) since: Duration,
    pub(super) deliveries: u32,
}
