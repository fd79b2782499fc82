//! The transport of example 09 passes the conformance cases; the test of one of yours looks alike.

use std::sync::Arc;
use std::time::SystemTime;

use bus_core::Subject;
use bus_core::prelude::*;
use bus_core::settle::{Failed, Reason, Settlement};
use bus_core::testing::conformance::{Bench, Settings};
use bus_core::transport::{Group, GroupName, Transport};

use self::example::shelf::Shelf;

#[path = "../examples/09_own_transport"]
mod example {
    pub(super) mod shelf;
}

/// Each case gets a transport of its own. This one has no second process to connect from, and no
/// operator, and keeps no event until its time; its clock is tokio's, so a day costs nothing.
async fn shelf() -> Bench {
    let settings = Settings { operator: false, delayed: false, ..Settings::paused() };
    Bench::new(Arc::new(Shelf::new()), settings)
}

bus_core::conformance! {
    #[tokio::test(start_paused = true)]
    shelf
}

/// The cases look at dead letters through an operator, which is not there.
#[tokio::test]
async fn a_dead_letter_is_kept() -> Result<(), Box<dyn std::error::Error>> {
    let (shelf, subject) = (Shelf::new(), Subject::literal("orders.placed"));
    let group = Group::new(GroupName::new("billing", "charge")?, (&subject).into());
    let mut deliveries = shelf.subscribe(group).await?;
    shelf.publish(Envelope::new(EventId::now(), "orders.placed", subject, "{}")).await?;
    let delivery = std::future::poll_fn(|cx| deliveries.poll_next(cx)).await.ok_or("ended")?;
    let failed = Failed::new("expired", "the card has expired", 1, SystemTime::now());
    delivery.settle(Settlement::DeadLetter { reason: Reason::Rejected, failed }).await?;
    let expected = "billing_charge: orders.placed rejected, the card has expired";
    assert_eq!(shelf.dead_letters(), [expected]);
    Ok(())
}
