//! Envelope → headers. What is the same for all events of a type is written once and copied.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue};
use bus_core::Envelope;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::escape::escape;
use super::{MESSAGE_ID, trace};
use crate::lock::lock;

/// The most kinds of events that are remembered; others are written anew each time.
const MOST: usize = 256;

/// Writes the headers of originals.
#[derive(Debug, Default)]
pub(crate) struct Writer(Mutex<BTreeMap<Kind, Arc<HeaderMap>>>);

/// What the headers of many events have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    type_name: Cow<'static, str>,
    source: Arc<str>,
    content_type: Cow<'static, str>,
    version: u32,
}

impl Writer {
    pub(crate) fn write(&self, envelope: &Envelope) -> HeaderMap {
        // A copy costs half of what it costs to write them.
        let mut headers = HeaderMap::clone(&self.common(envelope));
        // Checked once, and copied.
        let id = value(&envelope.id.to_string());
        if envelope.correlation == envelope.id {
            headers.insert(names::CORRELATION.clone(), id.clone());
        } else {
            set(&mut headers, &names::CORRELATION, &envelope.correlation.to_string());
        }
        headers.insert(names::MESSAGE_ID.clone(), id.clone());
        headers.insert(names::ID.clone(), id);
        set(&mut headers, &names::SUBJECT, envelope.subject.as_str());
        if let Ok(time) = OffsetDateTime::from(envelope.time).format(&Rfc3339) {
            set(&mut headers, &names::TIME, &time);
        }
        if let Some(key) = &envelope.key {
            set(&mut headers, &names::KEY, key);
        }
        if let Some(cause) = &envelope.causation {
            set(&mut headers, &names::CAUSATION, &cause.to_string());
        }
        if envelope.hops > 0 {
            set(&mut headers, &names::HOPS, &envelope.hops.to_string());
        }
        trace::write(&mut headers, &envelope.trace);
        for (name, value) in envelope.headers.iter() {
            put(&mut headers, name, value);
        }
        headers
    }

    fn common(&self, envelope: &Envelope) -> Arc<HeaderMap> {
        let kind = Kind {
            type_name: envelope.type_name.clone(),
            source: Arc::clone(&envelope.source),
            content_type: envelope.content_type.clone(),
            version: envelope.version,
        };
        let mut known = lock(&self.0);
        if let Some(headers) = known.get(&kind) {
            return Arc::clone(headers);
        }
        let headers = Arc::new(common(&kind));
        if known.len() < MOST {
            known.insert(kind, Arc::clone(&headers));
        }
        headers
    }
}

fn common(kind: &Kind) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // CloudEvents forbids an empty source.
    let source = if kind.source.is_empty() { "unknown" } else { &kind.source };
    set(&mut headers, &names::SPEC_VERSION, "1.0");
    set(&mut headers, &names::SOURCE, source);
    set(&mut headers, &names::TYPE, &kind.type_name);
    set(&mut headers, &names::DATA_VERSION, &kind.version.to_string());
    set(&mut headers, &names::CONTENT_TYPE, &kind.content_type);
    set(&mut headers, &names::DATA_CONTENT_TYPE, &kind.content_type);
    // What every event has: copies of a table that is large enough need not grow.
    for name in [&names::CORRELATION, &names::MESSAGE_ID, &names::ID, &names::SUBJECT] {
        headers.insert(name.clone(), HeaderValue::new());
    }
    headers
}

pub(super) fn set(headers: &mut HeaderMap, name: &HeaderName, text: &str) {
    headers.insert(name.clone(), value(text));
}

/// What is escaped is printable, so that the client does not panic on it.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from(escape(text).into_owned())
}

/// The client panics on names and values that it does not like; what got here was checked, and is
/// left out rather than trusted.
pub(super) fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
        headers.insert(name, value);
    }
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
        HOPS = "ce-hops";
        KEY = "ce-partitionkey";
        TIME = "ce-time";
        CONTENT_TYPE = "content-type";
        DATA_CONTENT_TYPE = "ce-datacontenttype";
    }
}
