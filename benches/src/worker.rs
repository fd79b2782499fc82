//! A service in a process of its own, whose memory and start-up can be seen apart.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream;
use bus_core::prelude::*;
use bus_nats::{NatsConfig, NatsTransport};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::contestants::{ours, raw};
use crate::goal::Goal;
use crate::{machine, numbered};
use benches::event::{STREAM, SUBJECT};

/// How many consumers are made at once, as by the bus.
const JOINS: usize = 16;

/// What it is to do; hidden, for this program only.
#[derive(Args, Clone, Debug)]
pub(crate) struct Work {
    /// Where its server is.
    #[arg(long, hide = true)]
    pub(crate) url: Option<String>,
    /// How many of the handlers with numbers it has; 0 is the one of the other figures.
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) handlers: usize,
    /// After how many events it ends.
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) events: u64,
    /// Loops on the client, in place of a service.
    #[arg(long, hide = true)]
    pub(crate) raw: bool,
}

/// What it says at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Said {
    /// From `start` until it has started.
    pub(crate) start_ms: f64,
    /// From `start` until its first handler has run.
    pub(crate) first_ms: f64,
    /// What it had in memory before it started a service, and once that had.
    pub(crate) before_kib: f64,
    /// The same once the service had started.
    pub(crate) started_kib: f64,
    /// The most that it ever had.
    pub(crate) peak_kib: f64,
    /// Events in a second.
    pub(crate) rate: f64,
}

/// Runs in the process of the worker.
pub(crate) async fn run(work: &Work, url: &str) -> Result<Said> {
    let config = NatsConfig { servers: vec![url.to_owned()], ..NatsConfig::default() };
    let bus = Bus::new(NatsTransport::connect(config).await?);
    let goal = Goal::of(work.events);
    let service = Service::new("worker", bus).shared(Arc::clone(&goal));
    let service = match work.handlers {
        0 => service.handlers(handlers![ours::handle]),
        count => service.handlers(numbered::handlers(count)),
    };
    let before_kib = machine::memory("VmRSS")?;
    let begun = Instant::now();
    let running = service.start().await?;
    let start_ms = begun.elapsed().as_secs_f64() * 1000.0;
    let started_kib = machine::memory("VmRSS")?;
    goal.reached().await?;
    let peak_kib = machine::memory("VmHWM")?;
    running.stop().await;
    let (first_ms, rate) = (first_ms(&goal, begun)?, rate(&goal));
    Ok(Said { start_ms, first_ms, before_kib, started_kib, peak_kib, rate })
}

/// The same by a loop for each subject.
pub(crate) async fn by_loops(work: &Work, url: &str) -> Result<Said> {
    let client = async_nats::connect(url).await?;
    let context = &jetstream::new(client.clone());
    let goal = Goal::of(work.events);
    let (before_kib, begun) = (machine::memory("VmRSS")?, Instant::now());
    let subjects = match work.handlers {
        0 => vec![(STREAM, SUBJECT.to_owned(), "worker_handle".to_owned())],
        count => (0..count).map(numbered_loop).collect(),
    };
    let joins = stream::iter(subjects).map(async |(stream, subject, name)| {
        raw::messages_of(context, stream, &subject, &name).await
    });
    let joined: Vec<_> = joins.buffered(JOINS).try_collect().await?;
    let start_ms = begun.elapsed().as_secs_f64() * 1000.0;
    let started_kib = machine::memory("VmRSS")?;
    let mut loops = JoinSet::new();
    for messages in joined {
        let goal = Arc::clone(&goal);
        loops.spawn(async move { raw::handle(messages, &goal).await });
    }
    goal.reached().await?;
    // The one that saw the last event ends, with its ack on the way.
    loops.join_next().await.context("no loop")???;
    client.flush().await?;
    let peak_kib = machine::memory("VmHWM")?;
    let (first_ms, rate) = (first_ms(&goal, begun)?, rate(&goal));
    Ok(Said { start_ms, first_ms, before_kib, started_kib, peak_kib, rate })
}

/// The stream of one loop of many, its subject, and its consumer.
fn numbered_loop(number: usize) -> (&'static str, String, String) {
    (numbered::STREAM, numbered::subject(number), format!("loop-{number}"))
}

/// When the first was handled.
fn first_ms(goal: &Goal, begun: Instant) -> Result<f64> {
    let first = goal.first().context("no event was handled")?;
    Ok(first.duration_since(begun).as_secs_f64() * 1000.0)
}

/// Of a single event there is none.
fn rate(goal: &Goal) -> f64 {
    goal.rate().ok().filter(|rate| rate.is_finite()).unwrap_or_default()
}

/// Lets a process of this program do it.
pub(crate) async fn process(url: &str, handlers: usize, events: u64, raw: bool) -> Result<Said> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--url", url, "--handlers", &handlers.to_string()]);
    command.args(raw.then_some("--raw"));
    command.args(["--events", &events.to_string()]);
    let said = command.kill_on_drop(true).output().await?;
    let error = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(said.status.success(), "a worker failed: {error}");
    serde_json::from_slice(&said.stdout).with_context(|| error)
}
