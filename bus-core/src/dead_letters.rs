//! Dead letters for people: narrowed by filters, then listed, counted, explained, redriven, purged.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::group::GroupName;
use crate::operator::{DeadLetter, DeadLetterId, Operator, OperatorError};
use crate::settle::Reason;
use crate::telemetry::Live;
use crate::transport::Transport;

pub use self::cause::{Cause, MAX_CAUSES};
pub use self::purge::{Purge, Purged};
pub use self::redrive::{MAX_REDRIVES, REDRIVE_RATE, Redrive, Redriven};

use self::filter::Filter;
use self::walk::Walk;

mod cause;
mod filter;
mod purge;
mod redrive;
mod walk;

/// The dead letters of a bus, all of them until a filter narrows them.
///
/// ```
/// use bus_core::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Event)]
/// #[event(subject = "orders.placed")]
/// struct OrderPlaced { order: u32 }
///
/// #[handler]
/// async fn charge(order: OrderPlaced) -> HandlerResult {
///     Err(HandlerError::reject(format!("order {} has no card", order.order)))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = Bus::in_memory();
/// let running = Service::new("billing", bus.clone()).handlers(handlers![charge]).start().await?;
/// bus.publish(&OrderPlaced { order: 7 }).await?;
/// while bus.dead_letters().count().await? == 0 {
///     tokio::task::yield_now().await;
/// }
/// for cause in bus.dead_letters().causes().await? {
///     println!("{cause}"); // billing_charge: 1 rejected (error): order 7 has no card
/// }
/// // Once the bug is mended: slowly, and only this handler's.
/// let would = bus.dead_letters().handler("charge").redrive().dry_run().await?;
/// let done = bus.dead_letters().handler("charge").redrive().rate(50).await?;
/// assert_eq!((would.redriven, done.redriven), (1, 1));
/// # running.stop().await; Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a selection of dead letters does nothing by itself"]
pub struct DeadLetters {
    transport: Arc<dyn Transport>,
    live: Arc<Live>,
    filter: Filter,
}

impl DeadLetters {
    pub(crate) fn of(transport: Arc<dyn Transport>, live: Arc<Live>) -> Self {
        Self { transport, live, filter: Filter::default() }
    }

    /// Only those that this group gave up.
    pub fn group(self, group: GroupName) -> Self {
        self.with(|filter| filter.group = Some(group))
    }

    /// Only those of this handler, in whatever service.
    pub fn handler(self, handler: impl Into<String>) -> Self {
        self.with(|filter| filter.handler = Some(handler.into()))
    }

    /// Only those whose last error is of this class, such as `timeout`.
    pub fn class(self, class: impl Into<String>) -> Self {
        self.with(|filter| filter.class = Some(class.into()))
    }

    /// Only those that were given up for this reason.
    pub fn reason(self, reason: Reason) -> Self {
        self.with(|filter| filter.reason = Some(reason))
    }

    /// Only events of this type name, such as `orders.placed`.
    pub fn event(self, type_name: impl Into<String>) -> Self {
        self.with(|filter| filter.event = Some(type_name.into()))
    }

    /// Only those whose last run failed at this time or later.
    pub fn since(self, time: SystemTime) -> Self {
        self.with(|filter| filter.since = Some(time))
    }

    /// Only those whose last run failed before this time.
    pub fn before(self, time: SystemTime) -> Self {
        self.with(|filter| filter.before = Some(time))
    }

    /// Only the one of this id.
    pub fn id(self, id: DeadLetterId) -> Self {
        self.with(|filter| filter.id = Some(id))
    }

    /// One dead letter, whatever the filters say; its payload and headers are those of the event.
    pub async fn show(&self, id: &DeadLetterId) -> Result<DeadLetter, OperatorError> {
        self.operator()?.dead_letter(id).await
    }

    /// The oldest of them, at most `limit`.
    pub async fn list(&self, limit: usize) -> Result<Vec<DeadLetter>, OperatorError> {
        let (mut walk, mut letters) = (self.walk(true)?, Vec::new());
        while letters.len() < limit
            && let Some(letter) = walk.next().await?
        {
            letters.push(letter);
        }
        Ok(letters)
    }

    /// How many they are.
    pub async fn count(&self) -> Result<u64, OperatorError> {
        let (mut walk, mut count) = (self.walk(false)?, 0);
        while walk.next().await?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// Why they are here: how many of each group, reason and error class, the most frequent first.
    pub async fn causes(&self) -> Result<Vec<Cause>, OperatorError> {
        let (mut walk, mut causes) = (self.walk(false)?, cause::Causes::default());
        while let Some(letter) = walk.next().await? {
            causes.add(letter);
        }
        Ok(causes.sorted())
    }

    /// Sends them back to the groups that gave them up.
    pub fn redrive(self) -> Redrive {
        Redrive::new(self)
    }

    /// Removes them for good. Without a filter it has to be said that
    /// [`everything`](Purge::everything) is meant.
    pub fn purge(self) -> Purge {
        Purge::new(self)
    }

    fn with(mut self, change: impl FnOnce(&mut Filter)) -> Self {
        change(&mut self.filter);
        self
    }

    fn operator(&self) -> Result<&dyn Operator, OperatorError> {
        self.transport.operator().ok_or(OperatorError::Unsupported)
    }

    /// Goes through those that there are now.
    fn walk(&self, payloads: bool) -> Result<Walk<'_>, OperatorError> {
        Ok(Walk::new(self.operator()?, &self.filter, payloads))
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("filter", &self.filter).finish_non_exhaustive()
    }
}
