//! Typed events, handlers, and the engine that runs them.
//!
//! An event's journey, one module a step:
//!
//! ```text
//! publish ──▶ transport ──▶ dispatch ──▶ handler ──▶ settle
//! ```
//!
//! ```no_run
//! use bus_core::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Event)]
//! #[event(subject = "orders.placed")]
//! struct OrderPlaced { total_cents: i64 }
//!
//! #[handler]
//! async fn charge(order: OrderPlaced) {
//!     println!("charge {} cents", order.total_cents);
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), bus_core::Error> {
//!     let bus = Bus::in_memory();
//!     Service::new("billing", bus).handlers(discover!()).run().await // until SIGTERM; then drains
//! }
//! ```
//!
//! # Modules, in reading order: each names only what stands above it
//!
//! | | |
//! | --- | --- |
//! | what travels | [`subject`] [`codec`] [`event`] [`envelope`] |
//! | what a transport writes | [`answer`] [`settle`] [`delivery`] `group` [`operator`] [`transport`] |
//! | seeing | [`telemetry`] |
//! | what people ask of it | [`dead_letters`] |
//! | sending | [`middleware`] [`publish`] |
//! | what an application writes | [`failure`] [`retry`] [`breaker`] [`parameter`] [`mod@handler`] [`registry`] |
//! | what joins them | `dispatch`, [`service`] |
//! | on top | [`memory`], `testing` |

// The macros name this crate as its users do.
extern crate self as bus_core;

#[doc(hidden)]
pub mod sabotage;

pub mod codec;
pub mod envelope;
pub mod event;
pub mod subject;

pub mod answer;
mod clock;
pub mod delivery;
mod group;
pub mod operator;
pub mod settle;
pub mod transport;

pub mod telemetry;

pub mod dead_letters;

pub mod middleware;
pub mod publish;

pub mod breaker;
mod context;
pub mod failure;
pub mod handler;
pub mod parameter;
pub mod registry;
pub mod retry;
mod state;

mod dispatch;
pub mod service;

pub mod memory;
#[cfg(feature = "testing")]
pub mod testing;

pub use async_trait::async_trait;

#[cfg(feature = "macros")]
pub use bus_macros::{Event, Failure, discover, handler};

pub use self::breaker::Breaker;
pub use self::context::Context;
pub use self::envelope::{Envelope, EventId, Headers};
pub use self::event::Event;
pub use self::failure::{Failure, HandlerError, HandlerResult, Verdict};
pub use self::handler::{Handler, HandlerDef, Options};
pub use self::middleware::{Middleware, Next};
pub use self::parameter::{Attempt, Parameter, State};
pub use self::publish::{Bus, Publish, PublishError};
pub use self::registry::Handlers;
pub use self::retry::Retry;
pub use self::service::{Error, Service};
pub use self::state::Needs;
pub use self::subject::{Subject, Template};

/// Everything that a service's author needs, for `use bus_core::prelude::*`.
pub mod prelude {
    pub use crate::codec::{Codec, CodecError, Json};
    pub use crate::dead_letters::DeadLetters;
    pub use crate::handlers;
    pub use crate::retry::{Decision, HOUR, MINUTE, SECOND};
    pub use crate::service::{Probe, Report, Running, StartError};
    pub use crate::subject::InvalidSubject;
    pub use crate::transport::Start;
    pub use crate::{
        Attempt, Breaker, Bus, Context, Envelope, Event, EventId, Failure, Handler, HandlerError,
        HandlerResult, Headers, Middleware, Next, Options, Parameter, Publish, PublishError, Retry,
        Service, State, Subject, Template, Verdict, async_trait,
    };
    #[cfg(feature = "macros")]
    pub use crate::{discover, handler};
}

/// What the macros name; not for people, and not stable.
#[doc(hidden)]
pub mod __private {
    pub use inventory;

    pub use crate::failure::{Derived, FailureDef};
    pub use crate::handler::{Outcome, Site, event};
    pub use crate::registry::{Declared, Registered};

    use crate::failure::HandlerResult;

    /// What an event needs beside its derive.
    pub trait Payload: serde::Serialize + serde::de::DeserializeOwned + Send + 'static {}

    impl<T: serde::Serialize + serde::de::DeserializeOwned + Send + 'static> Payload for T {}

    /// Names the function in the error if its future is not `Send`.
    pub fn send<F: Future + Send>(future: F) -> F {
        future
    }

    /// Underlines the return type if it is none that a handler may have.
    pub fn outcome<O: Outcome>(outcome: O) -> HandlerResult {
        outcome.result()
    }
}

/// The program in the README compiles.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../README.md")]
pub struct Readme;
