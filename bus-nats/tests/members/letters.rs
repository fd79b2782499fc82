//! Dead letters that are hard to store, and runs that are counted all the same.

use tokio::task::JoinSet;

use super::*;

/// Gives an event of this size up, on a server whose messages have at most 4 KiB.
async fn give_up(size: usize) -> (Bench, Box<dyn Deliveries>, Result<(), SettleError>) {
    let bench = Bench::with("max_payload: 4096\n").await;
    let subject = Subject::parse("orders.eu.placed").unwrap();
    let mut deliveries = bench.subscribe(&group(SECOND)).await;
    let envelope = Envelope::new(EventId::now(), "placed", subject, "x".repeat(size));
    bench.transport.publish(envelope).await.unwrap();
    let delivery = next(&mut deliveries).await;
    delivery.begin().await.unwrap();
    let mut failed = failed(1);
    failed.text = "an error\n".repeat(100);
    let settled =
        delivery.settle(Settlement::DeadLetter { reason: Reason::Rejected, failed }).await;
    (bench, deliveries, settled)
}

#[tokio::test]
async fn a_dead_letter_of_a_large_event_is_stored_and_its_text_gives_way() {
    let (bench, _deliveries, settled) = give_up(3300).await;
    assert_eq!(settled, Ok(()));
    let letters = bench.transport.dead_letters(None, 10).await.unwrap();
    assert_eq!(letters[0].envelope.payload.len(), 3300);
}

/// Readiness, as a service sees it.
async fn unready(transport: &NatsTransport) -> String {
    let mut health = transport.health();
    let unready = health.wait_for(|health| matches!(health, Health::Unready { .. }));
    let unready = timeout(5 * SECOND, unready).await.expect("it looks healthy").unwrap().clone();
    match unready {
        Health::Unready { reason } => reason,
        health => panic!("{health:?}"),
    }
}

async fn ready(transport: &NatsTransport) {
    let mut health = transport.health();
    let ready = health.wait_for(|health| *health == Health::Ready);
    timeout(5 * SECOND, ready).await.expect("it stays unready").unwrap();
}

#[tokio::test]
async fn a_dead_letter_without_room_keeps_its_event_and_nobody_else_waits() {
    let bench = Bench::with("max_payload: 4096\n").await;
    let mut deliveries = bench.subscribe(&group(SECOND)).await;
    for size in [3599, 10] {
        let subject = Subject::parse("orders.eu.placed").unwrap();
        let envelope = Envelope::new(EventId::now(), "placed", subject, "x".repeat(size));
        bench.transport.publish(envelope).await.unwrap();
    }
    let (large, small) = (next(&mut deliveries).await, next(&mut deliveries).await);
    let mut stuck = JoinSet::new();
    stuck.spawn(large.settle(bury()));
    let reason = unready(&bench.transport).await;
    assert!(reason.contains("dead letters of `billing_charge`"), "{reason}");
    assert!(reason.contains("the server takes 4096"), "{reason}");
    small.settle(bury()).await.unwrap();
    assert_eq!(bench.transport.dead_letters(None, 10).await.unwrap().len(), 1);
    assert!(within(&mut deliveries, 3 * SECOND).await.is_none(), "it is held and renewed");

    assert_eq!(deliveries.stop(), 0);
    let error = timeout(5 * SECOND, stuck.join_all()).await.unwrap().remove(0).unwrap_err();
    assert!(matches!(error, SettleError::NotStored { .. }), "{error}");
    ready(&bench.transport).await;
    let mut others = bench.subscribe(&group(SECOND)).await;
    let again = within(&mut others, SECOND / 2).await.expect("it was not handed back").unwrap();
    assert_eq!((again.envelope().payload.len(), again.history().attempts), (3599, 0));
}

#[tokio::test]
async fn dead_letters_that_can_not_be_stored_are_tried_until_they_can() {
    let bench = Bench::new().await;
    bench.publish(0..20).await;
    drop(bench.subscribe(&group(SECOND)).await);
    let strict = connect(&bench.server, Provision::Verify).await;
    let mut deliveries = strict.subscribe(group(SECOND)).await.unwrap();
    bench.raw.delete_stream("BUS_DLQ").await.unwrap();
    let mut stuck = JoinSet::new();
    for _ in 0..20 {
        let delivery = next(&mut deliveries).await;
        delivery.begin().await.unwrap();
        stuck.spawn(delivery.settle(bury()));
    }
    let reason = unready(&strict).await;
    assert!(reason.contains("the stream `BUS_DLQ` is missing"), "{reason}");
    assert!(within(&mut deliveries, 3 * SECOND).await.is_none(), "they are held and renewed");
    // Makes the stream, as its owner would.
    let owner = connect(&bench.server, Provision::Create).await;
    drop(owner.subscribe(group(SECOND)).await.unwrap());
    let mended = Instant::now();
    let settled = timeout(10 * SECOND, stuck.join_all()).await.unwrap();
    assert!(settled.iter().all(Result::is_ok), "{settled:?}");
    assert!(mended.elapsed() < 5 * SECOND, "{:?}", mended.elapsed());
    ready(&strict).await;
    let letters = bench.transport.dead_letters(None, 100).await.unwrap();
    assert_eq!(letters.len(), 20);
}

#[tokio::test]
async fn what_is_redriven_to_a_group_that_is_gone_stays_a_dead_letter() {
    let bench = Bench::new().await;
    bench.publish(0..1).await;
    let mut deliveries = bench.subscribe(&group(SECOND)).await;
    let delivery = next(&mut deliveries).await;
    delivery.begin().await.unwrap();
    delivery.settle(bury()).await.unwrap();
    drop(deliveries);
    for stream in ["ORDERS", "BUS_RETRY"] {
        bench.raw.delete_consumer_from_stream(NAME, stream).await.unwrap();
    }
    let letters = bench.transport.dead_letters(None, 10).await.unwrap();
    let redriven = bench.transport.redrive(&letters[0].id, None).await;
    assert!(matches!(redriven, Err(OperatorError::NoGroup { .. })), "{redriven:?}");
    assert_eq!(bench.transport.dead_letters(None, 10).await.unwrap().len(), 1);
}
