//! The event on its way.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::subject::Subject;

pub use self::headers::{Headers, InvalidHeader, MAX_HEADER_BYTES, MAX_HEADERS};
pub(crate) use self::id::mix;
pub use self::id::{EventId, InvalidId};
pub use self::trace::{MAX_BAGGAGE, MAX_TRACE_STATE, Trace, TraceContext, TraceParent};

mod headers;
mod id;
mod trace;

/// The event on its way, as every transport moves it; the attributes are those of CloudEvents 1.0.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Envelope {
    /// Unique; unchanged on every retry, so that a transport can drop what it has already.
    pub id: EventId,
    /// The stable name of the event's type.
    pub type_name: Cow<'static, str>,
    /// The version of the payload.
    pub version: u32,
    /// Who published it: the service's name by default.
    pub source: Arc<str>,
    /// When `publish` was called; that of a delayed event is not the time of its delivery.
    pub time: SystemTime,
    /// Where it travels.
    pub subject: Subject,
    /// What it is about: events with one key belong together.
    pub key: Option<String>,
    /// The id of the event that began the story; its own id where it began one.
    pub correlation: EventId,
    /// The id of the event whose handler published this one.
    pub causation: Option<EventId>,
    /// How many handlers published one because of the other, and at once, before this one: events
    /// that go in circles are known by it.
    pub hops: u32,
    /// The trace that it is part of.
    pub trace: Trace,
    /// The publisher's own headers.
    pub headers: Headers,
    /// The media type of the payload.
    pub content_type: Cow<'static, str>,
    /// The encoded event.
    pub payload: Bytes,
}

impl Envelope {
    /// An envelope with what it can not do without; the rest holds defaults and can be set.
    pub fn new(
        id: EventId,
        type_name: impl Into<Cow<'static, str>>,
        subject: Subject,
        payload: impl Into<Bytes>,
    ) -> Self {
        Self {
            correlation: id.clone(),
            id,
            type_name: type_name.into(),
            version: 1,
            source: Arc::default(),
            time: SystemTime::UNIX_EPOCH,
            subject,
            key: None,
            causation: None,
            hops: 0,
            trace: Trace::default(),
            headers: Headers::new(),
            content_type: Cow::Borrowed("application/json"),
            payload: payload.into(),
        }
    }

    /// Bytes of the payload and the publisher's headers, which is what limits count.
    pub fn size(&self) -> usize {
        self.payload.len() + self.headers.bytes()
    }
}
