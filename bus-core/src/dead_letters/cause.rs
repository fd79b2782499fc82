//! Why there are dead letters, counted.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use crate::group::GroupName;
use crate::operator::DeadLetter;
use crate::settle::Reason;

/// The most causes that are told apart; the letters of further ones are counted under the class `…`.
pub const MAX_CAUSES: usize = 1000;

/// The class of what is not told apart any more.
const FURTHER: &str = "…";

/// Dead letters of one group that have the same reason and error class.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Cause {
    /// The group that gave them up.
    pub group: GroupName,
    /// Why.
    pub reason: Reason,
    /// The class of their last error.
    pub class: String,
    /// How many they are.
    pub count: u64,
    /// What the error of the newest said.
    pub text: String,
    /// When a run failed for the first time, over all of them.
    pub first: SystemTime,
    /// When a run failed last.
    pub last: SystemTime,
}

/// `billing_charge: 3 max_attempts (timeout): the gateway is away`
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, reason, class, count, text, .. } = self;
        write!(f, "{group}: {count} {reason} ({class}): {text}")
    }
}

#[derive(Debug, Default)]
pub(super) struct Causes(BTreeMap<(GroupName, Reason, String), Cause>);

impl Causes {
    pub(super) fn add(&mut self, letter: DeadLetter) {
        let DeadLetter { group, reason, failed, .. } = letter;
        let mut key = (group, reason, failed.class.into_owned());
        if self.0.len() >= MAX_CAUSES && !self.0.contains_key(&key) {
            FURTHER.clone_into(&mut key.2);
        }
        let cause = self.0.entry(key).or_insert_with_key(|(group, reason, class)| Cause {
            group: group.clone(),
            reason: *reason,
            class: class.clone(),
            count: 0,
            text: String::new(),
            first: failed.first,
            last: failed.last,
        });
        cause.count += 1;
        cause.first = cause.first.min(failed.first);
        if failed.last >= cause.last {
            (cause.last, cause.text) = (failed.last, failed.text);
        }
    }

    pub(super) fn sorted(self) -> Vec<Cause> {
        let mut causes: Vec<_> = self.0.into_values().collect();
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
        causes
    }
}
