//! Dead letters that are hard to store, and runs that are counted all the same.

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

#[tokio::test]
async fn an_event_whose_dead_letter_has_no_room_is_not_lost_and_its_run_is_counted() {
    let (bench, mut deliveries, settled) = give_up(3599).await;
    let error = settled.unwrap_err();
    assert!(matches!(error, SettleError::NotStored { .. }), "{error}");
    assert!(error.to_string().contains("max payload"), "{error}");
    let again = next(&mut deliveries).await;
    assert_eq!((again.envelope().payload.len(), again.history().attempts), (3599, 1));
    assert!(bench.transport.dead_letters(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_run_whose_dead_letter_could_not_be_stored_is_counted() {
    let bench = Bench::new().await;
    bench.publish(0..1).await;
    drop(bench.subscribe(&group(SECOND)).await);
    let strict = connect(&bench.server, Provision::Verify).await;
    let mut deliveries = strict.subscribe(group(SECOND)).await.unwrap();
    bench.raw.delete_stream("BUS_DLQ").await.unwrap();
    let delivery = next(&mut deliveries).await;
    delivery.begin().await.unwrap();
    let error = delivery.settle(bury()).await.unwrap_err();
    assert!(matches!(error, SettleError::NotStored { .. }), "{error}");
    assert_eq!(next(&mut deliveries).await.history().attempts, 1);
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
    let redriven = bench.transport.redrive(&letters[0].id).await;
    assert!(matches!(redriven, Err(OperatorError::NoGroup { .. })), "{redriven:?}");
    assert_eq!(bench.transport.dead_letters(None, 10).await.unwrap().len(), 1);
}
