//! What was deleted and made anew is not what it was.

use super::*;

#[tokio::test]
async fn a_dead_letter_of_a_stream_made_anew_is_not_taken_for_one_of_the_old_stream() {
    let bench = Bench::new().await;
    let group = group(SECOND);
    for number in 0..2 {
        bench.publish(number..number + 1).await;
        let mut deliveries = bench.subscribe(&group).await;
        let delivery = next(&mut deliveries).await;
        delivery.begin().await.unwrap();
        delivery.settle(bury()).await.unwrap();
        bench.raw.delete_stream("ORDERS").await.unwrap();
        ends(&mut deliveries).await;
    }
    let letters = bench.transport.dead_letters(None, 10).await.unwrap();
    let payloads: Vec<_> = letters.iter().map(|letter| &letter.envelope.payload[..]).collect();
    assert_eq!(payloads, [b"0", b"1"]);
}

#[tokio::test]
async fn runs_of_a_stream_made_anew_are_not_those_of_the_old_stream() {
    let bench = Bench::new().await;
    let group = group(SECOND);
    bench.publish(0..1).await;
    let mut deliveries = bench.subscribe(&group).await;
    let delivery = next(&mut deliveries).await;
    delivery.begin().await.unwrap();
    delivery.settle(Settlement::Retry { after: 60 * SECOND, failed: failed(7) }).await.unwrap();
    bench.raw.delete_stream("ORDERS").await.unwrap();
    ends(&mut deliveries).await;
    bench.publish(1..2).await;
    let mut deliveries = bench.subscribe(&group).await;
    next(&mut deliveries).await.settle(Settlement::Release).await.unwrap();
    assert_eq!(next(&mut deliveries).await.history().attempts, 0);
}

#[tokio::test]
async fn a_late_answer_of_an_old_stream_does_not_settle_an_event_of_the_new_one() {
    let bench = Bench::new().await;
    let group = group(2 * SECOND);
    bench.publish(0..1).await;
    let mut old = bench.subscribe(&group).await;
    let late = next(&mut old).await;
    late.begin().await.unwrap();
    bench.raw.delete_stream("ORDERS").await.unwrap();
    ends(&mut old).await;
    bench.publish(1..2).await;
    let mut deliveries = bench.subscribe(&group).await;
    drop(old);
    let delivery = next(&mut deliveries).await;
    assert_eq!(text(&delivery), "1");
    let late = late.settle(Settlement::Ack).await;
    sleep(SECOND / 2).await;
    delivery.begin().await.unwrap();
    delivery.settle(retry(1)).await.unwrap();
    let again = within(&mut deliveries, 5 * SECOND).await;
    assert!(again.is_some(), "LOSS: the event that failed does not come again");
    assert_eq!(late, Err(SettleError::Expired));
}

#[tokio::test]
async fn a_server_that_forgot_a_delivery_does_not_cause_a_second_run() {
    let mut bench = Bench::new().await;
    let mut group = group(3 * SECOND);
    group.concurrency = 100;
    let mut deliveries = bench.subscribe(&group).await;
    sleep(SECOND).await;
    bench.publish(0..100).await;
    let mut held = Vec::new();
    while held.len() < 100 {
        let delivery = next(&mut deliveries).await;
        delivery.begin().await.unwrap();
        held.push(delivery);
    }
    bench.server.kill().unwrap();
    bench.server.restart().unwrap();
    let again = within(&mut deliveries, 8 * SECOND).await;
    assert!(again.is_none(), "the event of a run that is alive was given out again: {again:?}");
    for delivery in held {
        delivery.settle(Settlement::Ack).await.unwrap();
    }
}

#[tokio::test]
async fn the_stream_of_copies_is_made_again() {
    let bench = Bench::new().await;
    bench.publish(0..1).await;
    let mut deliveries = bench.subscribe(&group(SECOND)).await;
    bench.raw.delete_stream("BUS_RETRY").await.unwrap();
    while within(&mut deliveries, 20 * SECOND).await.unwrap().is_some() {}
    let error = bench.transport.subscribe(group(SECOND)).await.err();
    assert!(error.is_none(), "{error:?}");
}

#[tokio::test]
async fn without_the_stream_of_runs_events_still_come_again() {
    let bench = Bench::new().await;
    bench.publish(0..1).await;
    let mut deliveries = bench.subscribe(&group(SECOND)).await;
    bench.raw.delete_stream("BUS_RUNS").await.unwrap();
    next(&mut deliveries).await.settle(Settlement::Release).await.unwrap();
    let again = within(&mut deliveries, 8 * SECOND).await;
    let again = again.expect("it does not come again").unwrap();
    again.begin().await.unwrap();
    again.settle(Settlement::Ack).await.unwrap();
}

#[tokio::test]
async fn a_subscription_that_has_ended_takes_nothing_from_the_one_in_its_place() {
    let bench = Bench::new().await;
    bench.publish(0..1).await;
    let group = group(30 * SECOND);
    let mut old = bench.subscribe(&group).await;
    bench.raw.delete_stream("ORDERS").await.unwrap();
    while within(&mut old, 20 * SECOND).await.unwrap().is_some() {}
    bench.publish(1..2).await;
    // The old one is still there, as it is until the bus has made another.
    let mut new = bench.subscribe(&group).await;
    for number in 2..30 {
        bench.publish(number..number + 1).await;
    }
    for number in 1..30_u32 {
        let delivery = next(&mut new).await;
        assert_eq!(text(&delivery), number.to_string());
        delivery.settle(Settlement::Ack).await.unwrap();
    }
}
