//! The trace: what we write, what others do, and what becomes of it on a copy.

use bus_core::envelope::{MAX_BAGGAGE, MAX_TRACE_STATE, Trace, TraceContext, TraceParent};

use super::*;
use crate::headers::trace::forward;

const HOP: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const ORIGIN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn context(parent: &str, state: Option<&str>) -> Option<TraceContext> {
    Some(TraceContext::read(Some(parent), state).unwrap())
}

fn trace(hop: Option<TraceContext>, origin: Option<TraceContext>) -> Trace {
    let mut trace = Trace::default();
    (trace.hop, trace.origin) = (hop, origin);
    trace
}

fn read_of(headers: &[(&str, &str)]) -> Trace {
    let envelope = arrived(headers, "{}").unwrap();
    assert!(envelope.headers.is_empty(), "{:?}", envelope.headers);
    envelope.trace
}

fn written(trace: Trace) -> Vec<(String, String)> {
    let mut envelope = Envelope::new(EventId::now(), "t", Subject::literal("a.b"), "{}");
    envelope.trace = trace;
    let about = ["trace", "baggage"];
    let headers = Writer::default().write(&envelope);
    let mut all = sorted(&headers);
    all.retain(|(name, _)| about.iter().any(|about| name.contains(about)));
    all
}

fn sorted(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, values) in headers.iter() {
        all.extend(values.iter().map(|value| (name.to_string(), value.to_string())));
    }
    all.sort();
    all
}

fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Of all shapes that a bus writes: both contexts, or none.
pub(super) fn traces() -> impl Strategy<Value = Trace> {
    let state = || proptest::option::of("[a-z0-9]{1,9}=[!-~]([ -~]{0,60}[!-~])?");
    let ids = || (1..=u128::MAX, 1..=u64::MAX, 0..4_u8);
    let context = move || (ids(), state());
    let baggage = proptest::option::of("[a-z]{1,9}=[!-~]{1,40}");
    let contexts = proptest::option::of((context(), context()));
    (contexts, baggage, any::<bool>()).prop_map(|(contexts, baggage, fresh)| {
        let context = |((trace, span, flags), state): ((u128, u64, u8), Option<String>)| {
            TraceContext::new(TraceParent::new(trace, span, flags).unwrap(), state.as_deref())
        };
        let (hop, origin) = contexts.map(|(hop, origin)| (context(hop), context(origin))).unzip();
        let mut trace = trace(hop, origin);
        trace.baggage = baggage.map(Into::into);
        trace.fresh = fresh;
        trace
    })
}

#[test]
fn a_trace_is_written_in_lower_case_and_its_attributes_are_escaped() {
    let state = "vendor=a b,other=\"1%\"";
    let mut whole = trace(context(HOP, Some(state)), context(ORIGIN, Some(state)));
    (whole.baggage, whole.fresh) = (Some("tenant=acme corp".into()), true);
    let expected = [
        ("baggage", "tenant=acme corp"),
        ("bus-trace", "new"),
        ("ce-traceparent", ORIGIN),
        ("ce-tracestate", "vendor=a%20b,other=%221%25%22"),
        ("traceparent", HOP),
        ("tracestate", state),
    ];
    assert_eq!(written(whole), pairs(&expected));
    assert!(written(Trace::default()).is_empty());
}

#[test]
fn no_header_is_empty_and_none_breaks_the_line() {
    for bad in ["", "a=b\r\nNats-Rollup: all", "a=b\n"] {
        let mut trace = trace(context(HOP, None), None);
        trace.hop.as_mut().unwrap().state = Some(bad.into());
        trace.baggage = Some(bad.into());
        assert_eq!(written(trace), pairs(&[("traceparent", HOP)]), "{bad:?}");
    }
    let mut empty = trace(None, context(ORIGIN, None));
    empty.origin.as_mut().unwrap().state = Some("".into());
    assert_eq!(written(empty), pairs(&[("ce-traceparent", ORIGIN)]));
}

#[test]
fn who_has_one_of_hop_and_origin_has_both() {
    let (hop, origin) = (context(HOP, Some("a=1")), context(ORIGIN, Some("b=2 3")));
    let hops = [("traceparent", HOP), ("tracestate", "a=1")];
    let origins = [("ce-traceparent", ORIGIN), ("ce-tracestate", "b=2%203")];
    assert_eq!(read_of(&hops), trace(hop.clone(), hop.clone()));
    assert_eq!(read_of(&origins), trace(origin.clone(), origin.clone()));
    assert_eq!(read_of(&[hops, origins].concat()), trace(hop, origin));
    // A state is nothing without its span.
    assert_eq!(read_of(&[hops[1], origins[1]]), Trace::default());
}

#[test]
fn a_foreign_trace_is_read_in_any_case_and_of_several_the_last() {
    let headers = [
        ("Traceparent", ORIGIN),
        ("Traceparent", HOP),
        ("TraceState", "a=1"),
        ("BAGGAGE", "tenant=acme"),
        ("Bus-Trace", "New"),
    ];
    let mut expected = trace(context(HOP, Some("a=1")), context(HOP, Some("a=1")));
    (expected.baggage, expected.fresh) = (Some("tenant=acme".into()), true);
    assert_eq!(read_of(&headers), expected);
    // Also where the attribute is quoted, and in lower case before others.
    let quoted = format!("\"{HOP}\"");
    let read = read_of(&[("CE-TraceParent", ORIGIN), ("ce-traceparent", &quoted)]);
    assert_eq!(read.origin, context(HOP, None));
}

#[test]
fn what_is_malformed_is_ignored_and_the_event_is_read() {
    let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
    let upper = HOP.to_uppercase();
    for bad in ["", "x", zero, &upper, "%C0%A0", "00-€"] {
        let headers = [("traceparent", bad), ("ce-traceparent", bad), ("tracestate", "a=1")];
        assert_eq!(read_of(&headers), Trace::default(), "{bad}");
        let one = read_of(&[("traceparent", bad), ("ce-traceparent", ORIGIN)]);
        assert_eq!(one, trace(context(ORIGIN, None), context(ORIGIN, None)), "{bad}");
    }
    let (long, longer) = ("x".repeat(MAX_TRACE_STATE + 1), "x".repeat(MAX_BAGGAGE + 1));
    for (state, baggage) in [("", ""), (" ", " "), ("é=1", "é=1"), (&long, &longer)] {
        let headers = [("traceparent", HOP), ("tracestate", state), ("baggage", baggage)];
        assert_eq!(read_of(&headers), trace(context(HOP, None), context(HOP, None)));
    }
    let escape = read_of(&[("ce-traceparent", ORIGIN), ("ce-tracestate", "%C0%A0")]);
    assert_eq!(escape.origin, context(ORIGIN, None));
}

#[test]
fn a_structured_event_says_itself_where_it_comes_from() {
    let structured = |members: &str, headers: &[(&str, &str)]| {
        let json = format!(r#"{{"specversion":"1.0","type":"t","source":"/s","id":"1"{members}}}"#);
        let kind = [("content-type", "application/cloudevents+json")];
        let headers = map(&[&kind, headers].concat());
        read("a.b", &headers, json.into(), STORED).unwrap().trace
    };
    let own = format!(r#","traceparent":"{ORIGIN}","tracestate":"b=2""#);
    let (hop, origin) = (context(HOP, None), context(ORIGIN, Some("b=2")));
    assert_eq!(structured(&own, &[]), trace(origin.clone(), origin.clone()));
    let headers = [("traceparent", HOP), ("ce-traceparent", HOP)];
    assert_eq!(structured(&own, &headers), trace(hop.clone(), origin));
    for odd in [r#","traceparent":7,"tracestate":{}"#, r#","traceparent":null"#, ""] {
        assert_eq!(structured(odd, &headers), trace(hop.clone(), hop.clone()), "{odd}");
    }
}

#[test]
fn another_hop_takes_the_place_of_the_first_and_the_origin_stays() {
    let (old, new) =
        ("00-11111111111111111111111111111111-1111111111111111-01", context(HOP, None));
    let forwarded =
        |headers: &[(&str, &str)]| sorted(&forward(&map(headers), new.as_ref().unwrap()));
    let whole = [
        ("Traceparent", old),
        ("traceparent", old),
        ("tracestate", "a=1"),
        ("ce-traceparent", ORIGIN),
        ("ce-tracestate", "b=2"),
        ("baggage", "c=3"),
        ("tenant", "acme"),
    ];
    let expected = [whole[5], whole[3], whole[4], whole[6], ("traceparent", HOP)];
    assert_eq!(forwarded(&whole), pairs(&expected));
    // The origin of one that had none is its first hop.
    let kept = [("ce-traceparent", old), ("ce-tracestate", "a=1"), ("traceparent", HOP)];
    assert_eq!(forwarded(&[("TRACEPARENT", old), ("tracestate", "a=1")]), pairs(&kept));
    let malformed = [("Ce-Traceparent", "x"), ("CE-tracestate", "y"), whole[1], whole[2]];
    assert_eq!(forwarded(&malformed), pairs(&kept));
    assert_eq!(forwarded(&[]), pairs(&[("traceparent", HOP)]));
}
