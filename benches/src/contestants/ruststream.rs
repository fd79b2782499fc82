//! RustStream 0.7, as its own benchmarks run it, with `workers(64)`, by which its documentation runs
//! a handler several times at once (`examples/workers.rs`), and a publisher that waits for acks
//! (`JetStreamPublisher::publish_ack`).

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bytes::{BufMut, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use ruststream::{Broker, ConnectedBroker, HeaderMap, OutgoingMessage};
use ruststream_nats::prelude::*;
use tokio::time::Instant;

use super::{OPEN, WINDOW};
use crate::goal::Goal;
use crate::ground::Ground;
use benches::event::{Placed, STREAM, SUBJECT, headers};

/// The consumer of this round: what stands in `#[subscriber]` is evaluated where it is mounted.
static DURABLE: Mutex<String> = Mutex::new(String::new());

fn durable() -> String {
    DURABLE.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[subscriber(
    JetStreamSubject::new(SUBJECT, STREAM).durable(durable()).max_ack_pending(OPEN),
    workers(64)
)]
async fn handle(placed: &Placed, ctx: &mut Context<'_, (), Arc<Goal>>) -> HandlerOutcome {
    black_box(placed);
    ctx.state().count();
    HandlerOutcome::ack()
}

pub(crate) async fn consume(ground: &Ground, name: &str, events: u64) -> Result<f64> {
    name.clone_into(&mut DURABLE.lock().unwrap_or_else(PoisonError::into_inner));
    let goal = Goal::of(events);
    let state = Arc::clone(&goal);
    let running = RustStream::new(AppInfo::new("bench", "0.1.0"))
        .on_startup(async move |()| Ok::<_, Infallible>(state))
        .with_broker(NatsBroker::new(ground.url.as_str()), |b| {
            b.include(handle);
        })
        .start()
        .await?;
    let reached = goal.reached().await;
    running.shutdown().await?;
    reached?;
    ground.settled(name).await?;
    goal.rate()
}

pub(crate) async fn publish(ground: &Ground, _: &str, events: u64) -> Result<f64> {
    ground.empty().await?;
    let placed = &Placed::many(events);
    let broker = NatsBroker::new(ground.url.as_str()).connect().await?;
    let publisher = &broker.publisher(JetStreamPublish::default());
    let begun = Instant::now();
    let acks = stream::iter(0..events as usize).map(|number| async move {
        let mut payload = BytesMut::with_capacity(256).writer();
        serde_json::to_writer(&mut payload, &placed[number])?;
        // It writes names in lower case, but for those of its options; the server needs this one as it is.
        let [(_, id), rest @ ..] = headers("bench");
        let options = JetStreamOptions { message_id: Some(id), ..JetStreamOptions::default() };
        let mut map = HeaderMap::with_capacity(10);
        for (name, value) in rest {
            map.insert(name, value);
        }
        let message = OutgoingMessage::with_payload(SUBJECT, payload.into_inner());
        publisher.publish_ack(message.with_headers(map), Some(&options)).await?;
        anyhow::Ok(())
    });
    acks.buffered(WINDOW).try_for_each(|()| async { Ok(()) }).await?;
    let rate = events as f64 / begun.elapsed().as_secs_f64();
    broker.shutdown().await?;
    ground.holds(events).await?;
    Ok(rate)
}
