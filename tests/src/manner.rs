//! How a worker of `tests/faults` works, as its test tells it.

use std::time::Duration;

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};

use crate::jobs::{Does, Jobs};

/// How a worker works.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Manner {
    /// How long its deliveries are its own without a sign of life.
    pub lease: Duration,
    /// Runs at once.
    pub concurrency: usize,
    /// Runs of one event.
    pub attempts: u32,
    /// The delay between them: the same each time, or with `jitter` the first bound.
    pub delay: Duration,
    /// Whether delays grow and are drawn.
    pub jitter: bool,
    /// The longest run.
    pub timeout: Duration,
    /// How long a stop waits for runs.
    pub grace: Duration,
    /// How long it tries to connect.
    pub deadline: Duration,
    /// Threads of its runtime. With one, a handler that blocks it leaves none for anybody else.
    pub threads: usize,
    /// What its handler does in place of what jobs say.
    pub instead: Option<Does>,
    /// A second handler, `beside`, that does this with every job and tells nothing.
    pub beside: Option<Does>,
    /// Once it is ready it fetches events, and begins none of them.
    pub begins_nothing: bool,
    /// It is the user `me` with the password `s3cr3t`.
    pub as_me: bool,
    /// It takes [`SECRET`](crate::jobs::SECRET) out of the texts of errors.
    pub redacts: bool,
    /// Its log has all down to `DEBUG`; below it the client logs whole messages.
    pub is_verbose: bool,
    /// It makes nothing on the server.
    pub makes_nothing: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            lease: SECOND * 30,
            concurrency: 4,
            attempts: 5,
            delay: SECOND,
            jitter: false,
            timeout: MINUTE * 5,
            grace: SECOND * 25,
            deadline: SECOND * 10,
            threads: 1,
            instead: None,
            beside: None,
            begins_nothing: false,
            as_me: false,
            redacts: false,
            is_verbose: false,
            makes_nothing: false,
        }
    }
}

impl Manner {
    /// The service `jobs` of a worker that works so.
    pub fn jobs(&self) -> Jobs {
        let retry = match self.jitter {
            true => Retry::exponential(self.delay, MINUTE),
            false => Retry::fixed(self.delay),
        };
        let (lease, concurrency) = (self.lease, self.concurrency);
        Jobs { lease, concurrency, retry: retry.attempts(self.attempts) }
    }
}
