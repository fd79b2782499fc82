//! What shares one copy of the work: a service's handler, all its replicas together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::subject::Filter;

/// A group as a service asks for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Group {
    /// Service and handler.
    pub name: GroupName,
    /// Which subjects it receives.
    pub filter: Filter,
    /// How many runs it has at once: a hint of how much to fetch.
    pub concurrency: usize,
    /// How long a delivery is ours without a sign of life.
    pub lease: Duration,
    /// How long one run may take; a lease is not renewed beyond it.
    pub timeout: Duration,
    /// Where it begins if it is new.
    pub start: Start,
    /// Where the transport may tell how its work for the group goes.
    pub meters: Arc<Meters>,
}

/// What a transport tells of its work for a group, for metrics. One that tells nothing is not shown.
#[derive(Debug, Default)]
pub struct Meters {
    credit: AtomicU64,
    held: AtomicU64,
    renewals: AtomicU64,
    unreadable: AtomicU64,
}

impl Meters {
    /// How many deliveries it wants to hold at once now.
    pub fn set_credit(&self, credit: u64) {
        self.credit.store(credit, Ordering::Relaxed);
    }

    /// How many deliveries it holds now, waiting or running.
    pub fn set_held(&self, held: u64) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// So many leases were renewed.
    pub fn renewed(&self, leases: u64) {
        self.renewals.fetch_add(leases, Ordering::Relaxed);
    }

    /// One that can not be read became a dead letter without ever being delivered.
    pub fn unreadable(&self) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read_unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// Credit, held and renewals; `None` from a transport that has no credit.
    pub(crate) fn read(&self) -> Option<[u64; 3]> {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let credit = read(&self.credit);
        (credit > 0).then(|| [credit, read(&self.held), read(&self.renewals)])
    }
}

impl Group {
    /// A group with defaults: one run at once, a lease of 30 s, runs of up to 5 min, from the
    /// beginning.
    pub fn new(name: GroupName, filter: Filter) -> Self {
        Self {
            name,
            filter,
            concurrency: 1,
            lease: Duration::from_secs(30),
            timeout: Duration::from_secs(300),
            start: Start::Beginning,
            meters: Arc::default(),
        }
    }
}

/// Where a new group begins; one that exists goes on where it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the oldest event that is kept.
    #[default]
    Beginning,
    /// With the next event.
    Now,
    /// With the first event stored at this time or later.
    At(SystemTime),
}

/// The name of a group: service and handler, each of `a-z`, `0-9` and `-`, up to 64 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName {
    text: String,
    service: usize,
}

impl GroupName {
    /// Checks both parts.
    pub fn new(service: &str, handler: &str) -> Result<Self, InvalidName> {
        check_name(service)?;
        check_name(handler)?;
        Ok(Self { text: format!("{service}_{handler}"), service: service.len() })
    }

    /// `service_handler`, as it stands on the broker.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The service's part.
    pub fn service(&self) -> &str {
        &self.text[..self.service]
    }

    /// The handler's part.
    pub fn handler(&self) -> &str {
        &self.text[self.service + 1..]
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Checks a name that stands on the broker: of a service, a handler, or a connection.
pub fn check_name(name: &str) -> Result<(), InvalidName> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        return Err(InvalidName { name: name.chars().take(64).collect() });
    }
    Ok(())
}

/// A service or a handler can not be named so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a name: use 1 to 64 of `a-z`, `0-9` and `-`")]
pub struct InvalidName {
    /// The name, cut to 64 characters.
    pub name: String,
}
