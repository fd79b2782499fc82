//! Groups do not hear of each other; members of one group share its work.

use std::collections::BTreeSet;
use std::time::Duration;

use super::answer::{ack, give_up, retry};
use super::bench::Bench;
use super::member::{gather, text, texts};
use crate::subject::Filter;

/// Every group receives every event once, whatever the others answer.
pub async fn every_group_receives_every_event(bench: Bench) {
    let mut charge = bench.join("charge").await;
    let mut notify = bench.join("notify").await;
    let mut report = bench.join("report").await;
    for text in ["a", "b"] {
        bench.publish(text).await;
        ack(charge.runs(text).await).await;
        give_up(notify.runs(text).await).await;
        ack(report.runs(text).await).await;
    }
    for member in [&mut charge, &mut notify, &mut report] {
        member.hears_nothing_for(bench.settings.quiet).await;
    }
}

/// Members in two processes share the events of their group, none twice and none lost.
pub async fn two_members_share_without_overlap(bench: Bench) {
    let mut here = bench.join("charge").await;
    let mut there = bench.subscribe_elsewhere(bench.group("charge")).await;
    for number in 0..200 {
        bench.publish(&number.to_string()).await;
    }
    let (ours, theirs) = gather(&mut here, &mut there, 200).await;
    let distinct: BTreeSet<&str> = ours.iter().chain(&theirs).map(text).collect();
    assert_eq!(distinct.len(), 200, "some arrived twice");
    for delivery in ours.into_iter().chain(theirs) {
        ack(delivery).await;
    }
    here.hears_nothing_for(bench.settings.quiet).await;
    there.hears_nothing_for(bench.settings.quiet).await;
}

/// A failed run is the business of one group.
pub async fn a_retry_stays_in_its_group(bench: Bench) {
    let mut charge = bench.join("charge").await;
    let mut notify = bench.join("notify").await;
    bench.publish("a").await;
    ack(notify.runs("a").await).await;
    retry(charge.runs("a").await, Duration::ZERO).await;
    let again = charge.runs("a").await;
    assert_eq!(again.history().next_attempt(), 2);
    ack(again).await;
    notify.hears_nothing_for(bench.settings.quiet).await;
}

/// `*` in a filter stands for one token: not for none, and not for two.
pub async fn a_star_matches_one_token(bench: Bench) {
    let mut group = bench.group("charge");
    group.filter = bench.filter("*.placed");
    let mut member = bench.subscribe(group).await;
    for subject in ["placed", "eu.west.placed", "eu.placed.late", "eu.cancelled", "eu"] {
        bench.send(bench.event_on(bench.subject(subject), subject)).await;
    }
    for subject in ["eu.placed", "us.placed"] {
        bench.send(bench.event_on(bench.subject(subject), subject)).await;
    }
    let arrived = member.take(2).await;
    assert_eq!(texts(&arrived), ["eu.placed", "us.placed"]);
    member.hears_nothing_for(bench.settings.quiet).await;
}

/// A group hears of its own subject only, also where another one begins with the same letters.
pub async fn a_group_hears_of_its_subject_only(bench: Bench) {
    let mut group = bench.group("charge");
    group.filter = Filter::from(&bench.subject("placed.now"));
    let mut member = bench.subscribe(group).await;
    for subject in ["placed", "placed.nowhere", "placed.now.here", "Placed.now", "placed.now"] {
        bench.send(bench.event_on(bench.subject(subject), subject)).await;
    }
    ack(member.runs("placed.now").await).await;
    member.hears_nothing_for(bench.settings.quiet).await;
}

/// A member that goes without a word loses nothing: what it held comes back after the lease.
pub async fn a_member_that_vanishes_loses_nothing(bench: Bench) {
    let mut vanishes = bench.subscribe(bench.leased("charge")).await;
    for number in 0..20 {
        bench.publish(&number.to_string()).await;
    }
    let held = vanishes.take(5).await;
    drop((held, vanishes));

    let mut stays = bench.subscribe_elsewhere(bench.leased("charge")).await;
    let mut arrived = BTreeSet::new();
    for _ in 0..20 {
        let delivery = stays.next().await;
        arrived.insert(text(&delivery).to_owned());
        ack(delivery).await;
    }
    assert_eq!(arrived.len(), 20);
}

/// A member that is busy with one event does not keep others from the next.
pub async fn a_busy_member_does_not_stop_the_group(bench: Bench) {
    let mut busy = bench.join("charge").await;
    bench.publish("slow").await;
    let slow = busy.runs("slow").await;
    busy.stop();

    let mut idle = bench.subscribe_elsewhere(bench.group("charge")).await;
    for text in ["a", "b", "c"] {
        bench.publish(text).await;
        ack(idle.runs(text).await).await;
    }
    ack(slow).await;
    bench.all_done("charge").await;
}
