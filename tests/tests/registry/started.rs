//! Services that would lose a handler, or run it twice, do not start.

use bus_core::Handlers;
use bus_core::prelude::*;

use crate::discovered::billing::charge;
use crate::discovered::billing::refunds::refund;

async fn start(name: &str, bus: &Bus, handlers: Handlers) -> Result<Running, StartError> {
    Service::new(name, bus.clone()).handlers(handlers).start().await
}

#[expect(clippy::panic, reason = "a test has to fail here")]
async fn refusal(name: &str, bus: &Bus, handlers: Handlers) -> String {
    match start(name, bus, handlers).await {
        Ok(running) => panic!("started: {}", running.stop().await),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_service_without_handlers_does_not_start() {
    let refused = Service::new("billing", Bus::in_memory()).start().await.err();
    assert_eq!(refused, Some(StartError::NoHandlers { service: "billing".to_owned() }));
}

#[tokio::test]
async fn a_module_without_handlers_is_named() {
    let (bus, empty) = (Bus::in_memory(), "discover!(crate::discovered::empty)");
    let said = refusal("billing", &bus, discover!(crate::discovered::empty)).await;
    assert!(said.starts_with(&format!("`{empty}` found no handler")), "{said}");
    let said = refusal("billing", &bus, handlers![]).await;
    assert!(said.starts_with("`handlers![]` found no handler"), "{said}");
}

#[tokio::test]
async fn an_empty_module_is_named_also_beside_one_that_is_not() {
    let service = Service::new("billing", Bus::in_memory())
        .handlers(handlers![charge])
        .handlers(discover!(crate::discovered::empty));
    let origin = "discover!(crate::discovered::empty)".to_owned();
    assert_eq!(service.start().await.err(), Some(StartError::NothingFound { origin }));
}

#[tokio::test]
async fn a_handler_that_is_listed_twice_is_refused() {
    let said = refusal("billing", &Bus::in_memory(), handlers![charge, charge]).await;
    assert!(said.starts_with("`charge` (tests/tests/registry/discovered.rs:"), "{said}");
    assert!(said.contains("is there twice"), "{said}");
}

#[tokio::test]
async fn two_services_do_not_share_a_handler() {
    let bus = Bus::in_memory();
    let billing = start("billing", &bus, discover!()).await.unwrap();
    let said = refusal("mailing", &bus, discover!()).await;
    assert!(said.contains("runs in the service `billing` of this process already"), "{said}");
    assert!(said.contains("with `discover!(crate::…)`"), "{said}");
    billing.stop().await;
    start("mailing", &bus, discover!()).await.unwrap().stop().await;
}

#[tokio::test]
async fn two_services_with_a_module_each_run_side_by_side() {
    let bus = Bus::in_memory();
    let archive = discover!(crate::discovered::billing_archive);
    let billing = start("billing", &bus, handlers![charge, refund]).await.unwrap();
    let archive = start("archive", &bus, archive).await.unwrap();
    tokio::join!(billing.stop(), archive.stop());
}

#[tokio::test]
async fn replicas_of_one_service_share_its_handlers() {
    let bus = Bus::in_memory();
    let first = start("billing", &bus, discover!()).await.unwrap();
    let second = start("billing", &bus, discover!()).await.unwrap();
    // The first replica's end leaves the second one's claim.
    first.stop().await;
    let said = refusal("mailing", &bus, handlers![charge]).await;
    assert!(said.contains("runs in the service `billing`"), "{said}");
    second.stop().await;
}
