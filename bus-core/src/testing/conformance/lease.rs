//! A delivery belongs to one member while that one lives, and to the group again afterwards.

use std::time::Duration;

use tokio::time::Instant;

use super::answer::ack;
use super::bench::Bench;
use super::member::{Member, texts};
use crate::transport::Plan;

/// A delivery that was dropped comes back after its lease: not before, and not much later.
pub async fn a_dropped_delivery_comes_back_after_its_lease(bench: Bench) {
    let mut member = bench.subscribe(bench.leased("charge")).await;
    // The lease begins with the delivery, which is not before the event is published.
    let since = Instant::now();
    bench.publish("a").await;
    drop(member.receives("a").await);
    ack(member.due(since, bench.settings.lease, "a").await).await;
    bench.all_done("charge").await;
}

/// A run that began and did not end is an attempt: it may be what killed its worker.
pub async fn a_run_that_was_dropped_counts(bench: Bench) {
    let mut member = bench.subscribe(bench.leased("charge")).await;
    bench.publish("a").await;
    for attempt in 1..=3 {
        let delivery = member.runs("a").await;
        assert_eq!(delivery.history().next_attempt(), attempt);
        drop(delivery);
    }
}

/// A delivery that only waited for its run has not failed.
pub async fn a_delivery_that_never_began_does_not_count(bench: Bench) {
    let mut member = bench.subscribe(bench.leased("charge")).await;
    bench.publish("a").await;
    for _ in 0..4 {
        let delivery = member.receives("a").await;
        assert_eq!((delivery.history().attempts, delivery.history().first_failure), (0, None));
        drop(delivery);
    }
}

/// What is dropped does not hold up what follows.
pub async fn a_dropped_delivery_does_not_hold_up_others(bench: Bench) {
    let mut member = bench.subscribe(bench.leased("charge")).await;
    bench.publish("dropped").await;
    drop(member.runs("dropped").await);
    bench.publish("next").await;
    ack(member.runs("next").await).await;
    ack(member.runs("dropped").await).await;
}

/// A delivery that a living member holds is renewed for many leases, whether its run began or
/// not, and goes to nobody else meanwhile.
pub async fn a_held_delivery_is_not_given_to_another(bench: Bench) {
    if fixed_leases(&bench).await {
        return;
    }
    let mut holds = bench.subscribe(bench.leased("charge")).await;
    for text in ["waits", "runs"] {
        bench.publish(text).await;
    }
    let waits = holds.receives("waits").await;
    let runs = holds.runs("runs").await;
    let mut other = bench.subscribe_elsewhere(bench.leased("charge")).await;
    let (time, quiet) = (bench.settings.lease * 5, bench.settings.quiet);
    hear_nothing_for(&mut holds, &mut other, time).await;
    ack(waits).await;
    ack(runs).await;
    hear_nothing_for(&mut holds, &mut other, bench.settings.lease + quiet).await;
}

/// A run within its time-out is left alone; one beyond it hangs, and its event is given away.
pub async fn a_run_beyond_its_time_out_is_given_away(bench: Bench) {
    let fixed = fixed_leases(&bench).await;
    let (lease, mut group) = (bench.settings.lease, bench.leased("charge"));
    group.timeout = lease * 2;
    let mut member = bench.subscribe(group).await;
    let since = Instant::now();
    bench.publish("hangs").await;
    let hangs = member.runs("hangs").await;
    let first = if fixed { lease } else { lease * 2 };
    let again = member.due_between(since, first, lease * 3, "hangs").await;
    assert_eq!(again.history().next_attempt(), 2);
    ack(again).await;
    drop(hangs);
    member.hears_nothing_for(lease * 2 + bench.settings.quiet).await;
}

/// Many that are dropped at the same time come back, each of them once.
pub async fn many_dropped_deliveries_come_back_once_each(bench: Bench) {
    let mut member = bench.subscribe(bench.leased("charge")).await;
    for number in 100..200 {
        bench.publish(&number.to_string()).await;
    }
    drop(member.take(100).await);
    let mut again = member.take(100).await;
    again.sort_by_key(|delivery| delivery.envelope().payload.clone());
    let expected: Vec<String> = (100..200).map(|number| number.to_string()).collect();
    assert_eq!(texts(&again), expected);
    for delivery in again {
        ack(delivery).await;
    }
    member.hears_nothing_for(bench.settings.lease * 2 + bench.settings.quiet).await;
}

async fn hear_nothing_for(one: &mut Member, other: &mut Member, time: Duration) {
    tokio::join!(one.hears_nothing_for(time), other.hears_nothing_for(time));
}

async fn fixed_leases(bench: &Bench) -> bool {
    let plan = Plan::new(bench.settings.domain.as_str(), Vec::new());
    bench.transport.survey(&plan).await.is_ok_and(|survey| survey.fixed_leases)
}
