//! What a transport has to do: store envelopes, and deliver each to every group.

use std::task::{Context, Poll};
use std::time::SystemTime;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::answer::Answer;
use crate::delivery::Delivery;
use crate::envelope::{Envelope, EventId};
use crate::operator::Operator;
use crate::subject::Filter;

pub use crate::group::{Group, GroupName, InvalidName, Meters, Start, check_name};

pub use self::numbers::{ByNumber, Numbers};
pub use self::system::System;

mod numbers;
mod system;

/// Stores envelopes and delivers each of them to every group; the in-process one is the model.
///
/// A transport moves envelopes and knows nothing of events, handlers and policies. Drive it
/// through the cases of the feature `conformance` before you trust it.
///
/// ```
/// use bus_core::transport::{Group, GroupName, Start, Transport};
/// use bus_core::{Envelope, EventId, Subject, memory::Memory, settle::Settlement};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let memory = Memory::new();
/// let subject = Subject::literal("orders.placed");
/// let group = Group::new(GroupName::new("billing", "charge")?, (&subject).into());
/// let mut deliveries = memory.subscribe(group).await?;
///
/// memory.publish(Envelope::new(EventId::now(), "orders.placed", subject, "{}")).await?;
/// let delivery = std::future::poll_fn(|cx| deliveries.poll_next(cx)).await.ok_or("ended")?;
/// delivery.settle(Settlement::Ack).await?;
/// # Ok(()) }
/// ```
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Stores an event; done when it is safe. The same id again, inside the duplicate window,
    /// stores nothing and is a success. Calls of one caller are stored in their order; one that has
    /// to be sent again, as at the election of a leader, may be overtaken by those that did not wait
    /// for it.
    fn publish(&self, envelope: Envelope) -> Answer<Result<(), TransportError>>;

    /// Joins a group, and makes it where it does not exist.
    async fn subscribe(&self, group: Group) -> Result<Box<dyn Deliveries>, TransportError>;

    /// Whether it can do its work, and why not; changes are seen at once.
    fn health(&self) -> watch::Receiver<Health>;

    /// What stands on the broker for a service, asked once before it starts.
    ///
    /// The default finds nothing amiss: every filter is covered, no group is an orphan, leases are
    /// renewed. A transport whose groups outlive a service has to name them, as one that may not
    /// store a subject or does not renew leases has to say so; otherwise services start that
    /// should not.
    async fn survey(&self, plan: &Plan) -> Result<Survey, TransportError> {
        let _ = plan;
        Ok(Survey::default())
    }

    /// The same number for all transports of this process that are one broker's: a handler runs in
    /// one service on it. By default each is a broker of its own.
    fn identity(&self) -> usize {
        std::ptr::from_ref(self).cast::<()>() as usize
    }

    /// The broker's name and address, for traces and metrics.
    ///
    /// The default is a nameless broker of this process. A transport to a broker that others know has
    /// to say which, or nobody can tell its spans from those of another one.
    fn system(&self) -> System {
        System::new("bus")
    }

    /// What operators need, where there is such a thing.
    ///
    /// The default is that there is not: nobody learns how far groups are behind, and dead letters
    /// are kept but can not be listed or redriven. A transport that can tell returns itself.
    fn operator(&self) -> Option<&dyn Operator> {
        None
    }

    /// Stores an event that no group sees before `due`, and that takes its place in the order then;
    /// done when it is safe. One that is due already is as good as published. The same id again
    /// stores nothing and is a success, while the event waits as well as inside the duplicate window.
    ///
    /// The default is that the transport can not, and says so.
    fn publish_at(
        &self,
        envelope: Envelope,
        due: SystemTime,
    ) -> Answer<Result<(), TransportError>> {
        let _ = (envelope, due);
        Answer::now(Err(TransportError::no_delays()))
    }

    /// Takes back an event of a domain that waits for its time, and says whether there was one: an
    /// event that was delivered is not taken back. Its id stays in the duplicate window.
    ///
    /// The default is that the transport can not, as with [`publish_at`](Self::publish_at).
    fn cancel(&self, domain: &str, id: &EventId) -> Answer<Result<bool, TransportError>> {
        let _ = (domain, id);
        Answer::now(Err(TransportError::no_delays()))
    }
}

const _: fn(&dyn Transport) = |_| ();

/// The arrivals at one member of a group. Cancel safe: nothing is lost between two polls.
pub trait Deliveries: Send {
    /// The next delivery; `None` says that the subscription is broken and has to be made again.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>>;

    /// Takes no new work, hands back at once what was fetched and not yet yielded, and says how
    /// much that was. From here on `poll_next` yields nothing; deliveries that were yielded can
    /// still be settled.
    ///
    /// There is no default: a transport that fetches nothing ahead has nothing to hand back, and
    /// still has to remember that it was stopped.
    fn stop(&mut self) -> u64;

    /// Done when every answer given so far has reached the broker.
    ///
    /// The default is done at once, which is right where the [`Answer`] of a settlement is ready no
    /// sooner than the broker has it. A transport that collects answers, or sends them from a task
    /// of its own, needs its own.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }
}

/// Whether a transport, or one group on it, can do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It can.
    Ready,
    /// It can not, and this is why.
    Unready {
        /// In words, for a person.
        reason: String,
    },
}

/// What a service is about to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The service's name.
    pub service: String,
    /// What its groups will subscribe to.
    pub filters: Vec<Filter>,
}

impl Plan {
    /// A plan of `service`.
    pub fn new(service: impl Into<String>, filters: Vec<Filter>) -> Self {
        Self { service: service.into(), filters }
    }
}

/// What stands on the broker for a service.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Survey {
    /// Filters of the plan whose events nothing would store.
    pub uncovered: Vec<Filter>,
    /// The groups of this service that exist, and how many events wait for each.
    pub groups: Vec<(GroupName, u64)>,
    /// Whether the transport does **not** renew leases while a handler runs.
    pub fixed_leases: bool,
}

/// Why a transport could not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The event may or may not be stored: no answer came.
    #[error("no answer came: {reason}")]
    Unknown {
        /// What happened instead.
        reason: String,
    },
    /// The broker can not be reached, or can not work now.
    #[error("the broker is not available: {reason}")]
    Unavailable {
        /// What went wrong.
        reason: String,
    },
    /// Nothing stores events on this subject.
    #[error("nothing stores events on `{subject}`: make a stream for it, or mend the subject")]
    NoStream {
        /// The subject or filter.
        subject: String,
    },
    /// There is no room for it.
    #[error("there is no room: {reason}")]
    Full {
        /// Which limit was reached.
        reason: String,
    },
    /// The credentials do not allow it.
    #[error("not permitted: {reason}")]
    Denied {
        /// What was not permitted.
        reason: String,
    },
    /// The broker or its version can not do it.
    #[error("not supported: {reason}")]
    Unsupported {
        /// What is needed, and what there is.
        reason: String,
    },
}

impl TransportError {
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown",
            Self::Unavailable { .. } => "unavailable",
            Self::NoStream { .. } => "no_stream",
            Self::Full { .. } => "full",
            Self::Denied { .. } => "denied",
            Self::Unsupported { .. } => "unsupported",
        }
    }

    fn no_delays() -> Self {
        let reason = "this transport keeps no event until its time".to_owned();
        Self::Unsupported { reason }
    }
}
