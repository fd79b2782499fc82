//! Three services on one broker, each with telemetry of its own, and a clock that is moved by hand.

use std::sync::Arc;
use std::time::Duration;

use bus_core::prelude::*;
use bus_core::telemetry::Telemetry;
use bus_core::testing::{Fact, TestBus};
use bus_otel::testing::Capture;
use opentelemetry::Value;
use opentelemetry_sdk::trace::SpanData;
use serde::{Deserialize, Serialize};

/// What the handler of an order does, run by run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Does {
    Bills,
    Fails,
    Rejects,
    Panics,
    Hangs,
    Nothing,
}

#[derive(Clone, Debug, Serialize, Deserialize, Event)]
#[event(subject = "orders.{region}.placed", type = "orders.placed")]
pub(crate) struct Placed {
    pub(crate) region: String,
    /// The last one counts for all further runs.
    pub(crate) runs: Vec<Does>,
}

#[derive(Clone, Debug, Serialize, Deserialize, Event)]
#[event(subject = "invoices.created")]
pub(crate) struct Invoice {
    pub(crate) runs: Vec<Does>,
}

#[derive(Debug, thiserror::Error, Failure)]
pub(crate) enum Refused {
    #[error("the gateway is away")]
    Gateway,
    #[error("no card")]
    #[failure(reject)]
    NoCard,
    #[error("publish")]
    #[failure(inherit)]
    Publish(#[from] PublishError),
}

pub(crate) const RETRY: Retry = Retry::fixed(MINUTE).attempts(3);

#[handler(retry = RETRY, timeout = Duration::from_millis(100))]
pub(crate) async fn charge(order: Placed, ctx: Context) -> Result<(), Refused> {
    let run = ctx.attempt() as usize - 1;
    match order.runs.get(run).or(order.runs.last()).unwrap() {
        Does::Bills => drop(ctx.publish(&Invoice { runs: vec![Does::Nothing] }).await?),
        Does::Fails => return Err(Refused::Gateway),
        Does::Rejects => return Err(Refused::NoCard),
        Does::Panics => panic!("on purpose"),
        Does::Hangs => std::future::pending().await,
        Does::Nothing => {}
    }
    Ok(())
}

#[handler]
pub(crate) async fn mail(invoice: Invoice) {
    assert_eq!(invoice.runs, [Does::Nothing]);
}

/// What the shop is watched by.
pub(crate) struct Watched {
    pub(crate) test: TestBus,
    pub(crate) capture: Capture,
}

impl Watched {
    /// Billing and mailing, and whoever publishes as `orders`.
    pub(crate) async fn new() -> Self {
        Self::with(|telemetry| telemetry).await
    }

    pub(crate) async fn with(change: impl Fn(Telemetry) -> Telemetry) -> Self {
        let watched = Self { test: TestBus::new(), capture: Capture::new() };
        for (name, handlers) in [("billing", handlers![charge]), ("mailer", handlers![mail])] {
            let service = Service::new(name, watched.bus(name, &change));
            watched.test.start(service.handlers(handlers)).await.unwrap();
        }
        watched
    }

    /// The bus as one service sees it.
    pub(crate) fn bus(&self, name: &str, change: impl Fn(Telemetry) -> Telemetry) -> Bus {
        let telemetry = self.capture.service(name).telemetry();
        self.test.bus().source(name).telemetry(change(telemetry))
    }

    pub(crate) fn orders(&self) -> Bus {
        self.bus("orders", |telemetry| telemetry)
    }

    /// Publishes an order, and lets everything happen that comes of it.
    pub(crate) async fn order(&self, runs: &[Does]) {
        self.orders().publish(&placed(runs)).await.unwrap();
        self.all().await;
    }

    /// Until nothing waits for its retry any more.
    pub(crate) async fn all(&self) {
        for _ in 0..4 {
            self.test.settled().await;
            self.test.advance(MINUTE).await;
        }
        self.test.settled().await;
    }

    pub(crate) fn spans(&self, name: &str) -> Vec<SpanData> {
        self.capture.spans().into_iter().filter(|span| span.name == name).collect()
    }
}

pub(crate) fn placed(runs: &[Does]) -> Placed {
    Placed { region: "eu".to_owned(), runs: runs.to_vec() }
}

pub(crate) fn attribute(span: &SpanData, key: &str) -> Option<Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.clone())
}

/// All events that were stored, as they travel.
pub(crate) fn envelopes(test: &TestBus) -> Vec<Arc<Envelope>> {
    let facts = test.history().into_iter();
    let stored = facts.filter_map(|fact| match fact {
        Fact::Published { envelope, duplicate: false } => Some(envelope),
        _ => None,
    });
    stored.collect()
}
