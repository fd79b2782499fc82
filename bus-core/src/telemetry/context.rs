//! OpenTelemetry's context ⇄ what travels with an event.

use opentelemetry::baggage::{Baggage, BaggageExt};
use opentelemetry::trace::{Link, SpanContext, TraceContextExt, TraceState};
use opentelemetry::{Context, KeyValue, SpanId, TraceFlags, TraceId};

use super::Settings;
use super::names::attribute::LINK;
use crate::envelope::{Trace, TraceContext, TraceParent};

/// A span of another process, or one of this one that has ended.
pub(super) fn remote(parent: TraceParent, state: Option<&str>) -> SpanContext {
    // What is no list of members is no state.
    let state = state.and_then(|state| state.parse().ok()).unwrap_or(TraceState::NONE);
    let (trace, span) = (TraceId::from(parent.trace_id()), SpanId::from(parent.span_id()));
    SpanContext::new(trace, span, TraceFlags::new(parent.flags()), true, state)
}

/// A root with a remote parent. Never what happens to be current.
pub(super) fn under(hop: &TraceContext) -> Context {
    Context::new().with_remote_span_context(remote(hop.parent, hop.state.as_deref()))
}

pub(super) fn parent(span: &SpanContext) -> Option<TraceParent> {
    let trace = u128::from_be_bytes(span.trace_id().to_bytes());
    let id = u64::from_be_bytes(span.span_id().to_bytes());
    TraceParent::new(trace, id, span.trace_flags().to_u8())
}

/// As it travels; `None` of a span that does nothing.
pub(super) fn written(span: &SpanContext) -> Option<TraceContext> {
    let parent = parent(span)?;
    if *span.trace_state() == TraceState::NONE {
        return Some(TraceContext::new(parent, None));
    }
    // An empty header is none.
    Some(TraceContext::new(parent, Some(&span.trace_state().header())))
}

pub(super) fn link(to: TraceParent, state: Option<&str>, meaning: &'static str) -> Link {
    Link::new(remote(to, state), vec![KeyValue::new(LINK, meaning)], 0)
}

/// Where an event that begins under `cx` is sent on from.
pub(super) fn leaves(trace: &mut Trace, hop: Option<TraceContext>) {
    if let Some(hop) = hop {
        trace.origin = Some(hop.clone());
        trace.hop = Some(hop);
    }
}

/// What the allow-list lets through, as a header.
pub(super) fn baggage_of(cx: &Context, settings: &Settings) -> Option<String> {
    let mut text = String::new();
    for key in settings.baggage.iter() {
        let Some(value) = cx.baggage().get(key.as_str()) else { continue };
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(key);
        text.push('=');
        escape(&mut text, value.as_str());
    }
    (!text.is_empty()).then_some(text)
}

/// The same into a context; keys that are not on the list stay out.
pub(super) fn with_baggage(cx: Context, header: &str, settings: &Settings) -> Context {
    let mut baggage = Baggage::new();
    for member in header.split(',') {
        let pair = member.split(';').next().and_then(|pair| pair.split_once('='));
        let Some((key, value)) = pair else { continue };
        let known = settings.baggage.iter().find(|known| *known == key.trim());
        if let (Some(key), Some(value)) = (known, unescape(value.trim())) {
            baggage.insert(key.clone(), value);
        }
    }
    if baggage.is_empty() { cx } else { cx.with_baggage(baggage) }
}

/// Percent-encoding, as W3C Baggage has it.
fn escape(text: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+/:<>?@[]^`{|}#".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
            text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

fn unescape(value: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(value.len()), value.bytes());
    while let Some(byte) = rest.next() {
        let half = |digit: Option<u8>| char::from(digit?).to_digit(16);
        bytes.push(match byte {
            b'%' => u8::try_from(half(rest.next())? * 16 + half(rest.next())?).ok()?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}
