//! What the in-process broker knows. It has no clock: every call says what time it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, SystemTime};

use super::MemoryConfig;
use super::entry::{Entry, Yielded};
use super::group::{Members, Next};
use super::history::Recorder;
use super::later::Later;
use super::letters::Letters;
use super::log::Log;
use super::queue::{Queue, Ticket};
use super::routes::Routes;
use super::window::{Mark, Window};
use super::woken::Woken;
use crate::envelope::Envelope;
use crate::settle::{SettleError, Settlement};
use crate::transport::{Group, GroupName, Start, TransportError};

/// Why an event was not stored.
pub(super) enum Refusal {
    /// Nothing will change that.
    Final(TransportError),
    /// There may be room later: a place in the queue for it.
    Full { reason: String, ticket: Ticket },
}

#[derive(Debug)]
pub(crate) struct Broker {
    pub(super) config: MemoryConfig,
    /// Whether a run that outlives its time-out loses its lease.
    runs_end: bool,
    log: Log,
    pub(super) sequence: u64,
    pub(super) groups: Vec<Members>,
    pub(super) names: BTreeMap<GroupName, usize>,
    pub(super) routes: Routes,
    pub(super) later: Later,
    window: Window,
    pub(super) letters: Letters,
    pub(super) queue: Queue,
    pub(crate) recorder: Recorder,
    /// Whom a call woke: they run where nothing is locked.
    pub(super) woken: Woken,
    /// What a call pushed out of the log: freed where nothing is locked.
    pub(super) gone: Option<Arc<Envelope>>,
}

impl Broker {
    pub(super) fn new(config: MemoryConfig, runs_end: bool) -> Self {
        Self {
            window: Window::new(config.duplicate_window, config.duplicate_ids),
            letters: Letters::new(config.dead_letters),
            log: Log::new(config.retain, config.retain_bytes),
            sequence: 0,
            groups: Vec::new(),
            names: BTreeMap::new(),
            routes: Routes::default(),
            later: Later::default(),
            queue: Queue::default(),
            recorder: Recorder::new(),
            woken: Woken::default(),
            gone: None,
            runs_end,
            config,
        }
    }

    /// Stores an event, now or for when it is `due`.
    pub(super) fn publish(
        &mut self,
        envelope: &Arc<Envelope>,
        mark: Mark,
        due: Option<Duration>,
        now: Duration,
        ticket: Option<&Ticket>,
    ) -> Result<(), Refusal> {
        if !self.covers(|| envelope.subject.domain()) {
            let subject = envelope.subject.to_string();
            return Err(Refusal::Final(TransportError::NoStream { subject }));
        }
        let waits = due.is_some() && self.later.contains(&envelope.id);
        let duplicate = waits || self.window.contains(mark, &envelope.id, now);
        let due = due.filter(|due| *due > now && !duplicate);
        if !duplicate {
            self.room(envelope, ticket)?;
            match due {
                Some(due) => self.keep_until(due, envelope).map_err(Refusal::Final)?,
                None => self.store(envelope, now),
            }
            self.window.insert(mark, envelope.id.clone(), now);
        }
        self.recorder.published(envelope, duplicate);
        due.into_iter().for_each(|due| self.recorder.delayed(&envelope.id, due));
        Ok(())
    }

    fn room(&mut self, envelope: &Envelope, ticket: Option<&Ticket>) -> Result<(), Refusal> {
        let Some(reason) = self.no_room(envelope, ticket) else { return Ok(()) };
        let groups = self.routes.of(&envelope.subject).collect();
        let ticket = self.queue.join(ticket, groups);
        Err(Refusal::Full { reason, ticket })
    }

    /// The next in the order, for all groups that there are and that will be.
    pub(super) fn store(&mut self, envelope: &Arc<Envelope>, now: Duration) {
        self.sequence += 1;
        let entry = Entry::new(self.sequence, envelope, now);
        for at in self.routes.of(&envelope.subject) {
            self.groups[at].push(entry.clone(), &mut self.woken);
        }
        self.gone = self.log.keep(entry);
    }

    fn no_room(&self, envelope: &Envelope, ticket: Option<&Ticket>) -> Option<String> {
        let backlog = self.config.backlog;
        for at in self.routes.of(&envelope.subject) {
            let group = &self.groups[at];
            if group.depth() >= backlog {
                return Some(format!("`{}` has {backlog} events undone", group.name));
            }
        }
        if self.queue.is_empty() {
            return None;
        }
        let groups: Vec<_> = self.routes.of(&envelope.subject).collect();
        let behind = self.queue.is_behind(ticket, &groups);
        behind.then(|| "others wait for room".to_owned())
    }

    pub(super) fn covers<'a>(&self, domain: impl FnOnce() -> &'a str) -> bool {
        let Some(domains) = &self.config.domains else { return true };
        let domain = domain();
        domains.iter().any(|covered| covered == domain)
    }

    /// Finds or makes a group. `time` tells when something was stored.
    pub(super) fn join(
        &mut self,
        group: &Group,
        time: impl Fn(Duration) -> SystemTime,
    ) -> Result<usize, TransportError> {
        if !self.covers(|| group.filter.domain()) {
            return Err(TransportError::NoStream { subject: group.filter.to_string() });
        }
        if let Some(at) = self.names.get(&group.name) {
            let members = &mut self.groups[*at];
            if members.filter != group.filter {
                let reason = format!("`{}` exists and receives `{}`", group.name, members.filter);
                return Err(TransportError::Unsupported { reason });
            }
            members.rejoin(group);
            return Ok(*at);
        }
        let mut members = Members::new(group, self.config.renew, self.runs_end);
        let wanted = |entry: &&Entry| match group.start {
            Start::Beginning => true,
            Start::Now => false,
            Start::At(start) => time(entry.stored) >= start,
        };
        for entry in self.log.iter().filter(wanted) {
            if group.filter.matches(&entry.envelope.subject) {
                members.push(entry.clone(), &mut self.woken);
            }
        }
        let at = self.groups.len();
        self.routes.add(&group.filter, at);
        self.names.insert(group.name.clone(), at);
        self.groups.push(members);
        Ok(at)
    }

    pub(super) fn leave(&mut self, group: usize, member: u64) {
        self.groups[group].leave(member, &mut self.woken);
        self.recorder.changed();
    }

    pub(super) fn next(&mut self, group: usize, member: u64, now: Duration, waker: &Waker) -> Next {
        let (members, later) = (&mut self.groups[group], self.later.next());
        let mut next = members.next(member, now, waker);
        if let Next::Delivery(Yielded { envelope, history, .. }) = &next {
            self.recorder.delivered(&members.name, &envelope.id, history.next_attempt());
        }
        if let Next::Wait { due } = &mut next {
            *due = due.iter().copied().chain(later).min();
        }
        next
    }

    pub(super) fn begin(
        &mut self,
        group: usize,
        token: u64,
        now: Duration,
    ) -> Result<(), SettleError> {
        if self.groups[group].begin(token, now) { Ok(()) } else { Err(SettleError::Expired) }
    }

    pub(super) fn abandon(&mut self, group: usize, token: u64, now: Duration) {
        self.groups[group].abandon(token, now, &mut self.woken);
        self.recorder.changed();
    }

    pub(super) fn settle(
        &mut self,
        group: usize,
        token: u64,
        settlement: Settlement,
        now: Duration,
    ) -> Result<(), SettleError> {
        let members = &mut self.groups[group];
        let id = members.held(token).map(|entry| entry.envelope.id.clone());
        let id = id.ok_or(SettleError::Expired)?;
        if self.recorder.loses_answer(&members.name, &id) {
            members.abandon(token, now, &mut self.woken);
            let reason = "the worker crashed before its answer, as the test asked for".to_owned();
            return Err(SettleError::Unavailable { reason });
        }
        if matches!(settlement, Settlement::DeadLetter { .. }) && self.letters.is_full() {
            members.abandon(token, now, &mut self.woken);
            let reason = format!("{} are kept already", self.config.dead_letters);
            return Err(SettleError::NotStored { reason });
        }
        self.recorder.settled(&members.name, &id, &settlement);
        let entry = members.take(token).ok_or(SettleError::Expired)?;
        match settlement {
            Settlement::Ack => {}
            Settlement::Release => members.push_again(entry, &mut self.woken),
            Settlement::Retry { after, failed } => {
                members.retry(entry, now.saturating_add(after), &failed, &mut self.woken);
            }
            Settlement::DeadLetter { reason, failed } => {
                self.letters.bury(group, &members.name, entry, reason, failed);
            }
        }
        Ok(())
    }
}
