//! Shows what handlers share: values given to the service, asked for as `State<T>`.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::atomic::{AtomicI64, Ordering};

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct OrderPlaced {
    total_cents: i64,
}

/// Configuration: only read.
struct Discount {
    percent: i64,
}

/// A running total: changed by every run, so it brings its own synchronisation.
#[derive(Default)]
struct Revenue(AtomicI64);

type Totals = mpsc::UnboundedSender<i64>;

#[handler]
async fn count(
    placed: OrderPlaced,
    State(discount): State<Discount>,
    State(revenue): State<Revenue>,
    State(totals): State<Totals>,
) -> HandlerResult {
    let paid = placed.total_cents * (100 - discount.percent) / 100;
    let total = revenue.0.fetch_add(paid, Ordering::SeqCst) + paid;
    totals.send(total)?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus = Bus::in_memory();

    // A state that is missing is found at the start, not by the first event.
    let incomplete = Service::new("ledger", bus.clone()).handlers(handlers![count]);
    if let Err(error) = incomplete.start().await {
        println!("not started: {error}");
    }

    let (totals, mut changes) = mpsc::unbounded_channel();
    let ledger = Service::new("ledger", bus.clone())
        .handlers(handlers![count])
        .state(Discount { percent: 10 })
        .state(Revenue::default())
        .state::<Totals>(totals)
        .start()
        .await?;

    for total_cents in [1000, 500, 250] {
        bus.publish(&OrderPlaced { total_cents }).await?;
        println!("revenue: {:?} cents", changes.recv().await);
    }
    ledger.stop().await;
    Ok(())
}
