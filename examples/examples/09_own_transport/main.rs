//! Shows a transport of your own, and a service on it: **the** example for authors of transports.
//!
//! `shelf.rs` and the two files beneath it are the transport. It keeps everything in this process,
//! so that nothing hides what every transport has to do. What it leaves out: a bound for its
//! backlog, an end to the ids it remembers, and an `operator`, which a transport may lack.
//!
//! Before you trust one of yours, drive it through the cases of bus-core's feature `conformance`,
//! as `examples/tests/own_transport.rs` does with this one.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::time::Duration;

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use self::shelf::Shelf;

mod shelf;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.{region}.placed")]
struct OrderPlaced {
    region: String,
    order: u32,
}

type Runs = mpsc::UnboundedSender<()>;

#[handler(retry = Retry::fixed(Duration::from_millis(20)).attempts(3))]
async fn charge(
    placed: OrderPlaced,
    Attempt(attempt): Attempt,
    State(runs): State<Runs>,
) -> HandlerResult {
    println!("order {} from {}, run {attempt}", placed.order, placed.region);
    runs.send(())?;
    match placed.order {
        2 if attempt == 1 => Err("the gateway is away".into()),
        3 => Err(HandlerError::reject("the card has expired")),
        _ => Ok(()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shelf = Shelf::new();
    let bus = Bus::new(shelf.clone());

    // Nobody listens yet: the events are kept.
    for (order, region) in [(1, "eu"), (2, "us"), (3, "eu")] {
        bus.publish(&OrderPlaced { region: region.to_owned(), order }).await?;
    }

    let (runs, mut ran) = mpsc::unbounded_channel();
    let billing = Service::new("billing", bus).handlers(handlers![charge]).state::<Runs>(runs);
    let four_runs = async move {
        for _ in 0..4 {
            ran.recv().await;
        }
    };
    billing.run_until(four_runs).await?;
    println!("dead letters: {:?}", shelf.dead_letters());
    Ok(())
}
