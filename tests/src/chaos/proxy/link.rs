//! How the whole link is: slow, narrow, or a black hole.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::chaos::injected::Random;

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

#[derive(Debug)]
pub(super) struct Link {
    frozen: [watch::Sender<bool>; 2],
    refuses: watch::Sender<bool>,
    bytes: watch::Sender<usize>,
    latency: Mutex<(Duration, Option<(Duration, Random)>)>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            frozen: [watch::Sender::new(false), watch::Sender::new(false)],
            refuses: watch::Sender::new(false),
            bytes: watch::Sender::new(0),
            latency: Mutex::default(),
        }
    }
}

impl Link {
    pub(super) fn freeze(&self, way: Way, frozen: bool) {
        self.frozen[way as usize].send_replace(frozen);
    }

    /// Waits until something may pass.
    pub(super) async fn open(&self, way: Way) {
        let mut frozen = self.frozen[way as usize].subscribe();
        // The sender is ours: there is no error.
        let _ = frozen.wait_for(|frozen| !frozen).await;
    }

    pub(super) fn refuse(&self, refuse: bool) {
        self.refuses.send_replace(refuse);
    }

    pub(super) fn refuses(&self) -> bool {
        *self.refuses.borrow()
    }

    pub(super) fn throttle(&self, bytes: usize) {
        self.bytes.send_replace(bytes);
    }

    /// Bytes in a second, if there is a limit.
    pub(super) fn width(&self) -> Option<usize> {
        Some(*self.bytes.borrow()).filter(|bytes| *bytes > 0)
    }

    pub(super) fn latency(&self, each_way: Duration, spread: Option<(Duration, Random)>) {
        *self.latency.lock().unwrap_or_else(PoisonError::into_inner) = (each_way, spread);
    }

    /// When what comes now may pass.
    pub(super) fn due(&self) -> Instant {
        let latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        let spread = latency.1.as_ref().map(|(spread, random)| random.time(*spread));
        Instant::now() + latency.0 + spread.unwrap_or_default()
    }
}
