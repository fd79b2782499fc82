//! The headers of a message, sorted out in one pass.

use std::borrow::Cow;
use std::time::SystemTime;

use async_nats::HeaderMap;
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

/// What a header is to a reader of events.
pub(super) enum Sort {
    /// One of those that make an event, and how its name is written.
    Known(Name, Case),
    /// Said elsewhere as well.
    Nothing,
    /// The publisher's own, or nobody's.
    Other,
}

/// How a name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Lower,
    Other,
}

impl Name {
    const COUNT: usize = 19;

    /// Names are read without regard to case.
    pub(super) fn sort(text: &str) -> Sort {
        if let Some(name) = Self::of(text) {
            return Sort::Known(name, Case::Lower);
        }
        if matches!(text, "ce-specversion" | "ce-subject") {
            return Sort::Nothing;
        }
        let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
        let name = upper.then(|| Self::of(&text.to_ascii_lowercase())).flatten();
        name.map_or(Sort::Other, |name| Sort::Known(name, Case::Other))
    }

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

/// Something for each of the headers that make an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<T>([Option<T>; Name::COUNT]);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self([const { None }; Name::COUNT])
    }
}

impl<T: Copy> Known<T> {
    fn get(&self, name: Name) -> Option<T> {
        self.0[name as usize]
    }

    /// One in lower case goes before others.
    pub(super) fn put(&mut self, name: Name, case: Case, found: T) {
        let place = &mut self.0[name as usize];
        if case == Case::Lower || place.is_none() {
            *place = Some(found);
        }
    }

    pub(super) fn map<U>(&self, change: impl Fn(T) -> Option<U>) -> Known<U> {
        Known(self.0.map(|found| found.and_then(&change)))
    }
}

/// The headers of one message. Of several of one name the last counts, as the publisher's last word.
#[derive(Default)]
pub(crate) struct Attributes<'a> {
    known: Known<&'a str>,
    others: Vec<(&'a str, &'a str)>,
}

impl<'a> From<&'a Flat> for Attributes<'a> {
    fn from(headers: &'a Flat) -> Self {
        Self { known: headers.known(), others: headers.others().collect() }
    }
}

impl<'a> From<&'a HeaderMap> for Attributes<'a> {
    fn from(headers: &'a HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, values) in headers.iter() {
            let (name, Some(last)): (&str, _) = (name.as_ref(), values.last()) else { continue };
            match Name::sort(name) {
                Sort::Known(name, case) => found.known.put(name, case, last.as_str()),
                Sort::Other => found.others.push((name, last.as_str())),
                Sort::Nothing => {}
            }
        }
        found
    }
}

impl<'a> Attributes<'a> {
    /// As it stands there: a header that is no attribute of CloudEvents.
    pub(super) fn raw(&self, name: Name) -> Option<&'a str> {
        self.known.get(name)
    }

    pub(super) fn text(&self, name: Name) -> Result<Option<Cow<'a, str>>, Unreadable> {
        let Some(text) = self.known.get(name) else { return Ok(None) };
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
