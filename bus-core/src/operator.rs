//! What operators need beside the journey: how far groups are behind, dead letters, redrive.
//! People ask by [`Bus::dead_letters`](crate::Bus::dead_letters).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::envelope::{Envelope, TraceContext};
use crate::group::GroupName;
use crate::settle::{Failed, Reason};

pub use self::error::OperatorError;

mod error;

/// What operators need; a trait of its own, so that writing a transport stays small.
#[async_trait]
pub trait Operator: Send + Sync {
    /// How far a group is behind.
    async fn lag(&self, group: &GroupName) -> Result<Lag, OperatorError>;

    /// How many events of a group are not done, for who asks no more: a transport that has to look
    /// for the oldest one in a long log answers this without.
    async fn behind(&self, group: &GroupName) -> Result<u64, OperatorError> {
        Ok(self.lag(group).await?.behind())
    }

    /// Some of the dead letters, oldest first.
    async fn page(&self, page: &Page) -> Result<Letters, OperatorError>;

    /// One dead letter.
    async fn dead_letter(&self, id: &DeadLetterId) -> Result<DeadLetter, OperatorError>;

    /// Sends a dead letter back to the group that gave it up, and to no other. Its attempts begin
    /// anew; the copy is stored before the record goes, and tried again after any end it is there
    /// once. A `hop` takes the place of that in the event's [`Trace`](crate::envelope::Trace).
    async fn redrive(
        &self,
        id: &DeadLetterId,
        hop: Option<&TraceContext>,
    ) -> Result<(), OperatorError>;

    /// Removes a dead letter for good.
    async fn purge(&self, id: &DeadLetterId) -> Result<(), OperatorError>;

    /// The dead letters of one group or of all, oldest first, at most `limit`.
    async fn dead_letters(
        &self,
        group: Option<&GroupName>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, OperatorError> {
        let (mut page, mut letters) = (Page::of(group.cloned()), Vec::new());
        while letters.len() < limit {
            page.limit = (limit - letters.len()).min(Page::LIMIT);
            let found = self.page(&page).await?;
            letters.extend(found.letters);
            match found.next {
                Some(next) => page.after = next,
                None => break,
            }
        }
        Ok(letters)
    }
}

/// Which dead letters to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// Those of one group; those of all if there is none.
    pub group: Option<GroupName>,
    /// Those behind this [`position`](DeadLetter::position); 0 begins with the oldest.
    pub after: u64,
    /// At most so many.
    pub limit: usize,
    /// Whether payloads are wanted. Without them a transport may leave them empty, and what stands
    /// in the payload of a foreign event is not known.
    pub payloads: bool,
}

impl Page {
    /// How many are read at once, where nobody says otherwise.
    pub const LIMIT: usize = 500;

    /// The first page of one group, or of all.
    pub fn of(group: Option<GroupName>) -> Self {
        Self { group, after: 0, limit: Self::LIMIT, payloads: true }
    }
}

/// A page of dead letters.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Letters {
    /// Oldest first.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins; `None` behind the last letter.
    pub next: Option<u64>,
    /// The position of the newest letter of all groups; 0 if there is none.
    pub newest: u64,
}

impl Letters {
    /// A page, how it goes on, and what is the newest of all.
    pub fn new(letters: Vec<DeadLetter>, next: Option<u64>, newest: u64) -> Self {
        Self { letters, next, newest }
    }
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
    /// Its place among all dead letters; one that is newer has a higher one.
    pub position: u64,
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
        Self { id, group, envelope, reason, failed, redrives: 0, position: 0 }
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
