//! The numbers that are counted as things happen.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use super::names::{COUNTS, SECONDS, WAITS, metric as m};

/// Made once for each bus.
pub(super) struct Metrics {
    operation: Histogram<f64>,
    process: Histogram<f64>,
    wait: Histogram<f64>,
    attempts: Histogram<f64>,
    sent: Counter<u64>,
    consumed: Counter<u64>,
    outcomes: Counter<u64>,
    dead_letters: Counter<u64>,
    skew: Counter<u64>,
}

impl Metrics {
    pub(super) fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, what: &'static str| {
            let built = meter.f64_histogram(name).with_unit("s").with_description(what);
            built.with_boundaries(SECONDS.to_vec()).build()
        };
        let messages = |name: &'static str, what: &'static str| {
            meter.u64_counter(name).with_unit("{message}").with_description(what).build()
        };
        let wait = meter.f64_histogram(m::WAIT).with_unit("s").with_boundaries(WAITS.to_vec());
        let attempts = meter.f64_histogram(m::ATTEMPTS).with_unit("{attempt}");
        let attempts = attempts.with_boundaries(COUNTS.to_vec());
        Self {
            operation: seconds(m::OPERATION, "How long the broker takes to answer"),
            process: seconds(m::PROCESS, "How long a run of a handler takes"),
            wait: wait.with_description("How long an event waits for its run").build(),
            attempts: attempts.with_description("Runs of an event, when it is done").build(),
            sent: messages(m::SENT, "Events that were published, or tried to be"),
            consumed: messages(m::CONSUMED, "Events that were given to a handler"),
            outcomes: messages(m::OUTCOMES, "What became of runs"),
            dead_letters: messages(m::DEAD_LETTERS, "Events that gave up"),
            skew: messages(m::SKEW, "Events that waited less than no time: clocks differ"),
        }
    }

    pub(super) fn sent(&self, took: Duration, attributes: &[KeyValue]) {
        self.sent.add(1, attributes);
        self.operation.record(took.as_secs_f64(), attributes);
    }

    pub(super) fn settled(&self, took: Duration, attributes: &[KeyValue]) {
        self.operation.record(took.as_secs_f64(), attributes);
    }

    pub(super) fn waited(&self, wait: Option<Duration>, attributes: &[KeyValue]) {
        let Some(wait) = wait else { return self.skew.add(1, attributes) };
        self.wait.record(wait.as_secs_f64(), attributes);
    }

    pub(super) fn processed(&self, took: Duration, attributes: &[KeyValue]) {
        self.consumed.add(1, attributes);
        self.process.record(took.as_secs_f64(), attributes);
    }

    pub(super) fn outcome(&self, attributes: &[KeyValue]) {
        self.outcomes.add(1, attributes);
    }

    pub(super) fn done(&self, attempts: u32, attributes: &[KeyValue]) {
        self.attempts.record(f64::from(attempts), attributes);
    }

    pub(super) fn dead(&self, attributes: &[KeyValue]) {
        self.dead_letters.add(1, attributes);
    }
}
