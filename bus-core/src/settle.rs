//! How a delivery is answered: a value, spent once.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::answer::Answer;
use crate::envelope::TraceParent;

/// The answer to a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Settlement {
    /// Done; the group does not see the event again.
    Ack,
    /// Not now: the event comes back after the delay, without holding a worker meanwhile.
    Retry {
        /// How long it waits at least.
        after: Duration,
        /// The run that failed.
        failed: Failed,
    },
    /// Not any more: the event is kept as a dead letter, and only then taken from the group.
    DeadLetter {
        /// Why it was given up.
        reason: Reason,
        /// The run that failed.
        failed: Failed,
    },
    /// Handed back untouched: it comes again at once, and no attempt is counted.
    Release,
}

impl Settlement {
    /// The run that failed, if one did.
    pub(crate) fn failed_mut(&mut self) -> Option<&mut Failed> {
        match self {
            Self::Ack | Self::Release => None,
            Self::Retry { failed, .. } | Self::DeadLetter { failed, .. } => Some(failed),
        }
    }

    /// The run that failed, if one did.
    pub(crate) fn failed(&self) -> Option<&Failed> {
        match self {
            Self::Ack | Self::Release => None,
            Self::Retry { failed, .. } | Self::DeadLetter { failed, .. } => Some(failed),
        }
    }
}

/// Why an event became a dead letter. Logs, metrics and the wire say [`as_str`](Self::as_str).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// `rejected`: the handler's error is one that no retry can mend.
    Rejected,
    /// `max_attempts`: the retry policy has no attempt left.
    Exhausted,
    /// `decode`: the payload does not decode.
    Undecodable,
    /// `unknown_type`: the group has no handler for this type of event.
    UnknownType,
}

impl Reason {
    /// The word that stands on the wire and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Exhausted => "max_attempts",
            Self::Undecodable => "decode",
            Self::UnknownType => "unknown_type",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a record needs to know of a run that failed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Failed {
    /// The class of the error, such as `timeout` or the variant in snake case; few and stable.
    pub class: Cow<'static, str>,
    /// What the error said, cut to [`MAX_ERROR_TEXT`] bytes.
    pub text: String,
    /// The number of the run, from 1; 0 where there was none. Decoding is part of a run.
    pub attempt: u32,
    /// When a run on this event failed for the first time.
    pub first: SystemTime,
    /// When this run failed.
    pub last: SystemTime,
    /// The handler's name.
    pub handler: Cow<'static, str>,
    /// The service's name.
    pub service: Cow<'static, str>,
    /// The version of the package that holds the handler.
    pub version: Cow<'static, str>,
    /// The span of this run; of a dead letter, the span that wrote it.
    pub span: Option<TraceParent>,
}

/// The most bytes of an error's text that are kept.
pub const MAX_ERROR_TEXT: usize = 1024;

impl Failed {
    /// A failure of attempt `attempt` at `time`; the rest can be set.
    pub fn new(
        class: impl Into<Cow<'static, str>>,
        text: &str,
        attempt: u32,
        time: SystemTime,
    ) -> Self {
        Self {
            class: class.into(),
            text: cut(text, MAX_ERROR_TEXT).to_owned(),
            attempt,
            first: time,
            last: time,
            handler: Cow::Borrowed(""),
            service: Cow::Borrowed(""),
            version: Cow::Borrowed(""),
            span: None,
        }
    }
}

fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or(text)
}

/// Takes the answers of one subscription; written by a transport. Tokens are those that it put
/// into its deliveries.
pub trait Settle: Send + Sync + 'static {
    /// The handler is about to run: from here on an end without an answer counts as an attempt.
    /// An error keeps it from running.
    ///
    /// The default notes nothing, so no such end is ever counted, and an event that kills its
    /// worker comes back for ever: a transport needs its own wherever a lease can end.
    fn begin(&self, token: u64) -> Answer<Result<(), SettleError>> {
        let _ = token;
        Answer::now(Ok(()))
    }

    /// Answers a delivery. A dead letter is stored before the event is taken from the group.
    fn settle(&self, token: u64, settlement: Settlement) -> Answer<Result<(), SettleError>>;

    /// A delivery was dropped without an answer: it is no longer renewed and comes back after its
    /// lease.
    ///
    /// The default does nothing, which is right where the broker alone ends the lease. A transport
    /// that renews leases, or itself remembers what is held, needs its own, or the event is lost
    /// to its group while the process lives.
    fn abandon(&self, token: u64) {
        let _ = token;
    }
}

/// The answer did not arrive; the event is not lost, it comes again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The lease was over, another worker may have the event.
    #[error("the lease was over before the answer came")]
    Expired,
    /// The dead letter could not be stored, so the event stays unsettled.
    #[error("the dead letter could not be stored: {reason}")]
    NotStored {
        /// What the broker said.
        reason: String,
    },
    /// The broker can not be reached.
    #[error("the answer did not reach the broker: {reason}")]
    Unavailable {
        /// What went wrong.
        reason: String,
    },
}
