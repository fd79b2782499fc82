//! Why an operator's call failed.

use super::DeadLetterId;
use crate::group::GroupName;

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
    /// The transport has nothing for operators.
    #[error("this transport lists no dead letters")]
    Unsupported,
    /// A purge without a filter.
    #[error(
        "no filter is set, and this would remove the dead letters of all services; say `.everything()` if that is meant"
    )]
    Unfiltered,
    /// A redrive or a purge of many ended before its end.
    #[error("{done} are done, then: {source}; run it again, and it goes on where it ended")]
    Interrupted {
        /// How many were redriven or removed before.
        done: u64,
        /// What went wrong.
        source: Box<OperatorError>,
    },
}

impl OperatorError {
    /// The same, where so many were done before.
    pub(crate) fn after(self, done: u64) -> Self {
        if done == 0 {
            return self;
        }
        Self::Interrupted { done, source: Box::new(self) }
    }
}
