//! How long nothing works, and when it is worth another try.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause before a request is repeated that nobody took; doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// So long nothing may work while we are connected, until the group is told.
const PATIENCE: Duration = Duration::from_secs(5);

/// Since when nothing works.
#[derive(Default)]
pub(super) struct Trouble {
    since: Option<Instant>,
    pause: Option<Duration>,
}

impl Trouble {
    pub(super) fn is_over(&self) -> bool {
        self.since.is_none()
    }

    pub(super) fn over(&mut self) {
        *self = Self::default();
    }

    /// Once more: when to try again, or nothing if it has been too often.
    pub(super) fn again(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let pause = self.pause.unwrap_or(FIRST_PAUSE);
        self.pause = Some((pause * 2).min(LAST_PAUSE));
        (now < since + PATIENCE).then_some(now + pause)
    }
}
