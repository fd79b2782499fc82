//! Instructions of the hot path, counted: `cargo bench -p instructions`.
//!
//! `counted.json` has what was counted last, and by which compiler. With that compiler, more
//! than 5 % above it is a failure; another one makes other code, and is told so.

#![expect(missing_docs, reason = "the macros of gungraun make public functions")]
#![expect(unused_qualifications, reason = "the same macros repeat paths")]
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;

use bus_core::prelude::*;
use bus_core::{Envelope, EventId, Subject};
use bus_nats::bench::Headers;
use bytes::Bytes;
use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use instructions::Placed;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

/// In one run of a benchmark.
const EVENTS: u64 = 1000;

const SUBJECT: &str = "bench.placed";

/// What was counted.
const COMMITTED: &str = include_str!("../counted.json");

fn config(name: &str) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    if let Some(limit) = limit(name) {
        config.tool(Callgrind::default().hard_limits([(EventKind::Ir, limit)]));
    }
    config
}

/// Five in a hundred above what is committed, where the compiler is the same.
fn limit(name: &str) -> Option<u64> {
    let committed: serde_json::Value = serde_json::from_str(COMMITTED).expect("it is JSON");
    let running = Command::new("rustc").arg("--version").output().ok()?;
    if committed["rustc"].as_str() != Some(String::from_utf8_lossy(&running.stdout).trim()) {
        return None;
    }
    Some(committed[name].as_u64().expect("it was counted") * EVENTS * 105 / 100)
}

/// A bus in this process, on one thread.
struct Stage {
    runtime: Runtime,
    bus: Bus,
    placed: Vec<Placed>,
    handled: Arc<Semaphore>,
}

#[handler(concurrency = 64)]
async fn handle(placed: Placed, State(handled): State<Semaphore>) {
    black_box(placed);
    handled.add_permits(1);
}

impl Stage {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let placed = Placed::many(EVENTS);
        Self { runtime, bus: Bus::in_memory(), placed, handled: Arc::new(Semaphore::new(0)) }
    }

    fn serving() -> Self {
        let stage = Self::new();
        stage.serve();
        // Once before, for tables that grow.
        stage.publish();
        stage.wait();
        stage
    }

    fn published() -> Self {
        let stage = Self::new();
        stage.publish();
        stage
    }

    fn publish(&self) {
        let results = self.runtime.block_on(self.bus.publish_all(&self.placed));
        assert!(results.iter().all(Result::is_ok));
    }

    fn serve(&self) {
        let service = Service::new("count", self.bus.clone()).shared(Arc::clone(&self.handled));
        let starting = service.handlers(handlers![handle]).start();
        // It runs as long as the process.
        std::mem::forget(self.runtime.block_on(starting).expect("it starts"));
    }

    fn wait(&self) {
        let all = self.handled.acquire_many(EVENTS as u32);
        self.runtime.block_on(all).expect("it is open").forget();
    }
}

fn envelope() -> Envelope {
    let subject = Subject::parse(SUBJECT).expect("it is one");
    let mut envelope = Envelope::new(EventId::now(), Placed::TYPE, subject, vec![b' '; 200]);
    envelope.source = Arc::from("bench");
    envelope
}

fn written() -> (Headers, Envelope) {
    let (headers, envelope) = (Headers::default(), envelope());
    headers.write(&envelope);
    (headers, envelope)
}

#[library_benchmark(config = config("headers_written"))]
#[bench::all(written())]
fn headers_written((headers, envelope): (Headers, Envelope)) {
    for _ in 0..EVENTS {
        black_box(headers.write(black_box(&envelope)));
    }
}

#[library_benchmark(config = config("headers_read"))]
#[bench::all(written())]
fn headers_read((headers, envelope): (Headers, Envelope)) {
    let map = headers.write(&envelope);
    for _ in 0..EVENTS {
        let payload = Bytes::from_static(b"{}");
        assert!(black_box(headers.read(SUBJECT, black_box(&map), payload)).is_some());
    }
}

#[library_benchmark(config = config("published"))]
#[bench::all(Stage::new())]
fn published(stage: Stage) -> Stage {
    stage.publish();
    stage
}

#[library_benchmark(config = config("dispatched"))]
#[bench::all(Stage::published())]
fn dispatched(stage: Stage) -> Stage {
    stage.serve();
    stage.wait();
    stage
}

#[library_benchmark(config = config("memory"))]
#[bench::all(Stage::serving())]
fn memory(stage: Stage) -> Stage {
    stage.publish();
    stage.wait();
    stage
}

library_benchmark_group!(
    name = hot_path,
    benchmarks = [headers_written, headers_read, published, dispatched, memory]
);

main!(library_benchmark_groups = hot_path);
