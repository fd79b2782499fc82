//! The cases that every transport has to pass, for authors of transports.
//!
//! The model is the in-process transport; where another one differs from it, one of the two is
//! wrong. A case uses nothing but [`Transport`](crate::transport::Transport) and what belongs to
//! it, and a [`Bench`], which your crate's tests make:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::{Duration, SystemTime};
//!
//! use bus_core::memory::{Memory, MemoryConfig};
//! use bus_core::testing::conformance::{Bench, Settings};
//!
//! async fn memory_bench() -> Bench {
//!     let settings = Settings {
//!         duplicate_window: Some(Duration::from_secs(120)),
//!         // A seeded broker begins at 2026-01-01T00:00:00Z.
//!         epoch: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
//!         ..Settings::paused()
//!     };
//!     let memory = Memory::seeded(MemoryConfig::default(), 1);
//!     Bench::new(Arc::new(memory.clone()), settings).elsewhere(Arc::new(memory))
//! }
//!
//! bus_core::conformance! {
//!     #[tokio::test(start_paused = true)]
//!     memory_bench
//! }
//! # fn main() {}
//! ```
//!
//! This is one test a case, each named as its case and with a bench of its own. A transport to a
//! real server begins with [`Settings::default`], connects twice, and leaves the attribute away:
//!
//! ```text
//! bus_core::conformance!(nats_bench);
//! bus_core::conformance!(nats_bench; a_retry_waits_its_delay, an_ack_is_final);
//! ```
//!
//! The second form runs some cases only, as one does while a transport is young; [`CASES`] tells
//! how many there are. The attribute may be that of any runtime of tokio's, with its timer.
//!
//! Each case has a [domain](Settings::domain) of its own, so that all of them may share one
//! server. A case waits for a delivery until [`Settings::deadline`], and fails with the line that
//! waited. That nothing arrives can be shown by nothing but time: a case waits
//! [`Settings::quiet`], or lets a marker follow where the order is known. Times have to be kept
//! to within [`Settings::slack`], and never be too short.
//!
//! What a transport lacks is said in the settings: an operator, events that wait for their time, an
//! id that is forgotten while a case can wait for it, a subject that nothing stores. Everything else
//! every transport has to have, leases and [`survey`](crate::transport::Transport::survey) too.
//!
//! Example 09 is a transport written by hand, and `examples/tests/own_transport.rs` is such a test
//! of it.

pub use self::bench::Bench;
#[doc(inline)]
pub use self::cases::CASES;
pub use self::settings::Settings;

mod answer;
mod bench;
mod member;
mod settings;

mod cancel;
mod delayed;
mod duplicates;
mod flow;
mod groups;
mod lease;
mod lifecycle;
mod order;
mod shape;
mod start;

mod lag;
mod letters;
mod purge;
mod redrive;
mod release;
mod retry;
mod settlement;
mod stop;
mod trace;

pub mod cases;

/// Makes a test of every case, or of some; see [the module](crate::testing::conformance).
#[macro_export]
macro_rules! conformance {
    ($bench:path $(; $($case:ident),+ $(,)?)?) => {
        $crate::conformance! { #[::tokio::test] $bench $(; $($case),+)? }
    };
    ($(#[$test:meta])+ $bench:path; $($case:ident),+ $(,)?) => {
        $crate::__conformance_tests! { ([$(#[$test])+] $bench) chosen: $($case)+; }
    };
    ($(#[$test:meta])+ $bench:path) => {
        $crate::__conformance_cases! { __conformance_tests ([$(#[$test])+] $bench) }
    };
}

#[doc(inline)]
pub use conformance;

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($given:tt $($family:ident: $($case:ident)+;)+) => {
        $($($crate::__conformance_test! { $given $case })+)+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_test {
    (([$($test:tt)+] $bench:path) $case:ident) => {
        $($test)+
        async fn $case() {
            $crate::testing::conformance::cases::$case($bench().await).await;
        }
    };
}
