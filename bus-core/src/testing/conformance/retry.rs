//! A retry waits its delay without holding anything up, and counts.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::{ack, failed, release, retry};
use super::bench::Bench;
use super::member::{text, texts};
use crate::envelope::EventId;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A retry comes when its delay is over: not before, and not much later.
pub async fn a_retry_waits_its_delay(bench: Bench) {
    let mut member = bench.join("charge").await;
    bench.publish("a").await;
    for attempt in 1..=3 {
        let delivery = member.runs("a").await;
        assert_eq!(delivery.history().next_attempt(), attempt);
        let since = Instant::now();
        retry(delivery, SECOND * attempt).await;
        let again = member.due(since, SECOND * attempt, "a").await;
        assert_eq!(again.history().next_attempt(), attempt + 1);
        release(again).await;
    }
}

/// A retry without a delay comes back at once.
pub async fn a_retry_without_delay_comes_back_at_once(bench: Bench) {
    let mut member = bench.join("charge").await;
    bench.publish("a").await;
    let delivery = member.runs("a").await;
    let since = Instant::now();
    retry(delivery, Duration::ZERO).await;
    ack(member.due(since, Duration::ZERO, "a").await).await;
}

/// A delay of less than a second is kept as well.
pub async fn a_delay_of_milliseconds_is_kept(bench: Bench) {
    let mut member = bench.join("charge").await;
    bench.publish("a").await;
    let (delivery, delay) = (member.runs("a").await, Duration::from_millis(150));
    let since = Instant::now();
    retry(delivery, delay).await;
    ack(member.due(since, delay, "a").await).await;
}

/// Every failed run counts, also where the attempts are many.
pub async fn every_failed_run_counts(bench: Bench) {
    let mut member = bench.join("charge").await;
    bench.publish("a").await;
    for attempts in 0..20 {
        let delivery = member.runs("a").await;
        assert_eq!(delivery.history().attempts, attempts);
        retry(delivery, Duration::ZERO).await;
    }
}

/// When a run failed for the first time is known after many.
pub async fn the_first_failure_is_kept(bench: Bench) {
    let mut member = bench.join("charge").await;
    bench.publish("a").await;
    let first = member.runs("a").await;
    assert_eq!(first.history().first_failure, None);
    let failure = failed(&first).last;
    retry(first, Duration::ZERO).await;
    for _ in 0..4 {
        let delivery = member.runs("a").await;
        assert_eq!(delivery.history().first_failure, Some(failure));
        retry(delivery, Duration::ZERO).await;
    }
}

/// What waits for its next attempt does not hold up what follows.
pub async fn a_waiting_retry_does_not_hold_up_others(bench: Bench) {
    let mut member = bench.join("charge").await;
    bench.publish("waits").await;
    let waits = member.runs("waits").await;
    let since = Instant::now();
    retry(waits, SECOND * 5).await;
    for number in 0..50 {
        let text = number.to_string();
        bench.publish(&text).await;
        ack(member.due_between(since, Duration::ZERO, SECOND * 3, &text).await).await;
    }
    ack(member.due(since, SECOND * 5, "waits").await).await;
}

/// A delay of an hour is not cut to some limit of the broker.
pub async fn a_delay_of_an_hour_is_kept(bench: Bench) {
    let mut member = bench.subscribe(bench.leased("charge")).await;
    bench.publish("waits").await;
    let waits = member.runs("waits").await;
    let since = Instant::now();
    retry(waits, HOUR).await;
    member.hears_nothing_for(bench.settings.lease * 3 + bench.settings.quiet).await;
    bench.publish("next").await;
    ack(member.runs("next").await).await;
    if bench.settings.longest >= HOUR {
        ack(member.due(since, HOUR, "waits").await).await;
    }
}

/// A delay that nobody will see the end of does not overflow anything.
pub async fn a_delay_of_a_hundred_years_does_no_harm(bench: Bench) {
    let mut member = bench.join("charge").await;
    bench.publish("waits").await;
    retry(member.runs("waits").await, HOUR * 24 * 365 * 100).await;
    member.hears_nothing_for(bench.settings.quiet).await;
    bench.publish("next").await;
    ack(member.runs("next").await).await;
}

/// Many that wait at the same time come back, each of them once.
pub async fn many_retries_come_back_once_each(bench: Bench) {
    let mut member = bench.join("charge").await;
    for number in 0..200 {
        bench.publish(&number.to_string()).await;
    }
    for (number, delivery) in (0..200).zip(member.take(200).await) {
        retry(delivery, Duration::from_millis(500 + number % 7 * 50)).await;
    }
    let again = member.take(200).await;
    let distinct: BTreeSet<&str> = again.iter().map(text).collect();
    assert_eq!(distinct.len(), 200);
    for delivery in again {
        assert_eq!(delivery.history().next_attempt(), 2);
        ack(delivery).await;
    }
    member.hears_nothing_for(bench.settings.quiet).await;
}

/// A short delay does not wait behind a long one.
pub async fn the_shortest_delay_comes_first(bench: Bench) {
    let mut member = bench.join("charge").await;
    for delay in [3, 1, 2] {
        bench.publish(&delay.to_string()).await;
        retry(member.next().await, SECOND * delay).await;
    }
    assert_eq!(texts(&member.take(3).await), ["1", "2", "3"]);
}

/// A retry is the same envelope, to the last header and byte.
pub async fn a_retry_is_the_same_envelope(bench: Bench) {
    let mut member = bench.join("charge").await;
    let mut sent = bench.event("same");
    sent.key = Some("order-4711".to_owned());
    (sent.causation, sent.hops) = (Some(EventId::now()), 7);
    assert_eq!(sent.headers.insert("tenant", "acme"), Ok(()));
    sent.payload = (0..=255).collect::<Vec<u8>>().into();
    bench.send(sent.clone()).await;
    for delay in [Duration::ZERO, SECOND, SECOND * 2] {
        let delivery = member.next().await;
        assert_eq!(**delivery.envelope(), sent);
        retry(delivery, delay).await;
    }
    assert_eq!(**member.next().await.envelope(), sent);
}

/// A retry waits on the broker: it comes although the member that asked for it is gone.
pub async fn a_retry_outlives_its_member(bench: Bench) {
    let mut asks = bench.join("charge").await;
    bench.publish("a").await;
    let delivery = asks.runs("a").await;
    let since = Instant::now();
    retry(delivery, SECOND * 2).await;
    asks.stop();
    asks.flush().await;
    drop(asks);

    let mut stays = bench.subscribe_elsewhere(bench.group("charge")).await;
    let again = stays.due(since, SECOND * 2, "a").await;
    assert_eq!(again.history().next_attempt(), 2);
    ack(again).await;
}
