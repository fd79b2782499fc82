//! Loops written by hand on `async-nats`.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::Result;
use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::AckPolicy;
use async_nats::jetstream::consumer::pull::{Config, Stream};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{OPEN, SLOTS, WINDOW};
use crate::goal::Goal;
use crate::ground::Ground;
use benches::event::{Placed, STREAM, SUBJECT, headers};

/// Headers as the bus writes them.
pub(crate) fn header_map() -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers("bench") {
        map.insert(name, value);
    }
    map
}

pub(crate) async fn publish(ground: &Ground, _: &str, events: u64) -> Result<f64> {
    ground.empty().await?;
    let placed = &Placed::many(events);
    let begun = Instant::now();
    let acks = stream::iter(0..events as usize).map(|number| async move {
        let payload = Bytes::from(serde_json::to_vec(&placed[number])?);
        let ack = ground.raw.publish_with_headers(SUBJECT, header_map(), payload).await?;
        anyhow::Ok(ack.await?)
    });
    acks.buffered(WINDOW).try_for_each(|_| async { Ok(()) }).await?;
    let rate = events as f64 / begun.elapsed().as_secs_f64();
    ground.holds(events).await?;
    Ok(rate)
}

pub(crate) async fn messages(ground: &Ground, name: &str) -> Result<Stream> {
    messages_of(&ground.raw, STREAM, SUBJECT, name).await
}

/// Of one subject of a stream.
pub(crate) async fn messages_of(
    context: &Context,
    stream: &str,
    subject: &str,
    name: &str,
) -> Result<Stream> {
    let config = Config { max_ack_pending: OPEN, ..Config::default() };
    consumed(context, stream, subject, name, config).await
}

async fn consumed(
    context: &Context,
    stream: &str,
    subject: &str,
    name: &str,
    config: Config,
) -> Result<Stream> {
    let (durable_name, filter_subject) = (Some(name.to_owned()), subject.to_owned());
    let config = Config { durable_name, filter_subject, ..config };
    let consumer = context.create_consumer_on_stream(config, stream).await?;
    Ok(consumer.stream().max_messages_per_batch(WINDOW).messages().await?)
}

pub(crate) async fn one_by_one(ground: &Ground, name: &str, events: u64) -> Result<f64> {
    let goal = Goal::of(events);
    handle(messages(ground, name).await?, &goal).await?;
    ground.settled(name).await?;
    goal.rate()
}

/// What the client can bring at most: nothing is acked, so there are no guarantees at all.
pub(crate) async fn without_acks(ground: &Ground, name: &str, events: u64) -> Result<f64> {
    let config = Config { ack_policy: AckPolicy::None, ..Config::default() };
    let messages = consumed(&ground.raw, STREAM, SUBJECT, name, config).await?;
    let (mut messages, goal) = (messages.take(events as usize), Goal::of(events));
    while let Some(message) = messages.next().await {
        black_box(serde_json::from_slice::<Placed>(&message?.payload)?);
        goal.count();
    }
    goal.rate()
}

/// One after the other, up to the last one.
pub(crate) async fn handle(mut messages: Stream, goal: &Goal) -> Result<()> {
    while let Some(message) = messages.next().await {
        let message = message?;
        black_box(serde_json::from_slice::<Placed>(&message.payload)?);
        let last = goal.count();
        message.ack().await.map_err(anyhow::Error::msg)?;
        if last {
            break;
        }
    }
    Ok(())
}

pub(crate) async fn spawned(ground: &Ground, name: &str, events: u64) -> Result<f64> {
    let mut messages = messages(ground, name).await?.take(events as usize);
    let (goal, slots) = (Goal::of(events), Arc::new(Semaphore::new(SLOTS)));
    let mut tasks = JoinSet::new();
    while let Some(message) = messages.next().await {
        let (message, goal) = (message?, Arc::clone(&goal));
        let slot = Arc::clone(&slots).acquire_owned().await?;
        tasks.spawn(async move {
            black_box(serde_json::from_slice::<Placed>(&message.payload)?);
            goal.count();
            message.ack().await.map_err(anyhow::Error::msg)?;
            drop(slot);
            anyhow::Ok(())
        });
        while let Some(done) = tasks.try_join_next() {
            done??;
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    ground.settled(name).await?;
    goal.rate()
}
