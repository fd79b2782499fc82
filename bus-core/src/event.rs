//! A typed fact.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::Codec;
use crate::subject::{InvalidSubject, Subject, Template};

/// A typed fact with a stable name, a version and a subject; implemented by `#[derive(Event)]`.
///
/// One subject belongs to one type: handlers of another would give its events up. What has to share
/// a subject is one enum.
///
/// ```
/// use bus_core::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Event)]
/// #[event(subject = "orders.{region}.placed")]
/// struct OrderPlaced { region: String, #[event(key)] customer: String }
///
/// let placed = OrderPlaced { region: "eu west".into(), customer: "c7".into() };
/// assert_eq!(placed.subject()?.as_str(), "orders.eu%20west.placed");
/// assert_eq!((OrderPlaced::TYPE, placed.key().as_deref()), ("orders.placed", Some("c7")));
/// # Ok::<(), InvalidSubject>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    note = "add `#[derive(Serialize, Deserialize, Event)]` and `#[event(subject = \"…\")]` to it"
)]
pub trait Event: Serialize + DeserializeOwned + Send + 'static {
    /// The stable name on the wire. It outlives renames and moves of the Rust type.
    const TYPE: &'static str;

    /// Counts the incompatible changes of the payload. It travels with the event, and is not
    /// looked at when one is delivered: give an incompatible payload a new type and subject.
    const VERSION: u32;

    /// Where it travels.
    const SUBJECT: Template;

    /// How it becomes bytes.
    type Codec: Codec;

    /// The subject of this very event, its fields filled in.
    fn subject(&self) -> Result<Subject, InvalidSubject>;

    /// What it is about: events with one key belong together.
    fn key(&self) -> Option<String> {
        None
    }
}

/// What start-up checks and tools know of an event type; `#[derive(Event)]` registers one.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct EventDef {
    /// [`Event::TYPE`].
    pub type_name: &'static str,
    /// [`Event::VERSION`].
    pub version: u32,
    /// [`Event::SUBJECT`].
    pub subject: Template,
    /// [`Codec::CONTENT_TYPE`].
    pub content_type: &'static str,
    /// The Rust type, for messages only.
    pub rust_type: fn() -> &'static str,
}

impl EventDef {
    /// The definition of `E`.
    pub const fn of<E: Event>() -> Self {
        Self {
            type_name: E::TYPE,
            version: E::VERSION,
            subject: E::SUBJECT,
            content_type: <E::Codec as Codec>::CONTENT_TYPE,
            rust_type: std::any::type_name::<E>,
        }
    }
}

impl fmt::Display for EventDef {
    /// `orders.placed` on `orders.{region}.placed` (shop::events::OrderPlaced)
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` on `{}` ({})", self.type_name, self.subject, (self.rust_type)())
    }
}

inventory::collect!(EventDef);
