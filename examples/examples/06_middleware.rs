//! Shows middleware: one that marks every publish, one that stands around every run of a handler.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct OrderPlaced {
    order: u32,
}

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "payments.taken")]
struct PaymentTaken {
    order: u32,
}

/// Publish side: says in every event for whom it was published.
struct Tenant(&'static str);

#[async_trait]
impl Middleware<Envelope> for Tenant {
    async fn call(
        &self,
        mut envelope: Envelope,
        next: Next<'_, Envelope>,
    ) -> Result<EventId, PublishError> {
        envelope.headers.insert("tenant", self.0)?;
        next.run(envelope).await
    }
}

/// Consume side: says how long each run took and how it ended.
struct Timing;

#[async_trait]
impl Middleware<Context> for Timing {
    async fn call(&self, ctx: Context, next: Next<'_, Context>) -> HandlerResult {
        let (group, begun) = (ctx.group().clone(), Instant::now());
        let result = next.run(ctx).await;
        let end = result.as_ref().map_or_else(ToString::to_string, |()| "done".to_owned());
        println!("{group}: {end}, in {:?}", begun.elapsed());
        result
    }
}

/// Consume side, for one handler: refuses what should not get there at all.
struct Only(&'static str);

#[async_trait]
impl Middleware<Context> for Only {
    async fn call(&self, ctx: Context, next: Next<'_, Context>) -> HandlerResult {
        match ctx.headers().get("tenant") {
            Some(tenant) if tenant == self.0 => next.run(ctx).await,
            other => Err(HandlerError::reject(format!("the tenant {other:?} is none of ours"))),
        }
    }
}

static MAILED: Notify = Notify::const_new();

#[handler]
async fn charge(placed: OrderPlaced, ctx: Context) -> HandlerResult {
    // What a handler publishes goes through the same middleware.
    ctx.publish(&PaymentTaken { order: placed.order }).await?;
    Ok(())
}

#[handler]
async fn mail(taken: PaymentTaken, ctx: Context) {
    println!("mail about order {}, tenant {:?}", taken.order, ctx.headers().get("tenant"));
    MAILED.notify_one();
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus = Bus::in_memory();
    // The first one added is the outermost: `Timing` also sees what `Only` refuses.
    let billing = Service::new("billing", bus.clone())
        .handlers(handlers![charge, mail])
        .middleware(Tenant("acme"))
        .middleware(Timing)
        .middleware_for("charge", Only("acme"))
        .start()
        .await?;

    bus.clone().middleware(Tenant("umbrella")).publish(&OrderPlaced { order: 1 }).await?;
    bus.middleware(Tenant("acme")).publish(&OrderPlaced { order: 2 }).await?;
    MAILED.notified().await;
    billing.stop().await;
    Ok(())
}
