//! Dead letters as people see them: narrowed, counted, explained, redriven at a rate, purged.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use bus_core::answer::Answer;
use bus_core::memory::{Memory, MemoryConfig};
use bus_core::operator::OperatorError;
use bus_core::prelude::*;
use bus_core::settle::Reason;
use bus_core::transport::{Deliveries, Group, GroupName, Health, Transport, TransportError};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct Placed {
    order: u32,
}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(subject = "orders.shipped")]
struct Shipped {
    order: u32,
}

#[derive(Debug, thiserror::Error, Failure)]
enum Fault {
    #[error("order {0} has no card")]
    #[failure(reject)]
    NoCard(u32),
    #[error("the gateway is away")]
    Gateway,
}

#[derive(Clone, Default)]
struct Mended(Arc<AtomicBool>);

impl Mended {
    fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn mend(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Orders that can be divided by three have no card, and for the other odd ones there is no gateway.
#[handler(retry = Retry::fixed(SECOND).attempts(2))]
async fn charge(placed: Placed, State(mended): State<Mended>) -> Result<(), Fault> {
    match placed.order {
        _ if mended.is() => Ok(()),
        order if order % 3 == 0 => Err(Fault::NoCard(order)),
        order if order % 2 == 1 => Err(Fault::Gateway),
        _ => Ok(()),
    }
}

#[handler(retry = Retry::never())]
async fn tell(shipped: Shipped, State(mended): State<Mended>) -> Result<(), Fault> {
    if mended.is() { Ok(()) } else { Err(Fault::NoCard(shipped.order)) }
}

/// Of 12 orders 4 have no card and 4 find no gateway; 3 parcels can not be told of.
async fn failed() -> (Bus, Running, Mended) {
    let (bus, mended) = (Memory::seeded(MemoryConfig::default(), 7).bus(), Mended::default());
    let service = Service::new("billing", bus.clone()).state(mended.clone());
    let running = service.handlers(handlers![charge, tell]).start().await.unwrap();
    for order in 0..12 {
        bus.publish(&Placed { order }).await.unwrap();
    }
    for order in 0..3 {
        bus.publish(&Shipped { order }).await.unwrap();
    }
    sleep(MINUTE).await;
    (bus, running, mended)
}

fn group(handler: &str) -> GroupName {
    GroupName::new("billing", handler).unwrap()
}

#[tokio::test(start_paused = true)]
async fn filters_narrow_and_add_up() {
    let (bus, running, _) = failed().await;
    let all = || bus.dead_letters();
    let counts = [
        (all(), 11),
        (all().group(group("charge")), 8),
        (all().handler("tell"), 3),
        (all().handler("nobody"), 0),
        (all().class("no_card"), 7),
        (all().class("no_card").handler("charge"), 4),
        (all().reason(Reason::Exhausted), 4),
        (all().event("orders.shipped"), 3),
        (all().event("orders.shipped").reason(Reason::Exhausted), 0),
        (all().before(SystemTime::UNIX_EPOCH), 0),
        (all().since(SystemTime::UNIX_EPOCH), 11),
    ];
    for (letters, count) in counts {
        assert_eq!(letters.count().await, Ok(count), "{letters:?}");
    }
    let letters = all().list(100).await.unwrap();
    let (second, last) = (&letters[1], letters[10].failed.last);
    assert!(letters.is_sorted_by_key(|letter| letter.position));
    let shown = all().show(&second.id).await.unwrap();
    assert_eq!((&shown.id, &shown.envelope), (&second.id, &second.envelope));
    assert_eq!(all().id(second.id.clone()).list(9).await.unwrap()[0].id, second.id);
    assert_eq!(all().id(second.id.clone()).handler("nobody").count().await, Ok(0));
    let younger = letters.iter().filter(|letter| letter.failed.last >= last).count();
    assert_eq!(all().since(last).count().await, Ok(younger as u64));
    assert_eq!(all().before(last).count().await, Ok(11 - younger as u64));
    assert_eq!(all().list(4).await.unwrap().len(), 4);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn causes_are_counted_the_most_frequent_first() {
    let (bus, running, _) = failed().await;
    let causes = bus.dead_letters().causes().await.unwrap();
    let told: Vec<_> = causes.iter().map(ToString::to_string).collect();
    let expected = [
        "billing_charge: 4 rejected (no_card): order 9 has no card",
        "billing_charge: 4 max_attempts (gateway): the gateway is away",
        "billing_tell: 3 rejected (no_card): order 2 has no card",
    ];
    assert_eq!(told, expected);
    assert_eq!(causes[1].last.duration_since(causes[1].first).unwrap(), SECOND);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_redrive_goes_at_its_rate_and_each_comes_once() {
    let (bus, running, mended) = failed().await;
    let letters = || bus.dead_letters().group(group("charge"));
    let would = letters().redrive().dry_run().await.unwrap();
    assert_eq!((would.redriven, letters().count().await), (8, Ok(8)));
    mended.mend();
    let begun = Instant::now();
    let done = letters().redrive().rate(2).await.unwrap();
    assert_eq!(
        done.to_string(),
        "8 redriven, 0 redriven too often, 0 without a group, 0 gone before"
    );
    let took = begun.elapsed();
    assert!(took >= SECOND * 7 / 2 && took < SECOND * 4, "{took:?}");
    sleep(SECOND).await;
    assert_eq!((letters().count().await, bus.dead_letters().count().await), (Ok(0), Ok(3)));
    // 12 orders, 4 of them twice, and 8 redriven; and 3 parcels.
    assert_eq!(running.stop().await.finished, 0);
}

#[tokio::test(start_paused = true)]
async fn a_redrive_ends_where_everything_fails_again_and_refuses_loops() {
    let (bus, running, _) = failed().await;
    let letters = || bus.dead_letters().class("no_card").handler("charge");
    for redrives in 1..=3 {
        // Slowly: what comes back fails again long before the end.
        let done = letters().redrive().rate(1).await.unwrap();
        assert_eq!((done.redriven, done.looping), (4, 0));
        sleep(SECOND).await;
        let again = letters().list(9).await.unwrap();
        assert!(again.len() == 4 && again.iter().all(|letter| letter.redrives == redrives));
    }
    let refused = letters().redrive().await.unwrap();
    assert_eq!((refused.redriven, refused.looping), (0, 4));
    assert_eq!(letters().redrive().max_redrives(4).limit(1).await.unwrap().redriven, 1);
    sleep(SECOND).await;
    assert_eq!(letters().count().await, Ok(4));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_purge_removes_what_it_says_and_nothing_else() {
    let (bus, running, _) = failed().await;
    let letters = || bus.dead_letters().handler("tell");
    assert_eq!(letters().purge().dry_run().await.unwrap().purged, 3);
    assert_eq!(letters().purge().limit(2).await.unwrap().purged, 2);
    assert_eq!((letters().count().await, bus.dead_letters().count().await), (Ok(1), Ok(9)));
    assert_eq!(bus.dead_letters().purge().await, Err(OperatorError::Unfiltered));
    assert_eq!(bus.dead_letters().purge().everything().await.unwrap().purged, 9);
    assert_eq!(bus.dead_letters().redrive().await.unwrap().redriven, 0);
    running.stop().await;
}

/// Has nothing for operators.
struct Deaf;

#[async_trait]
impl Transport for Deaf {
    fn publish(&self, _: Envelope) -> Answer<Result<(), TransportError>> {
        Answer::now(Ok(()))
    }

    async fn subscribe(&self, _: Group) -> Result<Box<dyn Deliveries>, TransportError> {
        Err(TransportError::Unsupported { reason: "deaf".into() })
    }

    fn health(&self) -> watch::Receiver<Health> {
        watch::Sender::new(Health::Ready).subscribe()
    }
}

#[tokio::test]
async fn a_transport_without_an_operator_is_told_as_such() {
    let letters = Bus::new(Deaf).dead_letters();
    assert_eq!(letters.count().await, Err(OperatorError::Unsupported));
    assert_eq!(letters.clone().redrive().await, Err(OperatorError::Unsupported));
    assert_eq!(letters.purge().everything().await, Err(OperatorError::Unsupported));
}
