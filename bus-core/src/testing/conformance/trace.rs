//! The trace of an event stays with it wherever it goes, and a run knows the span of the one before.

use std::panic::Location;
use std::time::Duration;

use super::answer::{ack, failed, release};
use super::bench::Bench;
use super::member::fail;
use crate::delivery::Delivery;
use crate::envelope::{Envelope, Trace, TraceContext, TraceParent};
use crate::settle::{Reason, Settlement};

const SECOND: Duration = Duration::from_secs(1);

/// Hop and origin with what tracing systems say of them, baggage and the wish for a trace of its
/// own arrive; and so does their absence.
pub async fn the_trace_travels_whole(bench: Bench) {
    let mut member = bench.join("charge").await;
    let bare = |number| Some(TraceContext { state: None, ..context(number) });
    let traces = [
        whole(),
        Trace::default(),
        Trace { hop: bare(3), origin: bare(4), ..Trace::default() },
        Trace { fresh: true, ..Trace::default() },
        Trace { baggage: None, fresh: false, ..whole() },
    ];
    for trace in traces {
        bench.send(Envelope { trace: trace.clone(), ..bench.event("a") }).await;
        let delivery = member.runs("a").await;
        assert_eq!(delivery.envelope().trace, trace);
        assert_eq!(delivery.history().previous, None);
        ack(delivery).await;
    }
}

/// Having waited for its time changes nothing of an event's trace.
pub async fn a_delayed_event_keeps_its_trace(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    let mut member = bench.join("charge").await;
    bench.send_after(traced(&bench), SECOND).await;
    let delivery = member.runs("a").await;
    assert_eq!(delivery.envelope().trace, whole());
    assert_eq!(delivery.history().previous, None);
    ack(delivery).await;
}

/// A run is told the span of the one that failed before it, whatever the delay, whoever runs it, and
/// also where it was handed back in between. The trace is the same.
pub async fn a_retry_names_the_span_before(bench: Bench) {
    let mut member = bench.join("charge").await;
    bench.send(traced(&bench)).await;
    let (mut previous, short) = (None, SECOND / 5);
    for (number, delay) in (1..).zip([Duration::ZERO, SECOND, short, SECOND, Duration::ZERO]) {
        let handed_back = member.runs("a").await;
        assert_eq!(handed_back.history().previous, previous);
        release(handed_back).await;
        let delivery = member.runs("a").await;
        assert_eq!(delivery.history().previous, previous);
        assert_eq!(delivery.envelope().trace, whole());
        retry(delivery, number, delay).await;
        previous = Some(span(number));
        member.stop();
        member.flush().await;
        let elsewhere = bench.subscribe_elsewhere(bench.group("charge")).await;
        member = elsewhere;
    }
    let last = member.runs("a").await;
    assert_eq!((last.history().previous, &last.envelope().trace), (previous, &whole()));
    ack(last).await;
}

/// A record holds the trace of its event, and the span that wrote it.
pub async fn a_dead_letter_keeps_its_trace_and_span(bench: Bench) {
    let mut member = bench.join("charge").await;
    for delay in [Duration::ZERO, SECOND] {
        bench.send(traced(&bench)).await;
        retry(member.runs("a").await, 1, delay).await;
        give_up(member.runs("a").await, 2).await;
    }
    let letters = bench.dead_letters("charge").await;
    assert_eq!(letters.len(), if bench.settings.operator { 2 } else { 0 });
    for letter in letters {
        assert_eq!((&letter.envelope.trace, letter.failed.span), (&whole(), Some(span(2))));
    }
}

/// Who redrives is the new hop of an event, and what published it its origin for ever. Its runs begin
/// anew, and so there is none before.
pub async fn a_redrive_gets_a_new_hop_and_keeps_the_origin(bench: Bench) {
    let Some(operator) = bench.operator() else { return };
    let mut member = bench.join("charge").await;
    let hop = TraceContext::new(span(7), None);
    let redriven = Trace { hop: Some(hop.clone()), ..whole() };
    // An event without a trace is part of the one that redrives it.
    let (began, none) = (Some(hop.clone()), Trace::default());
    let begun = Trace { hop: began.clone(), origin: began, ..none.clone() };
    for (sent, expected) in [(whole(), redriven), (none, begun)] {
        bench.send(Envelope { trace: sent.clone(), ..bench.event("a") }).await;
        retry(member.runs("a").await, 1, Duration::ZERO).await;
        give_up(member.runs("a").await, 2).await;
        for (with, expected) in [(None, &sent), (Some(&hop), &expected), (None, &expected)] {
            for letter in bench.dead_letters("charge").await {
                assert_eq!(operator.redrive(&letter.id, with).await, Ok(()));
            }
            let delivery = member.runs("a").await;
            assert_eq!(delivery.history().previous, None);
            assert_eq!(delivery.envelope().trace, *expected);
            retry(delivery, 3, Duration::ZERO).await;
            let again = member.runs("a").await;
            assert_eq!(again.history().previous, Some(span(3)));
            assert_eq!(again.envelope().trace, *expected);
            give_up(again, 4).await;
        }
        for letter in bench.dead_letters("charge").await {
            assert_eq!(operator.purge(&letter.id).await, Ok(()));
        }
    }
}

/// One of many spans; each belongs to a trace of its own.
fn span(number: u64) -> TraceParent {
    let trace = u128::MAX / 3 + u128::from(number);
    let span = TraceParent::new(trace, number, 1);
    span.unwrap_or_else(|| fail(Location::caller(), &"zero is no span"))
}

fn context(number: u64) -> TraceContext {
    TraceContext::new(span(number), Some("vendor=a:b;c=\"d\" %41,other=1"))
}

fn whole() -> Trace {
    let mut trace =
        Trace { hop: Some(context(10)), origin: Some(context(20)), fresh: true, baggage: None };
    trace.read_baggage("tenant=acme%20corp, region=eu");
    trace
}

fn traced(bench: &Bench) -> Envelope {
    Envelope { trace: whole(), ..bench.event("a") }
}

async fn retry(delivery: Delivery, number: u64, after: Duration) {
    let mut failed = failed(&delivery);
    failed.span = Some(span(number));
    assert_eq!(delivery.settle(Settlement::Retry { after, failed }).await, Ok(()));
}

async fn give_up(delivery: Delivery, number: u64) {
    let mut failed = failed(&delivery);
    failed.span = Some(span(number));
    let answer = Settlement::DeadLetter { reason: Reason::Exhausted, failed };
    assert_eq!(delivery.settle(answer).await, Ok(()));
}
