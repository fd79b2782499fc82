//! How long nothing works, and when it is worth another try.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::{End, Pull};
use crate::lease::Kind;
use crate::poison;

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

impl Pull {
    /// A connection that is lost although its server went on, or again after a short time, may have
    /// been lost over a message.
    pub(super) fn suspect(&mut self) {
        let (server, now) = (self.lane.shared.client().server_info().server_id, Instant::now());
        let again = self.lost.is_some_and(|before| now < before + self.lane.group.lease * 2);
        let suspect = server == self.server || again;
        (self.server, self.lost) = (server, Some(now));
        if suspect && self.kind == Kind::Events && self.lane.shared.may_look() {
            let (lane, stream) = (Arc::clone(&self.lane), self.stream.clone());
            self.lane.go(async move { poison::look_after_reconnect(&lane, &stream).await });
        }
    }

    /// Perhaps the consumer is gone, and not only without a leader; asked once, for many may ask now.
    pub(super) fn look_once(&self) {
        if self.trouble.is_over() {
            let (lane, kind, stream) = (Arc::clone(&self.lane), self.kind, self.stream.clone());
            self.lane.go(async move { lane.look(kind, &stream).await });
        }
    }

    /// While there is no connection it is no wonder, and what was asked on many inboxes would be
    /// served on all of them when there is one.
    pub(super) fn silent(&mut self) -> Result<(), End> {
        if !self.lane.shared.is_connected() {
            self.heard = Instant::now();
            return Ok(());
        }
        debug!(group = %self.lane.name(), "the server is silent, it is asked anew");
        self.look_once();
        let again = self.trouble.again();
        Err(again.map_or_else(|| End::Broken("the server is silent".to_owned()), |_| End::Again))
    }
}
