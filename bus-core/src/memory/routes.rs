//! Which groups receive a subject.

use std::collections::BTreeMap;

use crate::subject::{Filter, Subject};

/// Groups by what they receive; groups are named by their place in the broker's list.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// Those that receive one subject. A few comparisons cost less than a hash that nobody can guess.
    exact: BTreeMap<String, Vec<usize>>,
    /// Those whose filter has a `*`.
    wild: Vec<(Filter, usize)>,
}

impl Routes {
    pub(super) fn add(&mut self, filter: &Filter, group: usize) {
        if filter.as_str().contains('*') {
            self.wild.push((filter.clone(), group));
        } else {
            self.exact.entry(filter.as_str().to_owned()).or_default().push(group);
        }
    }

    /// The groups that receive the subject, in the order in which they were made of each kind.
    pub(super) fn of<'a>(&'a self, subject: &'a Subject) -> impl Iterator<Item = usize> + 'a {
        let exact = self.exact.get(subject.as_str()).into_iter().flatten().copied();
        let wild = self.wild.iter().filter(|(filter, _)| filter.matches(subject));
        exact.chain(wild.map(|(_, group)| *group))
    }
}
