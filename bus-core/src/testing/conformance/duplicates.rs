//! An id is stored once inside the duplicate window.

use futures_util::future::join_all;

use super::answer::ack;
use super::bench::Bench;

/// The same event again is a success, and stores nothing.
pub async fn an_id_is_stored_once(bench: Bench) {
    let mut member = bench.join("charge").await;
    let event = bench.event("once");
    for _ in 0..3 {
        bench.send(event.clone()).await;
    }
    bench.publish("marker").await;
    ack(member.runs("once").await).await;
    ack(member.runs("marker").await).await;
}

/// It is the id that counts: another payload under it is dropped.
pub async fn an_id_is_stored_once_whatever_it_carries(bench: Bench) {
    let mut member = bench.join("charge").await;
    let (first, mut second) = (bench.event("first"), bench.event("second"));
    second.id = first.id.clone();
    assert_eq!(second.headers.insert("tenant", "acme"), Ok(()));
    bench.send(first).await;
    bench.send(second).await;
    bench.publish("marker").await;
    ack(member.runs("first").await).await;
    ack(member.runs("marker").await).await;
}

/// Another id with the same content is another event.
pub async fn equal_content_under_two_ids_is_two_events(bench: Bench) {
    let mut member = bench.join("charge").await;
    bench.publish("same").await;
    bench.publish("same").await;
    ack(member.runs("same").await).await;
    ack(member.runs("same").await).await;
}

/// The same id from many sides at the same time is stored once.
pub async fn an_id_published_at_the_same_time_is_stored_once(bench: Bench) {
    let mut member = bench.join("charge").await;
    let event = bench.event("once");
    let sides = [&bench.transport, &bench.elsewhere];
    let sent = sides.iter().cycle().take(20).map(|side| side.publish(event.clone()));
    for published in join_all(sent).await {
        assert_eq!(published, Ok(()));
    }
    bench.publish("marker").await;
    ack(member.runs("once").await).await;
    ack(member.runs("marker").await).await;
}

/// An id is remembered although its event is done.
pub async fn an_id_is_remembered_when_its_event_is_done(bench: Bench) {
    let mut member = bench.join("charge").await;
    let event = bench.event("once");
    bench.send(event.clone()).await;
    ack(member.runs("once").await).await;
    bench.all_done("charge").await;
    bench.send(event).await;
    bench.publish("marker").await;
    ack(member.runs("marker").await).await;
}

/// A duplicate does not make the window longer, and after it the id is stored again.
pub async fn an_id_is_forgotten_after_the_window(bench: Bench) {
    let Some(window) = bench.settings.duplicate_window else { return };
    if window + bench.settings.slack > bench.settings.longest {
        return;
    }
    let mut member = bench.join("charge").await;
    let event = bench.event("twice");
    bench.send(event.clone()).await;
    ack(member.runs("twice").await).await;
    bench.pass(window / 2).await;
    bench.send(event.clone()).await;
    member.hears_nothing_for(window / 4).await;
    bench.pass(window / 4 + bench.settings.slack).await;
    bench.send(event).await;
    ack(member.runs("twice").await).await;
}
