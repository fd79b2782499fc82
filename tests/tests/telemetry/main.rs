//! What an observability tool is shown of every way that an event can take. The trees are written by
//! hand, from the table in `bus_core::telemetry`, and never copied from what was shown.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod baggage;
mod context;
mod edges;
mod ends;
mod gaps;
mod live;
mod log;
mod nats;
mod numbers;
mod shop;
mod spans;
mod trees;
mod weak;
