//! What was given up can be sent back to the group that gave it up.

use std::time::Duration;

use super::answer::{ack, give_up, release, retry};
use super::bench::Bench;
use crate::operator::{DeadLetterId, OperatorError};

/// A redriven event comes to the group that gave it up, and to no other.
pub async fn a_redrive_reaches_the_failed_group_only(bench: Bench) {
    if bench.operator().is_none() {
        return;
    }
    let mut charge = bench.join("charge").await;
    let mut notify = bench.join("notify").await;
    let mut report = bench.join("report").await;
    bench.publish("rejected").await;
    ack(notify.runs("rejected").await).await;
    give_up(report.runs("rejected").await).await;
    give_up(charge.runs("rejected").await).await;
    bench.redrive_only("charge").await;
    ack(charge.runs("rejected").await).await;
    for member in [&mut charge, &mut notify, &mut report] {
        member.hears_nothing_for(bench.settings.quiet).await;
    }
    assert_eq!(bench.dead_letters("report").await.len(), 1);
    let mut late = bench.join("late").await;
    ack(late.runs("rejected").await).await;
    late.hears_nothing_for(bench.settings.quiet).await;
}

/// A redriven event is the same envelope with a fresh history, and its record is gone.
pub async fn a_redriven_event_begins_anew(bench: Bench) {
    if bench.operator().is_none() {
        return;
    }
    let mut member = bench.join("charge").await;
    let mut sent = bench.event("rejected");
    sent.key = Some("order-4711".to_owned());
    assert_eq!(sent.headers.insert("tenant", "acme"), Ok(()));
    bench.send(sent.clone()).await;
    retry(member.runs("rejected").await, Duration::ZERO).await;
    give_up(member.runs("rejected").await).await;
    bench.redrive_only("charge").await;
    assert!(bench.dead_letters("charge").await.is_empty());

    let again = member.runs("rejected").await;
    let history = again.history();
    assert_eq!((history.attempts, history.first_failure, history.redrives), (0, None, 1));
    assert_eq!(**again.envelope(), sent);
    ack(again).await;
    bench.all_done("charge").await;
}

/// How often an event was redriven is not forgotten when it fails and waits.
pub async fn redrives_are_counted_through_retries(bench: Bench) {
    if bench.operator().is_none() {
        return;
    }
    let mut member = bench.join("charge").await;
    bench.publish("rejected").await;
    give_up(member.runs("rejected").await).await;
    bench.redrive_only("charge").await;
    for attempts in 0..3 {
        let again = member.runs("rejected").await;
        assert_eq!((again.history().attempts, again.history().redrives), (attempts, 1));
        retry(again, Duration::ZERO).await;
    }
    release(member.runs("rejected").await).await;
    assert_eq!(member.runs("rejected").await.history().redrives, 1);
}

/// A redriven event that fails again makes a new record, which knows of the redrives.
pub async fn a_redriven_event_can_die_again(bench: Bench) {
    if bench.operator().is_none() {
        return;
    }
    let mut member = bench.join("charge").await;
    bench.publish("rejected").await;
    for redrives in 0..4 {
        let delivery = member.runs("rejected").await;
        assert_eq!(delivery.history().redrives, redrives);
        give_up(delivery).await;
        let letters = bench.dead_letters("charge").await;
        assert_eq!(letters.iter().map(|letter| letter.redrives).collect::<Vec<_>>(), [redrives]);
        bench.redrive_only("charge").await;
    }
}

/// One of several records is sent back; the others stay.
pub async fn a_redrive_moves_one_record(bench: Bench) {
    let Some(operator) = bench.operator() else { return };
    let mut member = bench.join("charge").await;
    for text in ["a", "b", "c"] {
        bench.publish(text).await;
        give_up(member.runs(text).await).await;
    }
    let letters = bench.dead_letters("charge").await;
    assert_eq!(letters.len(), 3);
    assert_eq!(operator.redrive(&letters[1].id, None).await, Ok(()));
    ack(member.runs("b").await).await;
    member.hears_nothing_for(bench.settings.quiet).await;
    let left: Vec<_> = bench.dead_letters("charge").await.into_iter().map(|left| left.id).collect();
    assert_eq!(left, [letters[0].id.clone(), letters[2].id.clone()]);
}

/// What is not there can not be redriven, and that is said; nor can anything be redriven twice.
pub async fn a_redrive_of_nothing_is_an_error(bench: Bench) {
    let Some(operator) = bench.operator() else { return };
    let unknown = operator.redrive(&DeadLetterId::new("no-such-record"), None).await;
    assert!(matches!(unknown, Err(OperatorError::NoDeadLetter { .. })), "{unknown:?}");

    let mut member = bench.join("charge").await;
    bench.publish("rejected").await;
    give_up(member.runs("rejected").await).await;
    for letter in bench.dead_letters("charge").await {
        assert_eq!(operator.redrive(&letter.id, None).await, Ok(()));
        let twice = operator.redrive(&letter.id, None).await;
        assert!(matches!(twice, Err(OperatorError::NoDeadLetter { .. })), "{twice:?}");
    }
    ack(member.runs("rejected").await).await;
    member.hears_nothing_for(bench.settings.quiet).await;
}
