//! Events that go in circles end in a dead letter; those that come again by a schedule do not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bus_core::prelude::*;
use bus_core::publish::PublishLimits;
use bus_core::testing::TestBus;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(subject = "rings.passed")]
struct Ring {
    number: u32,
    /// Whether the next one waits for a while.
    waits: bool,
}

#[handler]
async fn pass(ring: Ring, ctx: Context) -> HandlerResult {
    let next = ctx.publish(&Ring { number: ring.number + 1, ..ring });
    if ring.waits {
        next.after(HOUR).await?
    } else {
        next.await?
    };
    Ok(())
}

async fn started(limits: PublishLimits) -> TestBus {
    let test = TestBus::new();
    let service = Service::new("ring", test.bus().limits(limits)).handlers(handlers![pass]);
    test.start(service).await.unwrap();
    test
}

#[tokio::test]
async fn a_circle_ends_in_a_dead_letter_that_names_it() {
    let test = started(PublishLimits { hops: 10, ..PublishLimits::default() }).await;
    test.publish(&Ring { number: 0, waits: false }).settled().await.unwrap();
    assert_eq!(test.handled("pass"), 10);
    let letters = test.dead_letters("pass");
    assert_eq!((letters.len(), &*letters[0].failed.class), (1, "circle"));
    assert_eq!((letters[0].failed.attempt, letters[0].envelope.hops), (1, 10));
    let text = &letters[0].failed.text;
    assert!(text.contains("11 events followed one another, 10 are allowed"), "{text}");
}

#[tokio::test]
async fn what_nobody_limits_ends_after_a_thousand() {
    let test = started(PublishLimits::default()).await;
    test.publish(&Ring { number: 0, waits: false }).settled().await.unwrap();
    assert_eq!((test.handled("pass"), test.dead_letters("pass").len()), (1000, 1));
}

#[tokio::test]
async fn a_schedule_is_no_circle() {
    let test = started(PublishLimits { hops: 3, ..PublishLimits::default() }).await;
    test.publish(&Ring { number: 0, waits: true }).settled().await.unwrap();
    for _ in 0..20 {
        test.advance(HOUR).await;
    }
    assert!(test.handled("pass") >= 20, "{}", test.handled("pass"));
    assert!(test.dead_letters("pass").is_empty());
}
