//! The trace ⇄ its headers: `traceparent`, `tracestate` and `baggage` of the W3C, the two attributes of
//! CloudEvents' distributed tracing, and one header of the bus's own.

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue};
use bus_core::envelope::{Trace, TraceContext};

use super::attributes::{Attributes, Name};
use super::write::set;

/// How the trace goes on: [`NEW`], or as ever.
pub(super) const MODE: &str = "bus-trace";

/// Handlers begin a trace of their own.
const NEW: &str = "new";

pub(super) fn write(headers: &mut HeaderMap, trace: &Trace) {
    if let Some(hop) = &trace.hop {
        write_hop(headers, hop);
    }
    if let Some(origin) = &trace.origin {
        write_origin(headers, origin);
    }
    if let Some(baggage) = &trace.baggage {
        plain(headers, &names::BAGGAGE, baggage.to_string());
    }
    if trace.fresh {
        plain(headers, &names::MODE, NEW.to_owned());
    }
}

fn write_hop(headers: &mut HeaderMap, hop: &TraceContext) {
    plain(headers, &names::PARENT, hop.parent.to_string());
    if let Some(state) = &hop.state {
        plain(headers, &names::STATE, state.to_string());
    }
}

fn write_origin(headers: &mut HeaderMap, origin: &TraceContext) {
    plain(headers, &names::ORIGIN_PARENT, origin.parent.to_string());
    if let Some(state) = origin.state.as_deref().filter(|state| !state.is_empty()) {
        // An attribute of CloudEvents: escaped like the others.
        set(headers, &names::ORIGIN_STATE, state);
    }
}

/// As it is: these are nobody's but the W3C's. An empty header would be malformed.
fn plain(headers: &mut HeaderMap, name: &HeaderName, value: String) {
    if !value.is_empty() && !value.contains(['\r', '\n']) {
        headers.insert(name.clone(), HeaderValue::from(value));
    }
}

/// What is malformed is not there. `own` is what the event itself says of its origin, where it has
/// attributes elsewhere than in headers.
pub(super) fn read(found: &Attributes<'_>, own: Option<TraceContext>) -> Trace {
    let raw = |name| found.raw(name);
    let text = |name| found.text(name).ok().flatten();
    let hop = TraceContext::read(raw(Name::TraceParent), raw(Name::TraceState));
    let origin = own.or_else(|| {
        let parent = text(Name::OriginParent)?;
        TraceContext::read(Some(&parent), text(Name::OriginState).as_deref())
    });
    let mut trace = Trace::default();
    // Who has one of them has both: a publisher that knows the one convention need not know the other.
    (trace.hop, trace.origin) = match (hop, origin) {
        (Some(one), None) | (None, Some(one)) => (Some(one.clone()), Some(one)),
        both => both,
    };
    if let Some(baggage) = raw(Name::Baggage) {
        trace.read_baggage(baggage);
    }
    trace.fresh = raw(Name::TraceMode).is_some_and(|mode| mode.eq_ignore_ascii_case(NEW));
    trace
}

/// The same headers with another hop, and the origin that they had.
pub(crate) fn forward(headers: &HeaderMap, hop: &TraceContext) -> HeaderMap {
    let found = Attributes::from(headers);
    let has_origin = found.text(Name::OriginParent).ok().flatten();
    let has_origin = TraceContext::read(has_origin.as_deref(), None).is_some();
    let mut dropped = vec![Name::TraceParent, Name::TraceState];
    let before = TraceContext::read(found.raw(Name::TraceParent), found.raw(Name::TraceState));
    let origin = before.filter(|_| !has_origin);
    if origin.is_some() {
        dropped.extend([Name::OriginParent, Name::OriginState]);
    }
    // The client's map takes nothing out, and knows a name in one case only.
    let mut forwarded = HeaderMap::new();
    for (name, values) in headers.iter() {
        let text: &str = name.as_ref();
        let is = |dropped: &Name| text.eq_ignore_ascii_case(dropped.text());
        if !dropped.iter().any(is) {
            values.iter().for_each(|value| forwarded.append(name.clone(), value.clone()));
        }
    }
    write_hop(&mut forwarded, hop);
    if let Some(origin) = origin {
        write_origin(&mut forwarded, &origin);
    }
    forwarded
}

mod names {
    use async_nats::header::HeaderName;

    pub(super) static PARENT: HeaderName = HeaderName::from_static("traceparent");
    pub(super) static STATE: HeaderName = HeaderName::from_static("tracestate");
    pub(super) static BAGGAGE: HeaderName = HeaderName::from_static("baggage");
    pub(super) static ORIGIN_PARENT: HeaderName = HeaderName::from_static("ce-traceparent");
    pub(super) static ORIGIN_STATE: HeaderName = HeaderName::from_static("ce-tracestate");
    pub(super) static MODE: HeaderName = HeaderName::from_static(super::MODE);
}
