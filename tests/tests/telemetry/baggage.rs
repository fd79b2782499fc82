//! Only what is on the list goes along.

use std::sync::{Arc, Mutex};

use bus_core::prelude::*;
use bus_core::telemetry::Telemetry;
use bus_core::testing::TestBus;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::FutureExt;
use opentelemetry::{Context as Cx, KeyValue};

use super::shop::{Does, Placed, envelopes, placed};

fn carrying() -> Cx {
    Cx::new().with_baggage([
        KeyValue::new("tenant", "acme, inc; 100 %é"),
        KeyValue::new("password", "hunter2"),
    ])
}

async fn arrives(publisher: Telemetry, handler: Telemetry) -> (Option<String>, Vec<String>) {
    let test = TestBus::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let look = move |_: Placed, _: Context| {
        let told = Arc::clone(&told);
        async move {
            let here = Cx::current();
            let pairs = here.baggage().iter().map(|(key, (value, _))| format!("{key}={value}"));
            told.lock().unwrap().extend(pairs);
        }
    };
    let bus = test.bus().telemetry(publisher);
    bus.publish(&placed(&[Does::Nothing])).with_context(carrying()).await.unwrap();
    let service = Service::new("looks", test.bus().telemetry(handler)).on("look", look);
    test.start(service).await.unwrap();
    test.settled().await;
    let header = envelopes(&test)[0].trace.baggage.as_deref().map(str::to_owned);
    let seen = seen.lock().unwrap().clone();
    (header, seen)
}

#[tokio::test]
async fn none_by_default() {
    assert_eq!(arrives(Telemetry::new(), Telemetry::new()).await, (None, Vec::new()));
}

#[tokio::test]
async fn what_is_on_both_lists_arrives_as_it_was() {
    let listed = || Telemetry::new().baggage(["tenant", "absent"]);
    let header = "tenant=acme%2C%20inc%3B%20100%20%25%C3%A9";
    let tenant = "tenant=acme, inc; 100 %é";
    let (sent, seen) = arrives(listed(), listed()).await;
    assert_eq!((sent.as_deref(), seen), (Some(header), vec![tenant.to_owned()]));
    let (sent, seen) = arrives(listed(), Telemetry::new()).await;
    assert_eq!((sent.as_deref(), seen), (Some(header), Vec::new()));
}

#[tokio::test]
async fn what_is_too_long_stays_behind_whole() {
    let test = TestBus::new();
    let bus = test.bus().telemetry(Telemetry::new().baggage(["tenant"]));
    let long = Cx::new().with_baggage([KeyValue::new("tenant", "x".repeat(1100))]);
    bus.publish(&placed(&[Does::Nothing])).with_context(long).await.unwrap();
    assert_eq!(envelopes(&test)[0].trace.baggage, None);
}
