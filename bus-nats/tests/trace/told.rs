//! What the bus is told of the server, of where an event stands, and of the work for a group.

use bus_core::delivery::Place;
use tokio::time::{Instant, sleep};

use super::*;

/// What traces say of the place of a run; the time apart.
fn place(delivery: &Delivery) -> (String, u64, u64, SystemTime) {
    let Place { log, sequence, deliveries, since, .. } = delivery.place().unwrap().clone();
    (log.unwrap().to_string(), sequence, deliveries, since.unwrap())
}

async fn stored(bench: &Bench, stream: &str) -> SystemTime {
    bench.last(stream).await.time.into()
}

#[tokio::test]
async fn a_run_knows_where_its_event_stands_and_since_when_it_could_be() {
    let mut bench = Bench::new(30 * SECOND).await;
    bench.publish(Trace::default()).await;
    let first = bench.run().await;
    let at = |deliveries, since| ("ORDERS".to_owned(), 1, deliveries, since);
    assert_eq!(place(&first), at(1, stored(&bench, "ORDERS").await));
    let (delay, asked) = (SECOND / 2, SystemTime::now());
    retry(first, delay).await;
    let answered = SystemTime::now();
    let noted = bench.run().await;
    let since = place(&noted).3;
    assert!(asked + delay <= since && since <= answered + delay, "{asked:?} {since:?}");
    assert_eq!(place(&noted), at(2, since));
    retry(noted, SECOND).await;
    // What fired is another message, which came for the first time.
    let copy = bench.run().await;
    assert_eq!(place(&copy), at(1, stored(&bench, "BUS_RETRY").await));
    assert!(place(&copy).3 > since);
    copy.settle(Settlement::Release).await.unwrap();
    let again = bench.run().await;
    assert_eq!(place(&again), at(2, stored(&bench, "BUS_RETRY").await));
    again.settle(Settlement::Release).await.unwrap();
    let id = bench.give_up().await;
    bench.transport.redrive(&id, None).await.unwrap();
    let redriven = bench.run().await;
    assert_eq!(place(&redriven), at(1, stored(&bench, "BUS_RETRY").await));
}

/// A worker without spans between two that have them, by a note and by a copy.
#[tokio::test]
async fn a_retry_by_somebody_without_spans_keeps_the_span_before() {
    for after in [Duration::ZERO, SECOND] {
        let mut bench = Bench::new(30 * SECOND).await;
        bench.publish(Trace::default()).await;
        let first = bench.run().await;
        retry(first, after).await;
        let second = bench.run().await;
        let failed = Failed::new("away", "", 2, SystemTime::now());
        second.settle(Settlement::Retry { after, failed }).await.unwrap();
        assert_eq!(bench.run().await.history().previous, TraceParent::parse(SPAN));
    }
}

#[tokio::test]
async fn a_system_is_named_with_its_address() {
    let bench = Bench::new(30 * SECOND).await;
    let system = bench.transport.system();
    let address = format!("nats://{}:{}", system.address.unwrap(), system.port.unwrap());
    assert_eq!((system.name, address), ("nats", bench.server.url()));
    assert_eq!(system.dead_letters, "BUS_DLQ");
    let attributes = [system.log, system.sequence, system.deliveries];
    assert!(attributes.iter().all(|name| name.starts_with("messaging.nats.")), "{attributes:?}");
}

#[tokio::test]
async fn the_meters_of_a_group_follow_its_work() {
    let mut bench = Bench::new(SECOND / 5).await;
    // Nobody has asked for an event.
    until(&bench, |told| told == [0, 0, 0]).await;
    bench.publish(Trace::default()).await;
    let delivery = bench.run().await;
    until(&bench, |[_, held, renewals]| held == 1 && renewals >= 2).await;
    delivery.settle(Settlement::Ack).await.unwrap();
    // One of each consumer.
    until(&bench, |[credit, held, _]| (credit, held) == (2, 0)).await;
}

/// Credit, held and renewals, the first three; the bus alone reads them otherwise.
async fn until(bench: &Bench, expected: impl Fn([u64; 3]) -> bool) {
    let begun = Instant::now();
    loop {
        let shown = format!("{:?}", bench.group.meters);
        let numbers = shown.split(|letter: char| !letter.is_ascii_digit());
        let numbers: Vec<u64> = numbers.flat_map(str::parse).take(3).collect();
        if expected(numbers.try_into().unwrap()) {
            return;
        }
        assert!(begun.elapsed() < 30 * SECOND, "{shown}");
        sleep(Duration::from_millis(5)).await;
    }
}
