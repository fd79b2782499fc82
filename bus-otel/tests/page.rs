//! The numbers of a service as Prometheus reads them: what a query is written against.

use std::time::Duration;

use bus_core::prelude::*;
use bus_core::testing::TestBus;
use bus_otel::Setup;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.{region}.placed")]
struct Placed {
    region: String,
}

#[handler(retry = Retry::fixed(MINUTE).attempts(3))]
async fn charge(_: Placed) -> HandlerResult {
    Err(HandlerError::retry("the gateway is away"))
}

/// The page that is shown to people, with its example for a scaler.
const GUIDE: &str = include_str!("../../docs/follow-an-order.md");

#[tokio::test(start_paused = true)]
async fn how_far_a_group_is_behind_is_what_the_guide_scales_by() {
    let otel = Setup::new("billing").prometheus().init().unwrap();
    let test = TestBus::new();
    test.start(Service::new("billing", test.bus()).handlers(handlers![charge])).await.unwrap();
    for _ in 0..3 {
        test.bus().publish(&Placed { region: "eu".to_owned() }).await.unwrap();
    }
    test.settled().await;
    // The broker is asked every 15 s.
    test.advance(Duration::from_secs(16)).await;

    let page = otel.metrics_page();
    let group = "messaging_consumer_group_name=\"billing_charge\"";
    let number = |name: &str| {
        let of_group = |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(group);
        page.lines().find(of_group).and_then(|line| line.rsplit(' ').next())
    };
    assert_eq!(number("bus_consumer_lag"), Some("3"), "{page}");
    assert_eq!(number("messaging_process_duration_seconds_count"), Some("3"), "{page}");
    assert!(GUIDE.contains(&format!("max(bus_consumer_lag{{{group}}})")), "the query");
}
