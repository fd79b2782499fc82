//! From before a publish until its handler has started, where nothing else is to be done; and the
//! same beside a handler of the same service that is stuck with all that it may run.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bus_core::prelude::*;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::contestants::raw;
use crate::figure::{Bound, Figure};
use crate::goal::Goal;
use crate::ground::Ground;
use crate::rounds::{Effort, Samples};
use benches::event::{FIRST, Placed, STREAM, SUBJECT};

/// Between two publishes.
const PAUSE: Duration = Duration::from_millis(2);

/// How many events wait for the handler that is stuck.
const WAITING: usize = 10_000;

/// When each was sent, and how long it took.
struct Watch {
    begun: Instant,
    sent: Vec<AtomicU64>,
    took: Mutex<Vec<f64>>,
    goal: Arc<Goal>,
}

/// Of one round, in microseconds.
struct Percentiles {
    p50: f64,
    p99: f64,
}

impl Watch {
    fn new(events: u64) -> Arc<Self> {
        let sent = (0..events).map(|_| AtomicU64::new(0)).collect();
        let (took, goal) = (Mutex::default(), Goal::of(events));
        Arc::new(Self { begun: Instant::now(), sent, took, goal })
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    fn sends(&self, placed: &Placed) {
        self.sent[(placed.order - FIRST) as usize].store(self.now(), Ordering::Relaxed);
    }

    fn starts(&self, placed: &Placed) -> bool {
        let sent = self.sent[(placed.order - FIRST) as usize].load(Ordering::Relaxed);
        let took = (self.now() - sent) as f64 / 1000.0;
        self.took.lock().unwrap_or_else(PoisonError::into_inner).push(took);
        self.goal.count()
    }

    fn percentiles(&self) -> Result<Percentiles> {
        let mut took = self.took.lock().unwrap_or_else(PoisonError::into_inner).clone();
        took.sort_by(f64::total_cmp);
        let at = |share: usize| took.get(took.len() * share / 100).copied().context("no events");
        Ok(Percentiles { p50: at(50)?, p99: at(99)? })
    }
}

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(subject = "bench.waiting")]
struct Waiting {}

#[handler(concurrency = 64)]
async fn timed(placed: Placed, State(watch): State<Watch>) {
    watch.starts(&placed);
}

#[handler(concurrency = 64)]
async fn stuck(_: Waiting) {
    pending::<()>().await;
}

pub(crate) async fn measure(effort: Effort) -> Result<Vec<Figure>> {
    let ground = Ground::new().await?;
    let events = if effort.quick { 500 } else { 2000 };
    let mut samples = [(); 3].map(|()| (Samples::default(), Samples::default()));
    for round in 0..effort.rounds {
        for turn in 0..3 {
            let which = (round + turn) % 3;
            let name = format!("latency-{round}-{which}");
            ground.empty().await?;
            let found = match which {
                0 => ours(&ground, &name, events, handlers![timed]).await?,
                1 => by_hand(&ground, &name, events).await?,
                _ => beside_stuck(&ground, &name, events).await?,
            };
            samples[which].0.push(found.p50);
            samples[which].1.push(found.p99);
        }
    }
    let [alone, raw, beside] = samples;
    let p50 = Figure::new("latency_p50", "µs", &alone.0).against("raw", &raw.0);
    let p99 = Figure::new("latency_p99", "µs", &alone.1).against("raw", &raw.1);
    let stuck = Figure::new("latency_p99_beside_stuck", "µs", &beside.1).against("alone", &alone.1);
    Ok(vec![
        p50.of("raw", Bound::AtMost(1.1)).note("one publish every 2 ms, its ack awaited"),
        p99.of("raw", Bound::AtMost(1.3)),
        stuck.of("alone", Bound::AtMost(1.2)).note("64 runs that never end, 10,000 events waiting"),
    ])
}

async fn ours(
    ground: &Ground,
    name: &str,
    events: u64,
    handlers: bus_core::registry::Handlers,
) -> Result<Percentiles> {
    let watch = Watch::new(events);
    let service = Service::new(name, ground.bus.clone()).shared(Arc::clone(&watch));
    // What is stuck is not waited for.
    let running = service.grace(Duration::ZERO).handlers(handlers).start().await?;
    for number in 0..events {
        let placed = Placed::new(number);
        watch.sends(&placed);
        ground.bus.publish(&placed).await?;
        sleep(PAUSE).await;
    }
    let reached = watch.goal.reached().await;
    running.stop().await;
    reached?;
    ground.settled(&format!("{name}_timed")).await?;
    watch.percentiles()
}

async fn beside_stuck(ground: &Ground, name: &str, events: u64) -> Result<Percentiles> {
    for stored in ground.bus.publish_all(&vec![Waiting {}; WAITING]).await {
        stored?;
    }
    let found = ours(ground, name, events, handlers![timed, stuck]).await?;
    let stream = ground.raw.get_stream(STREAM).await?;
    stream.delete_consumer(&format!("{name}_stuck")).await?;
    Ok(found)
}

async fn by_hand(ground: &Ground, name: &str, events: u64) -> Result<Percentiles> {
    let watch = Watch::new(events);
    let mut messages = raw::messages(ground, name).await?;
    let publish = async {
        for number in 0..events {
            let placed = Placed::new(number);
            watch.sends(&placed);
            let payload = Bytes::from(serde_json::to_vec(&placed)?);
            let headers = raw::header_map();
            ground.raw.publish_with_headers(SUBJECT, headers, payload).await?.await?;
            sleep(PAUSE).await;
        }
        anyhow::Ok(())
    };
    let consume = async {
        while let Some(message) = messages.next().await {
            let message = message?;
            let last = watch.starts(&serde_json::from_slice(&message.payload)?);
            message.ack().await.map_err(anyhow::Error::msg)?;
            if last {
                break;
            }
        }
        anyhow::Ok(())
    };
    tokio::try_join!(publish, consume)?;
    ground.settled(name).await?;
    watch.percentiles()
}
