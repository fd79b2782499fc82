//! The numbers agree with what really happened, as the broker wrote it down.

use std::collections::BTreeMap;

use bus_core::prelude::*;
use bus_core::settle::{Reason, Settlement};
use bus_core::testing::Fact;

use super::shop::{Does, Watched, placed};

/// Sums of one metric, by one of its attributes.
fn sums(shop: &Watched, name: &str, by: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for metric in shop.capture.metrics().into_iter().filter(|metric| metric.name == name) {
        let key =
            metric.attributes.split(',').find_map(|pair| pair.strip_prefix(&format!("{by}=")));
        *sums.entry(key.unwrap_or("none").to_owned()).or_default() += metric.value;
    }
    sums
}

/// What the broker saw of the same.
fn ledger(shop: &Watched) -> BTreeMap<String, f64> {
    let mut ledger = BTreeMap::new();
    for fact in shop.test.history() {
        let what = match fact {
            Fact::Published { .. } => "published",
            Fact::Settled { settlement, .. } => match settlement {
                Settlement::Ack => "ack",
                Settlement::Retry { .. } => "retry",
                Settlement::DeadLetter { reason: Reason::Rejected, .. } => "reject",
                Settlement::DeadLetter { .. } => "dead_letter",
                Settlement::Release => "abandoned",
            },
            _ => continue,
        };
        *ledger.entry(what.to_owned()).or_default() += 1.0;
    }
    ledger
}

#[tokio::test]
async fn they_agree_with_the_ledger() {
    let shop = Watched::new().await;
    let all = [Does::Bills, Does::Fails, Does::Rejects, Does::Panics, Does::Nothing];
    let orders = shop.orders();
    // Every way that three runs can go.
    for first in &all {
        for second in &all {
            let order = placed(&[first.clone(), second.clone(), Does::Fails]);
            orders.publish(&order).await.unwrap();
        }
    }
    shop.all().await;
    let mut ledger = ledger(&shop);
    let published = ledger.remove("published").unwrap();
    assert!(published > 25.0 && ledger.len() == 4, "{ledger:?}");
    assert_eq!(sums(&shop, "bus.process.outcomes", "bus.outcome"), ledger);
    let runs: f64 = ledger.values().sum();
    let operation = "messaging.operation.name";
    let of = |name: &str, operation_is: &str| sums(&shop, name, operation)[operation_is];
    assert_eq!(of("messaging.client.sent.messages", "publish"), published);
    assert_eq!(of("messaging.client.operation.duration", "publish"), published);
    assert_eq!(of("messaging.client.operation.duration", "retry"), ledger["retry"]);
    let letters = ledger["dead_letter"] + ledger["reject"];
    assert_eq!(of("messaging.client.operation.duration", "dead_letter"), letters);
    assert_eq!(of("messaging.client.consumed.messages", "process"), runs);
    assert_eq!(of("messaging.process.duration", "process"), runs);
    let reasons = sums(&shop, "bus.dead_letters", "bus.dead_letter.reason");
    let wanted = [("max_attempts", ledger["dead_letter"]), ("rejected", ledger["reject"])];
    assert_eq!(reasons, wanted.map(|(reason, count)| (reason.to_owned(), count)).into());
    let done = sums(&shop, "bus.attempts", "bus.outcome");
    assert_eq!(done.values().sum::<f64>(), runs - ledger["retry"]);
    let waits = sums(&shop, "bus.message.wait", "bus.redelivered");
    assert_eq!(waits["true"], ledger["retry"]);
    assert_eq!(waits["false"], runs - ledger["retry"]);
    assert_eq!(
        sums(&shop, "bus.process.active", "messaging.consumer.group.name")["billing_charge"],
        0.0
    );
}

#[tokio::test]
async fn classes_of_errors_are_few_and_ids_are_nowhere() {
    let shop = Watched::new().await;
    for _ in 0..3 {
        shop.order(&[Does::Fails, Does::Panics, Does::Rejects]).await;
    }
    let classes = sums(&shop, "messaging.process.duration", "error.type");
    let wanted = [("gateway", 3.0), ("no_card", 3.0), ("panic", 3.0)];
    assert_eq!(classes, wanted.map(|(class, count)| (class.to_owned(), count)).into());
    for metric in shop.capture.metrics() {
        assert!(!metric.attributes.contains("orders.eu."), "{metric:?}");
        assert!(!metric.attributes.contains("messaging.message.id"), "{metric:?}");
    }
}

/// In real time: only there the broker is asked how far groups are behind.
#[tokio::test]
async fn a_backlog_is_seen_as_soon_as_the_broker_was_asked() {
    let shop = Watched::with(|telemetry| telemetry).await;
    let memory = bus_core::memory::Memory::new();
    let providers = shop.capture.service("late");
    let telemetry =
        bus_core::telemetry::Telemetry::new().meter_provider(&providers.meter).lag_every(SECOND);
    let bus = memory.bus().telemetry(telemetry);
    let hang = |_: super::shop::Placed, _: Context| std::future::pending::<()>();
    let service = Service::new("late", bus.clone()).on("hang", hang);
    let service = service.tune("hang", |options| options.concurrency(2));
    let running = service.grace(std::time::Duration::ZERO).start().await.unwrap();
    for _ in 0..10 {
        bus.publish(&placed(&[Does::Nothing])).await.unwrap();
    }
    let group = "messaging.consumer.group.name";
    let seen = |name: &str| sums(&shop, name, group).get("late_hang").copied();
    let begun = tokio::time::Instant::now();
    while (seen("bus.consumer.lag"), seen("bus.consumer.ack_pending")) != (Some(10.0), Some(2.0)) {
        assert!(begun.elapsed() < SECOND * 10, "{:?}", shop.capture.metrics());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(seen("bus.consumer.pending"), Some(8.0));
    assert_eq!(seen("bus.process.active"), Some(2.0));
    assert_eq!(seen("bus.breaker.state"), Some(0.0));
    // Of each of the three services.
    assert_eq!(sums(&shop, "bus.connection.up", "messaging.system")["memory"], 3.0);
    running.stop().await;
    assert_eq!(seen("bus.consumer.lag"), None, "a group that is gone is shown no more");
}
