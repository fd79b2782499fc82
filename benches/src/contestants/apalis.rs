//! apalis 1.0 with `apalis-nats` 0.1: a durable pull consumer as in its examples, and
//! `.concurrency(64).parallelize(tokio::spawn)`, as its README runs tasks at once on all threads.
//!
//! It does not publish here: its sink does not wait for the server's acks.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::Result;
use apalis::prelude::*;
use apalis_nats::{Config, NatsJetStream};
use async_nats_of_peers::Client;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{OPEN, SLOTS};
use crate::goal::Goal;
use crate::ground::Ground;
use benches::event::{Placed, STREAM, SUBJECT};

async fn handle(placed: Placed, goal: Data<Arc<Goal>>) -> Result<(), BoxDynError> {
    black_box(placed);
    goal.count();
    Ok(())
}

pub(crate) async fn consume(ground: &Ground, name: &str, events: u64) -> Result<f64> {
    let client = async_nats_of_peers::connect(&ground.url).await?;
    let goal = Goal::of(events);
    // One that is stopped before leaves acks behind.
    let acked = async { goal.reached().await.and(ground.acked(name).await) };
    tokio::select! {
        ended = worker(client, name, Arc::clone(&goal)) => ended?,
        acked = acked => acked?,
    }
    ground.settled(name).await?;
    goal.rate()
}

#[expect(clippy::disallowed_methods, reason = "what its README advises")]
fn worker(
    client: Client,
    name: &str,
    goal: Arc<Goal>,
) -> BoxFuture<'static, Result<(), WorkerError>> {
    let mut config = Config::new(STREAM).with_pull_consumer().with_max_ack_pending(OPEN);
    config.consumer.durable_name = Some(name.to_owned());
    config.consumer.filter_subject = SUBJECT.to_owned();
    let worker = WorkerBuilder::new(name)
        .backend(NatsJetStream::<Placed, _>::new(client).with_config(config))
        .concurrency(SLOTS)
        .parallelize(tokio::spawn)
        .data(goal)
        .build(handle);
    worker.run().boxed()
}
