//! The service `orders`: places orders, completes or cancels them when billing has spoken, and
//! closes them when the customer knows.

use bus_core::prelude::*;
use futures_util::future::try_join_all;
use tokio::task::yield_now;
use tokio::time::{interval, sleep};
use tracing::instrument;

use crate::RETRY;
use crate::account::{Account, Stage};
use crate::events::{
    MailSent, OrderCancelled, OrderCompleted, OrderPlaced, PaymentRefused, PaymentTaken,
};

const REGIONS: [&str; 3] = ["eu", "us", "asia"];

/// How many orders are published together where nobody asked for a pace.
const BATCH: u64 = 256;

/// How often an order is published under its id before the run is given up. One try takes up to
/// ten seconds, and all of them have to fit into the server's duplicate window of two minutes.
const TRIES: u32 = 10;

/// Its state is the [`Account`], which others look at too: whoever runs it hands it in.
pub(crate) fn service(bus: Bus) -> Service {
    Service::new("orders", bus).handlers(discover!(crate::orders))
}

#[handler(retry = RETRY)]
async fn complete(
    taken: PaymentTaken,
    ctx: Context,
    State(account): State<Account>,
) -> Result<(), PublishError> {
    let PaymentTaken { region, order, receipt } = taken;
    ctx.publish(&OrderCompleted { region, order, receipt }).await?;
    account.reach(&ctx.envelope().correlation, Stage::Completed);
    Ok(())
}

#[handler(retry = RETRY)]
async fn cancel(
    refused: PaymentRefused,
    ctx: Context,
    State(account): State<Account>,
) -> Result<(), PublishError> {
    let PaymentRefused { region, order, reason } = refused;
    ctx.publish(&OrderCancelled { region, order, reason }).await?;
    account.reach(&ctx.envelope().correlation, Stage::Cancelled);
    Ok(())
}

#[handler(retry = RETRY)]
async fn close(_: MailSent, ctx: Context, State(account): State<Account>) {
    account.reach(&ctx.envelope().correlation, Stage::Ended);
}

/// Places orders 1, 2, 3 …: `rate` in a second, or as fast as they go.
pub(crate) async fn place(
    bus: &Bus,
    account: &Account,
    orders: u64,
    rate: Option<u32>,
) -> Result<(), PublishError> {
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
        try_join_all((placed + 1..=last).map(|number| store(&bus, account, number))).await?;
        placed = last;
    }
    Ok(())
}

/// One order, under one id however often it has to be sent: a broker that is away for a while, or
/// does not answer, makes no second order. Its trace begins here.
#[instrument(name = "place order", skip_all, fields(order = number))]
async fn store(bus: &Bus, account: &Account, number: u64) -> Result<(), PublishError> {
    let (order, id) = (order(number), EventId::now());
    account.place(id.clone());
    let mut tries = 1;
    loop {
        match bus.publish(&order).id(id.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_permanent() || tries == TRIES => return Err(error),
            Err(_) => sleep(SECOND).await,
        }
        tries += 1;
    }
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
