//! The in-memory transport: publish, handle and ack on two threads, JSON both ways.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bus_core::prelude::*;
use serde::Deserialize;
use tokio::process::Command;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, spawn_blocking, yield_now};
use tokio::time::Instant;

use crate::contestants::ours;
use crate::figure::{Bound, Figure};
use crate::goal::Goal;
use crate::rounds::{Effort, Samples};
use benches::event::Placed;

/// Threads, each of which publishes and handles.
const THREADS: usize = 2;

/// Published at once by each of them.
const PART: u64 = 1000;

/// How far publishers may be ahead of handlers; the broker takes 65,536.
const AHEAD: u64 = 30_000;

/// What the program `allocations` says.
#[derive(Deserialize)]
struct Allocations {
    codec: f64,
    all: f64,
}

pub(crate) async fn measure(effort: Effort) -> Result<Vec<Figure>> {
    let events = effort.events * 5;
    let mut samples = Samples::default();
    for _ in 0..effort.rounds {
        samples.push(spawn_blocking(move || round(events)).await??);
    }
    let Allocations { codec, all } = allocations().await?;
    let line = Figure::new("memory", "events/s", &samples);
    let line = line.demand("events/s", samples.median(), Bound::AtLeast(800_000.0));
    let what = "allocations an event beyond the codec's";
    let line = line.demand(what, all - codec, Bound::AtMost(5.0));
    let note = format!(
        "{THREADS} threads; publishers are at most {AHEAD} events ahead, for a full backlog would make \
         them wait one by one; {codec} allocations an event by the codec"
    );
    Ok(vec![line.note(note)])
}

fn round(events: u64) -> Result<f64> {
    let runtime = Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let begun = Instant::now();
    // Not on this thread, which is none of the two.
    runtime.block_on(runtime.spawn(publish_and_handle(events)))??;
    Ok(events as f64 / begun.elapsed().as_secs_f64())
}

async fn publish_and_handle(events: u64) -> Result<()> {
    let (goal, bus) = (Goal::of(events), Bus::in_memory());
    let service = Service::new("bench", bus.clone()).shared(Arc::clone(&goal));
    let running = service.handlers(handlers![ours::handle]).start().await?;
    let placed: Arc<Vec<_>> = Arc::new(Placed::many(PART));
    let mut publishing = JoinSet::new();
    for _ in 0..THREADS {
        let (bus, goal, placed) = (bus.clone(), Arc::clone(&goal), Arc::clone(&placed));
        publishing.spawn(async move {
            for part in 0..events / PART / THREADS as u64 {
                ensure!(bus.publish_all(&*placed).await.iter().all(Result::is_ok), "not stored");
                // Those who wait for room in the broker would be measured, and not the broker.
                while goal.handled() + AHEAD < part * PART * THREADS as u64 {
                    yield_now().await;
                }
            }
            Ok(())
        });
    }
    publishing.join_all().await.into_iter().collect::<Result<()>>()?;
    goal.reached().await?;
    let report = running.stop().await;
    ensure!(report.abandoned == 0, "{report}");
    Ok(())
}

/// Counted by a program of its own: who counts them makes each of them slower.
async fn allocations() -> Result<Allocations> {
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    cargo.args(["run", "--quiet", "--release", "-p", "benches", "--bin", "allocations"]);
    let said = cargo.kill_on_drop(true).output().await?;
    let error = String::from_utf8_lossy(&said.stderr).into_owned();
    serde_json::from_slice(&said.stdout).with_context(|| error)
}
