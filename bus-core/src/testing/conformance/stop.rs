//! A member that stops takes no new work and keeps nothing back.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::{ack, release, retry};
use super::bench::{Bench, behind};
use super::member::{text, texts};

/// After its stop a member yields nothing more; another gets the rest at once, untouched.
pub async fn a_stop_hands_back_what_was_not_yielded(bench: Bench) {
    let mut stops = bench.join("charge").await;
    for number in 0..20 {
        bench.publish(&number.to_string()).await;
    }
    ack(stops.runs("0").await).await;
    stops.stop();
    let mut stays = bench.subscribe_elsewhere(bench.group("charge")).await;
    let since = Instant::now();
    let rest = stays.take(19).await;
    // Far less than a lease, which would bring them back as well.
    assert!(since.elapsed() <= bench.settings.slack + Duration::from_secs(1), "they came late");
    let distinct: BTreeSet<&str> = rest.iter().map(text).collect();
    assert_eq!(distinct.len(), 19);
    for delivery in rest {
        assert_eq!(delivery.history().next_attempt(), 1);
        ack(delivery).await;
    }
}

/// After its stop a member yields nothing, also of what is published later.
pub async fn a_stopped_member_takes_nothing_more(bench: Bench) {
    let mut stops = bench.join("charge").await;
    bench.publish("before").await;
    stops.stop();
    bench.publish("after").await;
    stops.yields_no_more_for(bench.settings.quiet).await;
    let mut stays = bench.join("charge").await;
    let mut arrived = stays.take(2).await;
    arrived.sort_by_key(|delivery| delivery.envelope().payload.clone());
    assert_eq!(texts(&arrived), ["after", "before"]);
}

/// What was yielded before the stop can be answered after it, and stays answered.
pub async fn a_delivery_can_be_answered_after_the_stop(bench: Bench) {
    let mut stops = bench.subscribe(bench.leased("charge")).await;
    for text in ["done", "fails", "released"] {
        bench.publish(text).await;
    }
    let done = stops.runs("done").await;
    let fails = stops.runs("fails").await;
    let released = stops.receives("released").await;
    stops.stop();
    ack(done).await;
    retry(fails, bench.settings.quiet).await;
    release(released).await;
    stops.flush().await;
    drop(stops);

    let mut stays = bench.subscribe(bench.leased("charge")).await;
    let released = stays.runs("released").await;
    assert_eq!(released.history().next_attempt(), 1);
    ack(released).await;
    let fails = stays.runs("fails").await;
    assert_eq!(fails.history().next_attempt(), 2);
    ack(fails).await;
    stays.hears_nothing_for(bench.settings.lease * 2 + bench.settings.quiet).await;
}

/// When the flush ends the answers have reached the broker.
pub async fn a_flush_ends_when_all_answers_have_arrived(bench: Bench) {
    let mut member = bench.join("charge").await;
    for number in 0..100 {
        bench.publish(&number.to_string()).await;
    }
    for delivery in member.take(100).await {
        ack(delivery).await;
    }
    member.stop();
    member.flush().await;
    let lag = bench.lag("charge").await;
    assert_eq!(behind(lag), 0, "{lag:?}");
    member.flush().await;
}

/// A stop does not touch what other members of the group hold.
pub async fn a_stop_leaves_other_members_alone(bench: Bench) {
    let mut stays = bench.join("charge").await;
    bench.publish("held").await;
    let held = stays.runs("held").await;
    let mut stops = bench.subscribe_elsewhere(bench.group("charge")).await;
    stops.stop();
    stops.flush().await;
    drop(stops);
    stays.hears_nothing_for(bench.settings.quiet).await;
    ack(held).await;
    bench.publish("next").await;
    ack(stays.runs("next").await).await;
}
