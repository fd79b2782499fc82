//! The headers of a trace on the wire, ours and foreign ones, on an event and on its copies.

use super::*;

const HOP: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const ORIGIN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const REDRIVE: &str = "00-33333333333333333333333333333333-4444444444444444-01";

/// What an event of ours has, sorted; the last is not there on a redriven copy.
const WHOLE: [(&str, &str); 6] = [
    ("baggage", "tenant=acme corp"),
    ("bus-trace", "new"),
    ("ce-traceparent", ORIGIN),
    ("ce-tracestate", "b=2%203"),
    ("traceparent", HOP),
    ("tracestate", "a=1 2"),
];

/// Each header that is about a trace, and each of its values, as `name: value`.
async fn traces(bench: &Bench, stream: &str) -> Vec<String> {
    let headers = bench.last(stream).await.headers;
    let mut all = Vec::new();
    for (name, values) in headers.iter() {
        all.extend(values.iter().map(|value| format!("{name}: {value}")));
    }
    let about = ["trace", "baggage", "prev-attempt"];
    all.retain(|line| {
        let line = line.to_ascii_lowercase();
        about.iter().any(|about| line.split(':').next().unwrap().contains(about))
    });
    all.sort();
    all
}

fn lines(headers: &[(&str, &str)]) -> Vec<String> {
    let mut lines: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    lines.sort();
    lines
}

async fn redrive(bench: &Bench, id: &DeadLetterId, hop: Option<&TraceContext>) {
    bench.transport.redrive(id, hop).await.unwrap();
}

#[tokio::test]
async fn an_event_and_its_copies_have_each_header_once_and_in_lower_case() {
    let mut bench = Bench::new(30 * SECOND).await;
    let mut trace = Trace::default();
    (trace.hop, trace.origin) = (context(HOP, "a=1 2"), context(ORIGIN, "b=2 3"));
    (trace.baggage, trace.fresh) = (Some("tenant=acme corp".into()), true);
    bench.publish(trace).await;
    assert_eq!(traces(&bench, "ORDERS").await, lines(&WHOLE));
    let failed = [&WHOLE[..], &[("bus-prev-attempt", SPAN)]].concat();
    // A copy of a copy has nothing twice.
    for _ in 0..2 {
        retry(bench.run().await, SECOND).await;
        assert_eq!(traces(&bench, "BUS_RETRY").await, lines(&failed));
    }
    let id = bench.give_up().await;
    assert_eq!(traces(&bench, "BUS_DLQ").await, lines(&failed));
    redrive(&bench, &id, None).await;
    assert_eq!(traces(&bench, "BUS_RETRY").await, lines(&WHOLE));
    let id = bench.give_up().await;
    redrive(&bench, &id, context(REDRIVE, "").as_ref()).await;
    let redriven = [&WHOLE[..4], &[("traceparent", REDRIVE)]].concat();
    assert_eq!(traces(&bench, "BUS_RETRY").await, lines(&redriven));
}

#[tokio::test]
async fn an_event_without_a_trace_has_no_header_of_one() {
    let mut bench = Bench::new(30 * SECOND).await;
    bench.publish(Trace::default()).await;
    assert_eq!(traces(&bench, "ORDERS").await, lines(&[]));
    retry(bench.run().await, SECOND).await;
    assert_eq!(traces(&bench, "BUS_RETRY").await, lines(&[("bus-prev-attempt", SPAN)]));
}

#[tokio::test]
async fn a_foreign_trace_is_read_and_is_the_origin_of_what_is_redriven() {
    let mut bench = Bench::new(30 * SECOND).await;
    let foreign = [("Traceparent", HOP), ("TraceState", "a=1 2"), ("ce-type", "placed")];
    bench.publish_raw(&foreign).await;
    let expected = context(HOP, "a=1 2");
    for _ in 0..2 {
        let delivery = bench.run().await;
        let Trace { hop, origin, .. } = &delivery.envelope().trace;
        assert_eq!((hop, origin), (&expected, &expected));
        assert!(delivery.envelope().headers.is_empty());
        retry(delivery, SECOND).await;
    }
    let kept = [&foreign[..2], &[("bus-prev-attempt", SPAN)]].concat();
    assert_eq!(traces(&bench, "BUS_RETRY").await, lines(&kept));
    let id = bench.give_up().await;
    redrive(&bench, &id, context(REDRIVE, "c=3").as_ref()).await;
    let redriven = [
        ("ce-traceparent", HOP),
        ("ce-tracestate", "a=1%202"),
        ("traceparent", REDRIVE),
        ("tracestate", "c=3"),
    ];
    assert_eq!(traces(&bench, "BUS_RETRY").await, lines(&redriven));
    let trace = bench.run().await.envelope().trace.clone();
    assert_eq!((trace.hop, trace.origin), (context(REDRIVE, "c=3"), expected));
}

#[tokio::test]
async fn a_malformed_trace_is_no_reason_to_refuse_an_event() {
    let mut bench = Bench::new(30 * SECOND).await;
    for bad in ["", "00-0-0-0", "%C0%A0"] {
        let headers =
            [("traceparent", bad), ("ce-traceparent", bad), ("tracestate", bad), ("ce-type", "t")];
        bench.publish_raw(&headers).await;
        let delivery = bench.run().await;
        assert_eq!(delivery.envelope().trace, Trace::default(), "{bad}");
        delivery.settle(Settlement::Ack).await.unwrap();
    }
}
