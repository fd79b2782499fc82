//! What operators need beside the journey: how far groups are behind, dead letters, redrive.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::envelope::Envelope;
use crate::group::GroupName;
use crate::settle::{Failed, Reason};

/// What operators need; a trait of its own, so that writing a transport stays small.
#[async_trait]
pub trait Operator: Send + Sync {
    /// How far a group is behind.
    async fn lag(&self, group: &GroupName) -> Result<Lag, OperatorError>;

    /// The dead letters of one group or of all, oldest first, at most `limit`.
    async fn dead_letters(
        &self,
        group: Option<&GroupName>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, OperatorError>;

    /// Sends a dead letter back to the group that gave it up, and to no other. Its attempts begin
    /// anew; the copy is stored before the record goes.
    async fn redrive(&self, id: &DeadLetterId) -> Result<(), OperatorError>;
}

/// How far a group is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// Events that no worker has seen.
    pub waiting: u64,
    /// Deliveries that are not settled.
    pub in_flight: u64,
    /// Events that wait for their next attempt.
    pub delayed: u64,
    /// How many of all these were delivered more than once.
    pub redelivered: u64,
    /// The age of the oldest event that is not done.
    pub oldest: Option<Duration>,
}

impl Lag {
    /// All that is not done: what waits, what runs, and what waits for its next attempt.
    pub fn behind(&self) -> u64 {
        self.waiting + self.in_flight + self.delayed
    }
}

/// An event that gave up, kept whole.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// What names it.
    pub id: DeadLetterId,
    /// The group that gave it up.
    pub group: GroupName,
    /// The event with its original bytes and headers.
    pub envelope: Arc<Envelope>,
    /// Why it was given up.
    pub reason: Reason,
    /// The last run.
    pub failed: Failed,
    /// How often it was redriven before.
    pub redrives: u32,
}

impl DeadLetter {
    /// The record of an event that `group` gave up.
    pub fn new(
        id: DeadLetterId,
        group: GroupName,
        envelope: Arc<Envelope>,
        reason: Reason,
        failed: Failed,
    ) -> Self {
        Self { id, group, envelope, reason, failed, redrives: 0 }
    }
}

/// Names one dead letter: group, origin and redrive count in the transport's own spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId(String);

impl DeadLetterId {
    /// An id in the transport's own spelling.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an operator's call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// There is no such group.
    #[error("there is no group `{group}`")]
    NoGroup {
        /// The name that was asked for.
        group: GroupName,
    },
    /// There is no such dead letter; perhaps it was redriven already.
    #[error("there is no dead letter `{id}`")]
    NoDeadLetter {
        /// The id that was asked for.
        id: DeadLetterId,
    },
    /// The broker can not be reached, or refuses.
    #[error("the broker does not do it: {reason}")]
    Unavailable {
        /// What went wrong.
        reason: String,
    },
}
