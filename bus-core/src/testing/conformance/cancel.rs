//! An event that waits for its time can be taken back.

use std::time::Duration;

use super::answer::ack;
use super::bench::Bench;
use crate::envelope::EventId;

const SECOND: Duration = Duration::from_secs(1);

/// Ids may be any text, and what looks alike is not the same.
pub async fn an_id_of_any_text_can_wait_and_be_cancelled(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    let mut member = bench.join("charge").await;
    let texts = ["order.7 *", "order.7 >", "order-7", "order%2E7", "größe-√", &"x".repeat(256)];
    let ids: Vec<_> = texts.iter().filter_map(|text| EventId::parse(text).ok()).collect();
    for id in &ids {
        let mut event = bench.event(&id.to_string());
        event.id = id.clone();
        bench.send_after(event, SECOND).await;
    }
    for id in ids.iter().skip(1) {
        assert!(bench.cancel(id).await, "`{id}` does not wait");
    }
    ack(member.runs(texts[0]).await).await;
    member.hears_nothing_for(bench.settings.quiet).await;
}

/// What was cancelled does not come, and everything else does.
pub async fn a_cancelled_event_does_not_come(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    let mut member = bench.join("charge").await;
    let event = bench.event("cancelled");
    bench.send_after(event.clone(), SECOND).await;
    bench.send_after(bench.event("kept"), SECOND).await;
    assert!(bench.cancel(&event.id).await, "it does not wait");
    ack(member.runs("kept").await).await;
    member.hears_nothing_for(SECOND / 2 + bench.settings.slack).await;
}

/// What was never there, was cancelled, or has come, can not be cancelled.
pub async fn a_cancel_of_nothing_is_false(bench: Bench) {
    if bench.delays_nothing().await {
        return;
    }
    assert!(!bench.cancel(&EventId::now()).await, "it was never there");
    let mut member = bench.join("charge").await;
    let [cancelled, delivered] = [bench.event("cancelled"), bench.event("delivered")];
    bench.send_after(cancelled.clone(), SECOND).await;
    bench.send_after(delivered.clone(), SECOND).await;
    let answers = [bench.cancel(&cancelled.id).await, bench.cancel(&cancelled.id).await];
    assert_eq!(answers, [true, false]);
    let delivery = member.runs("delivered").await;
    assert!(!bench.cancel(&delivered.id).await, "it has come");
    ack(delivery).await;
}
