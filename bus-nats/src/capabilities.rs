//! What this server can do, and the error when it can not.

use std::fmt;
use std::time::Duration;

use async_nats::Client;
use async_nats::client::RequestErrorKind;
use bus_core::transport::TransportError;
use bytes::Bytes;
use serde::Deserialize;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::config::Provision;
use crate::connection::{ConnectError, Signals};
use crate::refusals::permitted;

/// Below this, JetStream silently drops settings that we rely on, or loses what it stored.
pub(crate) const FLOOR: Version = Version(2, 12, 8);

/// From here on message schedules neither lose nor corrupt what waits for its time.
pub(crate) const SCHEDULES: Version = Version(2, 14, 3);

/// How long the API may take to answer, before it is asked again.
const ATTEMPT: Duration = Duration::from_secs(2);

/// The version of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32, u32);

impl Version {
    /// Reads `2.15.1`; what stands behind a `-` is left out.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_start_matches('v').split(['-', '+']).next()?;
        let mut parts = text.split('.').map(str::parse);
        let mut next = || parts.next()?.ok();
        Some(Self(next()?, next()?, next()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What was read of the server at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The version of the server that we are connected to.
    pub version: Version,
    /// The bytes of the largest message, headers included.
    pub max_payload: usize,
    /// Whether the server can keep a message until its time.
    pub schedules: bool,
}

impl Capabilities {
    /// Warns of what is missing.
    pub(crate) fn tell(&self) {
        if !self.schedules {
            let version = self.version;
            warn!(%version, "this server keeps no schedules: retries hold places among the deliveries, and no event can wait for its time; 2.14.3 can");
        }
    }
}

/// What the JetStream API says of itself; the client's own type does not read every version's.
#[derive(Deserialize)]
struct Info {
    error: Option<ApiError>,
}

/// An error, as every part of the JetStream API says it.
#[derive(Deserialize)]
pub(crate) struct ApiError {
    #[serde(default, rename = "err_code")]
    pub(crate) code: u64,
    #[serde(default)]
    pub(crate) description: String,
}

/// Reads the version, and asks whether there is JetStream, where anything may be asked.
pub(crate) async fn detect(
    client: &Client,
    signals: &Signals,
    provision: Provision,
    deadline: Instant,
) -> Result<Capabilities, ConnectError> {
    let server = client.server_info();
    let found = server.version.clone();
    let version = Version::parse(&found).filter(|version| *version >= FLOOR);
    let version = version.ok_or(ConnectError::TooOld { found })?;
    if provision != Provision::Never {
        let denied =
            |error: TransportError| ConnectError::NoJetStream { reason: error.to_string() };
        permitted(signals, jetstream(client, deadline)).await.map_err(denied)??;
    }
    let (max_payload, schedules) = (server.max_payload, version >= SCHEDULES);
    Ok(Capabilities { version, max_payload, schedules })
}

async fn jetstream(client: &Client, deadline: Instant) -> Result<(), ConnectError> {
    let missing = |reason: &str| Err(ConnectError::NoJetStream { reason: reason.to_owned() });
    let answer = loop {
        let asked = timeout(ATTEMPT, client.request("$JS.API.INFO", Bytes::new())).await;
        let reason = match asked {
            Ok(Ok(answer)) => break answer,
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
                return missing("nobody answers its API: start the server with `-js`");
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {ATTEMPT:?}"),
        };
        if Instant::now() + ATTEMPT > deadline {
            return missing(&format!("its API does not answer: {reason}"));
        }
    };
    match serde_json::from_slice::<Info>(&answer.payload) {
        Ok(Info { error: None }) => Ok(()),
        Ok(Info { error: Some(error) }) => missing(&error.description),
        Err(error) => missing(&format!("its API answers what is not understood: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared_by_their_numbers() {
        for (text, version) in [
            ("2.15.1", Some(Version(2, 15, 1))),
            ("v2.9.10", Some(Version(2, 9, 10))),
            ("2.14.0-preview.2", Some(Version(2, 14, 0))),
            ("2.15", None),
            ("", None),
            ("dev", None),
        ] {
            assert_eq!(Version::parse(text), version, "{text}");
        }
        assert!(Version(2, 9, 99) < FLOOR && Version(2, 12, 8) >= FLOOR && FLOOR < SCHEDULES);
    }
}
