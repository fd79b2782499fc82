//! Envelope ⇄ NATS headers: CloudEvents 1.0 in binary mode, and in structured mode when reading.
//!
//! The rules are those of the CloudEvents binding for NATS, 1.0.3: every attribute is a header
//! `ce-…`, percent-encoded.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue};
use bus_core::{Envelope, EventId, Subject};
use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::escape::{escape, unescape};

mod escape;
pub(crate) mod stamp;
mod structured;
#[cfg(test)]
mod tests;

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

/// The headers of an original.
pub(crate) fn write(envelope: &Envelope) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in envelope.headers.iter() {
        put(&mut headers, name, value);
    }
    let mut set = |name: &HeaderName, value: &str| {
        if let Ok(value) = escape(value).parse::<HeaderValue>() {
            headers.insert(name.clone(), value);
        }
    };
    let id = envelope.id.to_string();
    set(&names::MESSAGE_ID, &id);
    set(&names::SPEC_VERSION, "1.0");
    set(&names::ID, &id);
    set(&names::SOURCE, source(envelope));
    set(&names::TYPE, &envelope.type_name);
    set(&names::SUBJECT, envelope.subject.as_str());
    set(&names::DATA_VERSION, &envelope.version.to_string());
    if envelope.correlation == envelope.id {
        set(&names::CORRELATION, &id);
    } else {
        set(&names::CORRELATION, &envelope.correlation.to_string());
    }
    set(&names::CONTENT_TYPE, &envelope.content_type);
    set(&names::DATA_CONTENT_TYPE, &envelope.content_type);
    if let Ok(time) = OffsetDateTime::from(envelope.time).format(&Rfc3339) {
        set(&names::TIME, &time);
    }
    if let Some(key) = &envelope.key {
        set(&names::KEY, key);
    }
    if let Some(cause) = &envelope.causation {
        set(&names::CAUSATION, &cause.to_string());
    }
    headers
}

/// Names that are checked once, and not for every event.
mod names {
    use async_nats::header::HeaderName;

    macro_rules! names {
        ($($name:ident = $text:expr;)+) => {
            $(pub(super) static $name: HeaderName = HeaderName::from_static($text);)+
        };
    }

    names! {
        MESSAGE_ID = super::MESSAGE_ID;
        SPEC_VERSION = "ce-specversion";
        ID = "ce-id";
        SOURCE = "ce-source";
        TYPE = "ce-type";
        SUBJECT = "ce-subject";
        DATA_VERSION = "ce-dataversion";
        CORRELATION = "ce-correlationid";
        CAUSATION = "ce-causationid";
        KEY = "ce-partitionkey";
        TIME = "ce-time";
        CONTENT_TYPE = "content-type";
        DATA_CONTENT_TYPE = "ce-datacontenttype";
    }
}

/// CloudEvents forbids an empty source.
fn source(envelope: &Envelope) -> &str {
    if envelope.source.is_empty() { "unknown" } else { &envelope.source }
}

/// The client panics on names and values that it does not like; what got here was checked, and is
/// left out rather than trusted.
fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
        headers.insert(name, value);
    }
}

/// The envelope of a message, whoever published it. What a foreign publisher left out is made up
/// from what the broker knows: without a type it is nobody's event, and a dead letter later on.
pub(crate) fn read(
    subject: &str,
    headers: Option<&HeaderMap>,
    payload: Bytes,
    stored: Stored<'_>,
) -> Result<Envelope, Unreadable> {
    let subject = Subject::parse(subject)?;
    let read = Read(headers);
    let content_type = read.attribute("content-type")?;
    if content_type.as_deref().is_some_and(structured::is) {
        return structured::read(subject, &read, &payload, stored);
    }
    let id = read.id()?.unwrap_or_else(|| stored.id());
    let type_name = read.attribute("ce-type")?.unwrap_or_default().into_owned();
    let mut envelope = Envelope::new(id, type_name, subject, payload);
    envelope.version = read.number("ce-dataversion")?.unwrap_or(1);
    envelope.source = Arc::from(&*read.attribute("ce-source")?.unwrap_or_default());
    envelope.time = read.time("ce-time")?.unwrap_or(stored.time);
    envelope.key = read.attribute("ce-partitionkey")?.map(Cow::into_owned);
    let correlation = read.event_id("ce-correlationid")?;
    envelope.correlation = correlation.unwrap_or_else(|| envelope.id.clone());
    envelope.causation = read.event_id("ce-causationid")?;
    let content_type = match content_type {
        None => read.attribute("ce-datacontenttype")?,
        some => some,
    };
    if let Some(content_type) = content_type {
        envelope.content_type = Cow::Owned(content_type.into_owned());
    }
    read.publishers_own(&mut envelope);
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
    fn id(&self) -> EventId {
        let text = format!("{}:{}", self.stream, self.sequence);
        // A stream's name has no control characters, and fewer characters than an id may have.
        EventId::parse(&text).unwrap_or_else(|_| EventId::now())
    }
}

/// Headers without regard to case.
struct Read<'a>(Option<&'a HeaderMap>);

impl<'a> Read<'a> {
    /// The text of a header; of several of one name the last, as the publisher's last word.
    fn text(&self, name: &str) -> Option<&'a str> {
        let headers = self.0?;
        if let Some(value) = headers.get_last(name) {
            return Some(value.as_str());
        }
        let same = |(other, _): &(&'a HeaderName, _)| {
            AsRef::<str>::as_ref(*other).eq_ignore_ascii_case(name)
        };
        let (_, values) = headers.iter().find(same)?;
        values.last().map(HeaderValue::as_str)
    }

    fn attribute(&self, name: &'static str) -> Result<Option<Cow<'a, str>>, Unreadable> {
        let Some(text) = self.text(name) else { return Ok(None) };
        unescape(text).map(Some).ok_or(Unreadable::Escape { name })
    }

    fn id(&self) -> Result<Option<EventId>, Unreadable> {
        for name in ["ce-id", MESSAGE_ID, OWN_ID] {
            if let Some(id) = self.event_id(name)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// An id that is none is as good as missing.
    fn event_id(&self, name: &'static str) -> Result<Option<EventId>, Unreadable> {
        Ok(self.attribute(name)?.and_then(|text| EventId::parse(&text).ok()))
    }

    fn number(&self, name: &'static str) -> Result<Option<u32>, Unreadable> {
        Ok(self.attribute(name)?.and_then(|text| text.parse().ok()))
    }

    fn time(&self, name: &'static str) -> Result<Option<SystemTime>, Unreadable> {
        Ok(self.attribute(name)?.and_then(|text| time(&text)))
    }

    /// Everything that is neither ours nor the broker's, sorted, for the client's map has no order;
    /// what is too much is left out.
    fn publishers_own(&self, envelope: &mut Envelope) {
        let all = self.0.into_iter().flat_map(HeaderMap::iter);
        let last = |(name, values): (&'a HeaderName, &'a Vec<HeaderValue>)| {
            Some((AsRef::<str>::as_ref(name), values.last()?.as_str()))
        };
        let mut own: Vec<_> = all.filter_map(last).collect();
        own.sort_unstable();
        for (name, value) in own {
            let _ = envelope.headers.receive(name, value);
        }
    }
}

fn time(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}
