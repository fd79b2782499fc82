//! An answer counts for one delivery, once and for good.

use std::time::Duration;

use super::answer::{ack, failed, release, retry};
use super::bench::Bench;
use super::member::{Member, texts};
use crate::delivery::Delivery;
use crate::settle::{SettleError, Settlement};
use crate::transport::Group;

/// An event that is done does not come again, also when its lease would be over.
pub async fn an_ack_is_final(bench: Bench) {
    let mut member = bench.subscribe(bench.leased("charge")).await;
    bench.publish("done").await;
    ack(member.runs("done").await).await;
    member.hears_nothing_for(bench.settings.lease * 3 + bench.settings.quiet).await;
    bench.publish("next").await;
    ack(member.runs("next").await).await;
}

/// An ack is for one event, not for those before it.
pub async fn an_ack_covers_one_event(bench: Bench) {
    let mut member = bench.subscribe(bench.leased("charge")).await;
    for text in ["a", "b", "c"] {
        bench.publish(text).await;
    }
    let mut taken = member.take(3).await;
    assert_eq!(texts(&taken), ["a", "b", "c"]);
    if let Some(last) = taken.pop() {
        ack(last).await;
    }
    drop(taken);
    let mut again = member.take(2).await;
    again.sort_by_key(|delivery| delivery.envelope().payload.clone());
    assert_eq!(texts(&again), ["a", "b"]);
    for delivery in again {
        ack(delivery).await;
    }
    bench.all_done("charge").await;
}

/// Answers may come in another order than the deliveries.
pub async fn answers_may_come_in_any_order(bench: Bench) {
    let mut member = bench.subscribe(bench.leased("charge")).await;
    for number in 0..10 {
        bench.publish(&number.to_string()).await;
    }
    let taken = member.take(10).await;
    for delivery in taken.into_iter().rev() {
        ack(delivery).await;
    }
    member.hears_nothing_for(bench.settings.lease * 2 + bench.settings.quiet).await;
}

/// Each of several deliveries gets its own answer.
pub async fn different_answers_do_not_mix(bench: Bench) {
    let mut member = bench.join("charge").await;
    for text in ["done", "failed", "released"] {
        bench.publish(text).await;
    }
    let done = member.runs("done").await;
    let fails = member.runs("failed").await;
    let released = member.runs("released").await;
    retry(fails, bench.settings.quiet).await;
    ack(done).await;
    release(released).await;
    let released = member.receives("released").await;
    let retried = member.receives("failed").await;
    assert_eq!(released.history().next_attempt(), 1);
    assert_eq!(retried.history().next_attempt(), 2);
    ack(released).await;
    ack(retried).await;
    member.hears_nothing_for(bench.settings.quiet).await;
}

/// An ack that comes after the end of the lease takes nothing from whoever has the event now.
pub async fn a_late_ack_does_no_harm(bench: Bench) {
    let mut member = bench.subscribe(expiring(&bench)).await;
    let (late, again) = overtaken(&bench, &mut member).await;
    accepted_or_expired(late, Settlement::Ack).await;
    accepted_or_expired(again, Settlement::Ack).await;
    bench.publish("next").await;
    ack(member.runs("next").await).await;
    bench.all_done("charge").await;
}

/// A failure that is told after the end of the lease does not bring back what was done since.
pub async fn a_late_retry_does_not_undo_an_ack(bench: Bench) {
    let mut member = bench.subscribe(expiring(&bench)).await;
    let (late, again) = overtaken(&bench, &mut member).await;
    ack(again).await;
    let (after, failed) = (Duration::ZERO, failed(&late));
    accepted_or_expired(late, Settlement::Retry { after, failed }).await;
    member.hears_nothing_for(bench.settings.lease * 2 + bench.settings.quiet).await;
}

/// A delivery that is handed back after the end of its lease does not come a third time.
pub async fn a_late_release_does_not_undo_an_ack(bench: Bench) {
    let mut member = bench.subscribe(expiring(&bench)).await;
    let (late, again) = overtaken(&bench, &mut member).await;
    ack(again).await;
    accepted_or_expired(late, Settlement::Release).await;
    member.hears_nothing_for(bench.settings.lease * 2 + bench.settings.quiet).await;
}

/// A group whose runs are given up soon.
fn expiring(bench: &Bench) -> Group {
    let mut group = bench.leased("charge");
    group.timeout = bench.settings.lease;
    group
}

/// A delivery whose run took too long, and the one that came in its place.
async fn overtaken(bench: &Bench, member: &mut Member) -> (Delivery, Delivery) {
    bench.publish("overtaken").await;
    let late = member.runs("overtaken").await;
    let again = member.receives("overtaken").await;
    (late, again)
}

async fn accepted_or_expired(delivery: Delivery, settlement: Settlement) {
    let settled = delivery.settle(settlement).await;
    assert!(matches!(settled, Ok(()) | Err(SettleError::Expired)), "{settled:?}");
}
