//! What is wrong with a configuration.

use std::path::PathBuf;

/// What is wrong with a [`NatsConfig`](super::NatsConfig). Nothing was connected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no address.
    #[error("`servers` is empty: name at least one, such as `nats://127.0.0.1:4222`")]
    NoServers,
    /// An address is none. Its text is not repeated, for it may hold a password.
    #[error("server {at} is not an address: {reason}")]
    Server {
        /// Which of `servers`, from 1.
        at: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Credentials in an address end up in logs.
    #[error("server {at} has a user or a password in its address: put them into `auth`")]
    Credentials {
        /// Which of `servers`, from 1.
        at: usize,
    },
    /// Plain text would leave this machine.
    #[error(
        "`{host}` would be talked to in plain text: use `tls://`, or name it in `plaintext_hosts`"
    )]
    Plaintext {
        /// The host.
        host: String,
    },
    /// The name of the connection.
    #[error("`{name}` is not a name for a connection: use 1 to 64 of `a-z`, `0-9` and `-`")]
    Name {
        /// The name.
        name: String,
    },
    /// A file is missing.
    #[error("`{path}`, for {what}, can not be read: {reason}")]
    File {
        /// What it is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The seed of an nkey.
    #[error("the seed in `auth` is none of an nkey")]
    Seed,
    /// A number that the server would refuse.
    #[error("`{field}` can not be {value}: {reason}")]
    Value {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// The rule.
        reason: &'static str,
    },
    /// Variables that belong together, or exclude each other.
    #[error("the environment has {given}, {reason}")]
    Variables {
        /// What is set.
        given: String,
        /// Why that can not be.
        reason: &'static str,
    },
}
