//! The service `orders`: places orders, and completes or cancels them when billing has spoken.

use bus_core::prelude::*;
use tokio::task::yield_now;
use tokio::time::interval;

use crate::RETRY;
use crate::events::{OrderCancelled, OrderCompleted, OrderPlaced, PaymentRefused, PaymentTaken};

const REGIONS: [&str; 3] = ["eu", "us", "asia"];

/// How many orders are published together where nobody asked for a pace.
const BATCH: u64 = 256;

pub(crate) fn service(bus: Bus) -> Service {
    Service::new("orders", bus).handlers(discover!(crate::orders))
}

#[handler(retry = RETRY)]
async fn complete(taken: PaymentTaken, ctx: Context) -> Result<(), PublishError> {
    let PaymentTaken { region, order, receipt } = taken;
    ctx.publish(&OrderCompleted { region, order, receipt }).await?;
    Ok(())
}

#[handler(retry = RETRY)]
async fn cancel(refused: PaymentRefused, ctx: Context) -> Result<(), PublishError> {
    let PaymentRefused { region, order, reason } = refused;
    ctx.publish(&OrderCancelled { region, order, reason }).await?;
    Ok(())
}

/// Places orders 1, 2, 3 …: `rate` in a second, or as fast as they go.
pub(crate) async fn place(bus: &Bus, orders: u64, rate: Option<u32>) -> Result<(), PublishError> {
    let bus = bus.clone().source("orders");
    let mut pace = rate.map(|rate| interval(SECOND / rate));
    let together = if pace.is_some() { 1 } else { BATCH };
    let mut placed = 0;
    while placed < orders {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        } else {
            // The in-process broker stores at once, so nothing else here would let others run.
            yield_now().await;
        }
        let last = orders.min(placed + together);
        let batch: Vec<_> = (placed + 1..=last).map(order).collect();
        for stored in bus.publish_all(&batch).await {
            stored?;
        }
        placed = last;
    }
    Ok(())
}

/// Every run of the shop sells the same.
fn order(number: u64) -> OrderPlaced {
    let [eu, us, asia] = REGIONS;
    let region = match number % 3 {
        0 => eu,
        1 => us,
        _ => asia,
    };
    OrderPlaced { region: region.to_owned(), order: number, total_cents: 500 + number % 97 * 100 }
}
