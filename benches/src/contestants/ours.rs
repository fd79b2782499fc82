//! The bus, with its default guarantees: leases, a time-out, a guard against panics, retries, a
//! circuit breaker, a stop that loses nothing.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Result, ensure};
use bus_core::prelude::*;
use tokio::time::Instant;

use crate::goal::Goal;
use crate::ground::Ground;
use benches::event::Placed;

#[handler(concurrency = 64)]
pub(crate) async fn handle(placed: Placed, State(goal): State<Goal>) {
    black_box(placed);
    goal.count();
}

pub(crate) async fn publish(ground: &Ground, _: &str, events: u64) -> Result<f64> {
    ground.empty().await?;
    let placed = Placed::many(events);
    let begun = Instant::now();
    let stored = ground.bus.publish_all(&placed).await;
    let rate = events as f64 / begun.elapsed().as_secs_f64();
    ensure!(stored.iter().all(Result::is_ok), "not all events are stored");
    ground.holds(events).await?;
    Ok(rate)
}

pub(crate) async fn consume(ground: &Ground, name: &str, events: u64) -> Result<f64> {
    consume_by(&ground.bus, ground, name, events).await
}

/// By a bus that is set otherwise.
pub(crate) async fn consume_by(bus: &Bus, ground: &Ground, name: &str, events: u64) -> Result<f64> {
    let goal = Goal::of(events);
    let service = Service::new(name, bus.clone()).shared(Arc::clone(&goal));
    let running = service.handlers(handlers![handle]).start().await?;
    let reached = goal.reached().await;
    running.stop().await;
    reached?;
    ground.settled(&format!("{name}_handle")).await?;
    goal.rate()
}
