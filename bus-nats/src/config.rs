//! Where the servers are, who we are, and what may be made there: a struct, checked in `connect`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::ServerAddr;

pub use self::error::ConfigError;

mod check;
mod env;
mod error;
#[cfg(test)]
mod tests;

/// How to reach NATS, and what to make there. Secrets are shown nowhere.
///
/// ```
/// use bus_nats::{Auth, NatsConfig, Secret};
///
/// let config = NatsConfig {
///     servers: vec!["tls://nats-1.example.com".into(), "tls://nats-2.example.com".into()],
///     name: "billing".into(),
///     auth: Auth::Token(Secret::new("s3cr3t")),
///     ..NatsConfig::default()
/// };
/// assert!(!format!("{config:?}").contains("s3cr3t"));
/// ```
#[derive(Clone, Debug)]
pub struct NatsConfig {
    /// `nats://host:port` or `tls://host:port`, any number of one cluster. Others of the cluster
    /// are found by themselves where every connection is by TLS, and else not used.
    pub servers: Vec<String>,
    /// Names the connection on the server, and its inbox `_INBOX_<name>`, so that permissions can
    /// keep services apart: `a-z`, `0-9` and `-`.
    pub name: String,
    /// Who we are.
    pub auth: Auth,
    /// How the connection is secured.
    pub tls: Tls,
    /// Hosts, other than this machine, to which plain text may go.
    pub plaintext_hosts: Vec<String>,
    /// How long `connect` tries.
    pub deadline: Duration,
    /// What may be made or changed on the server.
    pub provision: Provision,
    /// What streams are made like.
    pub streams: Streams,
}

/// Who we are.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Auth {
    /// Nobody in particular.
    #[default]
    None,
    /// User and password.
    User {
        /// The user.
        name: String,
        /// The password.
        password: Secret,
    },
    /// A token.
    Token(Secret),
    /// The seed of an nkey.
    #[cfg(feature = "nkeys")]
    NKey(Secret),
    /// A credentials file: JWT and seed.
    #[cfg(feature = "nkeys")]
    Credentials(PathBuf),
}

/// How the connection is secured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Never talk without TLS, whatever the address says.
    pub required: bool,
    /// Begin with TLS, before the server's greeting; the server has to be set so.
    pub first: bool,
    /// Trust these roots, a PEM file, in place of the system's.
    pub roots: Option<PathBuf>,
    /// Our certificate and its key, PEM files.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What may be made or changed on the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provision {
    /// What is missing is made, and what was made so is changed where that is safe; everything else
    /// that differs is refused.
    #[default]
    Create,
    /// Nothing is made; what is missing or differs is refused.
    Verify,
    /// Nothing is made, and nothing is looked at: for the least permissions. An administrator
    /// starts the service once with [`Create`](Self::Create). Then a connection named `shop` has to
    /// be allowed to subscribe to `_INBOX_shop.>`, and to publish on its events' subjects. To handle
    /// events of the stream `ORDERS`, the group `billing_charge` also has to publish on
    ///
    /// * `$JS.API.CONSUMER.MSG.NEXT.ORDERS.billing_charge` and `$JS.ACK.ORDERS.billing_charge.>`
    /// * `$JS.API.CONSUMER.MSG.NEXT.BUS_RETRY.billing_charge` and
    ///   `$JS.ACK.BUS_RETRY.billing_charge.>`, for its retries, and for events that are redriven to it
    /// * `BUS.later.billing_charge.>`, for what waits for its next attempt
    /// * `BUS.dead.billing_charge.>`, for its dead letters
    /// * `BUS.runs.billing_charge.>`, `$JS.API.STREAM.MSG.GET.BUS_RUNS` and
    ///   `$JS.API.STREAM.MSG.DELETE.BUS_RUNS`, to count the runs of an event that comes again
    ///
    /// A service that misses one of these does not start, and says which. It does not know how much
    /// waits for its groups: to measure and to list needs more. Events that wait for their time need
    /// `BUS.at.orders.>` to be published, and `$JS.API.STREAM.PURGE.ORDERS` to be taken back.
    Never,
}

/// What streams are made like, and what they are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Copies on different servers of a cluster.
    pub replicas: usize,
    /// How long events are kept.
    pub max_age: Duration,
    /// How long an id is remembered, so that a repeated publish stores nothing.
    pub duplicate_window: Duration,
    /// How many groups there may be; a 2.15 server's default is 1,000.
    pub max_consumers: i32,
    /// How many deliveries of one group may be open at once, those that wait for a retry included.
    pub max_ack_pending: i64,
    /// How long dead letters are kept.
    pub dead_letter_age: Duration,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            replicas: 1,
            max_age: Duration::from_secs(7 * 24 * 60 * 60),
            duplicate_window: Duration::from_secs(120),
            max_consumers: 10_000,
            max_ack_pending: 200_000,
            dead_letter_age: Duration::from_secs(90 * 24 * 60 * 60),
        }
    }
}

impl Default for NatsConfig {
    /// A server on this machine, without authentication.
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            name: "bus".to_owned(),
            auth: Auth::None,
            tls: Tls::default(),
            plaintext_hosts: Vec::new(),
            deadline: Duration::from_secs(10),
            provision: Provision::default(),
            streams: Streams::default(),
        }
    }
}

impl NatsConfig {
    /// What the environment says, over the defaults: `NATS_URL` (several by commas), `NATS_NAME`,
    /// `NATS_USER` and `NATS_PASSWORD`, or `NATS_TOKEN`, `NATS_TLS_ROOTS`, `NATS_TLS_CERT` and
    /// `NATS_TLS_KEY`, `NATS_PLAINTEXT_HOSTS`; with the feature `nkeys` also `NATS_NKEY` and
    /// `NATS_CREDS`.
    pub fn from_env() -> Result<Self, ConfigError> {
        env::read(|name| std::env::var(name).ok())
    }

    /// Everything that can be seen without a server.
    pub(crate) fn check(&self) -> Result<Vec<ServerAddr>, ConfigError> {
        check::check(self)
    }
}

/// A text that is shown nowhere.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
