//! What telemetry costs: `telemetry_cost off|none|spans|metrics|both|otlp EVENTS [A_SECOND]`.
//!
//! Each event is published and handled on one thread. Spans are encoded and discarded; with `otlp` they
//! are sent, by `bus-otel`, to a collector in another process. Instructions: under
//! `valgrind --tool=callgrind`, the difference of two numbers of events. CPU time: as printed, that of
//! the calling thread apart from that of the exporter's.

#![expect(clippy::print_stdout, reason = "its report")]

use std::error::Error;
use std::fs::read_to_string;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bus_core::prelude::*;
use bus_core::telemetry::Telemetry;
use bus_otel::Otel;
use bus_otel::testing::{Answer, Collector};
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

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

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

/// Where spans and metrics go.
enum Told {
    Here(Telemetry, SdkTracerProvider, Arc<AtomicU64>),
    Sent(Telemetry, Otel),
}

impl Told {
    fn by(mode: &str) -> Result<Self> {
        if mode == "otlp" {
            let otel = bus_otel::init("cost")?;
            return Ok(Self::Sent(otel.providers().telemetry(), otel));
        }
        let exporter = Discarding::default();
        let exported = Arc::clone(&exporter.spans);
        let queue = BatchConfigBuilder::default().with_max_queue_size(65_536).build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(queue).build();
        let spans = SdkTracerProvider::builder().with_span_processor(processor).build();
        let metrics = InMemoryMetricExporter::default();
        let metrics = SdkMeterProvider::builder().with_periodic_exporter(metrics).build();
        let telemetry = match mode {
            "off" => Telemetry::off(),
            "none" => Telemetry::new(),
            "spans" => Telemetry::new().tracer_provider(&spans),
            "metrics" => Telemetry::new().meter_provider(&metrics),
            "both" => Telemetry::new().tracer_provider(&spans).meter_provider(&metrics),
            other => {
                let modes = "off, none, spans, metrics, both, otlp";
                return Err(format!("`{other}` is none of {modes}").into());
            }
        };
        Ok(Self::Here(telemetry, spans, exported))
    }

    fn telemetry(&self) -> Telemetry {
        match self {
            Self::Here(telemetry, ..) | Self::Sent(telemetry, _) => telemetry.clone(),
        }
    }

    /// Once all are exported.
    async fn flush(&self) -> Result<String> {
        match self {
            Self::Here(_, spans, exported) => {
                spans.force_flush()?;
                Ok(format!("{} spans exported", exported.load(Ordering::Relaxed)))
            }
            Self::Sent(_, otel) => {
                otel.flush().await?;
                Ok(format!("lost: {}", otel.failures()))
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let mode = args.first().ok_or("which mode?")?;
    if mode == "otlp" && std::env::var_os(ENDPOINT).is_none() {
        return collected(&args);
    }
    let events: u64 = args.get(1).ok_or("how many events?")?.parse()?;
    let pace: Option<u64> = args.get(2).map(|pace| pace.parse()).transpose()?;
    let told = Told::by(mode)?;
    let (start, all) = (cpu("thread-self")?, cpu("self")?);
    run(Bus::in_memory().telemetry(told.telemetry()), events, pace).await?;
    let took = cpu("thread-self")?.saturating_sub(start);
    let flushed = told.flush().await?;
    // A thread that has ended is in no sum.
    let others = cpu("self")?.saturating_sub(all + cpu("thread-self")?.saturating_sub(start));
    let each = |time: Duration| time.as_nanos() as u64 / events;
    let (took, others) = (each(took), each(others));
    println!("{mode}: {took} ns an event on the calling thread, {others} on others; {flushed}");
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

async fn run(bus: Bus, events: u64, pace: Option<u64>) -> Result<()> {
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
fn cpu(whose: &str) -> Result<Duration> {
    let schedstat = |path: String| -> Result<u64> {
        let text = read_to_string(path)?;
        Ok(text.split_whitespace().next().ok_or("no schedstat")?.parse()?)
    };
    if whose == "thread-self" {
        return Ok(Duration::from_nanos(schedstat("/proc/thread-self/schedstat".to_owned())?));
    }
    let mut sum = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        // One that ends meanwhile is in no sum.
        sum += schedstat(format!("{}/schedstat", thread?.path().display())).unwrap_or_default();
    }
    Ok(Duration::from_nanos(sum))
}
