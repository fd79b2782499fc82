//! How spans and numbers end where things end badly.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bus_core::memory::Memory;
use bus_core::operator::OperatorError;
use bus_core::prelude::*;
use bus_core::settle::SettleError;
use bus_core::telemetry::Telemetry;
use bus_otel::testing::Capture;
use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::SpanData;
use tokio::runtime::Builder;
use tokio::sync::Notify;

use super::edges::{MILLI, sum, telemetry};
use super::shop::{Does, Invoice, Placed, Watched, attribute, placed};
use super::weak::{Answers, Weak};

const AWAY: Result<(), SettleError> = Err(SettleError::Expired);

fn span(capture: &Capture, prefix: &str) -> SpanData {
    capture.spans().into_iter().find(|span| span.name.starts_with(prefix)).unwrap()
}

fn text(span: &SpanData, key: &str) -> String {
    attribute(span, key).map(|value| value.to_string()).unwrap_or_default()
}

/// A bus on a broker that answers like this.
fn bus(
    capture: &Capture,
    begin: Result<(), SettleError>,
    settle: Option<Result<(), SettleError>>,
) -> (Bus, Arc<Notify>) {
    let asked = Arc::new(Notify::new());
    let answers = Some(Answers { begin, settle, asked: Arc::clone(&asked) });
    (Bus::new(Weak { answers, ..Weak::default() }).telemetry(telemetry(capture)), asked)
}

async fn rejects(_: Placed, _: Context) -> HandlerResult {
    Err(HandlerError::reject("no"))
}

#[test]
fn a_run_and_an_answer_end_with_their_runtime() {
    let capture = Capture::new();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let begun = Arc::new(Notify::new());
        let tell = Arc::clone(&begun);
        let hang = move |_: Placed, _: Context| {
            tell.notify_one();
            std::future::pending::<()>()
        };
        let on_memory = Bus::in_memory().telemetry(telemetry(&capture));
        let hangs = Service::new("s", on_memory.clone()).on("hang", hang).start().await.unwrap();
        on_memory.publish(&placed(&[Does::Nothing])).await.unwrap();
        begun.notified().await;
        let (bus, asked) = bus(&capture, Ok(()), None);
        let service = Service::new("s", bus.clone()).on("rejects", rejects).start().await.unwrap();
        bus.publish(&placed(&[Does::Nothing])).await.unwrap();
        asked.notified().await;
        drop((hangs, service));
    });
    drop(runtime);
    let runs = capture.spans().into_iter().filter(|span| span.name.starts_with("process"));
    let mut outcomes: Vec<_> = runs.map(|span| text(&span, "bus.outcome")).collect();
    outcomes.sort();
    assert_eq!(outcomes, ["abandoned", "reject"]);
    let letter = span(&capture, "dead_letter");
    assert_eq!(text(&letter, "error.type"), "cancelled");
    assert_eq!(sum(&capture, "bus.dead_letters", ""), None);
}

#[tokio::test]
async fn a_dead_letter_that_was_not_kept_is_none() {
    let capture = Capture::new();
    let (bus, asked) = bus(&capture, Ok(()), Some(AWAY));
    let running = Service::new("s", bus.clone()).on("rejects", rejects).start().await.unwrap();
    bus.publish(&placed(&[Does::Nothing])).await.unwrap();
    asked.notified().await;
    running.stop().await;
    let letter = span(&capture, "dead_letter");
    assert_eq!(text(&letter, "error.type"), "expired");
    let classes = letter.attributes.iter().filter(|it| it.key.as_str() == "error.type");
    assert_eq!(classes.count(), 1);
    assert!(matches!(letter.status, Status::Error { .. }));
    assert_eq!(
        sum(&capture, "messaging.client.operation.duration", "error.type=expired"),
        Some(1.0)
    );
    assert_eq!(sum(&capture, "bus.dead_letters", ""), None);
    // Its clock is an hour ahead.
    assert_eq!(sum(&capture, "bus.clock_skew", "s_rejects"), Some(1.0));
    assert_eq!(sum(&capture, "bus.message.wait", ""), None);
    assert_eq!(text(&span(&capture, "process"), "bus.message.wait"), "0");
}

#[tokio::test]
async fn what_did_not_begin_is_no_run() {
    let capture = Capture::new();
    let (bus, _) = bus(&capture, AWAY, None);
    let never = |_: Placed, _: Context| async { assert!(std::hint::black_box(false)) };
    let running = Service::new("s", bus.clone()).on("never", never).start().await.unwrap();
    bus.publish(&placed(&[Does::Nothing])).await.unwrap();
    let begun = tokio::time::Instant::now();
    while !capture.spans().iter().any(|span| span.name.starts_with("process")) {
        assert!(begun.elapsed() < SECOND * 10);
        tokio::time::sleep(MILLI).await;
    }
    let run = span(&capture, "process");
    assert_eq!(
        (text(&run, "bus.outcome"), text(&run, "error.type")),
        ("abandoned".into(), "not_begun".into())
    );
    // The slot rests for a second after it.
    let took = run.end_time.duration_since(run.start_time).unwrap();
    assert!(took < SECOND, "{took:?}");
    assert_eq!(sum(&capture, "messaging.client.consumed.messages", ""), None);
    running.stop().await;
}

/// A dead letter on a broker that does not redrive it.
async fn dead_letter(capture: &Capture, weak: Weak) -> Bus {
    let bus = Bus::new(weak).telemetry(telemetry(capture));
    let running = Service::new("s", bus.clone()).on("rejects", rejects).start().await.unwrap();
    bus.publish(&placed(&[Does::Nothing])).await.unwrap();
    while sum(capture, "bus.dead_letters", "").is_none() {
        tokio::time::sleep(MILLI).await;
    }
    running.stop().await;
    bus
}

#[tokio::test]
async fn a_redrive_that_fails_or_that_nobody_waits_for_says_so() {
    for (fails, class) in [(true, "not_redriven"), (false, "cancelled")] {
        let capture = Capture::new();
        let redrives = Arc::new(Notify::new());
        let error = OperatorError::Unavailable { reason: "away".to_owned() };
        let not_redriven = fails.then_some(error);
        let weak = Weak { redrives: Arc::clone(&redrives), not_redriven, ..Weak::default() };
        let bus = dead_letter(&capture, weak).await;
        let redrive = bus.dead_letters().redrive().into_future();
        tokio::select! {
            biased;
            redriven = redrive => assert!(fails && redriven.is_err(), "{redriven:?}"),
            () = redrives.notified() => {}
        }
        for name in ["redrive", "publish orders.placed"] {
            let span = span(&capture, name);
            assert_eq!(text(&span, "bus.redrive.count"), "1");
            assert_eq!(text(&span, "error.type"), class);
            assert!(matches!(span.status, Status::Error { .. }));
        }
    }
}

/// In real time: only there the broker is asked.
#[tokio::test]
async fn what_the_broker_said_last_is_not_shown_for_ever() {
    let capture = Capture::new();
    let weak = Weak::default();
    let away = Arc::clone(&weak.no_lag);
    let telemetry = Telemetry::new().meter_provider(&capture.meter_provider());
    let bus = Bus::new(weak).telemetry(telemetry.lag_every(SECOND));
    let running = Service::new("s", bus).on("rejects", rejects).start().await.unwrap();
    let begun = tokio::time::Instant::now();
    for wanted in [Some(0.0), None] {
        while sum(&capture, "bus.consumer.lag", "s_rejects") != wanted {
            assert!(begun.elapsed() < SECOND * 20);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        away.store(true, Ordering::SeqCst);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_panic_is_an_event_of_its_run() {
    let shop = Watched::new().await;
    shop.order(&[Does::Panics, Does::Nothing]).await;
    let run = &shop.spans("process orders.{region}.placed")[0];
    let events: Vec<_> = run.events.iter().map(|event| event.name.to_string()).collect();
    assert_eq!(events, ["bus.handler.panicked", "bus.retry.scheduled"]);
    let retry = &shop.spans("retry orders.{region}.placed")[0];
    assert_eq!(text(retry, "bus.retry.delay"), "60");
}

#[tokio::test]
async fn a_publish_says_its_story_and_its_delay() {
    let shop = Watched::new().await;
    let id = shop.orders().publish(&placed(&[Does::Bills])).await.unwrap();
    shop.all().await;
    let child = &shop.spans("publish invoices.created")[0];
    assert_eq!(text(child, "messaging.message.conversation_id"), id.to_string());
    assert_ne!(text(child, "messaging.message.id"), id.to_string());
    let invoice = Invoice { runs: vec![Does::Nothing] };
    shop.orders().publish(&invoice).after(SECOND * 5).await.unwrap();
    assert_eq!(text(&shop.spans("publish invoices.created")[1], "bus.publish.delay"), "5");
}

struct Spans(opentelemetry_sdk::trace::SdkTracer);

#[async_trait]
impl Middleware<Envelope> for Spans {
    async fn call(
        &self,
        item: Envelope,
        next: Next<'_, Envelope>,
    ) -> Result<EventId, PublishError> {
        opentelemetry::trace::Tracer::in_span(&self.0, "encrypt", |_| ());
        next.run(item).await
    }
}

#[tokio::test]
async fn what_middleware_does_is_part_of_the_publish() {
    use opentelemetry::trace::TracerProvider;
    let capture = Capture::new();
    let spans = Spans(capture.tracer_provider().tracer("middleware"));
    let bus = Memory::new().bus().telemetry(telemetry(&capture)).middleware(spans);
    bus.publish(&placed(&[Does::Nothing])).await.unwrap();
    assert_eq!(capture.tree(), "publish orders.{region}.placed PRODUCER\n  encrypt INTERNAL\n");
}

#[tokio::test]
async fn what_a_transport_says_of_its_work_is_shown_of_all_replicas_together() {
    let capture = Capture::new();
    let bus = Bus::new(Weak::default()).telemetry(telemetry(&capture));
    let service = || Service::new("s", bus.clone()).on("rejects", rejects);
    let seen = || {
        ["credit", "held", "renewals"]
            .map(|name| sum(&capture, &format!("bus.lease.{name}"), "s_rejects"))
    };
    let one = service().start().await.unwrap();
    assert_eq!(seen(), [Some(7.0), Some(3.0), Some(2.0)]);
    let other = service().start().await.unwrap();
    assert_eq!(seen(), [Some(14.0), Some(6.0), Some(4.0)]);
    one.stop().await;
    other.stop().await;
    assert_eq!(seen(), [None; 3]);
}
