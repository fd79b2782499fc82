//! What is known of the order of arrivals.

use std::time::Duration;

use futures_util::future::join_all;

use super::answer::{ack, retry};
use super::bench::Bench;
use super::member::{text, texts};

/// One publisher, one member: events arrive as they were published.
pub async fn events_arrive_in_the_order_of_publishing(bench: Bench) {
    let mut member = bench.join("charge").await;
    for number in 0..300 {
        bench.publish(&number.to_string()).await;
    }
    for number in 0..300 {
        ack(member.runs(&number.to_string()).await).await;
    }
}

/// The order is that of the calls, also where none waits for the one before.
pub async fn pipelined_events_arrive_in_the_order_of_the_calls(bench: Bench) {
    let numbers: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let sent = numbers.iter().map(|number| bench.transport.publish(bench.event(number)));
    for published in join_all(sent).await {
        assert_eq!(published, Ok(()));
    }
    let mut member = bench.join("charge").await;
    assert_eq!(texts(&member.take(300).await), numbers);
}

/// Events on different subjects of one domain arrive at a common group in their order.
pub async fn subjects_keep_their_common_order(bench: Bench) {
    let mut group = bench.group("charge");
    group.filter = bench.filter("*.placed");
    let mut member = bench.subscribe(group).await;
    let numbers: Vec<String> = (0..60).map(|number| number.to_string()).collect();
    for (number, region) in numbers.iter().zip(["eu", "us", "asia"].iter().cycle()) {
        let subject = bench.subject(&format!("{region}.placed"));
        bench.send(bench.event_on(subject, number)).await;
    }
    assert_eq!(texts(&member.take(60).await), numbers);
}

/// An event that comes again and again does not stop those after it.
pub async fn a_redelivery_does_not_stop_later_events(bench: Bench) {
    let mut member = bench.join("charge").await;
    bench.publish("fails").await;
    let mut open: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    for number in &open {
        bench.publish(number).await;
    }
    // Each failure lets at least one other pass within a round of them all.
    for _ in 0..20 * 20 {
        let delivery = member.next().await;
        let arrived = text(&delivery).to_owned();
        match arrived.as_str() {
            "fails" => retry(delivery, Duration::from_millis(10)).await,
            _ => ack(delivery).await,
        }
        open.retain(|number| *number != arrived);
        if open.is_empty() {
            return;
        }
    }
    assert!(open.is_empty(), "{open:?} never arrived");
}
