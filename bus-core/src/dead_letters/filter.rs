//! Which dead letters are meant.

use std::time::SystemTime;

use crate::group::GroupName;
use crate::operator::{DeadLetter, DeadLetterId};
use crate::settle::Reason;

/// All that is said has to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Filter {
    pub(super) group: Option<GroupName>,
    pub(super) handler: Option<String>,
    pub(super) class: Option<String>,
    pub(super) reason: Option<Reason>,
    pub(super) event: Option<String>,
    pub(super) since: Option<SystemTime>,
    pub(super) before: Option<SystemTime>,
    pub(super) id: Option<DeadLetterId>,
}

impl Filter {
    /// Whether nothing is said.
    pub(super) fn is_all(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn matches(&self, letter: &DeadLetter) -> bool {
        let Self { group, handler, class, reason, event, since, before, id } = self;
        let failed = &letter.failed;
        group.as_ref().is_none_or(|group| letter.group == *group)
            && handler.as_ref().is_none_or(|handler| letter.group.handler() == handler)
            && class.as_ref().is_none_or(|class| failed.class == *class)
            && reason.is_none_or(|reason| letter.reason == reason)
            && event.as_ref().is_none_or(|event| *letter.envelope.type_name == **event)
            && since.is_none_or(|since| failed.last >= since)
            && before.is_none_or(|before| failed.last < before)
            && id.as_ref().is_none_or(|id| letter.id == *id)
    }
}
