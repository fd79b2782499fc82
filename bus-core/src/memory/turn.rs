//! A publisher that waits for room.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout_at;

use super::Shared;
use super::broker::Refusal;
use super::queue::Ticket;
use crate::clock::after;
use crate::envelope::Envelope;
use crate::transport::TransportError;

/// A place in the queue of publishers, given up when it is dropped.
pub(super) struct Turn {
    pub(super) shared: Arc<Shared>,
    pub(super) ticket: Ticket,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.shared.with(|broker| broker.queue.leave(&self.ticket));
        next.iter().for_each(|next| next.notify_one());
    }
}

impl Shared {
    /// Stores an event when its turn has come and there is room; waits no longer than its patience.
    pub(super) async fn publish_in_turn(
        self: Arc<Self>,
        envelope: Arc<Envelope>,
        due: Option<Duration>,
        turn: Turn,
    ) -> Result<(), TransportError> {
        let (mark, deadline) = (self.marks.of(&envelope.id), after(self.patience));
        loop {
            let now = self.clock.elapsed();
            let ticket = Some(&turn.ticket);
            let published = self.with(|broker| broker.publish(&envelope, mark, due, now, ticket));
            let reason = match published {
                Ok(()) => return Ok(()),
                Err(Refusal::Final(error)) => return Err(error),
                Err(Refusal::Full { reason, .. }) => reason,
            };
            if timeout_at(deadline, turn.ticket.turn.notified()).await.is_err() {
                return Err(TransportError::Full { reason });
            }
        }
    }
}
