//! The bus beside a loop written by hand on the raw client, alternating, on one server:
//! `cargo bench -p bus-nats`.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::io::{Write, stdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::{self, Context as JetStream};
use bus_core::prelude::*;
use bus_nats::dev_server::DevServer;
use bus_nats::{NatsConfig, NatsTransport};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

const EVENTS: u64 = 100_000;
const ROUNDS: usize = 5;
const WINDOW: usize = 4096;
const SLOTS: usize = 64;

/// About 200 bytes as JSON.
#[derive(Clone, Serialize, Deserialize, Event)]
#[event(subject = "bench.placed")]
struct Placed {
    order: u64,
    customer: String,
    address: String,
    total_cents: i64,
}

fn placed(order: u64) -> Placed {
    let (customer, address) = ("c".repeat(60), "a".repeat(80));
    Placed { order, customer, address, total_cents: 4711 }
}

/// How many are handled, and who waits for the last one.
#[derive(Default)]
struct Counter {
    handled: AtomicU64,
    done: Notify,
}

impl Counter {
    fn count(&self) {
        if self.handled.fetch_add(1, Ordering::Relaxed) + 1 == EVENTS {
            self.done.notify_one();
        }
    }
}

#[handler(concurrency = 64)]
async fn ours(placed: Placed, State(counter): State<Arc<Counter>>) {
    std::hint::black_box(placed);
    counter.count();
}

struct Bench {
    server: DevServer,
    raw: JetStream,
    bus: Bus,
    round: usize,
}

/// Events in a second.
type Rate = f64;

fn rate(begun: Instant) -> Rate {
    EVENTS as f64 / begun.elapsed().as_secs_f64()
}

impl Bench {
    async fn new() -> Self {
        let server = DevServer::start().unwrap();
        let raw = jetstream::new(async_nats::connect(server.url()).await.unwrap());
        let config = NatsConfig { servers: vec![server.url()], ..NatsConfig::default() };
        let bus = Bus::new(NatsTransport::connect(config).await.unwrap()).source("bench");
        bus.publish(&placed(0)).await.unwrap();
        Self { server, raw, bus, round: 0 }
    }

    async fn empty(&self) {
        self.raw.get_stream("BENCH").await.unwrap().purge().await.unwrap();
    }

    /// The same headers as ours, and as many on their way at once.
    async fn publish_raw(&self) -> Rate {
        static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
            let mut headers = HeaderMap::new();
            let id = "0193a2b4-7c1e-7e1a-9c55-2f8f4b6d1a11";
            for (name, value) in [
                ("ce-specversion", "1.0"),
                ("ce-id", id),
                ("ce-source", "bench"),
                ("ce-type", "bench.placed"),
                ("ce-subject", "bench.placed"),
                ("ce-dataversion", "1"),
                ("ce-correlationid", id),
                ("content-type", "application/json"),
                ("ce-datacontenttype", "application/json"),
                ("ce-time", "2026-01-01T00:00:00.123456789Z"),
            ] {
                headers.insert(name, value);
            }
            headers
        });
        self.empty().await;
        let begun = Instant::now();
        let orders = futures_util::stream::iter(0..EVENTS);
        let run = self.round;
        let acks = orders.map(|order| async move {
            let payload = Bytes::from(serde_json::to_vec(&placed(order)).unwrap());
            let mut headers = HEADERS.clone();
            headers.insert("Nats-Msg-Id", format!("{run}-{order}"));
            let ack = self.raw.publish_with_headers("bench.placed", headers, payload);
            ack.await.unwrap().await.unwrap();
        });
        acks.buffered(WINDOW).collect::<()>().await;
        rate(begun)
    }

    async fn publish_ours(&self) -> Rate {
        self.empty().await;
        let begun = Instant::now();
        let orders: Vec<_> = (0..EVENTS).map(placed).collect();
        assert!(self.bus.publish_all(&orders).await.iter().all(Result::is_ok));
        rate(begun)
    }

    async fn raw_consumer(&self, name: &str) -> PullConsumer {
        let durable_name = Some(format!("{name}-{}", self.round));
        let config = Config { durable_name, max_ack_pending: 100_000, ..Config::default() };
        self.raw.create_consumer_on_stream(config, "BENCH").await.unwrap()
    }

    async fn consume_raw_one_by_one(&self) -> Rate {
        let consumer = self.raw_consumer("one-by-one").await;
        let begun = Instant::now();
        let messages = consumer.stream().max_messages_per_batch(WINDOW).messages().await.unwrap();
        let mut messages = messages.take(EVENTS as usize);
        while let Some(message) = messages.next().await {
            let message = message.unwrap();
            std::hint::black_box(serde_json::from_slice::<Placed>(&message.payload).unwrap());
            message.ack().await.unwrap();
        }
        rate(begun)
    }

    async fn consume_raw_spawned(&self) -> Rate {
        let consumer = self.raw_consumer("spawned").await;
        let slots = Arc::new(Semaphore::new(SLOTS));
        let begun = Instant::now();
        let messages = consumer.stream().max_messages_per_batch(WINDOW).messages().await.unwrap();
        let (mut messages, mut tasks) = (messages.take(EVENTS as usize), JoinSet::new());
        while let Some(message) = messages.next().await {
            let (message, slot) =
                (message.unwrap(), Arc::clone(&slots).acquire_owned().await.unwrap());
            tasks.spawn(async move {
                std::hint::black_box(serde_json::from_slice::<Placed>(&message.payload).unwrap());
                message.ack().await.unwrap();
                drop(slot);
            });
            while tasks.try_join_next().is_some() {}
        }
        tasks.join_all().await;
        rate(begun)
    }

    async fn consume_ours(&self) -> Rate {
        let counter = Arc::new(Counter::default());
        let begun = Instant::now();
        let service = Service::new(format!("bench-{}", self.round), self.bus.clone());
        let service = service.state(Arc::clone(&counter)).handlers(handlers![ours]);
        let running = service.start().await.unwrap();
        counter.done.notified().await;
        let rate = rate(begun);
        running.stop().await;
        rate
    }
}

fn median(rates: &mut [Rate]) -> Rate {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut bench = Bench::new().await;
        let mut rates: [Vec<Rate>; 5] = Default::default();
        for round in 0..ROUNDS {
            bench.round = round;
            rates[0].push(bench.publish_raw().await);
            rates[1].push(bench.publish_ours().await);
            rates[2].push(bench.consume_raw_one_by_one().await);
            rates[3].push(bench.consume_ours().await);
            rates[4].push(bench.consume_raw_spawned().await);
        }
        let [publish_raw, publish_ours, one_by_one, ours, spawned] =
            rates.each_mut().map(|rates| median(rates));
        let mut out = stdout().lock();
        for (name, rate, of) in [
            ("publish, raw, 4096 in flight", publish_raw, publish_raw),
            ("publish_all, ours", publish_ours, publish_raw),
            ("consume, raw, one by one", one_by_one, one_by_one),
            ("consume, raw, 64 spawned", spawned, one_by_one),
            ("consume, ours, 64 at once", ours, one_by_one),
        ] {
            let (thousand, ratio) = (rate / 1000.0, rate / of);
            writeln!(out, "{name:32} {thousand:8.0} k/s {ratio:6.2} of the raw one").unwrap();
        }
        drop(bench.server);
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
}
