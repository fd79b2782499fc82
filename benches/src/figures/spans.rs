//! What it costs that every run is a span, and every span is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use bus_core::prelude::*;
use bus_core::telemetry::Telemetry;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter,
};
use prost::Message;

use crate::contestants::ours;
use crate::figure::{Bound, Figure};
use crate::ground::Ground;
use crate::rounds::{Effort, Samples};

/// How many spans may wait to be exported.
const QUEUE: usize = 65_536;

/// Encodes, as an exporter does, and sends nothing.
#[derive(Debug, Default)]
struct Discarding(Arc<AtomicU64>);

impl SpanExporter for Discarding {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.fetch_add(batch.len() as u64, Ordering::Relaxed);
        let resource = ResourceAttributesWithSchema::default();
        for spans in group_spans_by_resource_and_scope(batch, &resource) {
            std::hint::black_box(spans.encode_to_vec());
        }
        Ok(())
    }
}

pub(crate) async fn measure(effort: Effort) -> Result<Vec<Figure>> {
    let ground = Ground::new().await?;
    ground.fill(effort.events).await?;
    let (mut with, mut without, mut dropped) = <(Samples, Samples, u64)>::default();
    for round in 0..effort.rounds {
        for turn in [round, round + 1] {
            let name = format!("spans-{round}-{}", turn % 2);
            if turn % 2 == 0 {
                without.push(ours::consume(&ground, &name, effort.events).await?);
            } else {
                let (rate, lost) = traced(&ground, &name, effort.events).await?;
                with.push(rate);
                dropped += lost;
            }
        }
    }
    let line = Figure::new("spans", "events/s", &with).against("without", &without);
    let line = line.of("without", Bound::AtLeast(0.8));
    let line = line.demand("spans dropped", dropped as f64, Bound::AtMost(0.0));
    Ok(vec![line.note("all sampled; a batch processor, whose exporter encodes and discards")])
}

/// The rate, and how many spans never reached the exporter.
async fn traced(ground: &Ground, name: &str, events: u64) -> Result<(f64, u64)> {
    let exporter = Discarding::default();
    let exported = Arc::clone(&exporter.0);
    let queue = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(queue).build();
    let spans = SdkTracerProvider::builder().with_span_processor(processor).build();
    let telemetry = Telemetry::new().tracer_provider(&spans);
    let bus: Bus = ground.bus.clone().telemetry(telemetry);
    let rate = ours::consume_by(&bus, ground, name, events).await?;
    // Each run is one span, and the answer to it none.
    tokio::task::spawn_blocking(move || spans.shutdown()).await??;
    Ok((rate, events.saturating_sub(exported.load(Ordering::Relaxed))))
}
