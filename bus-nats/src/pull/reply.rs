//! What comes by an inbox: messages, and how requests ended.

use async_nats::jetstream;
use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use futures_util::{FutureExt, StreamExt};
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
        self.take(first)?;
        for _ in 1..BATCH {
            let Some(message) = messages.next().now_or_never().flatten() else { break };
            self.take(message)?;
        }
        Ok(())
    }

    pub(super) fn take(&mut self, message: Message) -> Result<(), End> {
        match message.status {
            None | Some(StatusCode::OK) => {
                self.trouble.over();
                self.deliver(message);
            }
            Some(StatusCode::IDLE_HEARTBEAT) => self.trouble.over(),
            Some(StatusCode::NO_RESPONDERS) => {
                self.give_up(usize::MAX);
                self.not_before = self.trouble.again();
                if self.not_before.is_none() {
                    let reason = "nobody answers: the consumer is deleted, or has no leader";
                    return Err(End::Broken(reason.to_owned()));
                }
            }
            Some(status) => self.status(status, &message)?,
        }
        Ok(())
    }

    /// A request has ended, or can not be served.
    fn status(&mut self, status: StatusCode, message: &Message) -> Result<(), End> {
        if self.old {
            return Ok(());
        }
        let left = |headers: &HeaderMap| headers.get(PENDING)?.as_str().parse().ok();
        if let Some(left) = message.headers.as_ref().and_then(left) {
            self.trouble.over();
            self.give_up(left);
            return Ok(());
        }
        let text = message.description.as_deref().unwrap_or_default();
        debug!(group = %self.lane.name(), %status, text, "the server ends a request");
        let hopeless = text.contains("Consumer Deleted") || text.contains("push based");
        if hopeless || self.trouble.again().is_none() {
            return Err(End::Broken(format!("{status} {text}")));
        }
        Err(End::Again)
    }

    fn deliver(&mut self, message: Message) {
        let Some(context) = self.context.take() else { return };
        let message = jetstream::Message { message, context };
        self.context = Some(arrival::arrive(&self.lane, self.kind, !self.old, message));
    }
}
