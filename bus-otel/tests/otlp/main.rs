//! Telemetry over real HTTP to a collector in this process, from services in processes of their own:
//! what they install is global, and they are told by variables.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a service tells its test how far it is")]

mod arrives;
mod logs;
mod outage;
mod process;
mod service;
mod volume;
