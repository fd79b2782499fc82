//! What shares one copy of the work: a service's handler, all its replicas together.

use std::fmt;
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
