//! Envelope ⇄ NATS headers: CloudEvents 1.0 in binary mode, and in structured mode when reading.
//!
//! The rules are those of the CloudEvents binding for NATS, 1.0.3: every attribute is a header
//! `ce-…`, percent-encoded. `traceparent`, `tracestate` and `baggage` are as the W3C has them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use bus_core::{Envelope, EventId, Subject};
use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::attributes::{Attributes, Name};

pub(crate) use self::flat::Flat;
pub(crate) use self::write::Writer;

mod attributes;
mod escape;
mod flat;
pub(crate) mod stamp;
mod structured;
#[cfg(test)]
mod tests;
pub(crate) mod trace;
mod write;

/// The duplicate window's key: the event's id, on an original and never on a copy.
pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";

/// The event's id on a copy, where its original had it in [`MESSAGE_ID`] alone.
const OWN_ID: &str = "bus-id";

/// Why a message can not become an envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the header `{name}` is not percent-encoded UTF-8")]
    Escape { name: &'static str },
    #[error("the subject can not be one of ours: {0}")]
    Subject(#[from] bus_core::subject::InvalidSubject),
    #[error("the structured event does not decode: {reason}")]
    Structured { reason: String },
}

/// What the broker knows of a message, for what its publisher did not say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) stream: &'a str,
    pub(crate) sequence: u64,
    pub(crate) time: SystemTime,
}

/// The envelope of a message, whoever published it. What a foreign publisher left out is made up
/// from what the broker knows: without a type it is nobody's event, and a dead letter later on.
pub(crate) fn read<'a>(
    subject: &str,
    headers: impl Into<Attributes<'a>>,
    payload: Bytes,
    stored: Stored<'_>,
) -> Result<Envelope, Unreadable> {
    let subject = Subject::parse(subject)?;
    let found: Attributes<'a> = headers.into();
    let content_type = found.text(Name::ContentType)?;
    if content_type.as_deref().is_some_and(structured::is) {
        return structured::read(subject, found, &payload, stored);
    }
    let id = found.id()?.unwrap_or_else(|| stored.id());
    let type_name = found.text(Name::Type)?.unwrap_or_default().into_owned();
    let mut envelope = Envelope::new(id, type_name, subject, payload);
    envelope.version = found.number(Name::DataVersion)?.unwrap_or(1);
    envelope.source = Arc::from(&*found.text(Name::Source)?.unwrap_or_default());
    envelope.time = found.time(Name::Time)?.unwrap_or(stored.time);
    envelope.key = found.text(Name::Key)?.map(Cow::into_owned);
    // Of the first event of a story it is the same text.
    if found.raw(Name::Correlation) != found.raw(Name::Id) {
        let correlation = found.event_id(Name::Correlation)?;
        envelope.correlation = correlation.unwrap_or_else(|| envelope.id.clone());
    }
    envelope.causation = found.event_id(Name::Causation)?;
    envelope.hops = found.number(Name::Hops)?.unwrap_or_default();
    envelope.trace = trace::read(&found, None);
    let content_type = match content_type {
        None => found.text(Name::DataContentType)?,
        some => some,
    };
    if let Some(content_type) = content_type.filter(|found| *found != envelope.content_type) {
        envelope.content_type = Cow::Owned(content_type.into_owned());
    }
    found.publishers_own(&mut envelope);
    Ok(envelope)
}

/// Stands for an event that can not be read.
pub(crate) fn unreadable(payload: Bytes, stored: Stored<'_>) -> Envelope {
    let mut envelope =
        Envelope::new(stored.id(), "", Subject::literal("unreadable.event"), payload);
    envelope.time = stored.time;
    envelope
}

impl Stored<'_> {
    /// One id for one stored message, however often it is read.
    pub(crate) fn id(&self) -> EventId {
        let since = self.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // A stream that was made anew has the same sequences again.
        let text = format!("{}:{}:{:x}", self.stream, self.sequence, since.as_micros());
        // A stream's name has no control characters, and fewer characters than an id may have.
        EventId::parse(&text).unwrap_or_else(|_| EventId::now())
    }
}

pub(crate) fn time(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}
