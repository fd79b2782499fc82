//! What telemetry costs: `telemetry_cost off|none|spans|metrics|both EVENTS [A_SECOND]`.
//!
//! Each event is published and handled on one thread. Instructions: under
//! `valgrind --tool=callgrind`, the difference of two numbers of events. CPU time: as printed, that of
//! the calling thread apart from that of the exporter's.

#![expect(clippy::print_stdout, reason = "its report")]

use std::error::Error;
use std::fs::read_to_string;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bus_core::prelude::*;
use bus_core::telemetry::Telemetry;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter,
};
use prost::Message;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::sleep;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct OrderPlaced {
    order: u64,
}

struct Goal {
    seen: AtomicU64,
    events: u64,
    reached: Notify,
}

#[handler]
async fn count(order: OrderPlaced, State(goal): State<Goal>) {
    if goal.seen.fetch_add(1, Ordering::Relaxed) + 1 == goal.events {
        goal.reached.notify_one();
    }
    std::hint::black_box(order.order);
}

/// Encodes, as an exporter does, and sends nothing.
#[derive(Debug, Default)]
struct Discarding {
    spans: Arc<AtomicU64>,
}

impl SpanExporter for Discarding {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.spans.fetch_add(batch.len() as u64, Ordering::Relaxed);
        let resource = ResourceAttributesWithSchema::default();
        for spans in group_spans_by_resource_and_scope(batch, &resource) {
            std::hint::black_box(spans.encode_to_vec());
        }
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (mode, events) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let events: u64 = events.parse()?;
    let pace: Option<u64> = args.next().map(|pace| pace.parse()).transpose()?;
    let exporter = Discarding::default();
    let exported = Arc::clone(&exporter.spans);
    let queue = BatchConfigBuilder::default().with_max_queue_size(65_536).build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(queue).build();
    let spans = SdkTracerProvider::builder().with_span_processor(processor).build();
    let metrics = InMemoryMetricExporter::default();
    let metrics = SdkMeterProvider::builder().with_periodic_exporter(metrics).build();
    let telemetry = match mode.as_str() {
        "off" => Telemetry::off(),
        "none" => Telemetry::new(),
        "spans" => Telemetry::new().tracer_provider(&spans),
        "metrics" => Telemetry::new().meter_provider(&metrics),
        "both" => Telemetry::new().tracer_provider(&spans).meter_provider(&metrics),
        other => return Err(format!("`{other}` is none of off, none, spans, metrics, both").into()),
    };
    let (start, all) = (cpu("thread-self")?, cpu("self")?);
    run(Bus::in_memory().telemetry(telemetry), events, pace).await?;
    let took = cpu("thread-self")?.saturating_sub(start);
    // A thread that has ended is in no sum.
    spans.force_flush()?;
    let others = cpu("self")?.saturating_sub(all + took);
    let each = |time: Duration| time.as_nanos() as u64 / events;
    println!(
        "{mode}: {} ns an event on the calling thread, {} on others",
        each(took),
        each(others)
    );
    println!("{} spans exported", exported.load(Ordering::Relaxed));
    Ok(())
}

async fn run(bus: Bus, events: u64, pace: Option<u64>) -> Result<(), Box<dyn Error>> {
    let goal = Arc::new(Goal { seen: AtomicU64::new(0), events, reached: Notify::new() });
    let service = Service::new("cost", bus.clone()).shared(Arc::clone(&goal));
    let running = service.handlers(handlers![count]).start().await?;
    for order in 0..events {
        if let Some(pace) = pace.filter(|_| order % 100 == 0) {
            sleep(Duration::from_secs(100) / u32::try_from(pace)?).await;
        }
        bus.publish(&OrderPlaced { order }).await?;
    }
    goal.reached.notified().await;
    running.stop().await;
    Ok(())
}

/// The time that a processor worked for it, of the threads of a process or of one.
fn cpu(whose: &str) -> Result<Duration, Box<dyn Error>> {
    let schedstat = |path: String| -> Result<u64, Box<dyn Error>> {
        let text = read_to_string(path)?;
        Ok(text.split_whitespace().next().ok_or("no schedstat")?.parse()?)
    };
    if whose == "thread-self" {
        return Ok(Duration::from_nanos(schedstat("/proc/thread-self/schedstat".to_owned())?));
    }
    let mut sum = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        sum += schedstat(format!("{}/schedstat", thread?.path().display()))?;
    }
    Ok(Duration::from_nanos(sum))
}
