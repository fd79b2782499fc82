//! What is handed back comes again at once, as if nothing had been.

use std::time::Duration;

use tokio::time::Instant;

use super::answer::{ack, release, retry};
use super::bench::Bench;

/// A release comes again at once, not after the lease.
pub async fn a_release_comes_again_at_once(bench: Bench) {
    let mut member = bench.join("charge").await;
    bench.publish("a").await;
    let delivery = member.runs("a").await;
    let since = Instant::now();
    release(delivery).await;
    let again = member.due(since, Duration::ZERO, "a").await;
    assert_eq!(again.history().next_attempt(), 1);
    ack(again).await;
}

/// However often an event is handed back, it has not failed.
pub async fn a_thousand_releases_burn_nothing(bench: Bench) {
    let mut member = bench.join("charge").await;
    bench.publish("a").await;
    for _ in 0..1_000 {
        let delivery = member.runs("a").await;
        assert_eq!((delivery.history().attempts, delivery.history().first_failure), (0, None));
        release(delivery).await;
    }
    ack(member.runs("a").await).await;
    bench.all_done("charge").await;
}

/// A release after a failed run forgets nothing of the failure.
pub async fn a_release_keeps_the_history(bench: Bench) {
    let mut member = bench.join("charge").await;
    bench.publish("a").await;
    retry(member.runs("a").await, Duration::ZERO).await;
    let before = member.runs("a").await;
    let history = before.history();
    assert_eq!(history.attempts, 1);
    release(before).await;
    let after = member.runs("a").await;
    assert_eq!(after.history(), history);
    ack(after).await;
}

/// A release is the same envelope.
pub async fn a_release_is_the_same_envelope(bench: Bench) {
    let mut member = bench.join("charge").await;
    let mut sent = bench.event("a");
    assert_eq!(sent.headers.insert("tenant", "acme"), Ok(()));
    bench.send(sent.clone()).await;
    release(member.runs("a").await).await;
    assert_eq!(**member.runs("a").await.envelope(), sent);
}

/// What one process hands back another one can have.
pub async fn a_released_event_goes_to_another_member(bench: Bench) {
    let mut leaves = bench.join("charge").await;
    bench.publish("a").await;
    let delivery = leaves.runs("a").await;
    let mut stays = bench.subscribe_elsewhere(bench.group("charge")).await;
    leaves.stop();
    let since = Instant::now();
    release(delivery).await;
    let again = stays.due(since, Duration::ZERO, "a").await;
    assert_eq!(again.history().next_attempt(), 1);
    ack(again).await;
}
