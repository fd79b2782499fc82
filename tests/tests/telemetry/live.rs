//! Whether anybody is told is found out without telling anybody.

use bus_core::prelude::*;
use bus_core::telemetry::Telemetry;
use bus_otel::testing::Capture;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use super::log::Log;
use super::shop::{Does, placed};

async fn first_lines(telemetry: Telemetry) -> Vec<String> {
    let log = Log::default();
    let bus = Bus::in_memory().telemetry(telemetry);
    let order = placed(&[Does::Nothing]);
    log.during(async {
        bus.publish(&order).await.unwrap();
        bus.publish(&order).await.unwrap();
    })
    .await;
    // The crate of OpenTelemetry has lines of its own, where a package of the build asks for them.
    log.lines().into_iter().filter(|line| line.contains(" bus_core::")).collect()
}

#[tokio::test]
async fn it_is_said_once_and_with_the_possible_causes() {
    let lines = first_lines(Telemetry::new()).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    for words in ["no spans", "installed before the bus", "0.33", "no metrics"] {
        assert!(lines[0].contains(words), "{words}: {lines:?}");
    }
    let lines = first_lines(Telemetry::off()).await;
    assert_eq!(lines.len(), 0, "{lines:?}");
}

#[tokio::test]
async fn who_exports_is_told_and_shown_nothing_of_the_question() {
    let capture = Capture::new();
    let both = Telemetry::new()
        .tracer_provider(&capture.tracer_provider())
        .meter_provider(&capture.meter_provider());
    let lines = first_lines(both).await;
    assert!(
        lines[0].contains("spans go to the OpenTelemetry SDK") && lines[0].contains("metrics=true"),
        "{lines:?}"
    );
    assert_eq!(capture.spans().len(), 2, "two publishes and nothing else");

    let metrics = Telemetry::new().meter_provider(&capture.meter_provider());
    let lines = first_lines(metrics).await;
    assert!(
        lines[0].contains("no spans") && lines[0].contains("metrics go to the SDK"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_sampler_that_takes_nothing_or_everything_is_an_sdk_all_the_same() {
    for (sampler, spans) in [(Sampler::AlwaysOff, 0), (Sampler::AlwaysOn, 2)] {
        let exporter = opentelemetry_sdk::trace::InMemorySpanExporter::default();
        let builder = SdkTracerProvider::builder().with_simple_exporter(exporter.clone());
        let provider = builder.with_sampler(sampler).build();
        let lines = first_lines(Telemetry::new().tracer_provider(&provider)).await;
        assert!(lines[0].contains("spans go to the OpenTelemetry SDK"), "{lines:?}");
        assert_eq!(exporter.get_finished_spans().unwrap().len(), spans);
    }
}
