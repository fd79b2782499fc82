//! NATS JetStream as a transport of `bus-core`.
//!
//! | step | the JetStream call it makes |
//! | --- | --- |
//! | `publish` | publish under `Nats-Msg-Id`, wait for the server's ack |
//!
//! Groups, deliveries and settlement are not here yet.

pub use self::capabilities::{Capabilities, Version};
pub use self::config::{Auth, ConfigError, NatsConfig, Provision, Secret, Streams, Tls};
pub use self::connection::ConnectError;
pub use self::transport::NatsTransport;

mod capabilities;
mod config;
mod connection;
mod engine;
#[cfg_attr(not(test), expect(dead_code, reason = "reading is for the consumer, which comes next"))]
mod headers;
mod publish;
mod topology;
mod transport;

#[cfg(feature = "dev-server")]
pub mod dev_server;
