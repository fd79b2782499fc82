//! What telemetry costs: `telemetry_cost off|none|spans|metrics|both|otlp EVENTS [A_SECOND]`.
//!
//! Each event is published and handled on one thread. Spans are encoded and discarded; with `otlp` they
//! are sent, by `bus-otel`, to a collector in another process. Instructions: under
//! `valgrind --tool=callgrind`, the difference of two numbers of events. CPU time: as printed, that of
//! the calling thread apart from that of the exporter's. With `A_SECOND`, a bus without telemetry and
//! the SDK alone have their turns as well: what a shared machine does to one it does to all.

#![expect(clippy::print_stdout, reason = "its report")]

use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bus_core::prelude::*;
use bus_core::telemetry::Telemetry;
use bus_otel::testing::{Answer, Collector};
use cpu::cpu;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::sleep;
use told::Told;

mod cpu;
mod sdk;
mod told;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Events in a turn.
const TURN: u32 = 1_000;
/// Turns before those that count.
const WARM_UP: u32 = 5;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct OrderPlaced {
    order: u32,
}

#[derive(Default)]
struct Goal {
    left: AtomicU64,
    reached: Notify,
}

#[handler]
async fn count(order: OrderPlaced, State(goal): State<Goal>) {
    if goal.left.fetch_sub(1, Ordering::Relaxed) == 1 {
        goal.reached.notify_one();
    }
    std::hint::black_box(order.order);
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let mode = args.first().ok_or("which mode?")?;
    if mode == "otlp" && std::env::var_os(ENDPOINT).is_none() {
        return collected(&args);
    }
    let events: u32 = args.get(1).ok_or("how many events?")?.parse()?;
    let told = Told::by(mode)?;
    let all = cpu("self")?;
    let here = cpu("thread-self")?;
    if let Some(pace) = args.get(2) {
        in_turns(&told, events / TURN, pace.parse()?).await?;
    } else {
        let counted = Counted::start(Bus::in_memory().telemetry(told.telemetry())).await?;
        let took = counted.run(events, Duration::from_millis(1)).await?;
        println!("{mode}: {} ns an event on the calling thread", each(took, events));
        counted.running.stop().await;
    }
    let flushed = told.flush().await?;
    // A thread that has ended is in no sum.
    let others = cpu("self")?.saturating_sub(all + cpu("thread-self")?.saturating_sub(here));
    println!("{} ns an event on other threads; {flushed}", each(others, events));
    Ok(())
}

/// Runs it in a process of its own, whose spans are collected here.
fn collected(args: &[String]) -> Result<()> {
    let collector = Collector::start(Answer::Ok)?;
    let mut child = Command::new(std::env::current_exe()?);
    child.args(args).env(ENDPOINT, collector.endpoint()).env("OTEL_BSP_MAX_QUEUE_SIZE", "262144");
    child.env("OTEL_METRICS_EXPORTER", "none").env("OTEL_LOGS_EXPORTER", "none");
    let status = child.env("RUST_LOG", "off").status()?;
    println!("{} spans arrived", collector.received().span_names().len());
    if status.success() { Ok(()) } else { Err(status.to_string().into()) }
}

/// What each does in its turn, and what it took in all that count.
async fn in_turns(told: &Told, turns: u32, a_second: u32) -> Result<()> {
    let pause = Duration::from_secs(1) * TURN / a_second / 4;
    let off = Counted::start(Bus::in_memory().telemetry(Telemetry::off())).await?;
    let on = Counted::start(Bus::in_memory().telemetry(told.telemetry())).await?;
    let tracer = told.tracer();
    let mut took = [Duration::ZERO; 4];
    for turn in 0..WARM_UP + turns {
        let now = [
            off.run(TURN, pause).await?,
            on.run(TURN, pause).await?,
            sdk::run(&tracer, sdk::Spans::AsOurs, TURN, pause).await?,
            sdk::run(&tracer, sdk::Spans::Empty, TURN, pause).await?,
        ];
        if turn >= WARM_UP {
            took.iter_mut().zip(now).for_each(|(sum, took)| *sum += took);
        }
    }
    let [off_took, on_took, sdk, empty] = took.map(|took| each(took, TURN * turns));
    println!("an event without telemetry: {off_took} ns, telemetry: {} ns", on_took - off_took);
    println!("the SDK alone, the same two spans: {sdk} ns; two without attributes: {empty} ns");
    on.running.stop().await;
    off.running.stop().await;
    Ok(())
}

/// Nanoseconds of one.
fn each(time: Duration, events: u32) -> i128 {
    time.as_nanos() as i128 / i128::from(events)
}

/// A bus, and a service that counts on it.
struct Counted {
    bus: Bus,
    running: Running,
    goal: Arc<Goal>,
}

impl Counted {
    async fn start(bus: Bus) -> Result<Self> {
        let goal = Arc::<Goal>::default();
        let service = Service::new("cost", bus.clone()).shared(Arc::clone(&goal));
        let running = service.handlers(handlers![count]).start().await?;
        Ok(Self { bus, running, goal })
    }

    /// Publishes so many, and waits until all are handled: the time of this thread. It pauses before
    /// the clock is read, for that stands still while a thread works on.
    async fn run(&self, events: u32, pause: Duration) -> Result<Duration> {
        let start = cpu("thread-self")?;
        self.goal.left.store(u64::from(events), Ordering::Relaxed);
        for order in 0..events {
            self.bus.publish(&OrderPlaced { order }).await?;
        }
        self.goal.reached.notified().await;
        sleep(pause).await;
        Ok(cpu("thread-self")?.saturating_sub(start))
    }
}
