//! NATS JetStream as a transport of `bus-core`.
//!
//! | step | the JetStream call it makes |
//! | --- | --- |
//! | `publish` | publish under `Nats-Msg-Id`, wait for the server's ack |
//! | `publish_at` | a message schedule under `BUS.at.<domain>.<id>` in the domain's stream, from 2.14.3 on |
//! | `cancel` | a purge of that subject |
//! | `subscribe` | make or join two durable consumers: the group's events, and copies for it alone |
//! | deliveries | pull requests on an inbox of our own, as many as the handlers drain |
//! | a run | `+WPI` until it ends; noted in `BUS_RUNS` first where the event came before |
//! | `Ack` | `+ACK` |
//! | `Retry` | a copy for its time in `BUS_RETRY`, then `+ACK`; below a second, and below 2.14.3, noted in `BUS_RUNS`, then `-NAK` with the delay |
//! | `DeadLetter` | stored in `BUS_DLQ`, then `+TERM` |
//! | `Release` | `-NAK` |
//! | redrive | stored in `BUS_RETRY`, then removed from `BUS_DLQ` |

pub use self::capabilities::{Capabilities, Version};
pub use self::config::{Auth, ConfigError, NatsConfig, Provision, Secret, Streams, Tls};
pub use self::connection::ConnectError;
pub use self::transport::NatsTransport;

mod acks;
mod arrival;
mod capabilities;
mod config;
mod connection;
mod copy;
mod credit;
mod dead_letter;
mod delay;
mod deliveries;
mod engine;
mod headers;
mod health;
mod knock;
mod lane;
mod lease;
mod lock;
mod operator;
mod poison;
mod publish;
mod pull;
mod refusals;
mod runs;
mod settle;
mod topology;
mod transport;

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;

#[cfg(feature = "dev-server")]
pub mod dev_server;
