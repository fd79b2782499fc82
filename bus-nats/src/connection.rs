//! A connection that says how it is.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr};
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::{Auth, ConfigError, NatsConfig};

pub(crate) use self::address::address;
pub(crate) use self::signals::Signals;

mod address;
mod signals;
mod tls;

/// A server that is silent for three of these is given up: less than 15 s, with what a busy machine
/// adds.
const PING: Duration = Duration::from_secs(4);

/// The most between two tries to come back; the least is nothing ("full jitter"). With what a
/// connection takes on a busy machine, nobody is away for 2 s longer than the server.
const RECONNECT: Duration = Duration::from_secs(1);

/// The most before the first try of each server, which also stands before the very first
/// connection.
const FIRST_TRY: Duration = Duration::from_millis(100);

/// How long one try may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Why there is no connection. No message holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The configuration can not be right.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No server took the connection in time.
    #[error("none of {servers:?} took a connection within {deadline:?}: {reason}")]
    Unreachable {
        /// The addresses.
        servers: Vec<String>,
        /// [`NatsConfig::deadline`].
        deadline: Duration,
        /// What went wrong last.
        reason: String,
    },
    /// The server does not want us.
    #[error("the server refused us: {reason}; check `auth`")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// One side does not trust the other, or does not talk TLS.
    #[error("there is no secure connection: {reason}; check `tls`")]
    Insecure {
        /// What went wrong.
        reason: String,
    },
    /// The server has no JetStream, or not for us.
    #[error("there is no JetStream for us: {reason}")]
    NoJetStream {
        /// What the server said.
        reason: String,
    },
    /// The server is too old.
    #[error("nats-server {found} is too old: {} or later is needed", crate::capabilities::FLOOR)]
    TooOld {
        /// Its version.
        found: String,
    },
    /// The thread of the client could not be started.
    #[error("failed to start the client's thread")]
    Thread(#[source] io::Error),
    /// The thread of the client ended.
    #[error("the client's thread ended")]
    Ended,
}

/// So that `main` may return [`bus_core::Error`].
impl From<ConnectError> for bus_core::Error {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Box::new(error))
    }
}

impl From<ConfigError> for bus_core::Error {
    fn from(error: ConfigError) -> Self {
        Self::Connect(Box::new(error))
    }
}

/// Connects; to be run on the engine's thread, where the client then lives.
pub(crate) async fn connect(
    config: NatsConfig,
    servers: Vec<ServerAddr>,
    signals: Signals,
) -> Result<Client, ConnectError> {
    tls::choose_provider();
    let deadline = Instant::now() + config.deadline;
    let mut reason = "no answer".to_owned();
    loop {
        let options = options(&config, &servers, &signals)?;
        match timeout_at(deadline, options.connect(&servers)).await {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(error)) => reason = again(&error)?,
            // A try that the deadline cut short says less than the one before it.
            Err(_) => {}
        }
        let pause = jitter(Duration::from_millis(500));
        if Instant::now() + pause >= deadline {
            let (servers, deadline) = (config.servers, config.deadline);
            return Err(ConnectError::Unreachable { servers, deadline, reason });
        }
        sleep(pause).await;
    }
}

/// What went wrong, or the error where another try would change nothing.
fn again(error: &async_nats::ConnectError) -> Result<String, ConnectError> {
    match error.kind() {
        // It says so of a signature that it could not make.
        ConnectErrorKind::Authentication => Err(ConfigError::Seed.into()),
        kind @ ConnectErrorKind::AuthorizationViolation => {
            Err(ConnectError::Refused { reason: kind.to_string() })
        }
        _ if tls::is_cause(error) => Err(ConnectError::Insecure { reason: error.to_string() }),
        _ => Ok(error.to_string()),
    }
}

fn options(
    config: &NatsConfig,
    servers: &[ServerAddr],
    signals: &Signals,
) -> Result<ConnectOptions, ConnectError> {
    let (signals, count) = (signals.clone(), servers.len());
    let options = ConnectOptions::new()
        .name(&config.name)
        .custom_inbox_prefix(format!("_INBOX_{}", config.name))
        .ping_interval(PING)
        .connection_timeout(ATTEMPT)
        .request_timeout(Some(ATTEMPT))
        .max_reconnects(None)
        .reconnect_delay_callback(move |tries| {
            jitter(if tries > count { RECONNECT } else { FIRST_TRY })
        })
        .event_callback(move |event| {
            signals.tell(event);
            std::future::ready(())
        });
    authenticate(tls::options(options, &config.tls, servers), &config.auth)
}

fn authenticate(options: ConnectOptions, auth: &Auth) -> Result<ConnectOptions, ConnectError> {
    Ok(match auth {
        Auth::None => options,
        Auth::User { name, password } => {
            options.user_and_password(name.clone(), password.expose().to_owned())
        }
        Auth::Token(token) => options.token(token.expose().to_owned()),
        #[cfg(feature = "nkeys")]
        Auth::NKey(seed) => options.nkey(seed.expose().to_owned()),
        #[cfg(feature = "nkeys")]
        Auth::Credentials(path) => {
            let unreadable = |error: io::Error| ConfigError::File {
                what: "`auth`",
                path: path.clone(),
                reason: error.to_string(),
            };
            let text = std::fs::read_to_string(path).map_err(unreadable)?;
            options.credentials(&text).map_err(unreadable)?
        }
    })
}

/// Between nothing and `most`, so that clients that lost one server do not come back as one.
pub(crate) fn jitter(most: Duration) -> Duration {
    // The keys of a hash map's hasher are random, and that is all that is wanted here.
    let random = RandomState::new().build_hasher().finish();
    most.mul_f64((random >> 11) as f64 / (1u64 << 53) as f64)
}
