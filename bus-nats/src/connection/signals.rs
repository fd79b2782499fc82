//! What the connection tells of itself, and the groups of what they can not do over it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_nats::{Event, ServerError};
use bus_core::transport::Health;
use tokio::sync::{broadcast, watch};
use tracing::{info, warn};

use crate::lock::lock;

/// Refusals that are kept for those who wait for an answer.
const REFUSALS: usize = 256;

/// What is known of the connection.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    pub(crate) health: watch::Sender<Health>,
    /// Counts the connections that were made.
    pub(crate) connections: watch::Sender<u64>,
    /// What the server did not permit, in its words.
    pub(crate) refusals: broadcast::Sender<String>,
    reasons: Arc<Mutex<Reasons>>,
}

/// Why not all is well.
#[derive(Debug, Default)]
struct Reasons {
    /// There is no connection.
    connection: Option<String>,
    /// There is one, and somebody can not work all the same.
    troubles: BTreeMap<u64, String>,
    number: u64,
}

impl Reasons {
    fn health(&self) -> Health {
        let reason = self.connection.as_ref().or_else(|| self.troubles.values().next());
        reason.map_or(Health::Ready, |reason| Health::Unready { reason: reason.clone() })
    }
}

/// Somebody can not work; over when it is dropped.
#[derive(Debug)]
pub(crate) struct Trouble {
    number: u64,
    signals: Signals,
}

impl Drop for Trouble {
    fn drop(&mut self) {
        let number = self.number;
        self.signals.because(|reasons| drop(reasons.troubles.remove(&number)));
    }
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self {
            health: watch::Sender::new(Health::Ready),
            connections: watch::Sender::new(0),
            refusals: broadcast::Sender::new(REFUSALS),
            reasons: Arc::default(),
        }
    }

    pub(super) fn tell(&self, event: Event) {
        match event {
            Event::Connected => {
                info!("connected");
                self.because(|reasons| reasons.connection = None);
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

    /// Somebody can not work although there is a connection.
    pub(crate) fn trouble(&self, reason: String) -> Trouble {
        warn!(reason, "not ready");
        let mut number = 0;
        self.because(|reasons| {
            reasons.number += 1;
            number = reasons.number;
            reasons.troubles.insert(number, reason);
        });
        Trouble { number, signals: self.clone() }
    }

    fn down(&self, reason: &str) {
        warn!(reason, "not connected");
        self.because(|reasons| reasons.connection = Some(reason.to_owned()));
    }

    fn because(&self, change: impl FnOnce(&mut Reasons)) {
        let mut reasons = lock(&self.reasons);
        change(&mut reasons);
        self.health.send_replace(reasons.health());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_there_is_a_connection_and_nobody_is_in_trouble() {
        let signals = Signals::new();
        let says = |text: &str| match &*signals.health.borrow() {
            Health::Unready { reason } => reason == text,
            _ => text.is_empty(),
        };
        let (first, second) = (signals.trouble("first".into()), signals.trouble("second".into()));
        assert!(says("first"));
        signals.tell(Event::Disconnected);
        drop(first);
        assert!(says("the connection is lost"));
        signals.tell(Event::Connected);
        assert!(says("second"));
        drop(second);
        assert!(says(""));
    }
}
