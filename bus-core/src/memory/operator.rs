//! What operators ask the in-process broker, and what a service asks before it starts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Memory;
use super::broker::Broker;
use crate::envelope::TraceContext;
use crate::operator::{DeadLetter, DeadLetterId, Lag, Letters, Operator, OperatorError, Page};
use crate::transport::{GroupName, Health, Plan, Survey};

#[async_trait]
impl Operator for Memory {
    async fn lag(&self, group: &GroupName) -> Result<Lag, OperatorError> {
        let now = self.0.clock.elapsed();
        let lag = self.0.with(|broker| broker.lag(group, now));
        lag.ok_or_else(|| OperatorError::NoGroup { group: group.clone() })
    }

    async fn page(&self, page: &Page) -> Result<Letters, OperatorError> {
        Ok(self.0.with(|broker| broker.letters.page(page)))
    }

    async fn dead_letter(&self, id: &DeadLetterId) -> Result<DeadLetter, OperatorError> {
        self.0.with(|broker| broker.letters.get(id).cloned()).ok_or_else(|| none(id))
    }

    async fn redrive(
        &self,
        id: &DeadLetterId,
        hop: Option<&TraceContext>,
    ) -> Result<(), OperatorError> {
        let redriven = self.0.with(|broker| broker.redrive(id, hop));
        self.room_for_letters(redriven, id)
    }

    async fn purge(&self, id: &DeadLetterId) -> Result<(), OperatorError> {
        let purged = self.0.with(|broker| broker.letters.take(id)).is_some();
        self.room_for_letters(purged, id)
    }
}

impl Memory {
    /// Where a letter went, there is room for one.
    fn room_for_letters(&self, went: bool, id: &DeadLetterId) -> Result<(), OperatorError> {
        if !went {
            return Err(none(id));
        }
        self.0.is(Health::Ready);
        Ok(())
    }
}

fn none(id: &DeadLetterId) -> OperatorError {
    OperatorError::NoDeadLetter { id: id.clone() }
}

impl Broker {
    pub(super) fn survey(&self, plan: &Plan) -> Survey {
        let uncovered = plan.filters.iter().filter(|filter| !self.covers(|| filter.domain()));
        let ours = self.groups.iter().filter(|group| group.name.service() == plan.service);
        Survey {
            uncovered: uncovered.cloned().collect(),
            groups: ours.map(|group| (group.name.clone(), group.depth() as u64)).collect(),
            fixed_leases: !self.config.renew,
        }
    }

    pub(super) fn lag(&self, group: &GroupName, now: Duration) -> Option<Lag> {
        self.names.get(group).map(|at| self.groups[*at].lag(now))
    }

    #[cfg(feature = "testing")]
    pub(crate) fn dead_letters(&self, group: &GroupName) -> Vec<DeadLetter> {
        let page = Page { limit: usize::MAX, ..Page::of(Some(group.clone())) };
        self.letters.page(&page).letters
    }

    /// Nobody sees the moment between: the whole broker is behind one lock.
    pub(crate) fn redrive(&mut self, id: &DeadLetterId, hop: Option<&TraceContext>) -> bool {
        let Some((group, mut entry)) = self.letters.take(id) else { return false };
        if let Some(hop) = hop {
            let trace = &mut Arc::make_mut(&mut entry.envelope).trace;
            let before = trace.hop.replace(hop.clone());
            let origin = trace.origin.take().or(before);
            trace.origin = origin.or_else(|| Some(hop.clone()));
        }
        self.groups[group].push_again(entry, &mut self.woken);
        true
    }
}
