//! What the connection tells of itself.

use async_nats::{Event, ServerError};
use tokio::sync::{broadcast, watch};
use tracing::{info, warn};

use crate::health::Condition;

/// Refusals that are kept for those who wait for an answer.
const REFUSALS: usize = 256;

/// What is known of the connection.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    pub(crate) health: Condition,
    /// Counts the connections that were made.
    pub(crate) connections: watch::Sender<u64>,
    /// What the server did not permit, in its words.
    pub(crate) refusals: broadcast::Sender<String>,
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self {
            health: Condition::ready(),
            connections: watch::Sender::new(0),
            refusals: broadcast::Sender::new(REFUSALS),
        }
    }

    pub(super) fn tell(&self, event: Event) {
        match event {
            Event::Connected => {
                info!("connected");
                self.health.up();
                self.connections.send_modify(|count| *count += 1);
            }
            Event::Disconnected => self.down("the connection is lost"),
            // We did that ourselves: there is no end to the tries to come back.
            Event::Closed => info!("the connection is closed"),
            Event::ServerError(ServerError::Other(text)) => {
                warn!(text, "the server says");
                // Nobody may be waiting, and that is no fault.
                let _ = self.refusals.send(text);
            }
            Event::ServerError(error) => self.down(&error.to_string()),
            Event::ClientError(error) => self.down(&error.to_string()),
            other => info!(%other, "the connection says"),
        }
    }

    fn down(&self, reason: &str) {
        warn!(reason, "not connected");
        self.health.down(reason);
    }
}
