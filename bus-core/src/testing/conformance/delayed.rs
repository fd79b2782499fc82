//! An event may wait on the broker for its time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::answer::ack;
use super::bench::Bench;
use super::member::text;
use crate::envelope::EventId;
use crate::transport::Start;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A delayed event comes when it is due: not before, and not much later.
pub async fn a_delayed_event_comes_when_it_is_due(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    let mut member = bench.join("charge").await;
    let since = Instant::now();
    bench.send_after(bench.event("a"), SECOND).await;
    ack(member.due(since, SECOND, "a").await).await;
    bench.all_done("charge").await;
}

/// What is due already comes at once.
pub async fn a_delayed_event_that_is_due_comes_at_once(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    let mut member = bench.join("charge").await;
    let since = Instant::now();
    let stored = bench.transport.publish_at(bench.event("a"), bench.now() - DAY).await;
    assert_eq!(stored, Ok(()));
    ack(member.due(since, Duration::ZERO, "a").await).await;
}

/// Having waited changes nothing of an event, and its first run is the first.
pub async fn a_delayed_event_is_the_same_envelope(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    let mut member = bench.join("charge").await;
    let mut sent = bench.event("whole");
    (sent.version, sent.key) = (7, Some("order-4711".to_owned()));
    (sent.correlation, sent.causation) = (EventId::now(), Some(EventId::now()));
    assert_eq!(sent.headers.insert("tenant", "acme"), Ok(()));
    bench.send_after(sent.clone(), SECOND).await;
    let delivery = member.runs("whole").await;
    assert_eq!(**delivery.envelope(), sent);
    assert_eq!(delivery.history().next_attempt(), 1);
    ack(delivery).await;
}

/// Until it is due it is nothing to any group: not delivered, and not behind.
pub async fn a_delayed_event_is_seen_by_no_group_before(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    let mut groups = [bench.join("charge").await, bench.join("mail").await];
    let (since, delay) = (Instant::now(), SECOND * 2);
    bench.send_after(bench.event("a"), delay).await;
    bench.all_done("charge").await;
    for member in &mut groups {
        member.hears_nothing_for(SECOND / 2).await;
    }
    for member in &mut groups {
        ack(member.due(since, delay, "a").await).await;
    }
}

/// Events that are published while one waits come before it.
pub async fn a_delayed_event_does_not_hold_up_others(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    let mut member = bench.join("charge").await;
    bench.send_after(bench.event("later"), SECOND).await;
    bench.publish("now").await;
    ack(member.runs("now").await).await;
    ack(member.runs("later").await).await;
}

/// The broker keeps it, whatever becomes of the one that published it.
pub async fn a_delayed_event_outlives_its_publisher(mut bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    let mut member = bench.join("charge").await;
    let (since, due) = (Instant::now(), bench.now() + SECOND);
    let stored = bench.elsewhere.publish_at(bench.event("a"), due).await;
    assert_eq!(stored, Ok(()));
    bench.elsewhere = Arc::clone(&bench.transport);
    ack(member.due(since, SECOND, "a").await).await;
}

/// A long time is kept like a short one.
pub async fn an_event_can_wait_for_a_day(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    let mut member = bench.join("charge").await;
    let (since, event) = (Instant::now(), bench.event("a"));
    bench.send_after(event.clone(), DAY).await;
    if DAY > bench.settings.longest {
        member.hears_nothing_for(bench.settings.quiet).await;
        assert!(bench.cancel(&event.id).await, "it does not wait");
        return;
    }
    ack(member.due(since, DAY, "a").await).await;
}

/// An id is stored once, whether it is published for its time or for now.
pub async fn a_delayed_id_is_stored_once(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    let mut member = bench.join("charge").await;
    let event = bench.event("once");
    bench.send_after(event.clone(), SECOND).await;
    bench.send_after(event.clone(), SECOND * 3 / 2).await;
    bench.send(event.clone()).await;
    ack(member.runs("once").await).await;
    bench.send_after(event, SECOND / 2).await;
    member.hears_nothing_for(SECOND + bench.settings.quiet).await;
}

/// The window may end while an event waits, and its id is still known.
pub async fn a_delayed_id_is_stored_once_while_it_waits(bench: Bench) {
    let Some(window) = bench.settings.duplicate_window else { return };
    if bench.delays_nothing().await || window * 4 > bench.settings.longest {
        return;
    }
    let mut member = bench.join("charge").await;
    let event = bench.event("once");
    bench.send_after(event.clone(), window * 2).await;
    bench.pass(window + window / 2).await;
    bench.send_after(event, window).await;
    ack(member.runs("once").await).await;
    member.hears_nothing_for(window).await;
}

/// Many that are due at the same time come once each.
pub async fn many_delayed_events_come_once_each(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    let mut member = bench.join("charge").await;
    let mut open: BTreeSet<_> = (0..300).map(|number| number.to_string()).collect();
    let sent = open.iter().map(|number| bench.send_after(bench.event(number), SECOND));
    join_all(sent).await;
    while !open.is_empty() {
        let delivery = member.next().await;
        assert!(open.remove(text(&delivery)), "`{}` came twice", text(&delivery));
        ack(delivery).await;
    }
    member.hears_nothing_for(bench.settings.quiet).await;
}

/// A group that is made while it waits receives it, wherever the group starts.
pub async fn a_group_that_is_made_meanwhile_receives_it(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    let since = Instant::now();
    bench.send_after(bench.event("a"), SECOND).await;
    let mut group = bench.group("charge");
    group.start = Start::Now;
    let mut member = bench.subscribe(group).await;
    ack(member.due(since, SECOND, "a").await).await;
}

/// It is kept for groups that do not exist yet, as any event is.
pub async fn a_group_that_is_made_afterwards_receives_it(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    bench.send_after(bench.event("a"), SECOND / 2).await;
    bench.pass(SECOND / 2 + bench.settings.slack).await;
    bench.publish("b").await;
    let mut member = bench.join("charge").await;
    ack(member.runs("a").await).await;
    ack(member.runs("b").await).await;
}

/// Their order is that of their times, and not that of the calls.
pub async fn delayed_events_come_in_the_order_of_their_times(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    let mut member = bench.join("charge").await;
    for (tenths, text) in [(20, "third"), (14, "second"), (8, "first")] {
        bench.send_after(bench.event(text), SECOND * tenths / 10).await;
    }
    for text in ["first", "second", "third"] {
        ack(member.runs(text).await).await;
    }
}
