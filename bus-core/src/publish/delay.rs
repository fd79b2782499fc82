//! Events that wait on the broker for their time, and how one is taken back.

use std::time::{Duration, SystemTime};

use tokio::time::timeout_at;

use super::send::Stored;
use super::{Bus, Publish, PublishError};
use crate::answer::Answer;
use crate::clock::after;
use crate::envelope::{Envelope, EventId};
use crate::event::Event;
use crate::transport::TransportError;

/// When an event is to reach its groups.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    Now,
    After(Duration),
    At(SystemTime),
}

impl Due {
    /// How long it is to wait, for those who look on.
    pub(super) fn delay(self) -> Option<Duration> {
        match self {
            Self::Now => None,
            Self::After(delay) => Some(delay),
            // No clock of ours: they look at the machine's.
            Self::At(time) => Some(time.duration_since(SystemTime::now()).unwrap_or_default()),
        }
    }

    /// Where it is counted from the sending, that is here.
    pub(super) fn hand_over(
        self,
        bus: &Bus,
        envelope: Envelope,
    ) -> Result<Answer<Stored>, PublishError> {
        let transport = bus.transport();
        let due = match self {
            Self::Now => return Ok(transport.publish(envelope)),
            Self::At(time) => time,
            Self::After(delay) => bus.clock().wall().checked_add(delay).ok_or_else(|| {
                let reason = format!("nothing can wait for {delay:?}");
                PublishError::Refused(TransportError::Unsupported { reason })
            })?,
        };
        Ok(transport.publish_at(envelope, due))
    }
}

impl Publish {
    /// Delivers the event only after this time, counted from the moment of sending. It is stored now,
    /// by the broker, and so outlives this process; the future resolves when it is. A later call of
    /// this or of [`at`](Self::at) replaces the one before.
    ///
    /// [`Envelope::time`] stays the time of this call. The event may come a little later than asked,
    /// on NATS by up to a quarter of a second, and by what the clocks of the two machines differ. It
    /// takes its place in the order when it is due. Where the broker can not keep it, the publish is
    /// [refused](PublishError::Refused) as [`Unsupported`](TransportError::Unsupported).
    ///
    /// ```
    /// use bus_core::prelude::*;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize, Event)]
    /// #[event(subject = "orders.reminder")]
    /// struct Reminder { order: u32 }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bus_core::Error> {
    /// # let bus = Bus::in_memory();
    /// let id = bus.publish(&Reminder { order: 7 }).after(24 * HOUR).await?;
    /// // It was paid in time.
    /// assert!(bus.cancel::<Reminder>(&id).await?, "it was waiting, and is gone");
    /// # Ok(()) }
    /// ```
    pub fn after(self, delay: Duration) -> Self {
        self.later(Due::After(delay))
    }

    /// Delivers the event only at this time, or at once where it is over; else as
    /// [`after`](Self::after).
    pub fn at(self, time: SystemTime) -> Self {
        self.later(Due::At(time))
    }

    fn later(mut self, due: Due) -> Self {
        self.due = due;
        // Whoever waits in between may come again for ever: that is a schedule, and no circle.
        self.set(|envelope| envelope.hops = 0)
    }
}

impl Bus {
    /// Takes back an event that waits for its time. `true`: it waited, and will not come. `false`:
    /// nothing waits under this id, because it was delivered, taken back, or never there.
    ///
    /// Its id is spent: inside the duplicate window an event under it is stored no more, so that a
    /// handler that runs again does not bring back what was taken back. Publish another one under an
    /// id of its own.
    pub async fn cancel<E: Event>(&self, id: &EventId) -> Result<bool, TransportError> {
        let limit = self.inner.limits.deadline;
        let filter = E::SUBJECT.filter();
        let cancelled = self.transport().cancel(filter.domain(), id);
        let late = |_| TransportError::Unknown { reason: format!("nothing within {limit:?}") };
        timeout_at(after(limit), cancelled).await.map_err(late)?
    }
}
