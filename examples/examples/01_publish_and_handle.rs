//! Shows the smallest whole program: an event, a handler, a service, a publish.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct OrderPlaced {
    #[event(key)]
    order: u32,
    total_cents: i64,
}

/// Told at the end of the handler, so that the program knows when to stop.
static CHARGED: Notify = Notify::const_new();

#[handler]
async fn charge(placed: OrderPlaced, ctx: Context) {
    let OrderPlaced { order, total_cents } = placed;
    println!("charged order {order} with {total_cents} cents, event {}", ctx.id());
    CHARGED.notify_one();
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // No server: the broker is in this process. `Bus::new(transport)` takes any other.
    let bus = Bus::in_memory();
    let billing = Service::new("billing", bus.clone()).handlers(discover!()).start().await?;

    let id = bus.publish(&OrderPlaced { order: 1, total_cents: 995 }).await?;
    println!("stored event {id}");

    CHARGED.notified().await;
    billing.stop().await;
    Ok(())
}
