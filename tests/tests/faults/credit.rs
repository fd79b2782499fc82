//! How much a worker fetches ahead, where an answer takes 5 ms: enough that a fast handler does not
//! wait for the network, and no more than a slow one can run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use bus_core::prelude::*;
use bus_nats::NatsTransport;
use futures_util::StreamExt;
use tests::chaos::api::ask;
use tests::chaos::injected::Injected;
use tests::chaos::proxy::Proxy;
use tests::jobs::{Does, Job, Jobs};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::ledger::Ledger;
use crate::{MILLISECOND, PATIENCE, connect, server};

const EACH_WAY: Duration = Duration::from_micros(2500);

/// What a raw consumer asks for at once: all that there is, and less than its client lets wait.
const UNBOUNDED: usize = 50_000;

async fn publish(bus: &Bus, count: usize, does: Does) {
    let jobs: Vec<_> = (0..count as u32).map(|number| Job { number, does }).collect();
    assert!(bus.publish_all(&jobs).await.iter().all(Result::is_ok));
}

/// What both do: nothing, or wait.
async fn work(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

struct Quick {
    time: Duration,
    left: Arc<Left>,
}

/// What is still to be done. Counted as by hand: nobody is woken for each, which would cost more than the
/// rest.
struct Left {
    count: AtomicUsize,
    none: Notify,
}

impl Left {
    fn one_less(&self) {
        if self.count.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.none.notify_one();
        }
    }
}

impl Handler<Job> for Quick {
    async fn handle(&self, _: Job, _: Context) -> HandlerResult {
        work(self.time).await;
        self.left.one_less();
        Ok(())
    }
}

/// How long the bus takes for so many.
async fn by_bus(url: &str, group: &str, count: usize, runs: usize, time: Duration) -> Duration {
    let left = Arc::new(Left { count: AtomicUsize::new(count), none: Notify::new() });
    // A service of its own: the groups before are not this one's.
    let service = Service::new(format!("credit-{group}"), Bus::new(connect(url).await));
    let handler = Quick { time, left: Arc::clone(&left) };
    let service = service.on(group, handler).tune(group, move |o| o.concurrency(runs));
    let running = service.start().await.unwrap();
    let begun = Instant::now();
    timeout(PATIENCE * 3, left.none.notified()).await.unwrap();
    let took = begun.elapsed();
    running.stop().await;
    took
}

/// How long a consumer takes that fetches all it can.
async fn by_hand(url: &str, group: &str, count: usize, runs: usize, time: Duration) -> Duration {
    let client = async_nats::connect(url).await.unwrap();
    let stream = jetstream::new(client).get_stream("JOBS").await.unwrap();
    let (ack_policy, max_ack_pending) = (AckPolicy::Explicit, UNBOUNDED as i64 * 10);
    let durable_name = Some(group.to_owned());
    let config =
        pull::Config { durable_name, ack_policy, max_ack_pending, ..pull::Config::default() };
    let consumer = stream.create_consumer(config).await.unwrap();
    let messages = consumer.stream().max_messages_per_batch(UNBOUNDED).messages().await.unwrap();
    let done = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&done);
    let begun = Instant::now();
    let run = messages.take(count).for_each_concurrent(runs, move |message| {
        let done = Arc::clone(&counted);
        async move {
            let message = message.unwrap();
            let _: Job = serde_json::from_slice(&message.payload).unwrap();
            work(time).await;
            message.ack().await.unwrap();
            done.fetch_add(1, Ordering::Relaxed);
        }
    });
    timeout(PATIENCE * 3, run).await.unwrap();
    assert_eq!(done.load(Ordering::Relaxed), count);
    begun.elapsed()
}

/// Rounds in which both are measured one after the other. Of an odd number there is one in the middle.
const ROUNDS: usize = 5;

/// What the bus reaches of what is possible: the median of rounds. In one round the machine is the same for
/// both, and in the best of each it need not be.
async fn share(test: &str, count: usize, runs: usize, time: Duration) -> f64 {
    let injected = Injected::begin(test);
    let (server, _, bus) = server().await;
    publish(&bus, count, Does::Sleep(0)).await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    proxy.latency(EACH_WAY);
    injected.note("5 ms round trip");
    println!("round trip {:?}", round_trip(&connect(&proxy.url()).await).await);
    let mut shares = Vec::new();
    for round in 0..ROUNDS {
        let hand = by_hand(&proxy.url(), &format!("hand{round}"), count, runs, time).await;
        let bus = by_bus(&proxy.url(), &format!("bus{round}"), count, runs, time).await;
        let [hand, bus] = [hand, bus].map(|took| count as f64 / took.as_secs_f64());
        println!("{hand:.0} events a second by hand, {bus:.0} by the bus");
        shares.push(bus / hand);
    }
    shares.sort_by(f64::total_cmp);
    shares[ROUNDS / 2]
}

async fn round_trip(transport: &NatsTransport) -> Duration {
    let begun = Instant::now();
    for _ in 0..20 {
        ask(transport, "INFO", "").await.unwrap();
    }
    begun.elapsed() / 20
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fast_handler_does_not_wait_for_the_network() {
    let share = share("credit_fast", 4000, 4, MILLISECOND).await;
    println!("{share:.2} of what is possible");
    assert!(share >= 0.8, "{share}");
}

/// Only where it was built with `--release`: else the compiler is measured.
#[cfg(not(debug_assertions))]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy"]
async fn a_handler_that_takes_no_time_does_not_wait_for_the_network() {
    let share = share("credit_fastest", UNBOUNDED, 64, Duration::ZERO).await;
    println!("{share:.2} of what is possible");
    assert!(share >= 0.8, "{share}");
}

const RUNS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_handler_holds_next_to_nothing_that_it_can_not_run() {
    let injected = Injected::begin("credit_slow");
    let (server, direct, bus) = server().await;
    publish(&bus, 2000, Does::Sleep(200)).await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    proxy.latency(EACH_WAY);
    injected.note("5 ms round trip");
    let ledger = Ledger::default();
    let jobs = Jobs { lease: SECOND * 30, concurrency: RUNS, retry: Retry::DEFAULT };
    let worker = jobs.service(Bus::new(connect(&proxy.url()).await), ledger.of("one"));
    let worker = worker.start().await.unwrap();
    let (begun, mut held) = (Instant::now(), Vec::new());
    while begun.elapsed() < SECOND * 5 {
        sleep(50 * MILLISECOND).await;
        let info = ask(&direct, "CONSUMER.INFO.JOBS.jobs_work", "").await.unwrap();
        held.push(info["num_ack_pending"].as_u64().unwrap());
    }
    held.sort_unstable();
    let (median, most) = (held[held.len() / 2], held[held.len() - 1]);
    let paced = ledger.runs().done.len() as f64 / 5.0;
    println!("{RUNS} run at once, {paced:.0} a second; held: {median} mostly, {most} at most");
    assert!(paced > 0.8 * 20.0, "and none of them is idle: {paced}");
    // What is done in a second.
    assert!(most <= 6 * RUNS as u64, "{most}");
    worker.stop().await;
}
