//! NATS JetStream as a transport of `bus-core`.
//!
//! Nothing is here yet: the journey runs on the in-process transport of `bus-core` so far.
