//! One group of the in-process broker: what waits, what is held, what comes back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::entry::{Entry, Yielded};
use super::leases::{Held, Leases};
use super::woken::Woken;
#[cfg(feature = "testing")]
use crate::envelope::Envelope;
use crate::operator::Lag;
use crate::settle::Failed;
use crate::subject::Filter;
use crate::transport::{Group, GroupName};

/// The end of the clock that tests move by hand: 584 years.
pub(super) const FOREVER: Duration = Duration::from_nanos(u64::MAX);

/// How soon a member looks again at the soonest where nothing is due.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);

/// What a member gets when it asks.
pub(super) enum Next {
    Delivery(Yielded),
    /// Nothing now; perhaps at this time.
    Wait {
        due: Option<Duration>,
    },
}

#[derive(Debug)]
pub(super) struct Members {
    pub(super) name: GroupName,
    pub(super) filter: Filter,
    lease: Duration,
    timeout: Duration,
    renew: bool,
    runs_end: bool,
    /// What nobody has seen.
    fresh: VecDeque<Entry>,
    /// What comes again; it is served first, as brokers do.
    again: VecDeque<Entry>,
    delayed: BTreeMap<(Duration, u64), Entry>,
    held: Leases,
    /// Of each member that waits, the last one.
    wakers: Vec<(u64, Waker)>,
    tokens: u64,
    /// How many members there are.
    pub(super) count: usize,
    joined: u64,
}

impl Members {
    pub(super) fn new(group: &Group, renew: bool, runs_end: bool) -> Self {
        Self {
            name: group.name.clone(),
            filter: group.filter.clone(),
            lease: group.lease,
            timeout: group.timeout,
            renew,
            runs_end,
            fresh: VecDeque::new(),
            again: VecDeque::new(),
            delayed: BTreeMap::new(),
            held: Leases::default(),
            wakers: Vec::new(),
            tokens: 0,
            count: 0,
            joined: 0,
        }
    }

    /// A member that joins later brings the settings of its own build.
    pub(super) fn rejoin(&mut self, group: &Group) {
        (self.lease, self.timeout) = (group.lease, group.timeout);
    }

    /// How much is not done.
    pub(super) fn depth(&self) -> usize {
        self.fresh.len() + self.again.len() + self.delayed.len() + self.held.len()
    }

    pub(super) fn push(&mut self, entry: Entry, woken: &mut Woken) {
        self.fresh.push_back(entry);
        self.wake(woken);
    }

    pub(super) fn push_again(&mut self, entry: Entry, woken: &mut Woken) {
        self.again.push_back(entry);
        self.wake(woken);
    }

    /// All waiting members look again; those that find nothing go back to sleep. They are `woken`
    /// where nothing is locked.
    pub(super) fn wake(&mut self, woken: &mut Woken) {
        woken.extend(self.wakers.drain(..).map(|(_, waker)| waker));
    }

    /// A member joins: its number.
    pub(super) fn join(&mut self) -> u64 {
        self.count += 1;
        self.joined += 1;
        self.joined
    }

    pub(super) fn leave(&mut self, member: u64, woken: &mut Woken) {
        self.count -= 1;
        self.wakers.retain(|(other, _)| *other != member);
        // What it was woken for is for others now.
        self.wake(woken);
    }

    pub(super) fn next(&mut self, member: u64, now: Duration, waker: &Waker) -> Next {
        self.return_due(now);
        let Some(mut entry) = self.again.pop_front().or_else(|| self.fresh.pop_front()) else {
            match self.wakers.iter_mut().find(|(other, _)| *other == member) {
                Some((_, other)) => other.clone_from(waker),
                None => self.wakers.push((member, waker.clone())),
            }
            return Next::Wait { due: self.look_again(now) };
        };
        entry.deliveries += 1;
        let (token, deadline) =
            (self.tokens, (!self.renew).then(|| now.saturating_add(self.lease)));
        self.tokens += 1;
        let Entry { sequence, since, history, deliveries, .. } = entry;
        let envelope = Arc::clone(&entry.envelope);
        self.held.insert(
            token,
            Held { entry, delivered: now, begun: false, abandoned: false, deadline },
        );
        Next::Delivery(Yielded { token, envelope, history, sequence, since, deliveries })
    }

    /// A run begins: its lease is renewed no longer than its time-out allows.
    pub(super) fn begin(&mut self, token: u64, now: Duration) -> bool {
        let ends = (self.renew && self.runs_end)
            .then(|| now.saturating_add(self.timeout).saturating_add(self.lease));
        self.held.change(token, |held| {
            held.begun = true;
            held.deadline = ends.or(held.deadline);
        })
    }

    /// Nobody renews it any more.
    pub(super) fn abandon(&mut self, token: u64, now: Duration, woken: &mut Woken) {
        let end = now.saturating_add(self.lease);
        let abandoned = self.held.change(token, |held| {
            held.deadline = Some(held.deadline.map_or(end, |deadline| deadline.min(end)));
            held.abandoned = true;
        });
        if abandoned {
            // Members that wait have to learn of the new deadline.
            self.wake(woken);
        }
    }

    /// Takes out what is held under the token: it is settled.
    pub(super) fn take(&mut self, token: u64) -> Option<Entry> {
        self.held.remove(token).map(|held| held.entry)
    }

    /// The entry that is held under the token.
    pub(super) fn held(&self, token: u64) -> Option<&Entry> {
        self.held.get(token)
    }

    pub(super) fn retry(
        &mut self,
        mut entry: Entry,
        due: Duration,
        failed: &Failed,
        woken: &mut Woken,
    ) {
        entry.history.attempts = failed.attempt;
        entry.history.first_failure.get_or_insert(failed.first);
        entry.history.previous = failed.span.or(entry.history.previous);
        entry.since = due;
        let token = self.tokens;
        self.tokens += 1;
        self.delayed.insert((due.min(FOREVER), token), entry);
        // Members that wait have to learn of the new time.
        self.wake(woken);
    }

    pub(super) fn lag(&self, now: Duration) -> Lag {
        let seen = || {
            let back = self.again.iter().chain(self.delayed.values());
            back.chain(self.held.values().map(|held| &held.entry))
        };
        // What nobody has seen stands in the order in which it was stored, however much it is.
        let oldest = seen().chain(self.fresh.front()).map(|entry| entry.stored).min();
        Lag {
            waiting: (self.fresh.len() + self.again.len()) as u64,
            in_flight: self.held.len() as u64,
            delayed: self.delayed.len() as u64,
            redelivered: seen().filter(|entry| entry.deliveries > 1).count() as u64,
            oldest: oldest.map(|stored| now.saturating_sub(stored)),
        }
    }

    /// Whether anything is open that `of` says yes to, and that a member will answer: what waits or
    /// is held, and with `later` also what waits for its next attempt or for the end of a lease.
    #[cfg(feature = "testing")]
    pub(super) fn any_open(&self, later: bool, of: impl Fn(&Envelope) -> bool) -> bool {
        let held = self.held.values().filter(|held| later || !held.abandoned);
        let open = self.fresh.iter().chain(&self.again).chain(held.map(|held| &held.entry));
        let delayed = self.delayed.values().filter(|_| later);
        self.count > 0 && open.chain(delayed).any(|entry| of(&entry.envelope))
    }

    /// When the next event comes back that waits for its time, or for a lease that nobody renews.
    #[cfg(feature = "testing")]
    pub(super) fn due(&self, of: impl Fn(&Envelope) -> bool) -> Option<Duration> {
        let delayed = self.delayed.iter().filter(|(_, entry)| of(&entry.envelope));
        let abandoned =
            self.held.values().filter(|held| held.abandoned && of(&held.entry.envelope));
        let due = delayed.map(|((due, _), _)| *due);
        due.chain(abandoned.filter_map(|held| held.deadline)).min()
    }

    /// When there may be something though nobody says so: a member sleeps no longer than this. A
    /// delivery without a deadline may get one when its run begins, and nobody is woken then.
    fn look_again(&self, now: Duration) -> Option<Duration> {
        let delayed = self.delayed.first_key_value().map(|((due, _), _)| *due);
        let longest = self.timeout.saturating_add(self.lease);
        // No run that begins after this look ends before the next.
        let next = now.saturating_add(self.lease.max(SHORTEST_LOOK));
        let begins = |held: &Held| held.delivered.saturating_add(longest).max(next);
        let end = |held: &Held| held.deadline.unwrap_or_else(|| begins(held));
        delayed.into_iter().chain(self.held.values().map(end)).min()
    }

    fn return_due(&mut self, now: Duration) {
        while let Some(first) = self.delayed.first_entry()
            && first.key().0 <= now
        {
            self.again.push_back(first.remove());
        }
        self.again.extend(self.held.ended(now));
    }
}
