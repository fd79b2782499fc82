//! NATS JetStream as a transport of `bus-core`.
//!
//! The transport itself is not here yet; with the feature `dev-server` there is a server to build
//! it against.

#[cfg(feature = "dev-server")]
pub mod dev_server;
