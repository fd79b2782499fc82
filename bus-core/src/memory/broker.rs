//! What the in-process broker knows. It has no clock: every call says what time it is.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, SystemTime};

use tracing::warn;

use super::MemoryConfig;
use super::group::{Entry, Members, Next};
use super::window::Window;
use crate::delivery::History;
use crate::envelope::Envelope;
use crate::operator::{DeadLetter, DeadLetterId, Lag};
use crate::settle::{SettleError, Settlement};
use crate::transport::{Group, GroupName, Plan, Start, Survey, TransportError};

#[cfg(feature = "testing")]
use super::history::{Fact, Recorder};

/// Why an event was not stored.
pub(super) enum Refusal {
    /// Nothing will change that.
    Final(TransportError),
    /// There may be room later.
    Full { reason: String },
}

#[derive(Debug)]
pub(crate) struct Broker {
    config: MemoryConfig,
    /// Kept for groups that do not exist yet.
    log: VecDeque<Entry>,
    sequence: u64,
    groups: Vec<Members>,
    names: BTreeMap<GroupName, usize>,
    /// Groups by the one subject that they receive; only looked up.
    exact: HashMap<String, Vec<usize>>,
    /// Groups whose filter has a `*`.
    wild: Vec<usize>,
    window: Window,
    dead: BTreeMap<(u64, usize, u32), DeadLetter>,
    discarded: bool,
    #[cfg(feature = "testing")]
    pub(crate) recorder: Recorder,
}

impl Broker {
    pub(super) fn new(config: MemoryConfig) -> Self {
        Self {
            window: Window::new(config.duplicate_window, config.duplicate_ids),
            config,
            log: VecDeque::new(),
            sequence: 0,
            groups: Vec::new(),
            names: BTreeMap::new(),
            exact: HashMap::new(),
            wild: Vec::new(),
            dead: BTreeMap::new(),
            discarded: false,
            #[cfg(feature = "testing")]
            recorder: Recorder::default(),
        }
    }

    pub(super) fn publish(
        &mut self,
        envelope: &Arc<Envelope>,
        now: Duration,
    ) -> Result<(), Refusal> {
        if !self.covers(envelope.subject.domain()) {
            let subject = envelope.subject.to_string();
            return Err(Refusal::Final(TransportError::NoStream { subject }));
        }
        let duplicate = self.window.contains(&envelope.id, now);
        if !duplicate {
            self.store(envelope, now)?;
        }
        #[cfg(feature = "testing")]
        self.recorder.add(|| Fact::Published { envelope: Arc::clone(envelope), duplicate });
        Ok(())
    }

    fn store(&mut self, envelope: &Arc<Envelope>, now: Duration) -> Result<(), Refusal> {
        let exact = self.exact.get(envelope.subject.as_str()).map_or(&[][..], Vec::as_slice);
        let wild =
            self.wild.iter().filter(|at| self.groups[**at].filter.matches(&envelope.subject));
        let (groups, backlog) = (&self.groups, self.config.backlog);
        if let Some(at) = exact.iter().chain(wild).find(|at| groups[**at].depth() >= backlog) {
            let group = &groups[*at].name;
            return Err(Refusal::Full { reason: format!("`{group}` has {backlog} events undone") });
        }
        self.sequence += 1;
        let (sequence, envelope) = (self.sequence, Arc::clone(envelope));
        self.window.insert(envelope.id.clone(), now);
        let entry =
            Entry { sequence, envelope, stored: now, history: History::default(), deliveries: 0 };
        for at in exact {
            self.groups[*at].push(entry.clone());
        }
        for at in &self.wild {
            let group = &mut self.groups[*at];
            if group.filter.matches(&entry.envelope.subject) {
                group.push(entry.clone());
            }
        }
        self.keep(entry);
        Ok(())
    }

    fn keep(&mut self, entry: Entry) {
        self.log.push_back(entry);
        if self.log.len() > self.config.retain {
            self.log.pop_front();
            if !self.discarded {
                self.discarded = true;
                let retain = self.config.retain;
                warn!(retain, "events are discarded for groups that do not exist yet");
            }
        }
    }

    fn covers(&self, domain: &str) -> bool {
        let domains = self.config.domains.as_ref();
        domains.is_none_or(|domains| domains.iter().any(|covered| covered == domain))
    }

    /// Finds or makes a group. `time` tells when something was stored.
    pub(super) fn join(
        &mut self,
        group: &Group,
        time: impl Fn(Duration) -> SystemTime,
    ) -> Result<usize, TransportError> {
        if !self.covers(group.filter.domain()) {
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
        let mut members = Members::new(group, self.config.renew);
        let wanted = |entry: &&Entry| match group.start {
            Start::Beginning => true,
            Start::Now => false,
            Start::At(start) => time(entry.stored) >= start,
        };
        for entry in self.log.iter().filter(wanted) {
            if group.filter.matches(&entry.envelope.subject) {
                members.push(entry.clone());
            }
        }
        let at = self.groups.len();
        if group.filter.as_str().contains('*') {
            self.wild.push(at);
        } else {
            self.exact.entry(group.filter.as_str().to_owned()).or_default().push(at);
        }
        self.names.insert(group.name.clone(), at);
        self.groups.push(members);
        Ok(at)
    }

    pub(super) fn next(&mut self, group: usize, now: Duration, waker: &Waker) -> Next {
        let next = self.groups[group].next(now, waker);
        #[cfg(feature = "testing")]
        if let Next::Delivery { envelope, history, .. } = &next {
            let (group, id, attempt) =
                (&self.groups[group].name, &envelope.id, history.next_attempt());
            self.recorder.add(|| Fact::Delivered { group: group.clone(), id: id.clone(), attempt });
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
        self.groups[group].abandon(token, now);
        #[cfg(feature = "testing")]
        self.recorder.changed.notify_waiters();
    }

    pub(super) fn settle(
        &mut self,
        group: usize,
        token: u64,
        settlement: Settlement,
        now: Duration,
    ) -> Result<(), SettleError> {
        let members = &mut self.groups[group];
        let entry = members.held(token).ok_or(SettleError::Expired)?;
        #[cfg(feature = "testing")]
        {
            let (name, id) = (&members.name, &entry.envelope.id);
            if self.recorder.loses_answer(name, id) {
                members.abandon(token, now);
                let reason =
                    "the worker crashed before its answer, as the test asked for".to_owned();
                return Err(SettleError::Unavailable { reason });
            }
            let settled = || Fact::Settled {
                group: name.clone(),
                id: id.clone(),
                settlement: settlement.clone(),
            };
            self.recorder.add(settled);
        }
        if let Settlement::DeadLetter { reason, failed } = settlement {
            if self.dead.len() >= self.config.dead_letters {
                let reason = format!("{} are kept already", self.dead.len());
                members.abandon(token, now);
                return Err(SettleError::NotStored { reason });
            }
            let Entry { sequence, history, .. } = *entry;
            let id = DeadLetterId::new(format!("{}/{sequence}/{}", members.name, history.redrives));
            let envelope = Arc::clone(&entry.envelope);
            let mut letter = DeadLetter::new(id, members.name.clone(), envelope, reason, failed);
            letter.redrives = history.redrives;
            self.dead.insert((sequence, group, history.redrives), letter);
            members.take(token);
            return Ok(());
        }
        let entry = members.take(token).ok_or(SettleError::Expired)?;
        match settlement {
            Settlement::Retry { after, failed } => members.retry(entry, now + after, &failed),
            Settlement::Release => members.push_again(entry),
            Settlement::Ack | Settlement::DeadLetter { .. } => {}
        }
        Ok(())
    }

    pub(super) fn survey(&self, plan: &Plan) -> Survey {
        let uncovered = plan.filters.iter().filter(|filter| !self.covers(filter.domain()));
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

    pub(crate) fn dead_letters(&self, group: Option<&GroupName>, limit: usize) -> Vec<DeadLetter> {
        let wanted = |letter: &&DeadLetter| group.is_none_or(|group| letter.group == *group);
        self.dead.values().filter(wanted).take(limit).cloned().collect()
    }

    /// The copy stands in the group's queue before the record goes.
    pub(crate) fn redrive(&mut self, id: &DeadLetterId) -> bool {
        let found = self.dead.iter().find(|(_, letter)| letter.id == *id);
        let Some((key, letter)) = found.map(|(key, letter)| (*key, letter)) else { return false };
        let (sequence, group, redrives) = key;
        let history = History { redrives: redrives + 1, ..History::default() };
        let envelope = Arc::clone(&letter.envelope);
        let entry = Entry { sequence, envelope, stored: Duration::ZERO, history, deliveries: 0 };
        self.groups[group].push_again(entry);
        self.dead.remove(&key);
        true
    }

    /// For test support: whether there is something open in any group; see [`Members::any_open`].
    #[cfg(feature = "testing")]
    pub(crate) fn any_open(&self, later: bool, of: impl Fn(&Envelope) -> bool) -> bool {
        self.groups.iter().any(|group| group.any_open(later, &of))
    }

    /// When the next delayed event or lease of any group with members is due.
    #[cfg(feature = "testing")]
    pub(crate) fn due(&self) -> Option<Duration> {
        self.groups.iter().filter(|group| group.count > 0).filter_map(Members::due).min()
    }

    /// After a manual clock was moved, all members look again.
    #[cfg(feature = "testing")]
    pub(crate) fn wake_all(&mut self) {
        self.groups.iter_mut().for_each(Members::wake);
    }

    /// Counts members in and out.
    #[cfg(feature = "testing")]
    pub(super) fn count(&mut self, group: usize, joined: bool) {
        let count = &mut self.groups[group].count;
        *count = if joined { *count + 1 } else { *count - 1 };
    }

    /// The names of all groups.
    #[cfg(feature = "testing")]
    pub(crate) fn group_names(&self) -> Vec<GroupName> {
        self.names.keys().cloned().collect()
    }

    /// Gives an event to one group, past the duplicate window.
    #[cfg(feature = "testing")]
    pub(crate) fn deliver(&mut self, group: &GroupName, envelope: &Arc<Envelope>, now: Duration) {
        if let Some(at) = self.names.get(group) {
            self.sequence += 1;
            let (sequence, envelope) = (self.sequence, Arc::clone(envelope));
            let history = History::default();
            self.groups[*at].push(Entry {
                sequence,
                envelope,
                stored: now,
                history,
                deliveries: 0,
            });
        }
    }
}
