//! The headers of a message, sorted out in one pass.

use std::borrow::Cow;
use std::time::SystemTime;

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue};
use bus_core::{Envelope, EventId};

use super::escape::unescape;
use super::{Flat, MESSAGE_ID, OWN_ID, Unreadable, trace};

/// The headers that make an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Id,
    MessageId,
    OwnId,
    Type,
    Source,
    Time,
    Key,
    Correlation,
    Causation,
    Hops,
    DataVersion,
    ContentType,
    DataContentType,
    TraceParent,
    TraceState,
    OriginParent,
    OriginState,
    Baggage,
    TraceMode,
}

impl Name {
    const COUNT: usize = 19;

    /// In lower case.
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "ce-id" => Self::Id,
            "nats-msg-id" | MESSAGE_ID => Self::MessageId,
            "bus-id" => Self::OwnId,
            "ce-type" => Self::Type,
            "ce-source" => Self::Source,
            "ce-time" => Self::Time,
            "ce-partitionkey" => Self::Key,
            "ce-correlationid" => Self::Correlation,
            "ce-causationid" => Self::Causation,
            "ce-hops" => Self::Hops,
            "ce-dataversion" => Self::DataVersion,
            "content-type" => Self::ContentType,
            "ce-datacontenttype" => Self::DataContentType,
            "traceparent" => Self::TraceParent,
            "tracestate" => Self::TraceState,
            "ce-traceparent" => Self::OriginParent,
            "ce-tracestate" => Self::OriginState,
            "baggage" => Self::Baggage,
            trace::MODE => Self::TraceMode,
            _ => return None,
        })
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Id => "ce-id",
            Self::MessageId => MESSAGE_ID,
            Self::OwnId => OWN_ID,
            Self::Type => "ce-type",
            Self::Source => "ce-source",
            Self::Time => "ce-time",
            Self::Key => "ce-partitionkey",
            Self::Correlation => "ce-correlationid",
            Self::Causation => "ce-causationid",
            Self::Hops => "ce-hops",
            Self::DataVersion => "ce-dataversion",
            Self::ContentType => "content-type",
            Self::DataContentType => "ce-datacontenttype",
            Self::TraceParent => "traceparent",
            Self::TraceState => "tracestate",
            Self::OriginParent => "ce-traceparent",
            Self::OriginState => "ce-tracestate",
            Self::Baggage => "baggage",
            Self::TraceMode => trace::MODE,
        }
    }
}

/// The headers of one message.
#[derive(Default)]
pub(crate) struct Attributes<'a> {
    known: [Option<&'a str>; Name::COUNT],
    others: Vec<(&'a str, &'a str)>,
}

impl<'a> From<&'a Flat> for Attributes<'a> {
    fn from(headers: &'a Flat) -> Self {
        Self::of(headers.last())
    }
}

impl<'a> From<&'a HeaderMap> for Attributes<'a> {
    fn from(headers: &'a HeaderMap) -> Self {
        let last = |(name, values): (&'a HeaderName, &'a Vec<HeaderValue>)| {
            let text: &'a str = name.as_ref();
            Some((text, values.last()?.as_str()))
        };
        Self::of(headers.iter().filter_map(last))
    }
}

impl<'a> Attributes<'a> {
    /// Of several of one name the last counts, as the publisher's last word; names are read without
    /// regard to case, and one in lower case before others.
    fn of(last: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut found = Self::default();
        last.for_each(|(name, value)| found.sort(name, value));
        found
    }

    fn sort(&mut self, text: &'a str, value: &'a str) {
        if let Some(name) = Name::of(text) {
            self.known[name as usize] = Some(value);
            return;
        }
        let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
        match upper.then(|| Name::of(&text.to_ascii_lowercase())).flatten() {
            Some(name) => {
                self.known[name as usize].get_or_insert(value);
            }
            None => self.others.push((text, value)),
        }
    }

    /// As it stands there: a header that is no attribute of CloudEvents.
    pub(super) fn raw(&self, name: Name) -> Option<&'a str> {
        self.known[name as usize]
    }

    pub(super) fn text(&self, name: Name) -> Result<Option<Cow<'a, str>>, Unreadable> {
        let Some(text) = self.known[name as usize] else { return Ok(None) };
        unescape(text).map(Some).ok_or(Unreadable::Escape { name: name.text() })
    }

    /// From wherever it is: the broker takes its own header from copies.
    pub(super) fn id(&self) -> Result<Option<EventId>, Unreadable> {
        for name in [Name::Id, Name::OwnId, Name::MessageId] {
            if let Some(id) = self.event_id(name)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// An id that is none is as good as missing.
    pub(super) fn event_id(&self, name: Name) -> Result<Option<EventId>, Unreadable> {
        Ok(self.text(name)?.and_then(|text| EventId::parse(&text).ok()))
    }

    pub(super) fn number(&self, name: Name) -> Result<Option<u32>, Unreadable> {
        Ok(self.text(name)?.and_then(|text| text.parse().ok()))
    }

    pub(super) fn time(&self, name: Name) -> Result<Option<SystemTime>, Unreadable> {
        Ok(self.text(name)?.and_then(|text| super::time(&text)))
    }

    /// Everything that is neither ours nor the broker's, sorted, for the client's map has no order;
    /// what is too much is left out.
    pub(super) fn publishers_own(mut self, envelope: &mut Envelope) {
        self.others.sort_unstable();
        for (name, value) in self.others {
            let _ = envelope.headers.receive(name, value);
        }
    }
}
