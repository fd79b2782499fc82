//! How long nothing works, and when it is worth another try.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::{End, Pull};
use crate::health;
use crate::lane::Lane;
use crate::lease::Kind;
use crate::poison;

/// The first pause before a request is repeated that nobody took; doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// So long nothing may work while we are connected, until it is told; and how often it is asked
/// whether the consumer is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Since when nothing works.
#[derive(Default)]
pub(super) struct Trouble {
    since: Option<Instant>,
    pause: Option<Duration>,
    /// When it was asked last whether the consumer is gone.
    looked: Option<Instant>,
    told: Option<health::Trouble>,
}

impl Trouble {
    pub(super) fn over(&mut self) {
        if self.since.is_some() {
            *self = Self::default();
        }
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

    /// Nobody answers for the consumer: when to ask again. A cluster that has no leader has one
    /// again some time, and who waits for it is there at once; so it is only told that we wait,
    /// where it can be known that the consumer is not gone.
    pub(super) fn nobody(&mut self, reason: &str) -> Result<Instant, End> {
        let now = Instant::now();
        // Many may ask now.
        if self.trouble.looked.is_none_or(|looked| now >= looked + PATIENCE) {
            self.trouble.looked = Some(now);
            let (lane, kind, stream) = (Arc::clone(&self.lane), self.kind, self.stream.clone());
            self.lane.go(async move { lane.look(kind, &stream).await });
        }
        if let Some(time) = self.trouble.again() {
            return Ok(time);
        }
        if !self.lane.shared.may_look() {
            return Err(End::Broken(reason.to_owned()));
        }
        let Lane { shared, .. } = &*self.lane;
        let (group, stream) = (self.lane.name(), &*self.stream);
        let what = || format!("{group} of the stream {stream}");
        let tell = || {
            warn!(%group, stream, reason, "nothing comes");
            shared.signals.health.trouble(what(), reason.to_owned())
        };
        self.trouble.told.get_or_insert_with(tell);
        Ok(now + LAST_PAUSE)
    }

    /// While there is no connection it is no wonder, and what was asked on many inboxes would be
    /// served on all of them when there is one.
    pub(super) fn silent(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if !self.lane.shared.is_connected() {
            self.silence.asked(now);
            return Ok(());
        }
        if !self.silence.is_over(now) {
            return Ok(());
        }
        debug!(group = %self.lane.name(), "the server is silent, it is asked anew");
        Err(self.nobody("the server is silent").map_or_else(|end| end, |_| End::Again))
    }
}
