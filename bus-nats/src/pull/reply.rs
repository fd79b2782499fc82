//! What comes by an inbox: messages, and how requests ended.

use std::sync::Arc;

use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use futures_util::{FutureExt, StreamExt};
use tokio::time::Instant;
use tracing::debug;

use super::{End, Pull};
use crate::arrival;

/// How many messages are taken at once before somebody else has a turn.
const BATCH: usize = 256;

/// In the end of a request: how much of it was not served.
const PENDING: &str = "Nats-Pending-Messages";

impl Pull {
    /// Takes this message and those that are there already.
    pub(super) fn take_all(
        &mut self,
        first: Message,
        messages: &mut Subscriber,
    ) -> Result<(), End> {
        let mut taken = self.take(first);
        for _ in 1..BATCH {
            let Some(message) = messages.next().now_or_never().flatten() else { break };
            taken = taken.and(self.take(message));
        }
        self.hand_over();
        taken
    }

    pub(super) fn take(&mut self, message: Message) -> Result<(), End> {
        match message.status {
            None | Some(StatusCode::OK) => {
                self.trouble.over();
                self.deliver(message);
            }
            // How requests ended that another inbox has replaced, does not matter.
            Some(_) if self.old => {}
            Some(StatusCode::NO_RESPONDERS) => {
                self.give_up(usize::MAX);
                let reason = "nobody answers: the consumer is deleted, or has no leader";
                self.not_before = Some(self.nobody(reason)?);
            }
            Some(status) => self.status(status, &message)?,
        }
        Ok(())
    }

    /// A request has ended, or can not be served.
    fn status(&mut self, status: StatusCode, message: &Message) -> Result<(), End> {
        let left = |headers: &HeaderMap| headers.get(PENDING)?.as_str().parse().ok();
        self.give_up(message.headers.as_ref().and_then(left).unwrap_or(usize::MAX));
        if matches!(status, StatusCode::TIMEOUT | StatusCode::NOT_FOUND) {
            // Its time was over, or there is nothing: a sign of life.
            self.trouble.over();
            return Ok(());
        }
        let text = message.description.as_deref().unwrap_or_default();
        debug!(group = %self.lane.name(), %status, text, "the server ends a request");
        if text.contains("Consumer Deleted") {
            return Err(End::Gone(format!("{status} {text}")));
        }
        self.not_before = self.trouble.again().filter(|_| !text.contains("push based"));
        match self.not_before {
            Some(_) => Ok(()),
            None => Err(End::Broken(format!("{status} {text}"))),
        }
    }

    fn deliver(&mut self, message: Message) {
        self.arrived.extend(arrival::read(self.kind, &self.stream, !self.old, message));
    }

    /// Hands over what has arrived, all at once.
    pub(super) fn hand_over(&mut self) {
        if self.arrived.is_empty() {
            return;
        }
        let (now, arrived) = (Instant::now(), &mut self.arrived);
        let again: Vec<u64> = self.lane.leases(|leases| {
            arrived.drain(..).filter_map(|arrival| leases.arrive(arrival, now)).collect()
        });
        for token in again {
            let lane = Arc::clone(&self.lane);
            self.lane.go(async move { arrival::look_up(&lane, token).await });
        }
    }
}
