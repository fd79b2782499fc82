//! What one bus may have under way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// What one bus may have under way. All of it is bounded, and says so when a bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishLimits {
    /// Bytes of one payload, its publisher's headers included.
    pub payload: usize,
    /// How long a publish may take in all.
    pub deadline: Duration,
    /// Publishes that are not yet confirmed.
    pub in_flight: usize,
    /// Bytes of publishes that are not yet confirmed.
    pub in_flight_bytes: usize,
    /// Events that handlers publish at once, each because of the one before.
    pub hops: u32,
}

impl Default for PublishLimits {
    fn default() -> Self {
        Self {
            payload: 256 * 1024,
            deadline: Duration::from_secs(10),
            in_flight: 4096,
            in_flight_bytes: 32 * 1024 * 1024,
            hops: 1000,
        }
    }
}

impl PublishLimits {
    pub(super) fn semaphores(&self) -> (Arc<Semaphore>, Arc<Semaphore>) {
        let permits =
            |wanted: usize| Arc::new(Semaphore::new(wanted.clamp(1, Semaphore::MAX_PERMITS)));
        (permits(self.in_flight), permits(self.in_flight_bytes))
    }
}
