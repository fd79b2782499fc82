//! Much at a time: nothing is lost and nothing is stored twice.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::answer::ack;
use super::bench::Bench;
use super::member::text;

/// How many are published without waiting for each.
const AT_ONCE: usize = 500;

/// A member that takes nothing loses nothing of 5,000 events.
pub async fn a_member_that_takes_nothing_loses_nothing(bench: Bench) {
    let mut member = bench.subscribe(bench.leased("charge")).await;
    let numbers: Vec<String> = (0..5_000).map(|number| number.to_string()).collect();
    for chunk in numbers.chunks(AT_ONCE) {
        let sent = chunk.iter().map(|number| bench.transport.publish(bench.event(number)));
        assert!(join_all(sent).await.iter().all(Result::is_ok));
    }
    // What was fetched ahead may not fall to the end of its lease while it waits.
    bench.pass(bench.settings.lease * 3).await;
    for number in &numbers {
        ack(member.runs(number).await).await;
    }
    bench.all_done("charge").await;
}

/// Two publishers at the same time: everything is stored, each event once.
pub async fn concurrent_events_are_stored_once_each(bench: Bench) {
    let mut member = bench.join("charge").await;
    let numbers: Vec<String> = (0..AT_ONCE).map(|number| number.to_string()).collect();
    let sides = [&bench.transport, &bench.elsewhere];
    let sent = numbers.iter().zip(sides.iter().cycle());
    let sent = sent.map(|(number, side)| side.publish(bench.event(number)));
    assert!(join_all(sent).await.iter().all(Result::is_ok));
    let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
    for delivery in member.take(AT_ONCE).await {
        *arrived.entry(text(&delivery).to_owned()).or_default() += 1;
        ack(delivery).await;
    }
    assert_eq!(arrived.len(), AT_ONCE);
    member.hears_nothing_for(bench.settings.quiet).await;
}

/// Many groups of one event are served alike.
pub async fn many_groups_receive_the_same(bench: Bench) {
    let names: Vec<String> = (0..20).map(|number| format!("handler-{number}")).collect();
    let mut members = Vec::new();
    for name in &names {
        members.push(bench.join(name).await);
    }
    for text in ["a", "b", "c"] {
        bench.publish(text).await;
    }
    for member in &mut members {
        for text in ["a", "b", "c"] {
            ack(member.runs(text).await).await;
        }
    }
}

/// Many deliveries may be open at the same time.
pub async fn many_deliveries_may_be_open(bench: Bench) {
    let mut group = bench.group("charge");
    group.concurrency = 256;
    let mut member = bench.subscribe(group).await;
    for number in 0..256 {
        bench.publish(&number.to_string()).await;
    }
    let open = member.take(256).await;
    for delivery in &open {
        assert_eq!(delivery.begin().await, Ok(()));
    }
    for delivery in open {
        ack(delivery).await;
    }
    bench.all_done("charge").await;
}
